//! What to append to a statement, and what to believe it changed.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write;
use std::sync::Arc;

use super::analyse::{Analysis, Ending, Target, analyse};
use super::change::Change;
use super::{Dialect, ROWIDS};
use crate::track::catalog::{Catalog, Touched};
use crate::track::{Key, Registry, fold};

/// What a change means to the tracked tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// How to learn which rows of the statement's own table it changes.
    pub(crate) rows: Option<Rows>,
    /// What else it changes: note it even when the statement fails, for an SQLite statement with
    /// `OR FAIL` keeps what it did before its error.
    pub(crate) whole: Whole,
}

/// A RETURNING clause, or more of it, that names the key of each row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rows {
    /// The folded name of the table.
    pub(crate) table: Arc<str>,
    /// To be appended to the statement.
    pub(crate) suffix: Arc<str>,
    /// How many columns it adds, last in each row.
    pub(crate) keys: usize,
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
            rows: None,
            whole: Whole::Tables(tables.into_iter().collect()),
        }
    }

    fn every() -> Self {
        Self {
            rows: None,
            whole: Whole::Every,
        }
    }
}

/// Plans one statement of the class [`Change`](super::keywords::Class::Change).
pub(crate) fn plan(sql: &str, dialect: Dialect, registry: &Registry, catalog: &Catalog) -> Plan {
    if registry.is_empty() {
        return Plan::nothing();
    }
    if dialect == Dialect::Mysql {
        return Plan::every();
    }
    match analyse(sql, dialect) {
        Some(analysis) if !analysis.hidden => Planner {
            sql,
            dialect,
            registry,
            catalog,
        }
        .plan(&analysis),
        _ => Plan::every(),
    }
}

struct Planner<'a> {
    sql: &'a str,
    dialect: Dialect,
    registry: &'a Registry,
    catalog: &'a Catalog,
}

impl Planner<'_> {
    fn plan(&self, analysis: &Analysis) -> Plan {
        let touched = self.touched(analysis);
        if touched.every {
            return Plan::every();
        }
        let tracked = |table: &Arc<str>| self.registry.get(table).map(|(name, _)| name.clone());
        let mut whole: BTreeSet<_> = touched.tables.iter().filter_map(tracked).collect();
        let mut rows = None;
        for target in &analysis.targets {
            let Some((table, key)) = self.registry.get(&target.table) else {
                continue;
            };
            rows = self
                .rows(target, key, analysis.ending)
                .filter(|_| !whole.contains(table));
            if rows.is_none() {
                whole.insert(table.clone());
            }
        }
        Plan {
            rows: rows.filter(|rows| !whole.contains(&rows.table)),
            ..Plan::whole(whole)
        }
    }

    /// What changes beside the rows of the targets.
    fn touched(&self, analysis: &Analysis) -> Touched {
        let mut touched = self.catalog.called(&analysis.calls);
        for target in &analysis.targets {
            let more = match self.catalog.knows(&target.table) {
                true => self.catalog.touched(&target.table, &target.change),
                false => self.unknown(),
            };
            touched.every |= more.every;
            touched.tables.extend(more.tables);
        }
        touched
    }

    /// A relation that the catalog does not know may be newer than it, or no relation but a word
    /// that the grammar took for one: whatever the text names may be changed.
    fn unknown(&self) -> Touched {
        let text = fold(self.sql);
        let named = |table: &&Arc<str>| text.contains(&***table);
        Touched {
            tables: self.registry.names().filter(named).cloned().collect(),
            every: false,
        }
    }

    fn rows(&self, target: &Target, key: Key, ending: Ending) -> Option<Rows> {
        let Key::Columns(key) = key else {
            return None;
        };
        let told = target.main
            && !target.untold
            && !self.sets_key(&target.change, key)
            && self.catalog.tells(&target.table, &target.change, key);
        let (table, _) = self.registry.get(&target.table).filter(|_| told)?;
        Some(Rows {
            table: table.clone(),
            suffix: self.suffix(target, key, ending)?,
            keys: key.len(),
        })
    }

    fn sets_key(&self, change: &Change, key: &[&str]) -> bool {
        let columns: HashSet<_> = key.iter().map(|column| fold(column)).collect();
        change.update.any(&columns) || self.dialect == Dialect::Sqlite && change.update.any(ROWIDS)
    }

    fn suffix(&self, target: &Target, key: &[&str], ending: Ending) -> Option<Arc<str>> {
        // A line break first: the statement may end in a line comment.
        let mut suffix = String::from(match ending {
            Ending::Closed => return None,
            Ending::Open => "\nRETURNING ",
            Ending::Returning => "\n, ",
        });
        for (at, column) in key.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            let column = self.column(target, column);
            write!(suffix, "{comma}{column} AS __idempotent_key_{}", at + 1).ok()?;
        }
        Some(suffix.into())
    }

    /// SQLite's RETURNING knows the target's columns alone, and takes a name in double quotes that
    /// it does not know for a string.
    fn column(&self, target: &Target, column: &str) -> String {
        match self.dialect {
            Dialect::Postgres => {
                format!("{}.\"{}\"", target.qualifier, column.replace('"', "\"\""))
            }
            _ => format!("`{}`", column.replace('`', "``")),
        }
    }
}

#[cfg(test)]
mod tests;
