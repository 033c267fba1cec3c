//! Rows whose keys an UPDATE sets, and those that it does not tell: asked for before it, and by their new keys.

use std::sync::Arc;

use super::given::{integer, text};
use super::planner::{Own, Planner};
use super::{After, Count, Rows};
use crate::track::catalog::{Kind, Reading};
use crate::track::fold;
use crate::track::statement::Dialect;
use crate::track::statement::analyse::Target;
use crate::track::statement::reading::{Check, Having, KeyColumns, quoted};
use crate::track::statement::selection::Selection;
use crate::track::statement::text::Piece;

impl Planner<'_> {
    /// Rows that are asked for before the statement, because it does not tell them or not their old keys.
    pub(super) fn asked(
        &self,
        target: &Target,
        table: &Arc<str>,
        key: &KeyColumns<'_>,
        rows: Option<Rows>,
        selection: &Selection,
    ) -> Option<Own> {
        let sets_key = self.sets_key(&target.change, key.columns);
        if !self.counts(selection) {
            return None;
        }
        let chosen = self.chosen(target, selection);
        let mut before = vec![chosen.rows(Some(table.clone()), key, Check::Count)];
        let mut after = None;
        if sets_key && rows.is_none() {
            after = self.renamed(target, table, key, selection);
            if after.is_none() {
                let parts = self.recomputed(target, key, selection)?;
                before.push(chosen.renamed(table.clone(), &parts));
            }
        }
        Some(Own {
            before,
            rows,
            after,
            given: None,
        })
    }

    /// Rows by the new key that the statement sets, if all of it is made of constants.
    pub(super) fn renamed(
        &self,
        target: &Target,
        table: &Arc<str>,
        key: &KeyColumns<'_>,
        selection: &Selection,
    ) -> Option<After> {
        let constant = |column: &&str| {
            let mut sets = selection
                .sets
                .iter()
                .filter(|set| set.column == fold(column));
            let set = sets.next().filter(|_| sets.next().is_none())?;
            Some(((*column).to_owned(), set.constant.clone()?))
        };
        let values = key
            .columns
            .iter()
            .map(constant)
            .collect::<Option<Vec<_>>>()?;
        let place = self.catalog.place(&target.table)?;
        let read = Having {
            dialect: self.dialect,
            place,
            parameters: selection.parameters,
        }
        .any(table, key, &[values], Check::Nothing);
        Some(After {
            read,
            least: 0,
            count: Count::Some,
        })
    }

    /// The new keys, made of the old row: columns that stay, numbers that are added to, texts that are compared byte by byte.
    pub(super) fn recomputed(
        &self,
        target: &Target,
        key: &KeyColumns<'_>,
        selection: &Selection,
    ) -> Option<Vec<Piece>> {
        let column = |name: &str| format!("{}.{}", target.qualifier, quoted(self.dialect, name));
        let sets = |name: &str| {
            let own = selection.sets.iter().filter(|set| set.column == name);
            own.collect::<Vec<_>>()
        };
        let part = |(name, reading): (&&str, &Reading)| {
            let own = sets(&fold(name));
            let Some(set) = own.first() else {
                return Some(Piece::from(&*reading.of(&column(name))));
            };
            // MySQL sets one column after the other.
            let kept = |from: &str| from == set.column || sets(from).is_empty();
            let value = match (&set.constant, &set.shifted, *reading) {
                (Some(value), _, Reading::Same(Kind::Integer)) => integer(&value.sql),
                (Some(value), _, Reading::TEXT) => text(value),
                // Of a join it may be another table's.
                (None, Some((from, shift)), Reading::Same(Kind::Integer))
                    if !selection.asks_others =>
                {
                    let numbers = self.catalog.key(&target.table, &[from.as_str()])?;
                    let shifted = format!("({} {shift})", column(from));
                    (kept(from) && numbers == [*reading]).then(|| Piece::from(&*shifted))
                }
                _ => None,
            };
            value.filter(|_| own.len() == 1)
        };
        // What does not fit is made to by IGNORE.
        let fits = !self.catalog.lenient && !fold(self.sql).contains("ignore");
        let strict = self.dialect == Dialect::Mysql && fits;
        let known = key.columns.iter().any(|name| !sets(&fold(name)).is_empty());
        let parts = key.columns.iter().zip(key.readings).map(part);
        parts
            .collect::<Option<Vec<_>>>()
            .filter(|_| strict && known)
    }
}
