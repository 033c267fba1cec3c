//! SQLite.
//!
//! SQLite ends a transaction by itself after some errors (`ON CONFLICT ROLLBACK`, `RAISE(ROLLBACK)`, a full disk) and
//! then commits what follows statement by statement. So a `BEGIN` is tried after an error, and again before the stamp: it
//! works only if the transaction is gone. (A savepoint of ours, which must still be there before the stamp, would tell as
//! much. But SQLite copies each page that changes after a savepoint, and beyond 64 KiB into a file.)

use std::fmt::Write;
use std::time::{Duration, Instant};

use diesel::connection::{LoadConnection, SimpleConnection};
use diesel::deserialize::FromSql;
use diesel::expression::QueryMetadata;
use diesel::query_builder::{Query, QueryFragment, QueryId};
use diesel::result::{Error, QueryResult};
use diesel::row::IntoOwnedRow;
use diesel::sql_types::{BigInt, Binary, Double, Text};
use diesel::sqlite::{Sqlite, SqliteConnection, SqliteType, SqliteValue};

use super::super::catalog::Catalog;
use super::super::stamper::database_error;
use super::super::statement::Dialect;
use super::super::statement::plan::Given;
use super::super::statement::reading::Read;
use super::{Moment, NULL, ask_with_all_binds, escape, hex, sealed::Sealed, works};

/// How long a lock of another connection is waited for.
const BUSY: Duration = Duration::from_secs(5);

type SqliteRow = <SqliteConnection as LoadConnection>::Row<'static, 'static>;

#[allow(private_interfaces, reason = "sealed")]
impl Sealed for SqliteConnection {
    type OwnedRow = <SqliteRow as IntoOwnedRow<'static, Sqlite>>::OwnedRow;

    const DIALECT: Dialect = Dialect::Sqlite;
    const CLOSES_ON_FAILED_COMMIT: bool = false;
    const KEEPS_BEFORE_ERROR: bool = true;
    const COMMITS_IMPLICITLY: bool = false;

    fn load_owned<T>(&mut self, query: T) -> QueryResult<Vec<Self::OwnedRow>>
    where
        T: Query + QueryFragment<Sqlite> + QueryId,
        Sqlite: QueryMetadata<T::SqlType>,
    {
        let mut cache = Default::default();
        self.load(query)?
            .map(|row| row.map(|row| row.into_owned(&mut cache)))
            .collect()
    }

    fn write_part(value: SqliteValue<'_, '_, '_>, key: &mut String) {
        let written = match value.value_type() {
            Some(SqliteType::Text) => <String as FromSql<Text, Sqlite>>::from_sql(value)
                .map(|text| key.push_str(&escape(&text))),
            Some(SqliteType::Binary) => <Vec<u8> as FromSql<Binary, Sqlite>>::from_sql(value)
                .map(|bytes| key.push_str(&hex(&bytes))),
            Some(SqliteType::Float | SqliteType::Double) => {
                <f64 as FromSql<Double, Sqlite>>::from_sql(value)
                    .map(|number| key.push_str(&float(number)))
            }
            _ => <i64 as FromSql<BigInt, Sqlite>>::from_sql(value).map(|number| {
                let _ = write!(key, "{number}");
            }),
        };
        // Cannot fail for the type that SQLite itself names; if it does, all such keys are one resource.
        if written.is_err() {
            key.push_str(NULL);
        }
    }

    fn read_catalog(&mut self) -> QueryResult<Catalog> {
        Catalog::load_sqlite(self)
    }

    fn read_catalog_safely(&mut self, moment: Moment) -> QueryResult<Catalog> {
        // What is read first fixes what the transaction sees; once another has written, it could not write any more.
        if moment == Moment::Begun {
            return Err(Error::AlreadyInTransaction);
        }
        self.read_catalog()
    }

    fn ask<T>(&mut self, statement: &T, read: &Read, see: impl FnMut(&str)) -> QueryResult<usize>
    where
        T: QueryFragment<Sqlite> + QueryId,
    {
        ask_with_all_binds(self, statement, read, see)
    }

    // Diesel gives no binds away.
    fn given<T>(&mut self, _: &T, _: &Given, _: impl FnMut(&str)) -> bool
    where
        T: QueryFragment<Sqlite> + QueryId,
    {
        false
    }

    fn before_statement<R>(
        &mut self,
        ask: impl FnOnce(&mut Self) -> QueryResult<R>,
    ) -> QueryResult<Option<R>> {
        // A query that fails changes nothing here.
        Ok(ask(self).ok())
    }

    fn in_transaction(&mut self) -> bool {
        !works(self, "BEGIN; ROLLBACK")
    }

    fn set_guard(&mut self) -> QueryResult<()> {
        Ok(())
    }

    fn opening(sql: &str) -> String {
        sql.to_owned()
    }

    fn before_stamp(&mut self, _deferred: bool) -> QueryResult<()> {
        match works(self, "BEGIN; ROLLBACK") {
            true => Err(database_error(
                "the database has rolled this transaction back without a word".to_owned(),
            )),
            false => Ok(()),
        }
    }

    fn commit(&mut self, sql: &str, _guarded: bool) -> QueryResult<()> {
        let begun = Instant::now();
        loop {
            match self.batch_execute(sql) {
                // The transaction is still open, and a reader of the old state is in the way.
                Err(error) if is_busy(&error) && begun.elapsed() < BUSY => {
                    std::thread::sleep(Duration::from_millis(2))
                }
                done => return done,
            }
        }
    }

    fn surely_not_committed(_: &Error) -> bool {
        true
    }

    fn open_own(&mut self) -> QueryResult<()> {
        self.batch_execute("BEGIN")
    }

    fn abort_own(&mut self) {
        // It fails where the statement's own error has ended the transaction.
        let _ = works(self, "ROLLBACK");
    }

    fn lost_transaction(&mut self) -> bool {
        works(self, "BEGIN")
    }

    fn prepare(&mut self) -> QueryResult<()> {
        self.batch_execute(&format!(
            "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL;",
            BUSY.as_millis()
        ))
    }

    fn pool_size(url: &str) -> Option<u32> {
        // Each connection to it would be a database of its own.
        let in_memory = url.is_empty() || url.contains(":memory:") || url.contains("mode=memory");
        (in_memory && !url.contains("cache=shared")).then_some(1)
    }
}

/// SQLite takes 1 and 1.0 for equal, and 0.0 and -0.0.
fn float(number: f64) -> String {
    let whole = number as i64;
    match whole as f64 == number && whole != i64::MAX {
        true => whole.to_string(),
        false => hex(&number.to_be_bytes()),
    }
}

fn is_busy(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(_, information) if information.message().contains("database is locked"))
}
