//! What a transaction changed, savepoint by savepoint; pure.
//!
//! The log follows the statements: a savepoint opens a level, `RELEASE` merges it into the one below, `ROLLBACK TO`
//! drops what came after it. What is left when the outermost transaction commits is what really changed.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::rules::Rule;

/// More rows of one table in one transaction count as the whole table.
const MOST_ROWS: usize = 4_096;

/// The changes of one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    tables: BTreeMap<Arc<str>, Table>,
    every: bool,
}

/// What is known of the changed rows of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Table {
    /// These rows, by their encoded keys, and no others.
    Rows(HashSet<String>),
    /// Rows unknown.
    Whole,
}

impl Table {
    fn add(&mut self, keys: impl IntoIterator<Item = String>) {
        if let Self::Rows(rows) = self {
            rows.extend(keys);
            if rows.len() > MOST_ROWS {
                *self = Self::Whole;
            }
        }
    }
}

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        self.tables.is_empty() && !self.every
    }

    /// Whether rows of any tracked table may have changed.
    pub(crate) fn every(&self) -> bool {
        self.every
    }

    pub(crate) fn tables(&self) -> impl Iterator<Item = (&Arc<str>, &Table)> {
        self.tables.iter()
    }

    /// Whether it is known already that rows of this table are not told apart.
    pub(crate) fn is_whole(&self, table: &str) -> bool {
        matches!(self.tables.get(table), Some(Table::Whole))
    }

    pub(crate) fn row(&mut self, table: &Arc<str>, key: String) {
        match self.tables.get_mut(table) {
            Some(changed) => changed.add([key]),
            None => {
                let rows = HashSet::from([key]);
                self.tables.insert(Arc::clone(table), Table::Rows(rows));
            }
        }
    }

    pub(crate) fn whole(&mut self, table: &Arc<str>) {
        self.tables.insert(Arc::clone(table), Table::Whole);
    }

    pub(crate) fn whole_every(&mut self) {
        self.every = true;
    }

    fn merge(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
            return;
        }
        self.every |= other.every;
        for (table, changed) in other.tables {
            match changed {
                Table::Whole => self.whole(&table),
                Table::Rows(rows) => match self.tables.entry(table) {
                    Entry::Vacant(place) => {
                        place.insert(Table::Rows(rows));
                    }
                    Entry::Occupied(place) => place.into_mut().add(rows),
                },
            }
        }
    }
}

/// One savepoint, or the transaction itself, which has no name unless a savepoint opened it (SQLite).
#[derive(Debug, Default)]
struct Level {
    name: Option<String>,
    /// None before the first. Shared with a COMMIT that may fail.
    changes: Option<Arc<Changes>>,
    /// As many savepoints of this name are below it, with nothing between them.
    below: usize,
}

impl Level {
    fn is_unchanged(&self) -> bool {
        self.changes
            .as_ref()
            .is_none_or(|changes| changes.is_empty())
    }

    fn note(&mut self, changes: Changes) {
        match &mut self.changes {
            Some(all) => Arc::make_mut(all).merge(changes),
            None => self.changes = Some(Arc::new(changes)),
        }
    }
}

/// What the open transaction of a connection has changed so far.
#[derive(Debug, Default)]
pub(crate) struct ChangeLog {
    levels: Vec<Level>,
}

impl ChangeLog {
    /// Whether a transaction is open.
    pub(crate) fn is_open(&self) -> bool {
        !self.levels.is_empty()
    }

    /// Whether anything was noted in the open transaction.
    pub(crate) fn has_changes(&self) -> bool {
        self.levels.iter().any(|level| !level.is_unchanged())
    }

    /// A transaction was opened. A second `BEGIN` inside one changes nothing (PostgreSQL warns and goes on).
    pub(crate) fn begin(&mut self) {
        if self.levels.is_empty() {
            self.levels.push(Level::default());
        }
    }

    /// A savepoint was set.
    pub(crate) fn savepoint(&mut self, name: &str) {
        // Diesel sets a savepoint again after rolling back to it, without a release: empty ones of one name are
        // counted, since a long loop would pile them up. (The first level is the transaction, even where a savepoint
        // opened it.)
        let nested = self.levels.len() > 1;
        match self.levels.last_mut() {
            Some(top) if nested && top.name.as_deref() == Some(name) && top.is_unchanged() => {
                top.below += 1;
            }
            _ => self.levels.push(Level {
                name: Some(name.to_owned()),
                ..Level::default()
            }),
        }
    }

    /// Whether releasing this savepoint ends the transaction, as in SQLite where a savepoint may open one.
    pub(crate) fn is_outermost(&self, savepoint: &str) -> bool {
        self.find(savepoint) == Some(0)
    }

