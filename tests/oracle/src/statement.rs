//! Statements and programs as data, to be written out in the SQL of each database, and made smaller.

use crate::value::Value;

/// One statement, and how it is sent.
#[derive(Clone, Debug)]
pub struct Statement {
    /// What it says.
    pub body: Body,
    /// How it is sent.
    pub way: Way,
    /// How it is written.
    pub dress: Dress,
}

/// How a statement is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By Diesel's query builder, where that can make it; else as [`Way::Query`].
    Builder,
    /// By `sql_query`.
    Query {
        /// With its values beside the text.
        binds: bool,
    },
    /// By `sql_query`, and its rows are read, all or but the first.
    Load {
        /// All.
        whole: bool,
    },
    /// By `batch_execute`.
    Batch,
}

/// Comments around and inside a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dress {
    /// None.
    Plain,
    /// A semicolon behind.
    Closed,
    /// A comment before.
    Before,
    /// A comment between any two clauses.
    Inside,
    /// A line comment behind.
    After,
}

/// What a statement says.
#[derive(Clone, Debug)]
pub enum Body {
    /// INSERT.
    Insert(Insert),
    /// UPDATE.
    Update(Update),
    /// DELETE.
    Delete(Delete),
    /// WITH, whose parts are changes.
    With(Box<Body>, Box<Body>),
    /// WITH, that only reads the table at this place.
    Reading(usize, Box<Body>),
    /// MERGE INTO a table, from another (PostgreSQL).
    Merge(Merge),
    /// TRUNCATE, of these tables.
    Truncate(Vec<Target>, bool),
    /// COPY FROM, of these rows (PostgreSQL).
    Copy(Insert),
    /// Something in a block of code, as DO has it.
    Code(Box<Body>),
    /// CALL of the routine at this place.
    Call(usize),
    /// CREATE TRIGGER, the late one at this place.
    Define(usize),
    /// ALTER TABLE of the table at this place, such that each row gets another `n`; on SQLite, DROP TABLE.
    Alter(usize),
    /// Several statements in one text, maybe in a transaction.
    Several(Vec<Body>, bool),
}

/// A relation as a statement writes it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Which.
    pub relation: Relation,
    /// In which letters.
    pub letters: Letters,
    /// Behind the name of its schema.
    pub qualified: bool,
    /// Under another name.
    pub alias: Option<&'static str>,
    /// ONLY (PostgreSQL).
    pub only: bool,
}

/// A relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// By its place.
    Table(usize),
    /// By its place.
    View(usize),
    /// A part of the table at this place.
    Part(usize, u32),
}

/// How a name is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letters {
    /// As it is.
    Plain,
    /// In quotes.
    Quoted,
    /// In other letters, where the database does not care.
    Mixed,
}

/// INSERT.
#[derive(Clone, Debug)]
pub struct Insert {
    /// Into what.
    pub target: Target,
    /// Which columns.
    pub columns: Vec<&'static str>,
    /// Which rows.
    pub rows: Rows,
    /// And if there is one already.
    pub conflict: Conflict,
    /// RETURNING.
    pub returning: Returning,
}

/// The rows of an INSERT.
#[derive(Clone, Debug)]
pub enum Rows {
    /// These.
    Values(Vec<Vec<Value>>),
    /// One of defaults.
    Defaults,
    /// Those of another table, for each column an expression of it.
    Select(usize, Vec<Expr>, Filter),
}

/// What an INSERT or UPDATE does about a row that is there already.
#[derive(Clone, Debug)]
pub enum Conflict {
    /// Fails.
    None,
    /// ON CONFLICT DO NOTHING.
    Nothing,
    /// ON CONFLICT (these) DO UPDATE, ON DUPLICATE KEY UPDATE.
    Update(Vec<&'static str>, Vec<(&'static str, Expr)>),
    /// The same, but only where the number in `n` is less than this; on a partial index where it says so.
    UpdateSome(Vec<&'static str>, Vec<(&'static str, Expr)>, i64),
    /// OR something (SQLite); IGNORE (MariaDB).
    Or(&'static str),
    /// REPLACE INTO.
    Replace,
}

/// RETURNING.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returning {
    /// None.
    None,
    /// `n`.
    Column,
    /// `*`.
    All,
}

