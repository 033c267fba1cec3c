//! What a run says beside its sums: why tables were reported as a whole, what was extra, what was refused.

use std::collections::BTreeMap;
use std::fmt;

use crate::generate::Case;
use crate::names;
use crate::run::Outcome;
use crate::schema::Schema;
use crate::show::show_step;
use crate::statement::{Body, Conflict, Relation, Statement, Step, Target, Way};

/// How often something was said, and one example of it.
#[derive(Debug, Default)]
pub struct Remarks(BTreeMap<String, (usize, String)>);

impl fmt::Display for Remarks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, (count, example)) in &self.0 {
            writeln!(f, "{count:6} × {what}\n         {example}")?;
        }
        Ok(())
    }
}

impl Remarks {
    /// Adds what there is to say about a case.
    pub fn add(&mut self, case: &Case, outcome: &Outcome) {
        for refusal in &outcome.refusals {
            // What is in quotes is a name, and what is behind it differs with it.
            let kind = refusal
                .split(['"', '\'', '`', ':'])
                .next()
                .unwrap_or_default();
            self.note(format!("refused: {kind}"), refusal);
        }
        for (at, verdict) in &outcome.verdicts {
            let step = &case.program.0[*at];
            let shown = show_step(step, &case.schema, 0).replace('\n', " ");
            for name in &verdict.missed {
                let instead = format!("{name}, but {:?}: {shown}", verdict.extra);
                self.note(format!("missed by seed {}", case.seed), &instead);
            }
            for name in &verdict.extra {
                self.note("extra".to_owned(), &format!("{name}: {shown}"));
            }
            let every = verdict.coarse.len() > case.schema.tables.len();
            for name in &verdict.coarse {
                let why = match step {
                    _ if every => "every table",
                    Step::Statement(statement) => why(statement, &case.schema, name),
                    Step::Block(_) => "in a transaction",
                };
                self.note(format!("coarse: {why}"), &format!("{name}: {shown}"));
            }
        }
    }

    fn note(&mut self, what: String, example: &str) {
        let (count, shortest) = self.0.entry(what).or_default();
        *count += 1;
        if shortest.is_empty() || example.len() < shortest.len() {
            *shortest = example.to_owned();
        }
    }
}

/// The likely reason for which a statement was answered with a whole table.
fn why(statement: &Statement, schema: &Schema, name: &str) -> &'static str {
    let own = target(&statement.body).is_some_and(|target| of(target, schema) == name);
    match &statement.body {
        _ if !own => "a foreign key's child, or a view",
        _ if statement.way == Way::Batch => "one statement in a batch",
        Body::Insert(insert) => match insert.conflict {
            Conflict::Replace | Conflict::Or("REPLACE") => "INSERT that replaces",
            Conflict::Or(_) => "INSERT OR",
            Conflict::Update(..) | Conflict::UpdateSome(..) => "upsert",
            Conflict::None | Conflict::Nothing => "INSERT",
        },
        Body::Update(update) => {
            let Relation::Table(table) = update.target.relation else {
                return "UPDATE of another relation";
            };
            let table = &schema.tables[table];
            match update.conflict {
                _ if update.set.iter().any(|(column, _)| table.is_key(column)) => "UPDATE of a key",
                Conflict::None => "UPDATE",
                _ => "UPDATE OR",
            }
        }
        Body::Delete(_) => "DELETE",
        _ => "another statement",
    }
}

fn target(body: &Body) -> Option<&Target> {
    match body {
        Body::Insert(insert) => Some(&insert.target),
        Body::Update(update) => Some(&update.target),
        Body::Delete(delete) => Some(&delete.target),
        Body::Reading(_, body) => target(body),
        _ => None,
    }
}

fn of(target: &Target, schema: &Schema) -> String {
    match target.relation {
        Relation::Table(table) => names::whole(schema.tables[table].model),
        _ => String::new(),
    }
}
