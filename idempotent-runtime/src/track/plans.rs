//! Which statements change what: planned once, then remembered.

use std::any::TypeId;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use diesel::QueryResult;
use once_cell::sync::Lazy;
use sqlparser::tokenizer::Token;

use super::backend::{Moment, Trackable};
use super::catalog::Catalog;
use super::changes::Changes;
use super::rules::Rule;
use super::statement::Dialect;
use super::statement::analyse::analyse;
use super::statement::change::Change;
use super::statement::keywords::{Class, Control, classify, without_comments};
use super::statement::plan::{Plan, Whole, plan};
use super::{Registry, fold};
use crate::sync::lock;

mod database;
mod words;

pub(crate) use database::Database;
use database::generation;
pub(super) use database::schema_changed;
use words::{
    COMMITTING, begins_with, is_hidden, is_of_the_session, moves_rows, runs_another, sets,
    sets_a_role, sets_strings,
};

/// Texts of dynamic statements that a connection remembers; when there are more, it starts anew.
const MOST_TEXTS: usize = 512;

/// Longer texts are not remembered: they are made once, with their values in them.
const LONGEST_TEXT: usize = 16 * 1024;

/// Of more untracked tables than these it is not said that they are.
const MOST_WARNINGS: usize = 1_000;

/// What to do with a statement.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// Hand it on untouched.
    Pass,
    /// It may change tracked rows.
    Change(Arc<Plan>),
    /// It may change tracked rows and commit by itself: it cannot be put into a transaction.
    Opaque,
    /// It commits by itself (MySQL family), and may change tracked rows.
    Commits(Arc<Plan>),
    /// It locks tables, or lets them go (MySQL family), and commits.
    TableLocks(bool),
    /// It may say whether the session commits by itself, and whether a COMMIT opens the next transaction.
    Autocommit,
    /// It lets others' commits come between the statements of a transaction.
    Isolation,
    /// It moves the transaction.
    Control(Control),
    /// It voids what the catalog said, for all connections, and may change rows.
    Schema {
        /// It does.
        changes: bool,
    },
    /// It voids what the catalog said, for this connection.
    Role,
}

impl Step {
    /// Whether it is nothing that those around it must know of.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Self::Pass | Self::Change(_))
    }

    /// The same without queries of ours: what they would tell changes as a whole.
    pub(super) fn unasked(self) -> Self {
        match self {
            Self::Change(plan) if plan.reads().next().is_some() => {
                Self::Change(Arc::new(plan.unasked()))
            }
            step => step,
        }
    }
}

/// The plans that one connection remembers, by Diesel's static ids and by text.
#[derive(Debug, Default)]
pub(super) struct Plans {
    generation: u64,
    by_id: HashMap<TypeId, Step>,
    by_text: HashMap<String, Step>,
}

impl Plans {
    /// The step for a statement, and its text if that was needed: `sql` builds it, for a statement with a static id
    /// only once.
    pub(super) fn step<C: Trackable>(
        &mut self,
        id: Option<TypeId>,
        sql: impl FnOnce() -> QueryResult<String>,
        database: &Database,
        connection: &mut C,
        moment: Moment,
    ) -> (Step, Option<String>) {
        if let Some(step) = id.and_then(|id| self.by_id.get(&id)) {
            return (step.clone(), None);
        }
        // A statement that cannot be built fails in the connection's own hands, with its own error.
        let Ok(sql) = sql() else {
            return (Step::Pass, None);
        };
        if let Some(step) = self.by_text.get(&sql) {
            return (step.clone(), Some(sql));
        }
        let (step, certain) = make::<C>(&sql, database, connection, moment);
        if certain {
            self.remember(id, &sql, step.clone());
        }
        (step, Some(sql))
    }

    /// Forgets what was planned before a schema has changed; whether one has.
    pub(super) fn renew(&mut self) -> bool {
        let generation = generation();
        let changed = self.generation != generation;
        if changed {
            *self = Self {
                generation,
                ..Self::default()
            };
        }
        changed
    }

    fn remember(&mut self, id: Option<TypeId>, sql: &str, step: Step) {
        if let Some(id) = id {
            // Who finds it by its id has no text to cut.
            if !matches!(&step, Step::Change(plan) if plan.rows.as_ref().is_some_and(|rows| rows.cut > 0))
            {
                self.by_id.insert(id, step);
            }
            return;
        }
        if sql.len() > LONGEST_TEXT {
            return;
        }
        if self.by_text.len() >= MOST_TEXTS {
            self.by_text.clear();
        }
        self.by_text.insert(sql.to_owned(), step);
    }
}