/// UPDATE.
#[derive(Clone, Debug)]
pub struct Update {
    /// Of what.
    pub target: Target,
    /// What is set.
    pub set: Vec<(&'static str, Expr)>,
    /// Another table beside it.
    pub from: Option<usize>,
    /// Which rows.
    pub filter: Filter,
    /// LIMIT, and whether it is a total order that it cuts.
    pub limit: Option<(u32, bool)>,
    /// And if there is such a row already.
    pub conflict: Conflict,
    /// RETURNING.
    pub returning: Returning,
}

/// DELETE.
#[derive(Clone, Debug)]
pub struct Delete {
    /// Of what.
    pub target: Target,
    /// Another table beside it.
    pub using: Option<usize>,
    /// Which rows.
    pub filter: Filter,
    /// LIMIT, and whether it is a total order that it cuts.
    pub limit: Option<(u32, bool)>,
    /// RETURNING.
    pub returning: Returning,
}

/// MERGE.
#[derive(Clone, Debug)]
pub struct Merge {
    /// Into what.
    pub target: Target,
    /// From what.
    pub source: usize,
    /// The column of each by which they match.
    pub on: (&'static str, &'static str),
    /// What is set where they do; without it the row is deleted.
    pub set: Option<(&'static str, Expr)>,
    /// What is put in where they do not.
    pub insert: Option<(Vec<&'static str>, Vec<Value>)>,
}

/// A value that is found.
#[derive(Clone, Debug)]
pub enum Expr {
    /// This.
    Value(Value),
    /// A column of the row, or of the table that is read.
    Column(&'static str),
    /// A column and so much.
    Plus(&'static str, i64),
    /// A column of the other table.
    Joined(&'static str),
    /// A column of the row that was to be put in.
    Excluded(&'static str),
    /// What the routine at this place gives, which also does something.
    Call(usize),
    /// The greatest value of a column of the table at this place.
    Greatest(usize, &'static str),
}

/// Which rows.
#[derive(Clone, Debug)]
pub enum Filter {
    /// All.
    All,
    /// This column is so.
    Is(&'static str, &'static str, Value),
    /// The column is one of these.
    Among(&'static str, Vec<Value>),
    /// The column is one of those in a column of the table at this place.
    AmongRows(&'static str, usize, &'static str, Box<Filter>),
    /// The column is the same as this one of the other table.
    Joined(&'static str, &'static str),
    /// Both.
    And(Box<Filter>, Box<Filter>),
    /// Whatever comes of tossing a coin for each row.
    Chance,
}

/// Something to do.
#[derive(Clone, Debug)]
pub enum Step {
    /// A statement.
    Statement(Statement),
    /// More of them, in a transaction or behind a savepoint.
    Block(Block),
}

/// Steps that belong together.
#[derive(Clone, Debug)]
pub struct Block {
    /// How it is opened.
    pub opening: Opening,
    /// What is in it.
    pub steps: Vec<Step>,
    /// How it ends when all of it works.
    pub end: End,
    /// Whether an error in it is passed over, and the steps behind it go on.
    pub swallows: bool,
}

/// How a block is opened, and so closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// By Diesel's `transaction`.
    Diesel,
    /// By BEGIN or SAVEPOINT in SQL.
    Sql,
    /// By other words for the same, and names that are used again.
    Other,
}

/// How a block ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It counts.
    Commit,
    /// It never was.
    Rollback,
}

/// Steps, each of them outermost.
#[derive(Clone, Debug, Default)]
pub struct Program(pub Vec<Step>);

impl Filter {
    /// Whether other tables have a say in it.
    #[must_use]
    pub fn asks_others(&self) -> bool {
        match self {
            Self::AmongRows(..) | Self::Joined(..) => true,
            Self::And(one, other) => one.asks_others() || other.asks_others(),
            _ => false,
        }
    }

    /// Whether it takes other rows each time.
    #[must_use]
    pub fn is_chance(&self) -> bool {
        match self {
            Self::Chance => true,
            Self::And(one, other) => one.is_chance() || other.is_chance(),
            _ => false,
        }
    }
}

impl Step {
    /// How many statements.
    #[must_use]
    pub fn statements(&self) -> usize {
        match self {
            Self::Statement(_) => 1,
            Self::Block(block) => block.steps.iter().map(Self::statements).sum(),
        }
    }

    /// Shows each statement.
    pub fn each<'a>(&'a self, see: &mut impl FnMut(&'a Statement)) {
        match self {
            Self::Statement(statement) => see(statement),
            Self::Block(block) => block.steps.iter().for_each(|step| step.each(see)),
        }
    }
}
