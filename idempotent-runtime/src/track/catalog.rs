//! What the database knows of its tables: which rows change beside those that a statement names,
//! and where RETURNING tells the truth.

#[cfg(feature = "postgres")]
mod postgres;
mod source;
#[cfg(feature = "sqlite")]
mod sqlite;
mod walk;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::statement::change::{Cascade, Change, Columns};
use source::Source;

/// A folded, unqualified name. Relations of one name in several schemas are one here: each of
/// their properties that forbids something counts for all.
pub(crate) type Name = Arc<str>;

/// The schema, as of when it was loaded.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    relations: HashMap<Name, Relation>,
    functions: HashMap<Name, Source>,
    /// Quoted names, too, are compared without their case, as SQLite does.
    folds: bool,
    /// Constraint triggers exist that may run as late as COMMIT.
    pub(crate) deferred: bool,
}

/// Tables whose rows may change, beside the rows that the statement itself tells of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Touched {
    pub(crate) tables: BTreeSet<Name>,
    /// No telling which tables.
    pub(crate) every: bool,
}

#[derive(Debug, Default)]
struct Relation {
    /// Readable columns as the database spells them; nothing while none of this name was seen.
    columns: Option<HashSet<String>>,
    /// RETURNING may fail, or does not tell every row that is changed.
    opaque: bool,
    /// A conflict may delete other rows, or keep those changed before an error.
    replaces: bool,
    triggers: Vec<Trigger>,
    /// What rules and, for inserts, default values do.
    rules: Source,
    defaults: Source,
    /// Tables that inherit from this one, its partitions among them.
    children: BTreeSet<Name>,
    parents: BTreeSet<Name>,
    /// For a view: what it reads.
    bases: BTreeSet<Name>,
    /// Views that read this relation.
    views: BTreeSet<Name>,
    /// Foreign keys that refer to this table.
    references: Vec<Reference>,
}

#[derive(Debug)]
struct Trigger {
    on: Change,
    /// It may give a row another key than the one that the statement gave it.
    rekeys: Rekeys,
    does: Source,
}

/// Which keys a BEFORE trigger may change.
#[derive(Debug)]
enum Rekeys {
    Never,
    Always,
    /// Only columns that its text names.
    Mentioned(HashSet<String>),
}

#[derive(Debug)]
struct Reference {
    child: Name,
    /// The columns referred to, and the columns of the child that refer.
    columns: BTreeSet<String>,
    child_columns: BTreeSet<String>,
    on_delete: Action,
    on_update: Action,
}

/// What a foreign key does to the child's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Nothing,
    Cascade,
    Set,
}

impl Catalog {
    /// Whether a relation of this name exists, as far as the catalog knows.
    pub(crate) fn knows(&self, table: &str) -> bool {
        self.relation(table).is_some()
    }

    /// The tables that a change of `table` may touch beside the rows that it tells of.
    pub(crate) fn touched(&self, table: &str, change: &Change) -> Touched {
        walk::from(self, table, change)
    }