/// The step, and whether it will be the same next time.
fn make<C: Trackable>(
    sql: &str,
    database: &Database,
    connection: &mut C,
    moment: Moment,
) -> (Step, bool) {
    // What is in an executable comment is read by the server alone.
    if C::COMMITS_IMPLICITLY && (sql.contains("/*!") || sql.contains("/*M!")) {
        return (Step::Opaque, true);
    }
    let class = classify(sql, C::DIALECT);
    // What follows looks at the first words, too.
    let sql = without_comments(sql, C::DIALECT);
    match class {
        Class::Other if C::COMMITS_IMPLICITLY && runs_another(sql) => (Step::Opaque, true),
        Class::Other if sets(sql, "ISOLATION", C::DIALECT) => (Step::Isolation, true),
        Class::Other
            if sets(sql, "AUTOCOMMIT", C::DIALECT) || sets(sql, "COMPLETION_TYPE", C::DIALECT) =>
        {
            (Step::Autocommit, true)
        }
        Class::Other if sets(sql, "SQL_MODE", C::DIALECT) => (Step::Role, true),
        Class::Other if C::COMMITS_IMPLICITLY && begins_with(sql, &["LOCK", "UNLOCK"]) => {
            (Step::TableLocks(begins_with(sql, &["LOCK"])), true)
        }
        Class::Other if C::COMMITS_IMPLICITLY && begins_with(sql, &["USE"]) => (Step::Role, true),
        Class::Other
            if C::COMMITS_IMPLICITLY
                && (begins_with(sql, &COMMITTING) || sets(sql, "PASSWORD", C::DIALECT)) =>
        {
            (Step::Commits(Arc::new(nothing())), true)
        }
        Class::Other if sets_a_role(sql, C::DIALECT) || sets_strings(sql, C::DIALECT) => {
            (Step::Role, true)
        }
        Class::Other => (Step::Pass, true),
        Class::Control(control) => (Step::Control(control), true),
        Class::Schema if is_of_the_session(sql) => (Step::Role, true),
        Class::Schema => {
            let registry = Registry::global();
            let empties = C::DIALECT == Dialect::Sqlite
                && begins_with(sql, &["DROP"])
                && !registry.is_empty()
                && database
                    .catalog(connection, moment)
                    .is_none_or(|catalog| empties(sql, &catalog));
            let changes = Rule::Schema.applies()
                && moves_rows(sql)
                && (empties || may_name_a_table(sql, registry));
            (Step::Schema { changes }, true)
        }
        Class::Role => (Step::Role, true),
        // What may commit is told apart even where nothing is tracked.
        Class::Change if C::COMMITS_IMPLICITLY && is_hidden(sql) => (Step::Opaque, true),
        Class::Change
            if C::COMMITS_IMPLICITLY
                && begins_with(sql, &["TRUNCATE"])
                && Registry::global().is_empty() =>
        {
            (Step::Commits(Arc::new(nothing())), true)
        }
        Class::Change if Registry::global().is_empty() => (Step::Pass, true),
        Class::Change if is_hidden(sql) => (Step::Opaque, true),
        Class::Change => match database.catalog(connection, moment) {
            Some(catalog) => (change::<C>(sql, &catalog), true),
            None => (Step::Change(Arc::new(Plan::every())), false),
        },
    }
}

/// SQLite deletes the rows of a table before it drops it, and foreign keys pass that on.
fn empties(sql: &str, catalog: &Catalog) -> bool {
    let tokens = Dialect::Sqlite.tokens(sql).unwrap_or_default();
    let names = tokens.iter().filter_map(|token| match &token.token {
        Token::Word(word) => Some(fold(&word.value)),
        _ => None,
    });
    // Words that are no names are no tables that anything refers to.
    names
        .map(|name| catalog.touched(&name, &Change::delete(), false))
        .any(|touched| touched.every || !touched.tables.is_empty())
}

fn nothing() -> Plan {
    Plan {
        whole: Whole::Tables(Box::default()),
        ..Plan::every()
    }
}

fn may_name_a_table(sql: &str, registry: &Registry) -> bool {
    let sql = fold(sql);
    !registry.is_empty()
        && (sql.contains("cascade") || registry.names().any(|table| sql.contains(&**table)))
}

fn change<C: Trackable>(sql: &str, catalog: &Catalog) -> Step {
    let registry = Registry::global();
    let plan = plan(sql, C::DIALECT, registry, catalog);
    if C::COMMITS_IMPLICITLY && begins_with(sql, &["TRUNCATE"]) {
        return Step::Commits(Arc::new(plan));
    }
    if plan.is_nothing() {
        warn_untracked(sql, C::DIALECT, registry);
        return Step::Pass;
    }
    Step::Change(Arc::new(plan))
}

/// Other tables have a tracked model, this one has none: likely forgotten, so it is said once.
fn warn_untracked(sql: &str, dialect: Dialect, registry: &Registry) {
    for change in analyse(sql, dialect)
        .map(|analysis| analysis.targets)
        .unwrap_or_default()
    {
        let table = change.table;
        if registry.get(&table).is_none() && !table.starts_with("__diesel") && is_news(&table) {
            tracing::warn!(
                table,
                "rows of a table that no model tracks were changed; #[derive(Tracked)] on its model lets them end replies"
            );
        }
    }
}

fn is_news(table: &str) -> bool {
    static WARNED: Lazy<Mutex<HashSet<String>>> = Lazy::new(Mutex::default);
    let mut warned = lock(&WARNED);
    warned.len() < MOST_WARNINGS && warned.insert(table.to_owned())
}

/// What a plan says beyond the rows that the statement itself tells.
pub(super) fn known(plan: &Plan) -> Changes {
    let mut changes = Changes::default();
    note_whole(plan, &mut changes);
    changes
}

/// Notes the same.
pub(super) fn note_whole(plan: &Plan, changes: &mut Changes) {
    match &plan.whole {
        Whole::Every => changes.whole_every(),
        Whole::Tables(tables) => tables.iter().for_each(|table| changes.whole(table)),
    }
}
