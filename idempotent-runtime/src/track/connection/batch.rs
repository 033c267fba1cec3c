//! Batches: several statements in one text, by `batch_execute`.
//!
//! A batch is cut only where it must be: at transaction control, because the stamp comes before the COMMIT, and on
//! SQLite, outside a transaction, at every change, because each commits by itself there. (In the MySQL family many more
//! statements commit, so that a batch that changes anything is always cut.) PostgreSQL runs a batch
//! outside a transaction as one, and so does this, but for one that holds transaction control: there what comes
//! before the first BEGIN is committed by itself.

use diesel::connection::SimpleConnection;
use diesel::result::QueryResult;

use super::position::placed;
use super::{Trackable, TrackedConnection, rows};
use crate::track::Registry;
use crate::track::changes::Changes;
use crate::track::fragment::Literally;
use crate::track::plans::{Step, known, note_whole};
use crate::track::rules::Rule;
use crate::track::statement::Dialect;
use crate::track::statement::keywords::Control;
use crate::track::statement::plan::Plan;
use crate::track::statement::split::split;

/// Batches of more statements are sent as one text where they can be, and change their tables as a whole.
const MOST_ALONE: usize = 32;

impl<C: Trackable> SimpleConnection for TrackedConnection<C> {
    fn batch_execute(&mut self, sql: &str) -> QueryResult<()> {
        if !Rule::Batches.applies() && !self.log.is_open() {
            return self.inner.batch_execute(sql);
        }
        // What Diesel's transactions send. It is not worth a plan.
        if let Some(control) = Control::of(sql) {
            return self.control(&control, sql, |inner| inner.batch_execute(sql));
        }
        if self.may_be_read_otherwise(sql) {
            return self.batch_unread(sql);
        }
        match split(sql, C::DIALECT) {
            Some(statements) if statements.len() > 1 => self.batch(sql, &statements),
            Some(_) => self.batch_one(sql),
            None => self.batch_unread(sql),
        }
    }
}

impl<C: Trackable> TrackedConnection<C> {
    /// Whether the session may see other strings in a text than are seen here, and so other statements.
    fn may_be_read_otherwise(&mut self, sql: &str) -> bool {
        let database = self.private.as_ref().unwrap_or(&self.shared);
        let moment = self.moment();
        C::DIALECT == Dialect::Postgres
            && sql.contains('\\')
            && !Registry::global().is_empty()
            && database
                .catalog(&mut self.inner, moment)
                .is_some_and(|catalog| catalog.strange)
    }

    fn batch_step(&mut self, sql: &str) -> Step {
        self.plan(None, || Ok(sql.to_owned())).0
    }

    fn batch_one(&mut self, sql: &str) -> QueryResult<()> {
        match self.batch_step(sql) {
            Step::Pass => self.watched(|inner| inner.batch_execute(sql)),
            Step::Opaque => self.unwrapped(|inner| inner.batch_execute(sql)),
            Step::Schema { changes } => self.schema(changes, |inner| inner.batch_execute(sql)),
            Step::Role => self.role(|inner| inner.batch_execute(sql)),
            Step::TableLocks(held) => self.table_locks(held, |inner| inner.batch_execute(sql)),
            Step::Autocommit => self.autocommit(|inner| inner.batch_execute(sql)),
            Step::Isolation => self.isolation(|inner| inner.batch_execute(sql)),
            Step::Commits(plan) => self.commits(&of_plan(&plan), |inner| inner.batch_execute(sql)),
            Step::Control(control) => self.control(&control, sql, |inner| inner.batch_execute(sql)),
            Step::Change(plan) if self.stamper.is_none() || has_placeholder(sql) => {
                self.batch_changes(sql, &of_plan(&plan))
            }
            Step::Change(plan) => self.change(&known(&plan), |inner, changes| {
                rows::execute(inner, &plan, &Literally(sql), Some(sql), changes).map(drop)
            }),
        }
    }

    fn batch(&mut self, sql: &str, statements: &[&str]) -> QueryResult<()> {
        let steps: Vec<Step> = statements
            .iter()
            .map(|statement| self.batch_step(statement))
            .collect();
        if steps.iter().all(|step| matches!(step, Step::Pass)) {
            return self.batch_harmless(sql, &steps);
        }
        let mut at = 0;
        while at < statements.len() {
            let length = steps[at..]
                .iter()
                .take_while(|step| !matches!(step, Step::Control(_)))
                .count();
            if length == 0 {
                placed(self.batch_one(statements[at]), sql, statements[at])?;
                at += 1;
                continue;
            }
            self.batch_stretch(sql, &statements[at..at + length], &steps[at..at + length])?;
            at += length;
        }
        Ok(())
    }

