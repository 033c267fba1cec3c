//! PostgreSQL.
//!
//! It answers `COMMIT` in a failed transaction with a rollback and no error. `SELECT 1; COMMIT` in one batch fails
//! there, at the same number of round trips.

use std::num::NonZeroU32;

use diesel::connection::{
    AnsiTransactionManager, DefaultLoadingMode, LoadConnection, SimpleConnection,
    TransactionManager,
};
use diesel::expression::QueryMetadata;
use diesel::pg::{Pg, PgConnection, PgValue};
use diesel::query_builder::{Query, QueryFragment, QueryId};
use diesel::result::{DatabaseErrorKind, Error, QueryResult};

use super::super::catalog::Catalog;
use super::super::fragment::WithBindsOf;
use super::super::statement::Dialect;
use super::super::statement::reading::Read;
use super::owned::{OwnedRow, Typed};
use super::{Moment, NULL, escape, hex, sealed::Sealed};

#[allow(private_interfaces, reason = "sealed")]
impl Sealed for PgConnection {
    type OwnedRow = OwnedRow<Pg>;

    const DIALECT: Dialect = Dialect::Postgres;
    const CLOSES_ON_FAILED_COMMIT: bool = true;
    const KEEPS_BEFORE_ERROR: bool = false;
    const COMMITS_IMPLICITLY: bool = false;

    fn load_owned<T>(&mut self, query: T) -> QueryResult<Vec<Self::OwnedRow>>
    where
        T: Query + QueryFragment<Pg> + QueryId,
        Pg: QueryMetadata<T::SqlType>,
    {
        let mut names = None;
        LoadConnection::<DefaultLoadingMode>::load(self, query)?
            .map(|row| row.map(|row| OwnedRow::new(&row, &mut names)))
            .collect()
    }

    fn key_text(row: &Self::OwnedRow, column: usize) -> String {
        match row.value(column) {
            Some((bytes, oid)) => key_text(bytes, oid.get()),
            None => NULL.to_owned(),
        }
    }

    fn read_catalog(&mut self) -> QueryResult<Catalog> {
        Catalog::load_postgres(self)
    }

    fn read_catalog_safely(&mut self, moment: Moment) -> QueryResult<Catalog> {
        if moment == Moment::Outside {
            return self.read_catalog();
        }
        self.batch_execute("SAVEPOINT idempotent_catalog")?;
        let catalog = self.read_catalog();
        self.batch_execute(match &catalog {
            Ok(_) => "RELEASE idempotent_catalog",
            Err(_) => "ROLLBACK TO idempotent_catalog; RELEASE idempotent_catalog",
        })?;
        catalog
    }

    fn each_owned<T>(
        &mut self,
        query: T,
        mut see: impl FnMut(&Self::OwnedRow),
    ) -> QueryResult<usize>
    where
        T: Query + QueryFragment<Pg> + QueryId,
        Pg: QueryMetadata<T::SqlType>,
    {
        let mut names = None;
        let mut count = 0;
        for row in LoadConnection::<DefaultLoadingMode>::load(self, query)? {
            see(&OwnedRow::new(&row?, &mut names));
            count += 1;
        }
        Ok(count)
    }

    fn ask<T>(
        &mut self,
        statement: &T,
        read: &Read,
        see: impl FnMut(&Self::OwnedRow),
    ) -> QueryResult<usize>
    where
        T: QueryFragment<Pg> + QueryId,
    {
        // A bind that is not used does no harm, since its type is given.
        self.each_owned(
            WithBindsOf {
                statement,
                sql: &read.sql,
            },
            see,
        )
    }

    fn before_statement<R>(
        &mut self,
        ask: impl FnOnce(&mut Self) -> QueryResult<R>,
    ) -> QueryResult<Option<R>> {
        // A query that fails would doom the transaction.
        self.batch_execute("SAVEPOINT idempotent_ask")?;
        let asked = ask(self);
        self.batch_execute(match &asked {
            Ok(_) => "RELEASE idempotent_ask",
            Err(_) => "ROLLBACK TO idempotent_ask; RELEASE idempotent_ask",
        })?;
        Ok(asked.ok())
    }

    fn in_transaction(&mut self) -> bool {
        true
    }

    fn set_guard(&mut self) -> QueryResult<()> {
        Ok(())
    }

    fn opening(sql: &str) -> String {
        sql.to_owned()
    }

    fn before_stamp(&mut self, deferred: bool) -> QueryResult<()> {
        if deferred {
            self.batch_execute("SET CONSTRAINTS ALL IMMEDIATE")
        } else {
            Ok(())
        }
    }

    fn commit(&mut self, sql: &str, _guarded: bool) -> QueryResult<()> {
        self.batch_execute(&format!("SELECT 1; {sql}"))
    }

    fn surely_not_committed(error: &Error) -> bool {
        matches!(error, Error::DatabaseError(kind, _) if !matches!(kind, DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand))
    }

    // Diesel's own depth is kept, because its PostgreSQL connection compares it with what libpq says.
    fn open_own(&mut self) -> QueryResult<()> {
        AnsiTransactionManager::begin_transaction(self)
    }

    fn abort_own(&mut self) {
        // If this fails the transaction manager is broken, and so Diesel treats the connection.
        let _ = AnsiTransactionManager::rollback_transaction(self);
    }

    fn lost_transaction(&mut self) -> bool {
        false
    }

    fn prepare(&mut self) -> QueryResult<()> {
        Ok(())
    }

    fn pool_size(_: &str) -> Option<u32> {
        None
    }
}

/// The binary representation, which no session setting changes; readable for the usual types of keys.
fn key_text(bytes: &[u8], oid: u32) -> String {
    match (oid, bytes.len()) {
        (20 | 21 | 23, _) => integer(bytes).map_or_else(|| hex(bytes), |number| number.to_string()),
        (2950, 16) => uuid(bytes),
        (19 | 25 | 1042 | 1043, _) => {
            std::str::from_utf8(bytes).map_or_else(|_| hex(bytes), escape)
        }
        _ => hex(bytes),
    }
}

/// int2, int4 and int8.
fn integer(bytes: &[u8]) -> Option<i64> {
    match bytes.len() {
        2 => Some(i16::from_be_bytes(bytes.try_into().ok()?).into()),
        4 => Some(i32::from_be_bytes(bytes.try_into().ok()?).into()),
        8 => Some(i64::from_be_bytes(bytes.try_into().ok()?)),
        _ => None,
    }
}

fn uuid(bytes: &[u8]) -> String {
    let mut text = hex(bytes).split_off(2);
    for at in [20, 16, 12, 8] {
        text.insert(at, '-');
    }
    text
}

impl Typed for Pg {
    type Tag = NonZeroU32;

    fn take(value: PgValue<'_>) -> (Vec<u8>, NonZeroU32) {
        (value.as_bytes().to_vec(), value.get_oid())
    }

    fn give<'a>(bytes: &'a [u8], tag: &'a NonZeroU32) -> PgValue<'a> {
        PgValue::new(bytes, tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_like_their_values() {
        assert_eq!(key_text(&7_i32.to_be_bytes(), 23), "7");
        assert_eq!(key_text(&(-7_i64).to_be_bytes(), 20), "-7");
        assert_eq!(key_text(b"a:b", 25), "a%3ab");
        let uuid = 0x8e03_978e_40d5_43e8_bc93_6894_a57f_9324_u128.to_be_bytes();
        assert_eq!(
            key_text(&uuid, 2950),
            "8e03978e-40d5-43e8-bc93-6894a57f9324"
        );
        assert_eq!(key_text(&[1, 2], 17), "0x0102");
    }
}