    /// A savepoint was released: its changes and those of all after it belong to the level below.
    pub(crate) fn release(&mut self, name: &str) {
        let Some(index) = self.find(name).filter(|index| *index > 0) else {
            return;
        };
        let mut released = self.levels.split_off(index);
        if !Rule::Savepoints.applies() {
            return;
        }
        if let Some(mut level) = released
            .first_mut()
            .filter(|level| level.below > 0)
            .map(std::mem::take)
        {
            level.below -= 1;
            self.levels.push(level);
        }
        if let Some(below) = self.levels.last_mut() {
            let changes = released.into_iter().filter_map(|level| level.changes);
            changes.for_each(|changes| below.note(Arc::unwrap_or_clone(changes)));
        }
    }

    /// What came after the savepoint was undone; the savepoint itself stays.
    pub(crate) fn rollback_to(&mut self, name: &str) {
        if let Some(index) = self.find(name) {
            self.levels.truncate(index + 1);
            self.levels[index].changes = None;
        }
    }

    /// The transaction is over.
    pub(crate) fn close(&mut self) {
        self.levels.clear();
    }

    /// Notes changes in the innermost level.
    pub(crate) fn note(&mut self, changes: Changes) {
        if let Some(top) = self.levels.last_mut() {
            top.note(changes);
        }
    }

    /// All that the transaction would change if it committed now.
    pub(crate) fn pending(&self) -> Arc<Changes> {
        let mut changed = self
            .levels
            .iter()
            .filter_map(|level| level.changes.as_ref());
        let mut all = changed.next().map(Arc::clone).unwrap_or_default();
        for changes in changed {
            Arc::make_mut(&mut all).merge(Changes::clone(changes));
        }
        all
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.levels
            .iter()
            .rposition(|level| level.name.as_deref() == Some(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users() -> Arc<str> {
        Arc::from("users")
    }

    fn row(key: &str) -> Changes {
        let mut changes = Changes::default();
        changes.row(&users(), key.to_owned());
        changes
    }

    fn opened(steps: impl FnOnce(&mut ChangeLog)) -> Changes {
        let mut log = ChangeLog::default();
        log.begin();
        steps(&mut log);
        Arc::unwrap_or_clone(log.pending())
    }

    #[test]
    fn h14_rows_changed_after_a_savepoint_are_dropped_when_it_is_rolled_back() {
        let left = opened(|log| {
            log.note(row("1"));
            log.savepoint("a");
            log.note(row("2"));
            log.savepoint("b");
            log.note(row("3"));
            log.rollback_to("a");
        });
        assert_eq!(left, row("1"));
    }

    #[test]
    fn released_savepoints_belong_to_the_transaction() {
        let left = opened(|log| {
            log.savepoint("a");
            log.savepoint("b");
            log.note(row("1"));
            log.release("a");
            log.rollback_to("a");
        });
        assert_eq!(left, row("1"));
    }

    #[test]
    fn the_innermost_of_two_savepoints_of_one_name_is_meant() {
        let left = opened(|log| {
            log.savepoint("a");
            log.note(row("1"));
            log.savepoint("a");
            log.note(row("2"));
            log.rollback_to("a");
        });
        assert_eq!(left, row("1"));
    }

    #[test]
    fn savepoints_of_one_name_are_released_one_by_one() {
        let left = opened(|log| {
            log.savepoint("a");
            log.note(row("1"));
            log.savepoint("a");
            log.savepoint("a");
            log.release("a");
            log.rollback_to("a");
            log.rollback_to("a");
        });
        assert_eq!(left, row("1"));
        let left = opened(|log| {
            log.savepoint("a");
            log.savepoint("a");
            log.note(row("1"));
            log.release("a");
            log.rollback_to("a");
        });
        assert!(left.is_empty());
    }

    #[test]
    fn a_savepoint_tried_over_and_over_takes_no_room() {
        let mut log = ChangeLog::default();
        log.begin();
        for _ in 0..10_000 {
            log.savepoint("a");
            log.note(row("1"));
            log.rollback_to("a");
        }
        assert_eq!(log.levels.len(), 2);
        assert!(log.pending().is_empty());
    }

    #[test]
    fn thousands_of_rows_become_the_table() {
        let mut changes = Changes::default();
        (0..=MOST_ROWS).for_each(|key| changes.row(&users(), key.to_string()));
        changes.row(&users(), "later".to_owned());
        assert_eq!(changes.tables().next(), Some((&users(), &Table::Whole)));
    }

    #[test]
    fn a_savepoint_that_opened_the_transaction_ends_it_when_released() {
        let mut log = ChangeLog::default();
        log.savepoint("a");
        log.savepoint("b");
        assert!(log.is_outermost("a") && !log.is_outermost("b"));
    }
}
