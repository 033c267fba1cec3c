//! The databases: how a fresh one is had, and what Diesel can only be told per backend.

mod mariadb;
mod postgres;
mod sqlite;

use diesel::connection::SimpleConnection;
use diesel::sql_types::{Integer, Text};
use diesel::{QueryResult, QueryableByName};
use idempotent_runtime::{Trackable, TrackedConnection};

use crate::schema::Kind;
use crate::schema::Schema;
use crate::statement::Body;
use crate::value::Value;

pub use mariadb::Mariadb;
pub use postgres::Postgres;
pub use sqlite::Sqlite;

/// A row of the log, or of a snapshot.
#[derive(Debug, QueryableByName)]
pub struct Noted {
    /// Which table's.
    #[diesel(sql_type = Integer)]
    pub model: i32,
    /// The key.
    #[diesel(sql_type = Text)]
    pub raw: String,
    /// The rest.
    #[diesel(sql_type = Text)]
    pub content: String,
}

/// A database that schemas can be made in.
pub trait Database: Sized {
    /// Diesel's connection to it.
    type Connection: Trackable;

    /// Which one.
    const KIND: Kind;

    /// Its name in the report.
    const NAME: &'static str;

    /// Starts it.
    fn start() -> Self;

    /// Where the next schema goes; nothing of the last one is in the way.
    fn fresh(&mut self) -> String;

    /// Makes a new connection behave: what the log needs, and the speed of a database that nobody keeps.
    ///
    /// # Errors
    ///
    /// The database's.
    fn prepare(connection: &mut impl SimpleConnection) -> QueryResult<()>;

    /// Reads rows of the log or a snapshot.
    ///
    /// # Errors
    ///
    /// The database's.
    fn noted(bare: &mut Self::Connection, sql: &str) -> QueryResult<Vec<Noted>>;

    /// Runs a statement by `sql_query`, with values beside it.
    ///
    /// # Errors
    ///
    /// The database's.
    fn query(
        connection: &mut TrackedConnection<Self::Connection>,
        sql: &str,
        binds: &[Value],
    ) -> QueryResult<usize>;

    /// Runs a statement by `sql_query` and reads the column `got` of its rows, of all or of the first.
    ///
    /// # Errors
    ///
    /// The database's.
    fn load(
        connection: &mut TrackedConnection<Self::Connection>,
        sql: &str,
        whole: bool,
    ) -> QueryResult<()>;

    /// Runs a statement by Diesel's query builder; `None` if it is none that is written out there.
    fn build(
        connection: &mut TrackedConnection<Self::Connection>,
        body: &Body,
        schema: &Schema,
    ) -> Option<QueryResult<()>>;
}