    /// The tables that a call of these functions may touch.
    pub(crate) fn called<'a>(&self, functions: impl IntoIterator<Item = &'a String>) -> Touched {
        walk::calls(self, functions)
    }

    /// Whether RETURNING, asked for the key, names every row of `table` that the statement changes.
    pub(crate) fn tells(&self, table: &str, change: &Change, key: &[&str]) -> bool {
        let Some(relation) = self.relation(table) else {
            return false;
        };
        let readable = |column: &&str| relation.reads(column, self.folds);
        !relation.opaque
            && !relation.replaces
            && key.iter().all(readable)
            && self.family(table).all(|member| member.keeps(change, key))
    }

    fn relation(&self, table: &str) -> Option<&Relation> {
        let relation = self.relations.get(table)?;
        relation.columns.is_some().then_some(relation)
    }

    /// A table and those whose rows are also its own.
    fn family(&self, table: &str) -> impl Iterator<Item = &Relation> {
        let heirs = self.heirs(table);
        let own = self.relations.get(table);
        own.into_iter().chain(
            heirs
                .into_iter()
                .filter_map(|heir| self.relations.get(&heir)),
        )
    }

    /// Children, and theirs.
    fn heirs(&self, table: &str) -> BTreeSet<Name> {
        self.reach(table, |relation| &relation.children)
    }

    /// Parents, and theirs.
    fn ancestors(&self, table: &str) -> BTreeSet<Name> {
        self.reach(table, |relation| &relation.parents)
    }

    /// Views over a table, and views over these.
    fn views(&self, table: &str) -> BTreeSet<Name> {
        self.reach(table, |relation| &relation.views)
    }

    fn reach(&self, table: &str, next: impl Fn(&Relation) -> &BTreeSet<Name>) -> BTreeSet<Name> {
        let mut found = BTreeSet::new();
        let mut open: Vec<&Relation> = self.relations.get(table).into_iter().collect();
        while let Some(relation) = open.pop() {
            for name in next(relation) {
                if found.insert(name.clone()) {
                    open.extend(self.relations.get(name));
                }
            }
        }
        found
    }

    fn entry(&mut self, name: &Name) -> &mut Relation {
        self.relations.entry(name.clone()).or_default()
    }

    fn inherits(&mut self, child: &Name, parent: &Name) {
        self.entry(parent).children.insert(child.clone());
        self.entry(child).parents.insert(parent.clone());
    }

    fn reads(&mut self, view: &Name, base: &Name) {
        self.entry(base).views.insert(view.clone());
        self.entry(view).bases.insert(base.clone());
    }
}

impl Relation {
    /// Adds one relation of this name.
    fn merge(&mut self, columns: HashSet<String>, opaque: bool) {
        self.opaque |= opaque;
        self.columns = Some(match self.columns.take() {
            None => columns,
            Some(known) => known.intersection(&columns).cloned().collect(),
        });
    }

    fn reads(&self, column: &str, folds: bool) -> bool {
        let same = |known: &String| match folds {
            true => super::fold(known) == super::fold(column),
            false => known == column,
        };
        self.columns.iter().flatten().any(same)
    }

    /// Whether rows keep the key that the statement gave them.
    fn keeps(&self, change: &Change, key: &[&str]) -> bool {
        !(self.opaque || change.update.is_some() && self.may_set(key))
    }

    /// Whether a trigger may set one of these columns in a row that is being updated.
    fn may_set(&self, columns: &[&str]) -> bool {
        let sets = |trigger: &Trigger| trigger.on.update.is_some() && trigger.rekeys.may(columns);
        self.triggers.iter().any(sets)
    }

    /// What a change comes to here: where a conflict replaces, it also deletes.
    fn suffers(&self, change: &Change) -> Change {
        let conflicts = change.insert || change.update.is_some();
        Change {
            delete: change.delete || self.replaces && conflicts,
            ..change.clone()
        }
    }

    /// What a foreign key makes of a change.
    fn passed_on(&self, reference: &Reference, change: &Change) -> Option<Change> {
        let columns: Vec<_> = reference.columns.iter().map(String::as_str).collect();
        match change.update.is_some() && self.may_set(&columns) {
            true => reference.effect(&change.widened()),
            false => reference.effect(change),
        }
    }
}

impl Rekeys {
    fn may(&self, key: &[&str]) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::Mentioned(words) => key
                .iter()
                .any(|column| words.contains(&super::fold(column))),
        }
    }
}

impl Reference {
    /// What happens to the child when `change` happens to the table it refers to.
    fn effect(&self, change: &Change) -> Option<Change> {
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

#[cfg(test)]
impl Catalog {
    /// Ordinary tables with nothing attached to them.
    pub(crate) fn plain(tables: &[(&str, &[&str])]) -> Self {
        let mut catalog = Self::default();
        for (table, columns) in tables {
            let columns = columns.iter().map(|&column| column.to_owned()).collect();
            catalog.entry(&Name::from(*table)).merge(columns, false);
        }
        catalog
    }
}