    /// Nothing in it moves the transaction or changes tracked rows.
    fn batch_harmless(&mut self, sql: &str, steps: &[Step]) -> QueryResult<()> {
        let result = self.watched(|inner| inner.batch_execute(sql));
        self.batch_aftermath(steps);
        result
    }

    fn batch_aftermath(&mut self, steps: &[Step]) {
        if steps.iter().any(|step| matches!(step, Step::Role)) {
            self.own_role = true;
            self.keep_private();
        }
        if steps.iter().any(|step| matches!(step, Step::Schema { .. })) {
            self.schema_moved();
        }
    }

    /// Statements between two of transaction control.
    fn batch_stretch(&mut self, sql: &str, statements: &[&str], steps: &[Step]) -> QueryResult<()> {
        let alone = self.stamper.is_some()
            && steps.len() <= MOST_ALONE
            && steps.iter().all(Step::is_plain)
            && !has_placeholder(sql);
        // In a transaction each counts by itself: what comes before an error stays, but on PostgreSQL.
        let each = match C::DIALECT {
            Dialect::Sqlite => alone || !self.log.is_open(),
            Dialect::Mysql => true,
            Dialect::Postgres => alone && self.log.is_open(),
        };
        if each || statements.len() == 1 {
            return statements
                .iter()
                .try_for_each(|statement| placed(self.batch_one(statement), sql, statement));
        }
        if alone {
            return self.batch_each(sql, statements, steps);
        }
        let mut changes = Changes::default();
        for step in steps {
            match step {
                Step::Change(plan) => note_plan(plan, &mut changes),
                // What comes after it was planned before it.
                Step::Opaque | Step::Schema { .. } if !Registry::global().is_empty() => {
                    changes.whole_every()
                }
                _ => {}
            }
        }
        let text = stretch(sql, statements);
        if changes.is_empty() {
            return placed(self.batch_harmless(text, steps), sql, text);
        }
        let result = placed(self.batch_changes(text, &changes), sql, text);
        self.batch_aftermath(steps);
        result
    }

    /// Each statement by itself, so that it tells its rows; all of them in one transaction.
    fn batch_each(&mut self, sql: &str, statements: &[&str], steps: &[Step]) -> QueryResult<()> {
        let mut whole = Changes::default();
        for step in steps {
            if let Step::Change(plan) = step {
                note_whole(plan, &mut whole);
            }
        }
        self.change(&whole, |inner, changes| {
            for (statement, step) in statements.iter().zip(steps) {
                let done = match step {
                    Step::Change(plan) => {
                        rows::execute(inner, plan, &Literally(statement), Some(statement), changes)
                            .map(drop)
                    }
                    _ => inner.batch_execute(statement),
                };
                placed(done, sql, statement)?;
            }
            Ok(())
        })
    }

    /// Its statements could not be told apart.
    fn batch_unread(&mut self, sql: &str) -> QueryResult<()> {
        const CHANGES: [&str; 8] = [
            "insert", "update", "delete", "replace", "merge", "truncate", "copy", "call",
        ];
        let text = sql.to_lowercase();
        self.refuse_in_effects()?;
        if Registry::global().is_empty() || !CHANGES.iter().any(|word| text.contains(word)) {
            return self.watched(|inner| inner.batch_execute(sql));
        }
        // It may hold transaction control, so it cannot be put into a transaction.
        self.unwrapped(|inner| inner.batch_execute(sql))
    }

    fn batch_changes(&mut self, sql: &str, changes: &Changes) -> QueryResult<()> {
        self.change(changes, |inner, _| inner.batch_execute(sql))
    }
}

fn of_plan(plan: &Plan) -> Changes {
    let mut changes = Changes::default();
    note_plan(plan, &mut changes);
    changes
}

/// What is sent as one text returns no rows, so none are known.
fn note_plan(plan: &Plan, changes: &mut Changes) {
    note_whole(plan, changes);
    let told = plan.rows.iter().filter_map(|rows| rows.table.as_ref());
    let given = plan.given.iter().map(|given| &given.table);
    let asked = plan.reads().filter_map(|read| read.table.as_ref());
    told.chain(given)
        .chain(asked)
        .for_each(|table| changes.whole(table));
}

/// A parameter in a batch has no value, and each way to send it has its own word for that.
fn has_placeholder(sql: &str) -> bool {
    sql.contains(['?', '$'])
}

/// The text from the first of these statements to the end of the last.
fn stretch<'a>(sql: &'a str, statements: &[&'a str]) -> &'a str {
    let start = |part: &str| part.as_ptr() as usize - sql.as_ptr() as usize;
    match (statements.first(), statements.last()) {
        (Some(first), Some(last)) => &sql[start(first)..start(last) + last.len()],
        _ => sql,
    }
}
