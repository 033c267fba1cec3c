//! The ways along which foreign keys pass a change on, from the changed rows to those of other tables.

use super::{Catalog, Name, Place, Reading, Reference, Relation};
use crate::track::statement::change::Change;

/// More ways than these are not asked for one by one.
const MOST_CHAINS: usize = 24;

/// How often a way may come by the same table: a tree is followed so many levels down.
const MOST_ROUNDS: usize = 3;

/// From a changed table to one whose rows change with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    /// The first refers to the changed table, each other to the one before it.
    pub(crate) hops: Vec<Hop>,
    /// What happens to the rows of the last.
    pub(crate) effect: Change,
    /// The first of the ways that do the same to the same table.
    pub(crate) round: usize,
    /// It goes on, but is not followed: if there are rows at its end that none of these has led to, there may be more
    /// behind them.
    pub(crate) goes_on: bool,
}

/// One foreign key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hop {
    pub(crate) child: Name,
    /// How SQL names the child.
    pub(crate) sql: String,
    /// Each column of the child with the one that it refers to.
    pub(crate) pairs: Vec<(String, String)>,
}

impl Chain {
    /// The table whose rows change.
    pub(crate) fn table(&self) -> Option<&Name> {
        self.hops.last().map(|hop| &hop.child)
    }
}

impl Catalog {
    /// All ways, each once; nothing if some of them cannot be followed by a query.
    pub(crate) fn chains(&self, table: &str, change: &Change) -> Option<Vec<Chain>> {
        // What was asked for would be forgotten with an error that keeps it.
        if self.stops && !self.references(table).is_empty() {
            return None;
        }
        let mut chains = Vec::new();
        self.follow(
            table,
            change,
            &mut vec![Name::from(table)],
            &mut Vec::new(),
            &mut chains,
        )?;
        Some(chains)
    }

    fn follow(
        &self,
        table: &str,
        change: &Change,
        seen: &mut Vec<Name>,
        hops: &mut Vec<Hop>,
        chains: &mut Vec<Chain>,
    ) -> Option<()> {
        let Some(relation) = self.relations.get(table) else {
            return Some(());
        };
        // What a conflict replaces is not among the rows that were asked for.
        if relation.suffers(change) != *change {
            return None;
        }
        // Those of its heirs are keys of theirs alone.
        let heirs = self.heirs(table);
        let mut own = heirs.iter().filter_map(|heir| self.relations.get(heir));
        if own.any(|heir| !heir.references.is_empty()) {
            return None;
        }
        let references = self.references(table);
        let referred = references.iter().flat_map(|reference| &reference.columns);
        let referred: Vec<_> = referred.map(String::as_str).collect();
        let mut own = heirs.iter().filter_map(|heir| self.relations.get(heir));
        if change.update.is_some() && own.any(|heir| heir.may_set(&referred)) {
            return None;
        }
        for reference in references {
            let Some(effect) = relation.passed_on(reference, change) else {
                continue;
            };
            if chains.len() >= MOST_CHAINS {
                return None;
            }
            let rounds = seen
                .iter()
                .filter(|table| **table == reference.child)
                .count();
            let goes_on = rounds >= MOST_ROUNDS;
            hops.push(self.hop(relation, reference, &effect)?);
            let same =
                |chain: &Chain| chain.effect == effect && chain.table() == Some(&reference.child);
            chains.push(Chain {
                hops: hops.clone(),
                effect: effect.clone(),
                round: chains.iter().position(same).unwrap_or(chains.len()),
                goes_on,
            });
            if !goes_on {
                seen.push(reference.child.clone());
                self.follow(&reference.child, &effect, seen, hops, chains)?;
                seen.pop();
            }
            hops.pop();
        }
        Some(())
    }

    fn hop(&self, parent: &Relation, reference: &Reference, effect: &Change) -> Option<Hop> {
        let child = self.relation(&reference.child)?;
        let Place::One(sql) = &child.place else {
            return None;
        };
        let readable = |relation: &Relation, column: &str| {
            let columns = relation.columns.as_ref();
            columns.is_some_and(|columns| {
                columns.contains_key(column)
                    || self.folds
                        && columns
                            .keys()
                            .any(|known| super::super::fold(known) == super::super::fold(column))
            })
        };
        // SQLite compares by the parent's collation, and a query of ours by the child's.
        let exact = |own: &str, other: &str| {
            let reading = child.reading(own, true);
            !self.folds
                || self.quiet_keys
                || reading == parent.reading(other, true)
                    && reading.is_some_and(|reading| reading != Reading::FOLDED_AND_TRIMMED)
        };
        let pairs = &reference.pairs;
        let exact = pairs.iter().all(|(own, other)| exact(own, other));
        let all = |(own, other): &(String, String)| readable(child, own) && readable(parent, other);
        let whole = !pairs.is_empty() && pairs.iter().all(all);
        let ruled = child.rules.iter().any(|rule| rule.on.overlaps(effect));
        (child.parents.is_empty() && !ruled && !child.opaque && whole && exact).then(|| Hop {
            child: reference.child.clone(),
            sql: sql.clone(),
            pairs: pairs.clone(),
        })
    }
}
