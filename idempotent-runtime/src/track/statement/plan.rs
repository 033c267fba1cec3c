//! What to append to a statement, what to ask before and after it, and what to believe it changed.

use std::sync::Arc;

use super::analyse::{Target, analyse};
use super::change::Change;
use super::reading::Read;
use super::{Dialect, ROWIDS};
use crate::track::Registry;
use crate::track::catalog::Catalog;
use crate::track::rules::Rule;

mod conflicts;
mod following;
mod given;
mod planner;
mod renamed;

pub(crate) use given::{Given, Part};
use planner::Planner;

/// What a change means to the tracked tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// Asked before the statement. Where the answer cannot be had or is not sure, the tables that it is about change as
    /// a whole.
    pub(crate) before: Box<[Read]>,
    /// Sent before these: on SQLite who has read cannot wait for the write lock any more.
    pub(crate) lock: Option<Arc<str>>,
    /// How to learn which rows of the statement's own table it changes.
    pub(crate) rows: Option<Rows>,
    /// The rows that it changes, if it changes any, by keys that it has with it.
    pub(crate) given: Option<Given>,
    pub(crate) after: Option<After>,
    /// What else it changes: note it even when the statement fails, for an SQLite statement with
    /// `OR FAIL` keeps what it did before its error.
    pub(crate) whole: Whole,
}

/// A RETURNING clause, or more of it, that names the key of each row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rows {
    /// The folded name of the table; none if its rows are only compared with those that were asked for.
    pub(crate) table: Option<Arc<str>>,
    /// To be appended to the statement.
    pub(crate) suffix: Arc<str>,
    /// How many columns it adds, last in each row.
    pub(crate) keys: usize,
    /// As many bytes at the statement's end are left out before it: a semicolon, and what follows.
    pub(crate) cut: usize,
}

/// Asked after the statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct After {
    pub(crate) read: Read,
    /// With fewer rows than these the table changes as a whole.
    pub(crate) least: usize,
    pub(crate) count: Count,
}

/// What the number of rows that the server has counted must be, or else the table changes as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count {
    Any,
    /// Any, but if rows were changed, one at least is found: else the key is not as it was set, for it was made to fit.
    Some,
    /// The number of new rows: more of them says that others were replaced.
    Given,
    /// The number of rows that were not there before.
    New,
}

/// Tables of which unknown rows change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Whole {
    Tables(Box<[Arc<str>]>),
    Every,
}

impl Plan {
    fn nothing() -> Self {
        Self::whole([])
    }

    fn whole(tables: impl IntoIterator<Item = Arc<str>>) -> Self {
        Self {
            whole: Whole::Tables(tables.into_iter().collect()),
            ..Self::every()
        }
    }

    /// Any row of any tracked table.
    pub(crate) fn every() -> Self {
        Self {
            before: Box::default(),
            lock: None,
            rows: None,
            given: None,
            after: None,
            whole: Whole::Every,
        }
    }

    /// All queries of it.
    pub(crate) fn reads(&self) -> impl Iterator<Item = &Read> {
        self.before
            .iter()
            .chain(self.after.iter().map(|after| &after.read))
    }

    /// The same without them: the tables that they are about change as a whole.
    pub(crate) fn unasked(&self) -> Self {
        let asked = self.reads().filter_map(|read| read.table.clone());
        let whole = match &self.whole {
            Whole::Every => Whole::Every,
            Whole::Tables(tables) => Whole::Tables(tables.iter().cloned().chain(asked).collect()),
        };
        Self {
            before: Box::default(),
            lock: None,
            after: None,
            whole,
            ..self.clone()
        }
    }

    /// Whether no tracked row changes.
    pub(crate) fn is_nothing(&self) -> bool {
        self.rows.is_none()
            && self.given.is_none()
            && self.before.is_empty()
            && self.after.is_none()
            && matches!(&self.whole, Whole::Tables(tables) if tables.is_empty())
    }
}

/// Plans one statement of the class [`Change`](super::keywords::Class::Change).
pub(crate) fn plan(sql: &str, dialect: Dialect, registry: &Registry, catalog: &Catalog) -> Plan {
    if registry.is_empty() {
        return Plan::nothing();
    }
    if catalog.strange {
        return Plan::every();
    }
    match analyse(sql, dialect) {
        Some(mut analysis) if !analysis.hidden => {
            analysis
                .targets
                .iter_mut()
                .for_each(|target| settle_conflict(target, catalog));
            let planner = Planner {
                sql,
                dialect,
                registry,
                catalog,
                ending: analysis.ending,
            };
            planner.plan(&analysis)
        }
        None if !Rule::Unreadable.applies() => Plan::nothing(),
        Some(_) if !Rule::Hidden.applies() => Plan::nothing(),
        _ => Plan::every(),
    }
}

/// What a conflict does: a table may say that it replaces rows, and `UPDATE OR REPLACE` replaces none where it sets no
/// column of a unique index.
fn settle_conflict(target: &mut Target, catalog: &Catalog) {
    let Change {
        insert,
        delete,
        update,
        ..
    } = &mut target.change;
    let stops = target.untold && !*delete;
    if catalog.replaces(&target.table) && (*insert || update.is_some()) {
        *delete = true;
        target.untold |= !*insert;
    }
    if *insert || !*delete || !update.is_some() {
        return;
    }
    let unique = catalog.unique(&target.table);
    if unique.is_some_and(|unique| !update.any(unique.iter().flatten()) && !update.any(ROWIDS)) {
        *delete = false;
        target.untold = stops;
    }
}

#[cfg(test)]
mod tests;
