//! One relation, and what changes with its rows.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::super::fold;
use super::super::rules::Rule;
use super::super::statement::ROWIDS;
use super::super::statement::change::{Cascade, Change, Columns};
use super::source::Source;
use super::{Name, Reading};

#[derive(Debug, Default)]
pub(super) struct Relation {
    /// Readable columns as the database spells them; nothing while none of this name was seen.
    pub(super) columns: Option<HashMap<String, Reading>>,
    /// How SQL names it, if there is one of this name only.
    pub(super) place: Place,
    /// RETURNING may fail, or does not tell every row that is changed.
    pub(super) opaque: bool,
    /// A conflict may delete other rows.
    pub(super) replaces: bool,
    /// A conflict may be an error that keeps the rows before it.
    pub(super) stops: bool,
    /// The role may not lock its rows.
    pub(super) unlockable: bool,
    /// Its unique indexes, where a conflict with one may replace rows; nothing if one of them is not made of columns.
    pub(super) unique: Option<Vec<Vec<String>>>,
    /// The columns of its primary key; none if there is none.
    pub(super) primary: Vec<String>,
    /// The columns that have a default value, which a replacement gives them for a NULL (SQLite).
    pub(super) defaulted: HashSet<String>,
    /// The columns that are never NULL (MySQL family).
    pub(super) required: HashSet<String>,
    /// Its columns in their order, folded, for an INSERT that does not name them.
    pub(super) order: Vec<String>,
    /// What columns get that an INSERT does not give: those that are here, by folded names.
    pub(super) fills: HashMap<String, Fill>,
    pub(super) triggers: Vec<Trigger>,
    /// They run instead of a statement or beside it.
    pub(super) rules: Vec<Trigger>,
    /// What default values do.
    pub(super) defaults: Source,
    /// Tables that inherit from this one, its partitions among them.
    pub(super) children: BTreeSet<Name>,
    pub(super) parents: BTreeSet<Name>,
    /// Those of its parents that it is a part of.
    pub(super) wholes: BTreeSet<Name>,
    /// For a view: what it reads.
    pub(super) bases: BTreeSet<Name>,
    /// Views that read this relation.
    pub(super) views: BTreeSet<Name>,
    /// Foreign keys that refer to this table.
    pub(super) references: Vec<Reference>,
}

/// What a column gets that is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    Null,
    /// A value that no row has yet.
    Serial,
}

/// Where a relation is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Place {
    #[default]
    Unseen,
    /// Its name in SQL, with its schema, quoted.
    One(String),
    /// Several schemas have one of this name.
    Several,
}

#[derive(Debug)]
pub(super) struct Trigger {
    pub(super) on: Change,
    /// It may give a row another key than the one that the statement gave it.
    pub(super) rekeys: Rekeys,
    /// It may keep a change from being told.
    pub(super) hides: bool,
    pub(super) does: Source,
}

/// Which keys a BEFORE trigger may change.
#[derive(Debug)]
pub(super) enum Rekeys {
    Never,
    Always,
    /// Only columns that its text names.
    Mentioned(HashSet<String>),
}

#[derive(Debug)]
pub(super) struct Reference {
    pub(super) child: Name,
    /// The columns referred to, and the columns of the child that refer.
    pub(super) columns: BTreeSet<String>,
    pub(super) child_columns: BTreeSet<String>,
    /// Each column of the child with the one that it refers to, as the database spells them.
    pub(super) pairs: Vec<(String, String)>,
    pub(super) on_delete: Action,
    pub(super) on_update: Action,
}

/// What a foreign key does to the child's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Nothing,
    Cascade,
    Set,
}

impl Relation {
    /// Adds one relation of this name.
    pub(super) fn merge(&mut self, columns: HashMap<String, Reading>, opaque: bool, sql: String) {
        self.opaque |= opaque;
        self.place = match self.place {
            Place::Unseen => Place::One(sql),
            _ => Place::Several,
        };
        self.columns = Some(match self.columns.take() {
            None => columns,
            Some(mut known) => {
                known.retain(|name, reading| columns.get(name) == Some(reading));
                known
            }
        });
    }

    pub(super) fn reading(&self, column: &str, folds: bool) -> Option<Reading> {
        let columns = self.columns.as_ref()?;
        let reading = match folds {
            true => columns
                .iter()
                .find(|(known, _)| fold(known) == fold(column))
                .map(|(_, reading)| reading),
            false => columns.get(column),
        };
        let reading = reading
            .filter(|reading| **reading != Reading::Never)
            .copied();
        reading.map(|reading| match Rule::Spellings.applies() {
            true => reading,
            false => Reading::Plain,
        })
    }

    /// Whether rows keep the key that the statement gave them.
    pub(super) fn keeps(&self, change: &Change, key: &[&str]) -> bool {
        if !Rule::Rekeying.applies() {
            return !self.opaque;
        }
        !(self.opaque || change.update.is_some() && self.may_set(key))
    }

    /// Whether a trigger may set one of these columns in a row that is being updated.
    pub(super) fn may_set(&self, columns: &[&str]) -> bool {
        // What is moved between parts is put in.
        let part = !self.wholes.is_empty();
        let sets = |trigger: &Trigger| {
            (trigger.on.update.is_some() || part && trigger.on.insert)
                && trigger.rekeys.may(columns)
        };
        self.triggers.iter().any(sets)
    }

    /// What a change comes to here: where a conflict replaces, it also deletes.
    pub(super) fn suffers(&self, change: &Change) -> Change {
        let sets = |unique: &Vec<Vec<String>>| {
            change.update.any(unique.iter().flatten()) || change.update.any(ROWIDS)
        };
        let conflicts =
            change.insert || change.update.is_some() && self.unique.as_ref().is_none_or(sets);
        Change {
            delete: change.delete || self.replaces && conflicts,
            ..change.clone()
        }
    }

    /// What a foreign key makes of a change.
    pub(super) fn passed_on(&self, reference: &Reference, change: &Change) -> Option<Change> {
        if !Rule::ForeignKeys.applies() {
            return None;
        }
        let columns: Vec<_> = reference.columns.iter().map(String::as_str).collect();
        match change.update.is_some() && self.may_set(&columns) {
            true => reference.effect(&change.widened()),
            false => reference.effect(change),
        }
    }
}

impl Rekeys {
    pub(super) fn may(&self, key: &[&str]) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::Mentioned(words) => key.iter().any(|column| words.contains(&fold(column))),
        }
    }
}

impl Reference {
    /// What happens to the child when `change` happens to the table it refers to.
    pub(super) fn effect(&self, change: &Change) -> Option<Change> {
        let mut effect = Change {
            truncate: change.truncate.filter(|cascade| *cascade == Cascade::Yes),
            ..Change::default()
        };
        let columns = || Columns::Some(self.child_columns.clone());
        match self.on_delete {
            Action::Cascade if change.delete => effect.delete = true,
            Action::Set if change.delete => effect.update = columns(),
            _ => {}
        }
        if self.on_update != Action::Nothing && change.update.any(&self.columns) {
            effect.update = columns();
        }
        (effect != Change::default()).then_some(effect)
    }
}
