//! A schema: tables with keys, foreign keys, and what changes their rows behind a statement's back.

use crate::models::{MODELS, Model};
use crate::statement::{Body, Relation};
use crate::value::{Type, Value};

/// A database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MariaDB.
    Mariadb,
}

/// Everything in a database, but its rows.
#[derive(Clone, Debug)]
pub struct Schema {
    /// Whose.
    pub kind: Kind,
    /// Tables, before those that their triggers change.
    pub tables: Vec<Table>,
    /// Views of them.
    pub views: Vec<View>,
    /// What functions and procedures do (PostgreSQL, MariaDB).
    pub routines: Vec<Body>,
    /// What changes further rows.
    pub triggers: Vec<Trigger>,
    /// The same, but that it is made in the middle of a program.
    pub late: Vec<Trigger>,
    /// The table whose column `n` is filled by a routine (PostgreSQL).
    pub called: Option<(usize, usize)>,
    /// Whether row triggers write down what changed; without them only snapshots tell.
    pub logged: bool,
}

/// A table.
#[derive(Clone, Debug)]
pub struct Table {
    /// Which of the [`MODELS`].
    pub model: usize,
    /// The key's first.
    pub columns: Vec<Column>,
    /// Foreign keys.
    pub references: Vec<Reference>,
    /// How its key is declared.
    pub keyed: Keyed,
    /// How its rows are kept.
    pub storage: Storage,
    /// Whether it is in a schema of its own, which PostgreSQL has.
    pub elsewhere: bool,
}

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub ty: Type,
    /// How it is filled where a statement says nothing.
    pub fill: Fill,
    /// Whether NULL is refused.
    pub required: bool,
    /// Whether no two rows have the same.
    pub unique: bool,
    /// What is done about a second one, where the table says it (SQLite).
    pub clash: Option<&'static str>,
}

/// What a column holds where a statement says nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fill {
    /// NULL, where it may.
    Nothing,
    /// This.
    Value(Value),
    /// The next number.
    Counted,
    /// The next number, and a statement must insist on another (PostgreSQL's GENERATED ALWAYS AS IDENTITY).
    Identity,
    /// What is made of the column `n`; a statement may not set it.
    Generated {
        /// Kept, not made anew on each reading.
        stored: bool,
    },
}

/// How a key is declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyed {
    /// PRIMARY KEY.
    Primary,
    /// UNIQUE.
    Unique,
}

/// How a table's rows are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    /// As the database would.
    Plain,
    /// By their key (SQLite).
    WithoutRowid,
    /// In [`PARTS`] parts, by their key.
    Partitioned,
    /// Those of the table at this place are among those of its parent (PostgreSQL).
    Inherits(usize),
}

/// How many parts a partitioned table has.
pub const PARTS: u32 = 2;

/// A foreign key.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The columns that refer.
    pub columns: Vec<&'static str>,
    /// The place of the table that they refer to.
    pub parent: usize,
    /// Its columns.
    pub to: Vec<&'static str>,
    /// What happens to the child.
    pub on_delete: Action,
    /// The same.
    pub on_update: Action,
    /// Whether it is checked at COMMIT.
    pub deferred: bool,
}

/// What a foreign key does to the rows that refer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Forbids the change, at the end of the statement.
    Nothing,
    /// Forbids the change at once.
    Restrict,
    /// Makes it there, too.
    Cascade,
    /// Sets NULL.
    Null,
    /// Sets the default.
    Default,
}

/// A view of one table.
#[derive(Clone, Debug)]
pub struct View {
    /// Its name.
    pub name: &'static str,
    /// Its place among the [`MODELS`], if a model tracks it.
    pub model: Option<usize>,
    /// The place of its table.
    pub base: usize,
    /// How it can be written to.
    pub writing: Writing,
}

/// How a view is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writing {
    /// The database finds out, where it does.
    Updatable,
    /// By INSTEAD OF triggers.
    Triggers,
    /// By rules (PostgreSQL).
    Rules,
}

/// A change of rows that follows from another.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// The place of the table.
    pub table: usize,
    /// What sets it off.
    pub event: Event,
    /// What it does.
    pub does: Effect,
}

/// What happens to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It appears.
    Insert,
    /// It changes.
    Update,
    /// It goes.
    Delete,
}

/// What a trigger does.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Another change.
    Also(Body),
    /// Another change, and the row is left alone: it is put elsewhere.
    Instead(Body),
    /// The same, made of text at run time (PostgreSQL).
    Dynamic(Body),
    /// Another change, once for all rows of a statement (PostgreSQL).
    Together(Body),
    /// Another change, at COMMIT (PostgreSQL).
    Deferred(Body),
    /// Another change, by a rule: once for a statement, whatever its rows (PostgreSQL).
    Rule(Body),
    /// Gives the row that is being changed another key.
    Rekey(Value),
}

impl Schema {
    /// The fixed part of a table.
    #[must_use]
    pub fn model(&self, table: usize) -> &'static Model {
        &MODELS[self.tables[table].model]
    }

    /// The place of the table whose rows a relation has.
    #[must_use]
    pub fn base(&self, relation: Relation) -> usize {
        match relation {
            Relation::Table(table) | Relation::Part(table, _) => table,
            Relation::View(view) => self.views[view].base,
        }
    }

    /// The places of tracked tables, by the places of their models.
    #[must_use]
    pub fn tracked(&self) -> Vec<usize> {
        (0..self.tables.len())
            .filter(|table| self.model(*table).tracked)
            .collect()
    }

    /// The place of the table of this model.
    #[must_use]
    pub fn find(&self, model: usize) -> Option<usize> {
        self.tables.iter().position(|table| table.model == model)
    }
}

impl Table {
    /// The names of the key's columns.
    #[must_use]
    pub fn key(&self) -> Vec<&'static str> {
        MODELS[self.model]
            .key
            .iter()
            .map(|(name, _)| *name)
            .collect()
    }

    /// A column by its name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether the column is part of the key.
    #[must_use]
    pub fn is_key(&self, name: &str) -> bool {
        MODELS[self.model].key.iter().any(|(key, _)| *key == name)
    }
}

impl Column {
    /// Whether a statement may set it to any value.
    #[must_use]
    pub fn settable(&self) -> bool {
        !matches!(self.fill, Fill::Generated { .. })
    }
}
