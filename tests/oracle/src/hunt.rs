//! Case after case, until enough statements were run or something was missed.

use std::collections::BTreeMap;

use diesel::QueryResult;

use crate::compare::Totals;
use crate::database::Database;
use crate::generate::{Case, Focus};
use crate::recorder::Deafness;
use crate::run::{Outcome, run};
use crate::show::{show, show_step};
use crate::shrink::{shrink, up_to};
use crate::statement::Step;

/// How many statements share a schema.
const PER_SCHEMA: usize = 50;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Hunt {
    /// At least so many statements.
    pub statements: usize,
    /// Where chance begins.
    pub seed: u64,
    /// What to make more of.
    pub focus: Focus,
    /// What is not to be heard.
    pub deaf: Option<Deafness>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Found {
    /// The sums.
    pub totals: Totals,
    /// The first case that missed something, as small as it got.
    pub failure: Option<Failure>,
    /// What was coarse, extra or refused: shown once each, with how often.
    pub remarks: BTreeMap<String, usize>,
}

/// A case that missed something.
#[derive(Debug)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// The case.
    pub case: Case,
    /// What it missed.
    pub missed: Vec<String>,
}

/// Runs cases.
///
/// # Errors
///
/// If a case is wrong in itself.
pub fn hunt<D: Database>(database: &mut D, hunt: Hunt, verbose: bool) -> QueryResult<Found> {
    let mut found = Found::default();
    let mut seed = hunt.seed;
    while found.totals.statements < hunt.statements {
        let left = hunt.statements - found.totals.statements;
        let case = Case::new(D::KIND, seed, left.min(PER_SCHEMA), hunt.focus);
        let outcome = run(database, &case, hunt.deaf)?;
        found.totals += outcome.totals;
        if verbose {
            remark(&mut found.remarks, &case, &outcome);
        }
        let last = outcome
            .verdicts
            .iter()
            .find(|(_, verdict)| !verdict.missed.is_empty());
        if let (Some((last, _)), None) = (last, &found.failure) {
            found.failure = Some(smallest(database, up_to(&case, *last), hunt, seed));
        }
        seed += 1;
    }
    Ok(found)
}

fn smallest<D: Database>(database: &mut D, case: Case, hunt: Hunt, seed: u64) -> Failure {
    let mut missed = |case: &Case| -> Vec<String> {
        let outcome = run(database, case, hunt.deaf).unwrap_or_default();
        let verdicts = outcome.verdicts.into_iter();
        verdicts.flat_map(|(_, verdict)| verdict.missed).collect()
    };
    let case = shrink(case, |case| !missed(case).is_empty());
    let missed = missed(&case);
    Failure { seed, case, missed }
}

fn remark(remarks: &mut BTreeMap<String, usize>, case: &Case, outcome: &Outcome) {
    for refusal in &outcome.refusals {
        *remarks.entry(format!("refused: {refusal}\n")).or_default() += 1;
    }
    for (at, verdict) in &outcome.verdicts {
        let step = &case.program.0[*at];
        let shown = match step {
            Step::Statement(_) => show_step(step, &case.schema, 0),
            Step::Block(_) => "a transaction\n".to_owned(),
        };
        for (what, names) in [("extra", &verdict.extra), ("coarse", &verdict.coarse)] {
            if !names.is_empty() {
                *remarks
                    .entry(format!("{what} {names:?}: {shown}"))
                    .or_default() += 1;
            }
        }
    }
}

impl Failure {
    /// To be read.
    #[must_use]
    pub fn show(&self, name: &str) -> String {
        format!(
            "-- {name}, seed {}: missed {:?}\n{}",
            self.seed,
            self.missed,
            show(&self.case)
        )
    }
}
