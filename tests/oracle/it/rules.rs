//! Each rule by which changes are found is switched off, and something is missed that is not missed with it.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use idempotent_runtime::__private::rules::{Rule, reset, switch_off};
use oracle::database::{Database, Mariadb, Postgres, Sqlite};
use oracle::generate::{Case, Focus};
use oracle::hunt::{Hunt, hunt};
use oracle::run::run;

/// Within so many statements.
const STATEMENTS: usize = 6_000;

/// Where a rule matters, and what shows it soonest.
#[derive(Clone, Copy)]
struct Matters {
    sqlite: Option<Focus>,
    postgres: Option<Focus>,
    mariadb: Option<Focus>,
}

const fn matters(
    sqlite: Option<Focus>,
    postgres: Option<Focus>,
    mariadb: Option<Focus>,
) -> Matters {
    Matters {
        sqlite,
        postgres,
        mariadb,
    }
}

impl Matters {
    /// A rule that does not is one that nobody has said anything about here.
    fn somewhere(self) -> bool {
        [self.sqlite, self.postgres, self.mariadb]
            .iter()
            .any(Option::is_some)
    }
}

fn of(rule: Rule) -> Matters {
    use Focus::{Any, Cascades, Conflicts, Hidden, Keys, Nesting, Text};
    match rule {
        // What MariaDB's programs have is read.
        Rule::Unreadable => matters(Some(Text), None, None),
        Rule::Hidden => matters(None, Some(Any), Some(Nesting)),
        Rule::Untold => matters(Some(Any), Some(Any), Some(Any)),
        Rule::Parts => matters(None, Some(Hidden), None),
        Rule::OldKeys => matters(Some(Keys), Some(Keys), Some(Keys)),
        Rule::Rowid => matters(Some(Keys), None, None),
        Rule::Replaced => matters(Some(Conflicts), None, None),
        Rule::ForeignKeys => matters(Some(Cascades), Some(Cascades), Some(Cascades)),
        Rule::Triggers => matters(Some(Hidden), Some(Hidden), Some(Hidden)),
        Rule::Rekeying => matters(None, Some(Hidden), Some(Hidden)),
        Rule::Views => matters(Some(Hidden), Some(Hidden), Some(Hidden)),
        Rule::Inheritance => matters(None, Some(Any), None),
        Rule::Rewriting => matters(None, Some(Hidden), None),
        Rule::Functions => matters(None, Some(Hidden), Some(Hidden)),
        Rule::Batches => matters(Some(Nesting), Some(Any), Some(Any)),
        Rule::Savepoints => matters(Some(Nesting), Some(Nesting), Some(Nesting)),
        Rule::BeforeError => matters(Some(Nesting), None, None),
        Rule::Spellings => matters(Some(Any), Some(Any), Some(Any)),
        Rule::Schema => matters(Some(Cascades), Some(Any), Some(Any)),
        Rule::NewRows => matters(None, None, Some(Any)),
        _ => matters(None, None, None),
    }
}

/// Whether something is missed without the rule, and not with it.
fn matters_on<D: Database>(database: &mut D, rule: Rule, focus: Focus) -> bool {
    let (mut seed, mut left) = (1, STATEMENTS);
    while let Some((case, ran)) = missed_without(database, rule, focus, seed, left) {
        if run(database, &case, None).unwrap().totals.missed == 0 {
            return true;
        }
        seed = case.seed + 1;
        left = left.saturating_sub(ran);
    }
    false
}

fn missed_without<D: Database>(
    database: &mut D,
    rule: Rule,
    focus: Focus,
    seed: u64,
    statements: usize,
) -> Option<(Case, usize)> {
    let asked = Hunt {
        statements,
        seed,
        focus,
        stops: true,
        shrinks: false,
        ..Hunt::default()
    };
    switch_off(rule);
    let found = hunt(database, asked);
    reset();
    let mut found = found.unwrap();
    let example = found.cases.pop()?;
    Some((example.case, found.totals.statements))
}

/// Says where the rule does not matter, though it should.
fn idle<D: Database>(rule: Rule, focus: Option<Focus>) -> Option<String> {
    let matters = matters_on(&mut D::start(), rule, focus?);
    (!matters).then(|| format!("nothing is missed on {} without {rule:?}", D::NAME))
}

#[test]
fn every_rule_matters() {
    let mut idle_rules = Vec::new();
    for rule in Rule::ALL {
        let matters = of(*rule);
        assert!(matters.somewhere(), "{rule:?}");
        idle_rules.extend(idle::<Sqlite>(*rule, matters.sqlite));
        idle_rules.extend(idle::<Postgres>(*rule, matters.postgres));
        idle_rules.extend(idle::<Mariadb>(*rule, matters.mariadb));
    }
    assert!(idle_rules.is_empty(), "{idle_rules:#?}");
}
