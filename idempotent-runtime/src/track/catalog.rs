//! What the database knows of its tables: which rows change beside those that a statement names,
//! and where RETURNING tells the truth.

mod chains;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
mod reading;
mod relation;
mod source;
#[cfg(feature = "sqlite")]
mod sqlite;
mod walk;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::rules::Rule;
use super::statement::change::{Change, Columns};
pub(crate) use chains::{Chain, Hop};
pub(crate) use reading::{Kind, Reading};
pub(crate) use relation::Fill;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
use relation::{Action, Rekeys, Trigger};
use relation::{Place, Reference, Relation};
use source::Source;

/// A folded, unqualified name. Relations of one name in several schemas are one here: each of
/// their properties that forbids something counts for all.
pub(crate) type Name = Arc<str>;

/// The schema, as of when it was loaded.
#[derive(Debug)]
pub(crate) struct Catalog {
    relations: HashMap<Name, Relation>,
    functions: HashMap<Name, Source>,
    /// Quoted names, too, are compared without their case, as SQLite does.
    folds: bool,
    /// Constraint triggers exist that may run as late as COMMIT.
    pub(crate) deferred: bool,
    /// Statements can tell of their rows.
    pub(crate) returning: bool,
    /// A trigger may end a statement by an error that keeps the rows before it.
    stops: bool,
    /// A statement that replaces makes the statements of its triggers replace, too, whatever they say (SQLite).
    replaces: bool,
    /// What foreign keys change fires no triggers.
    quiet_keys: bool,
    /// A value that does not fit is made to.
    pub(crate) lenient: bool,
    /// A column that counts takes a zero for nothing (MySQL family).
    pub(crate) numbers_zeros: bool,
    /// The session reads SQL in another way than it is read here.
    pub(crate) strange: bool,
    /// Two statements of a transaction, one after the other, find the same rows in other tables, too (where it matters).
    pub(crate) unrepeatable: bool,
}

impl Default for Catalog {
    fn default() -> Self {
        Self {
            relations: HashMap::new(),
            functions: HashMap::new(),
            folds: false,
            deferred: false,
            returning: true,
            stops: false,
            replaces: false,
            quiet_keys: false,
            lenient: false,
            numbers_zeros: false,
            strange: false,
            unrepeatable: false,
        }
    }
}

/// Tables whose rows may change, beside the rows that the statement itself tells of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Touched {
    pub(crate) tables: BTreeSet<Name>,
    /// No telling which tables.
    pub(crate) every: bool,
}

impl Catalog {
    /// Whether a relation of this name exists, as far as the catalog knows.
    pub(crate) fn knows(&self, table: &str) -> bool {
        self.relation(table).is_some()
    }

    /// The tables that a change of `table` may touch beside the rows that it tells of. `chained`: what foreign keys
    /// change is asked for row by row, and so not among them.
    pub(crate) fn touched(&self, table: &str, change: &Change, chained: bool) -> Touched {
        walk::from(self, table, change, chained)
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
        let written = change.insert || change.update.is_some();
        let mut triggers = relation.triggers.iter().chain(&relation.rules);
        let hides =
            triggers.any(|trigger| trigger.on.overlaps(change) && (trigger.hides || self.stops));
        // A trigger that ends a statement may be set off by what the foreign keys change.
        let stops = self.stops
            && self
                .references(table)
                .iter()
                .any(|reference| relation.passed_on(reference, change).is_some());
        let untold = relation.opaque || hides || stops || relation.stops && written;
        let moves = change.update.is_some() && self.is_divided(table);
        !untold
            && self.key(table, key).is_some()
            && !(moves && self.rewrites(table, key))
            && self.family(table).all(|member| member.keeps(change, key))
    }

    /// How the columns of a key are read, if all of them can be.
    pub(crate) fn key(&self, table: &str, key: &[&str]) -> Option<Vec<Reading>> {
        let relation = self.relation(table)?;
        key.iter()
            .map(|column| relation.reading(column, self.folds))
            .collect()
    }

    /// How SQL names a table, if there is one of this name only.
    pub(crate) fn place(&self, table: &str) -> Option<&str> {
        match &self.relation(table)?.place {
            Place::One(sql) => Some(sql),
            _ => None,
        }
    }

    /// The unique indexes of a table, as far as a statement could be in conflict with them.
    pub(crate) fn unique(&self, table: &str) -> Option<&[Vec<String>]> {
        self.relation(table)?.unique.as_deref()
    }

    /// Whether MySQL finds a new row in conflict by these columns before it does by any others: by the primary key or, where
    /// there is none, by the first index of columns that are never NULL.
    pub(crate) fn is_first(&self, table: &str, key: &[String]) -> bool {
        let same = |index: &Vec<String>| {
            index.len() == key.len() && key.iter().all(|column| index.contains(column))
        };
        let Some(relation) = self.relation(table) else {
            return false;
        };
        let required = |index: &&Vec<String>| {
            index
                .iter()
                .all(|column| relation.required.contains(column))
        };
        let unique = relation.unique.iter().flatten();
        match relation.primary.as_slice() {
            [] => matches!(unique.filter(required).collect::<Vec<_>>()[..], [index] if same(index)),
            _ => same(&relation.primary),
        }
    }

