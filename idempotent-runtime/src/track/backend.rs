//! What differs between Diesel's connections, by a sealed trait.

use diesel::backend::Backend;
use diesel::connection::{
    AnsiTransactionManager, Connection, DefaultLoadingMode, LoadConnection, SimpleConnection,
};
use diesel::expression::QueryMetadata;
use diesel::migration::MigrationConnection;
use diesel::query_builder::{Query, QueryFragment, QueryId};
use diesel::r2d2::R2D2Connection;
use diesel::result::{Error, QueryResult};
use diesel::row::{Field, Row};

use super::catalog::Catalog;
#[cfg(any(feature = "postgres", feature = "mysql"))]
use super::catalog::Kind;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use super::fragment::WithBindsOf;
use super::statement::Dialect;
use super::statement::plan::Given;
#[cfg(any(feature = "postgres", feature = "mysql"))]
use super::statement::plan::Part;
use super::statement::reading::Read;

#[cfg(feature = "mysql")]
mod mysql;
#[cfg(any(feature = "postgres", feature = "mysql"))]
mod owned;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

/// A Diesel connection that [`TrackedConnection`](crate::TrackedConnection) can be put around.
///
/// Sealed: it is implemented for Diesel's own connections, as far as the features of this crate name them.
pub trait Trackable:
    Connection<
        TransactionManager = AnsiTransactionManager,
        Backend: Default + Backend<QueryBuilder: Default>,
    > + LoadConnection
    + R2D2Connection
    + MigrationConnection
    + sealed::Sealed
    + crate::once::Rows
    + 'static
{
}

impl<C> Trackable for C where
    C: Connection<
            TransactionManager = AnsiTransactionManager,
            Backend: Default + Backend<QueryBuilder: Default>,
        > + LoadConnection
        + R2D2Connection
        + MigrationConnection
        + sealed::Sealed
        + crate::once::Rows
        + 'static
{
}

/// Where in a transaction a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Outside,
    /// It has begun, and as far as is known it has changed nothing yet.
    Begun,
    Changed,
}

pub(crate) mod sealed {
    use super::*;

    /// The differences.
    #[allow(
        private_interfaces,
        reason = "sealed: nobody outside can name or call these"
    )]
    pub trait Sealed: Connection {
        /// A row that has let go of the connection.
        type OwnedRow: for<'a> Row<'a, Self::Backend> + Send + 'static;

        #[doc(hidden)]
        const DIALECT: Dialect;

        /// Runs a query and takes all of its rows.
        #[doc(hidden)]
        fn load_owned<T>(&mut self, query: T) -> QueryResult<Vec<Self::OwnedRow>>
        where
            T: Query + QueryFragment<Self::Backend> + QueryId,
            Self::Backend: QueryMetadata<T::SqlType>;

        /// Writes the value of a key column, encoded canonically: equal keys and only those give equal text, whatever
        /// the session's settings are.
        #[doc(hidden)]
        fn write_part(value: <Self::Backend as Backend>::RawValue<'_>, key: &mut String);

        /// Asks the database what it knows about its tables.
        #[doc(hidden)]
        fn read_catalog(&mut self) -> QueryResult<Catalog>;

        /// The same, such that an open transaction is left as it was, whether it succeeds or not.
        #[doc(hidden)]
        fn read_catalog_safely(&mut self, moment: Moment) -> QueryResult<Catalog>;

        /// Runs a query of ours with the binds of a statement, and shows the keys that it finds; how many rows they were.
        #[doc(hidden)]
        fn ask<T>(
            &mut self,
            statement: &T,
            read: &Read,
            see: impl FnMut(&str),
        ) -> QueryResult<usize>
        where
            T: QueryFragment<Self::Backend> + QueryId;

        /// Shows keys that a statement has in its text or its binds; whether they could be read.
        #[doc(hidden)]
        fn given<T>(&mut self, statement: &T, given: &Given, see: impl FnMut(&str)) -> bool
        where
            T: QueryFragment<Self::Backend> + QueryId;

        /// Runs queries of ours before a statement such that their failure does not come in its way; nothing if they
        /// have failed.
        ///
        /// # Errors
        ///
        /// If the statement must not be run any more.
        #[doc(hidden)]
        fn before_statement<R>(
            &mut self,
            ask: impl FnOnce(&mut Self) -> QueryResult<R>,
        ) -> QueryResult<Option<R>>;

        /// Whether a transaction is open that can go on.
        #[doc(hidden)]
        fn in_transaction(&mut self) -> bool;

        /// Whether a statement outside a transaction is one of its own.
        #[doc(hidden)]
        fn autocommits(&mut self) -> bool {
            true
        }

        /// Whether a COMMIT that does not say so opens the next transaction.
        #[doc(hidden)]
        fn chains(&mut self) -> bool {
            false
        }

        /// Ends a transaction of ours, and opens no other.
        #[doc(hidden)]
        const COMMIT: &str = "COMMIT";

        /// Sets the mark that proves that the transaction is still the one that was opened.
        #[doc(hidden)]
        fn set_guard(&mut self) -> QueryResult<()>;

        /// What to send for a statement that opens a transaction.
        #[doc(hidden)]
        fn opening(sql: &str) -> String;

        /// Called before the stamp: afterwards nothing in this transaction may change a row any more, and it must be
        /// sure that all of its statements are still in it.
        #[doc(hidden)]
        fn before_stamp(&mut self, deferred: bool) -> QueryResult<()>;

        /// Sends the COMMIT such that it fails if the transaction has failed before. `guarded`: the mark is set.
        #[doc(hidden)]
        fn commit(&mut self, sql: &str, guarded: bool) -> QueryResult<()>;

        /// Whether statements other than COMMIT end a transaction, and a SAVEPOINT outside one opens none.
        #[doc(hidden)]
        const COMMITS_IMPLICITLY: bool;

        /// Whether a COMMIT that failed with this error has surely not happened.
        #[doc(hidden)]
        fn surely_not_committed(error: &Error) -> bool;

        /// Whether a COMMIT that failed has ended the transaction all the same.
        #[doc(hidden)]
        const CLOSES_ON_FAILED_COMMIT: bool;

        /// Whether a statement that failed may have changed rows before, which stay changed.
        #[doc(hidden)]
        const KEEPS_BEFORE_ERROR: bool;

        /// Opens a transaction around a single statement.
        #[doc(hidden)]
        fn open_own(&mut self) -> QueryResult<()>;

        /// Rolls it back.
        #[doc(hidden)]
        fn abort_own(&mut self);

        /// After an error: whether the database has ended the open transaction by itself, and would commit what
        /// follows statement by statement. If so, it is in a new, empty transaction afterwards.
        #[doc(hidden)]
        fn lost_transaction(&mut self) -> bool;

        /// What a pool of ours sets on a new connection.
        #[doc(hidden)]
        fn prepare(&mut self) -> QueryResult<()>;

        /// How many connections to this URL make sense, if not the pool's default.
        #[doc(hidden)]
        fn pool_size(url: &str) -> Option<u32>;
    }
}

