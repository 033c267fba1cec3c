//! What foreign keys make of a change: the rows that refer to the changed ones are asked for beforehand.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::planner::{Own, Planner};
use crate::track::Key;
use crate::track::catalog::Chain;
use crate::track::statement::analyse::Target;
use crate::track::statement::reading::{Check, Chosen, KeyColumns, Read};
use crate::track::statement::selection::Selection;

impl Planner<'_> {
    /// The foreign keys along which the change of the main target goes on, if the rows can be asked for.
    pub(super) fn chains(&self, target: &Target, selection: &Selection) -> Option<Vec<Chain>> {
        let told = || {
            let compared = self.registry.get(&target.table).is_none() && self.catalog.returning;
            target.change.delete && (compared || self.key(target).is_some())
        };
        if !self.counts(selection) && !told() {
            return None;
        }
        self.catalog.chains(&target.table, &target.change)
    }

    /// Asks for the rows that the foreign keys change.
    pub(super) fn follow(
        &self,
        target: &Target,
        selection: &Selection,
        chains: &[Chain],
        own: &mut Own,
        whole: &mut BTreeSet<Arc<str>>,
    ) {
        let chosen = self.chosen(target, selection);
        let mut reads = Vec::new();
        for chain in chains {
            let Some((table, key)) = chain.table().and_then(|table| self.registry.get(table))
            else {
                reads.extend(chosen.passing(chain));
                continue;
            };
            match self.chained(&chosen, chain, table, key) {
                Some(read) => reads.push(read),
                None => {
                    whole.insert(table.clone());
                }
            }
        }
        // On SQLite nobody else writes between a query for what an INSERT takes and that.
        if !reads.is_empty() && own.before.is_empty() && !target.change.insert {
            match self.locking(target, &chosen, chains, own) {
                Some(lock) => own.before.push(lock),
                None => whole.extend(reads.drain(..).filter_map(|read| read.table)),
            }
        }
        own.before.extend(reads);
    }

    pub(super) fn chained(
        &self,
        chosen: &Chosen<'_>,
        chain: &Chain,
        table: &Arc<str>,
        key: Key,
    ) -> Option<Read> {
        let Key::Columns(columns) = key else {
            return None;
        };
        let effect = &chain.effect;
        let readings = self.catalog.key(table, columns)?;
        let kept = !self.sets_key(effect, columns) && self.catalog.tells(table, effect, columns);
        let key = KeyColumns {
            columns,
            readings: &readings,
        };
        chosen.chained(chain, table.clone(), &key).filter(|_| kept)
    }

    /// Locks the rows of the main target before others are asked for.
    pub(super) fn locking(
        &self,
        target: &Target,
        chosen: &Chosen<'_>,
        chains: &[Chain],
        own: &mut Own,
    ) -> Option<Read> {
        let told = own.rows.is_some() && target.change.delete;
        match self.key(target).filter(|_| told) {
            Some((table, columns, readings)) => {
                let key = KeyColumns {
                    columns,
                    readings: &readings,
                };
                Some(chosen.rows(Some(table), &key, Check::Keys))
            }
            None if self.counts(chosen.selection) => Some(chosen.lock()),
            None => self.compared(target, chosen, chains, own),
        }
    }

    /// The same for an untracked table, whose rows are told for that alone: by what foreign keys refer to.
    pub(super) fn compared(
        &self,
        target: &Target,
        chosen: &Chosen<'_>,
        chains: &[Chain],
        own: &mut Own,
    ) -> Option<Read> {
        // What one of them refers to may be NULL in several rows.
        let pairs = chains.iter().filter_map(|chain| chain.hops.first());
        let pairs = pairs.flat_map(|hop| &hop.pairs);
        let columns: BTreeSet<_> = pairs.map(|(_, column)| column.as_str()).collect();
        let columns: Vec<_> = columns.into_iter().collect();
        let told = self.catalog.tells(&target.table, &target.change, &columns);
        let readings = self.catalog.key(&target.table, &columns)?;
        let key = KeyColumns {
            columns: &columns,
            readings: &readings,
        };
        let free = told && target.change.delete && own.rows.is_none() && own.given.is_none();
        own.rows = free.then(|| self.suffix(target, None, &key)).flatten();
        own.rows
            .is_some()
            .then(|| chosen.rows(None, &key, Check::Keys))
    }
}