    /// Whether a conflict with the rows of a table may delete some, whatever the statement says.
    pub(crate) fn replaces(&self, table: &str) -> bool {
        self.relation(table)
            .is_some_and(|relation| relation.replaces)
    }

    /// The columns of a table in their order.
    pub(crate) fn columns(&self, table: &str) -> Option<&[String]> {
        let relation = self.relation(table)?;
        (!relation.order.is_empty()).then_some(&relation.order)
    }

    /// What a column gets that an INSERT does not give, if that cannot be in conflict with another row.
    pub(crate) fn fill(&self, table: &str, column: &str) -> Option<Fill> {
        self.relation(table)?.fills.get(column).copied()
    }

    /// Whether a column may get another value in the place of a NULL (SQLite).
    pub(crate) fn fills_null(&self, table: &str, column: &str) -> bool {
        self.relation(table)
            .is_some_and(|relation| relation.defaulted.contains(column))
    }

    /// Whether a trigger may give a new row other values in these columns.
    pub(crate) fn rewrites(&self, table: &str, columns: &[&str]) -> bool {
        self.relation(table).is_none()
            || self.family(table).any(|relation| {
                let mut triggers = relation.triggers.iter();
                triggers.any(|trigger| trigger.on.insert && trigger.rekeys.may(columns))
            })
    }

    /// Whether an update sets one of these columns, by itself or by a trigger.
    pub(crate) fn moves(&self, table: &str, update: &Columns, columns: &[&str]) -> bool {
        update.any(columns) || self.family(table).any(|relation| relation.may_set(columns))
    }

    /// Whether a change sets columns that others may refer to: those of a unique index, or, for all that is known, any.
    pub(crate) fn refers(&self, table: &str, change: &Change) -> bool {
        self.relation(table).is_none_or(|relation| {
            let referred = relation
                .references
                .iter()
                .flat_map(|reference| &reference.columns);
            change.update.any(referred)
        })
    }

    /// Whether the rows of a table alone can be asked for and locked.
    pub(crate) fn lockable(&self, table: &str) -> bool {
        self.relation(table)
            .is_some_and(|relation| !relation.unlockable)
    }

    /// Whether a relation of this name is none whose rows are its own alone, such as a view.
    pub(crate) fn is_made(&self, table: &str) -> bool {
        self.relation(table).is_some_and(|relation| relation.opaque)
    }

    /// Whether any function of this database is among these.
    pub(crate) fn has_function<'a>(&self, names: impl IntoIterator<Item = &'a String>) -> bool {
        names
            .into_iter()
            .any(|name| self.functions.contains_key(name.as_str()))
    }

    /// Whether an update may move rows of a table from one part of it into another, where they are deleted and inserted.
    fn is_divided(&self, table: &str) -> bool {
        let part = |relation: &Relation| !relation.wholes.is_empty();
        self.family(table).any(part)
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
        self.reach(table, Rule::Inheritance, |relation| &relation.children)
    }

    /// Parents, and theirs.
    fn ancestors(&self, table: &str) -> BTreeSet<Name> {
        self.reach(table, Rule::Inheritance, |relation| &relation.parents)
    }

    /// Foreign keys that refer to a table, and those that refer to what it is a part of.
    fn references(&self, table: &str) -> Vec<&Reference> {
        let wholes = self.reach(table, Rule::Inheritance, |relation| &relation.wholes);
        let names = std::iter::once(table).chain(wholes.iter().map(|name| &**name));
        let relations = names.filter_map(|name| self.relations.get(name));
        relations
            .flat_map(|relation| &relation.references)
            .collect()
    }

    /// Views over a table, and views over these.
    fn views(&self, table: &str) -> BTreeSet<Name> {
        self.reach(table, Rule::Views, |relation| &relation.views)
    }

    fn reach(
        &self,
        table: &str,
        rule: Rule,
        next: impl Fn(&Relation) -> &BTreeSet<Name>,
    ) -> BTreeSet<Name> {
        let mut found = BTreeSet::new();
        let start = self.relations.get(table).filter(|_| rule.applies());
        let mut open: Vec<&Relation> = start.into_iter().collect();
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

    fn inherits(&mut self, child: &Name, parent: &Name, is_part: bool) {
        self.entry(parent).children.insert(child.clone());
        self.entry(child).parents.insert(parent.clone());
        if is_part {
            self.entry(child).wholes.insert(parent.clone());
        }
    }

    fn reads(&mut self, view: &Name, base: &Name) {
        self.entry(base).views.insert(view.clone());
        self.entry(view).bases.insert(base.clone());
    }
}

#[cfg(test)]
impl Catalog {
    /// Ordinary tables with nothing attached to them.
    pub(crate) fn plain(tables: &[(&str, &[&str])]) -> Self {
        let mut catalog = Self::default();
        for (table, columns) in tables {
            let columns = columns
                .iter()
                .map(|&column| (column.to_owned(), Reading::Plain))
                .collect();
            let name = Name::from(*table);
            catalog
                .entry(&name)
                .merge(columns, false, (*table).to_owned());
        }
        catalog
    }

    /// Reads a column so.
    pub(crate) fn set_reading(&mut self, table: &str, column: &str, reading: Reading) {
        let relation = self.entry(&Name::from(table));
        relation
            .columns
            .get_or_insert_default()
            .insert(column.to_owned(), reading);
    }
}