/// Runs a query and shows the key in the last columns of each row; how many rows there were. A row is only looked at, for
/// to copy its values costs more than all else.
pub(super) fn each_key<C, T>(
    connection: &mut C,
    query: T,
    columns: usize,
    mut see: impl FnMut(&str),
) -> QueryResult<usize>
where
    C: Trackable,
    T: Query + QueryFragment<C::Backend> + QueryId,
    C::Backend: QueryMetadata<T::SqlType>,
{
    let mut key = String::new();
    let mut count = 0;
    for row in LoadConnection::<DefaultLoadingMode>::load(connection, query)? {
        write_key::<C>(&row?, columns, &mut key);
        see(&key);
        count += 1;
    }
    Ok(count)
}

/// Runs a query of ours with all binds of a statement. (One that it does not use does no harm where its type is given.)
#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn ask_with_all_binds<C, T>(
    connection: &mut C,
    statement: &T,
    read: &Read,
    see: impl FnMut(&str),
) -> QueryResult<usize>
where
    C: Trackable<Backend: QueryMetadata<diesel::sql_types::Untyped>>,
    T: QueryFragment<C::Backend> + QueryId,
{
    let sql = &read.sql;
    each_key(connection, WithBindsOf { statement, sql }, read.keys, see)
}

/// Shows keys whose parts are written out or are binds, which `write` writes.
#[cfg(any(feature = "postgres", feature = "mysql"))]
fn each_given(
    given: &Given,
    mut write: impl FnMut(usize, Kind, &mut String) -> Option<()>,
    mut see: impl FnMut(&str),
) -> Option<()> {
    let mut text = String::new();
    for key in &given.keys {
        text.clear();
        for (at, part) in key.iter().enumerate() {
            if at > 0 {
                text.push(',');
            }
            match part {
                Part::Bind(bind, kind) => write(*bind, *kind, &mut text)?,
                Part::Written(written) => text.push_str(written),
            }
        }
        see(&text);
    }
    Some(())
}

/// Writes the key in the last columns of a row, in place of what was there.
pub(super) fn write_key<'a, C: Trackable>(
    row: &impl Row<'a, C::Backend>,
    columns: usize,
    key: &mut String,
) {
    key.clear();
    let count = row.field_count();
    let first = count.saturating_sub(columns);
    for column in first..count {
        if column > first {
            key.push(',');
        }
        match row.get(column).as_ref().and_then(Field::value) {
            Some(value) => C::write_part(value, key),
            None => key.push_str(NULL),
        }
    }
}

/// Escapes a part of a resource's name: `:`, `,`, `*`, `%`, controls, and what would read as `any`.
pub(crate) fn escape(part: &str) -> String {
    let mut out = String::with_capacity(part.len());
    escape_to(part, &mut out);
    out
}

/// The same, at the end of another text.
pub(crate) fn escape_to(part: &str, out: &mut String) {
    use std::fmt::Write;
    if part == "any" {
        out.push_str("%61ny");
        return;
    }
    for c in part.chars() {
        match c {
            ':' | ',' | '*' | '%' | '{' | '}' | '/' => {
                let _ = write!(out, "%{:02x}", u32::from(c));
            }
            c if c.is_control() => {
                let _ = write!(out, "%{:02x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::from("0x"), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// NULL as a key: no escaped text looks like it.
pub(super) const NULL: &str = "%null";

/// Sends a statement and only asks whether it worked.
fn works(conn: &mut impl SimpleConnection, sql: &str) -> bool {
    conn.batch_execute(sql).is_ok()
}
