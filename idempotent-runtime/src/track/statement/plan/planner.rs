//! One statement against the catalog: the ways to learn its rows are tried from the surest and cheapest on.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::conflicts::Taken;
use super::{After, Given, Part, Plan, Rows};
use crate::track::catalog::{Catalog, Reading, Touched};
use crate::track::rules::Rule;
use crate::track::statement::analyse::{Analysis, Ending, Target};
use crate::track::statement::change::Change;
use crate::track::statement::reading::{Chosen, KeyColumns, ROW, Read, quoted};
use crate::track::statement::selection::Selection;
use crate::track::statement::text::behind;
use crate::track::statement::{Dialect, ROWIDS};
use crate::track::{Key, Registry, fold};

/// How the rows of the statement's own table are learned.
#[derive(Default)]
pub(super) struct Own {
    pub(super) before: Vec<Read>,
    pub(super) rows: Option<Rows>,
    pub(super) given: Option<Given>,
    pub(super) after: Option<After>,
}

pub(super) struct Planner<'a> {
    pub(super) sql: &'a str,
    pub(super) dialect: Dialect,
    pub(super) registry: &'a Registry,
    pub(super) catalog: &'a Catalog,
    pub(super) ending: Ending,
}

impl Planner<'_> {
    pub(super) fn plan(&self, analysis: &Analysis) -> Plan {
        let main = analysis.targets.iter().find(|target| target.main);
        // Where a WITH changes rows, too, a query of ours would do that once more.
        let alone = main.filter(|_| analysis.targets.len() == 1);
        let chosen = alone.filter(|target| !target.change.insert);
        let chosen = chosen.and_then(|_| Selection::of(self.sql, self.dialect));
        let selection = alone.and_then(|target| self.repeatable(target, chosen.as_ref()?));
        let inserts = alone.filter(|target| {
            target.change.insert && (target.change.delete || target.change.update.is_some())
        });
        let taken = inserts.and_then(|target| self.taken(target));
        let chains = match (main, selection, &taken) {
            (_, _, Some(Taken::Nothing)) => Some(Vec::new()),
            (Some(target), _, Some(Taken::Rows(taken))) => self.chains(target, taken),
            (Some(target), Some(selection), None) => self.chains(target, selection),
            _ => None,
        };
        let touched = self.touched(analysis, main.filter(|_| chains.is_some()));
        if touched.every {
            return Plan::every();
        }
        let tracked = |table: &Arc<str>| self.registry.get(table).map(|(name, _)| name.clone());
        let mut whole: BTreeSet<_> = touched.tables.iter().filter_map(tracked).collect();
        let mut own = Own::default();
        for target in &analysis.targets {
            let Some((table, _)) = self.registry.get(&target.table) else {
                continue;
            };
            let known = || self.own(target, analysis, chosen.as_ref(), selection);
            match known().filter(|_| !whole.contains(table)) {
                Some(known) if target.main => own = known,
                _ if !target.main && !Rule::Parts.applies() => {}
                _ if !Rule::Untold.applies() => {}
                _ => {
                    whole.insert(table.clone());
                }
            }
        }
        let taken = match &taken {
            Some(Taken::Rows(taken)) => Some(&**taken),
            _ => None,
        };
        if let (Some(target), Some(selection), Some(chains)) = (main, selection.or(taken), chains) {
            self.follow(target, selection, &chains, &mut own, &mut whole);
        }
        own.before.retain(|read| {
            read.table
                .as_ref()
                .is_none_or(|table| !whole.contains(table))
        });
        if own.before.iter().all(|read| read.table.is_none()) {
            own.before.clear();
        }
        let place = main.and_then(|target| self.catalog.place(&target.table));
        let locks = !own.before.is_empty() && self.dialect == Dialect::Sqlite;
        let lock = place
            .filter(|_| locks)
            .map(|place| format!("DELETE FROM {place} WHERE 0"));
        if locks && lock.is_none() {
            whole.extend(own.before.drain(..).filter_map(|read| read.table));
        }
        Plan {
            lock: lock.map(Into::into),
            before: own.before.into(),
            rows: own.rows.filter(|rows| {
                !rows
                    .table
                    .as_ref()
                    .is_some_and(|table| whole.contains(table))
            }),
            given: own.given.filter(|given| !whole.contains(&given.table)),
            after: own.after,
            ..Plan::whole(whole)
        }
    }

    /// What chooses the rows of the main target, if the same rows are found by a query of ours.
    pub(super) fn repeatable<'s>(
        &self,
        target: &Target,
        selection: &'s Selection,
    ) -> Option<&'s Selection> {
        // A query of ours would wait for rows that the statement itself passes by, as others may change them.
        let repeats = !self.catalog.unrepeatable;
        let same = selection.steady
            && self.is_settled(target, selection)
            && self.catalog.lockable(&target.table)
            && !self.catalog.has_function(&selection.calls);
        (repeats && same).then_some(selection)
    }

    /// Whether it is settled which rows a LIMIT takes.
    pub(super) fn is_settled(&self, target: &Target, selection: &Selection) -> bool {
        let key = self.registry.get(&target.table).map(|(_, key)| key);
        let ordered = match key {
            Some(Key::Columns(columns)) => columns
                .iter()
                .all(|column| selection.order.contains(&fold(column))),
            _ => false,
        };
        // In a join it may be another table's column, and a row comes with each of the others'.
        let ordered = ordered && self.dialect == Dialect::Mysql && !selection.asks_others;
        selection.limit.sql.is_empty() || ordered
    }

    /// What changes beside the rows of the targets. `chained`: what foreign keys make of this one's change is asked for.
    pub(super) fn touched(&self, analysis: &Analysis, chained: Option<&Target>) -> Touched {
        let mut touched = self.catalog.called(&analysis.calls);
        for target in &analysis.targets {
            let chained = chained.is_some_and(|main| std::ptr::eq(main, target));
            let more = match self.catalog.knows(&target.table) {
                true => self.catalog.touched(&target.table, &target.change, chained),
                false => self.unknown(),
            };
            touched.every |= more.every || self.is_elsewhere(target);
            touched.tables.extend(more.tables);
        }
        touched
    }

    /// MySQL's other databases may have a table of the same name, of which the catalog says nothing then.
    pub(super) fn is_elsewhere(&self, target: &Target) -> bool {
        let Some(schema) = target
            .schema
            .as_ref()
            .filter(|_| self.dialect == Dialect::Mysql)
        else {
            return false;
        };
        let place = self.catalog.place(&target.table).map(fold);
        let named = format!("{}.", fold(&quoted(self.dialect, schema)));
        !place.is_some_and(|place| place.starts_with(&named))
    }

    /// A relation that the catalog does not know may be newer than it, or no relation but a word
    /// that the grammar took for one: whatever the text names may be changed.
    pub(super) fn unknown(&self) -> Touched {
        let text = fold(self.sql);
        let named = |table: &&Arc<str>| text.contains(&***table);
        Touched {
            tables: self.registry.names().filter(named).cloned().collect(),
            every: false,
        }
    }

    /// The key of a target whose rows RETURNING or a query can tell.
    pub(super) fn key(
        &self,
        target: &Target,
    ) -> Option<(Arc<str>, &'static [&'static str], Vec<Reading>)> {
        let (table, key) = self.registry.get(&target.table)?;
        let Key::Columns(columns) = key else {
            return None;
        };
        let told = target.main
            && !target.untold
            && self.catalog.tells(&target.table, &target.change, columns);
        let readings = self.catalog.key(&target.table, columns).filter(|_| told)?;
        Some((table.clone(), columns, readings))
    }

    pub(super) fn own(
        &self,
        target: &Target,
        analysis: &Analysis,
        chosen: Option<&Selection>,
        selection: Option<&Selection>,
    ) -> Option<Own> {
        let (table, columns, readings) = self.key(target)?;
        let key = KeyColumns {
            columns,
            readings: &readings,
        };
        if target.change.insert {
            return self.inserted(target, &table, &key, analysis);
        }
        let sets_key = self.sets_key(&target.change, columns);
        let given = chosen
            .filter(|_| !sets_key)
            .and_then(|chosen| self.given(&table, &key, chosen));
        if given.is_some() {
            return Some(Own {
                given,
                ..Own::default()
            });
        }
        let rows = self.suffix(target, Some(&table), &key);
        if rows.is_some() && !sets_key {
            return Some(Own {
                rows,
                ..Own::default()
            });
        }
        self.asked(target, &table, &key, rows, selection?)
    }

    /// A column as [`Text::name`](super::text::Text::name) has it.
    pub(super) fn spelled(&self, column: &str) -> String {
        match self.dialect {
            Dialect::Postgres => column.to_owned(),
            Dialect::Sqlite | Dialect::Mysql => fold(column),
        }
    }

    /// The row whose key is all that the condition lets through. (Diesel does not give SQLite's binds away.)
    pub(super) fn given(
        &self,
        table: &Arc<str>,
        key: &KeyColumns<'_>,
        chosen: &Selection,
    ) -> Option<Given> {
        if self.dialect == Dialect::Sqlite || chosen.asks_others {
            return None;
        }
        let columns = key.columns.iter().zip(key.readings);
        let parts = columns.map(|(column, reading)| {
            let mut values = chosen
                .equal
                .iter()
                .filter(|(known, _)| *known == self.spelled(column));
            values.find_map(|(_, value)| Part::of(value, *reading))
        });
        let parts: Option<Box<[_]>> = parts.collect();
        Some(Given {
            table: table.clone(),
            keys: Box::new([parts?]),
        })
    }

    pub(super) fn chosen<'s>(&self, target: &'s Target, selection: &'s Selection) -> Chosen<'s> {
        Chosen {
            dialect: self.dialect,
            selection,
            qualifier: match target.change.insert {
                true => ROW,
                false => &target.qualifier,
            },
            refers: target.change.delete
                || self.catalog.refers(&target.table, &target.change)
                || self.sets_key_of(target),
        }
    }

    /// Whether rows that are as many as the changed ones are the changed ones: others may come in the place of some only
    /// where a statement looks at more than the rows themselves.
    pub(super) fn counts(&self, selection: &Selection) -> bool {
        self.dialect != Dialect::Postgres || !selection.asks_others
    }

    pub(super) fn sets_key_of(&self, target: &Target) -> bool {
        match self.registry.get(&target.table) {
            Some((_, Key::Columns(columns))) => self.sets_key(&target.change, columns),
            _ => true,
        }
    }

    pub(super) fn sets_key(&self, change: &Change, key: &[&str]) -> bool {
        let columns: HashSet<_> = key.iter().map(|column| fold(column)).collect();
        let by_rowid =
            self.dialect == Dialect::Sqlite && change.update.any(ROWIDS) && Rule::Rowid.applies();
        (change.update.any(&columns) || by_rowid) && Rule::OldKeys.applies()
    }

    pub(super) fn suffix(
        &self,
        target: &Target,
        table: Option<&Arc<str>>,
        key: &KeyColumns<'_>,
    ) -> Option<Rows> {
        // A line break first: the statement may end in a line comment.
        let start = match self.ending {
            _ if !self.catalog.returning => return None,
            Ending::Closed => return None,
            Ending::Open => "\nRETURNING ",
            Ending::Returning => "\n, ",
        };
        // SQLite's RETURNING knows the target's columns alone.
        let qualifier = (self.dialect == Dialect::Postgres).then_some(target.qualifier.as_str());
        let expressions = key.expressions(self.dialect, qualifier);
        Some(Rows {
            table: table.cloned(),
            suffix: format!("{start}{expressions}").into(),
            keys: key.columns.len(),
            cut: behind(self.sql, self.dialect)?,
        })
    }
}
