//! The MySQL family: MySQL and MariaDB.
//!
//! A deadlock, a lock that was waited for too long (with `innodb_rollback_on_timeout`) and statements that commit
//! implicitly end a transaction without a word, and what follows is committed statement by statement. Two things catch
//! it: after an error it is asked whether a savepoint can be released that was just set, which works in a transaction
//! only; and every transaction has a savepoint of ours inside, which goes out with the COMMIT in one batch and must
//! still be there.

use diesel::RunQueryDsl;
use diesel::connection::{DefaultLoadingMode, LoadConnection, SimpleConnection};
use diesel::expression::QueryMetadata;
use diesel::mysql::{Mysql, MysqlConnection, MysqlType, MysqlValue};
use diesel::query_builder::bind_collector::RawBytesBindCollector;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::{Error, QueryResult};
use diesel::sql_types::Untyped;

use super::super::catalog::Catalog;
use super::super::catalog::Kind;
use super::super::statement::Dialect;
use super::super::statement::plan::Given;
use super::super::statement::reading::Read;
use super::owned::{OwnedRow, Typed};
use super::{Moment, each_given, each_key, escape, hex, sealed::Sealed, works};

/// A savepoint of ours, there as long as the transaction is the one that was opened.
const SET_GUARD: &str = "SAVEPOINT idempotent_guard";
const RELEASE_GUARD: &str = "RELEASE SAVEPOINT idempotent_guard";

#[allow(private_interfaces, reason = "sealed")]
impl Sealed for MysqlConnection {
    type OwnedRow = OwnedRow<Mysql>;

    const DIALECT: Dialect = Dialect::Mysql;
    const CLOSES_ON_FAILED_COMMIT: bool = false;
    const KEEPS_BEFORE_ERROR: bool = false;
    const COMMITS_IMPLICITLY: bool = true;
    const COMMIT: &str = "COMMIT AND NO CHAIN NO RELEASE";

    fn load_owned<T>(&mut self, query: T) -> QueryResult<Vec<Self::OwnedRow>>
    where
        T: Query + QueryFragment<Mysql> + QueryId,
        Mysql: QueryMetadata<T::SqlType>,
    {
        let mut names = None;
        LoadConnection::<DefaultLoadingMode>::load(self, query)?
            .map(|row| row.map(|row| OwnedRow::new(&row, &mut names)))
            .collect()
    }

    fn write_part(value: MysqlValue<'_>, key: &mut String) {
        key.push_str(&key_text(value.as_bytes(), value.value_type()));
    }

    fn read_catalog(&mut self) -> QueryResult<Catalog> {
        Catalog::load_mysql(self)
    }

    // It reads no table of the application's, and a failure ends no transaction.
    fn read_catalog_safely(&mut self, _: Moment) -> QueryResult<Catalog> {
        self.read_catalog()
    }

    fn ask<T>(&mut self, statement: &T, read: &Read, see: impl FnMut(&str)) -> QueryResult<usize>
    where
        T: QueryFragment<Mysql> + QueryId,
    {
        let mut all = RawBytesBindCollector::<Mysql>::new();
        statement.collect_binds(&mut all, &mut (), &Mysql)?;
        let mut binds = RawBytesBindCollector::<Mysql>::new();
        for &at in &read.binds {
            let (Some(kind), Some(bytes)) = (all.metadata.get(at), all.binds.get(at)) else {
                return Err(Error::QueryBuilderError(
                    "a placeholder without a bind".into(),
                ));
            };
            binds.metadata.push(*kind);
            binds.binds.push(bytes.clone());
        }
        let sql = &read.sql;
        each_key(self, Asked { sql, binds }, read.keys, see)
    }

    fn given<T>(&mut self, statement: &T, given: &Given, see: impl FnMut(&str)) -> bool
    where
        T: QueryFragment<Mysql> + QueryId,
    {
        let mut binds = RawBytesBindCollector::<Mysql>::new();
        if statement
            .collect_binds(&mut binds, &mut (), &Mysql)
            .is_err()
        {
            return false;
        }
        let write = |at: usize, kind, key: &mut String| {
            let bytes = binds.binds.get(at)?.as_deref()?;
            let number = number(bytes, *binds.metadata.get(at)?)?;
            (kind == Kind::Integer).then(|| key.push_str(&number.to_string()))
        };
        each_given(given, write, see).is_some()
    }

    fn before_statement<R>(
        &mut self,
        ask: impl FnOnce(&mut Self) -> QueryResult<R>,
    ) -> QueryResult<Option<R>> {
        match ask(self) {
            Ok(asked) => Ok(Some(asked)),
            // The statement would be committed by itself.
            Err(error) if !self.in_transaction() => Err(error),
            // It would wait as long again.
            Err(error) if is_timeout(&error) => Err(error),
            Err(_) => Ok(None),
        }
    }

    fn in_transaction(&mut self) -> bool {
        works(
            self,
            "SAVEPOINT idempotent_probe; RELEASE SAVEPOINT idempotent_probe",
        )
    }

    fn autocommits(&mut self) -> bool {
        has(self, "@@autocommit = 1").unwrap_or(true)
    }

    fn chains(&mut self) -> bool {
        has(self, "@@completion_type = 'CHAIN'").unwrap_or(false)
    }

    fn set_guard(&mut self) -> QueryResult<()> {
        self.batch_execute(SET_GUARD)
    }

    fn opening(sql: &str) -> String {
        format!("{}\n; {SET_GUARD}", sql.trim_end().trim_end_matches(';'))
    }

    fn before_stamp(&mut self, _deferred: bool) -> QueryResult<()> {
        Ok(())
    }

    fn commit(&mut self, sql: &str, guarded: bool) -> QueryResult<()> {
        match guarded {
            true => self.batch_execute(&format!("{RELEASE_GUARD}; {sql}")),
            false => self.batch_execute(sql),
        }
    }

    // The client's library tells no server's error from a lost connection by its kind.
    fn surely_not_committed(_: &Error) -> bool {
        false
    }

    fn open_own(&mut self) -> QueryResult<()> {
        self.batch_execute(&Self::opening("BEGIN"))
    }

    fn abort_own(&mut self) {
        // It fails with the connection only.
        let _ = works(self, "ROLLBACK AND NO CHAIN NO RELEASE");
    }

    fn lost_transaction(&mut self) -> bool {
        !self.in_transaction() && works(self, "BEGIN")
    }

    fn prepare(&mut self) -> QueryResult<()> {
        Ok(())
    }

    fn pool_size(_: &str) -> Option<u32> {
        None
    }
}

/// Whether the session's variables are so.
fn has(conn: &mut MysqlConnection, what: &str) -> QueryResult<bool> {
    diesel::select(diesel::dsl::sql::<diesel::sql_types::Bool>(what)).get_result(conn)
}

fn is_timeout(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(_, information) if information.message().starts_with("Lock wait timeout"))
}

/// A query of ours with some of a statement's binds.
#[derive(Debug)]
struct Asked<'a> {
    sql: &'a str,
    binds: RawBytesBindCollector<Mysql>,
}

impl Query for Asked<'_> {
    type SqlType = Untyped;
}

impl QueryId for Asked<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl QueryFragment<Mysql> for Asked<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Mysql>) -> QueryResult<()> {
        out.push_sql(self.sql);
        out.push_bind_collector_data(&self.binds)
    }
}

impl Typed for Mysql {
    type Tag = MysqlType;

    fn take(value: MysqlValue<'_>) -> (Vec<u8>, MysqlType) {
        (value.as_bytes().to_vec(), value.value_type())
    }

    fn give<'a>(bytes: &'a [u8], tag: &'a MysqlType) -> MysqlValue<'a> {
        MysqlValue::new(bytes, *tag)
    }
}

/// Whole numbers and texts as they are, others in hexadecimal. (The catalog has types without one form per value read
/// through an expression.)
fn key_text(bytes: &[u8], kind: MysqlType) -> String {
    match (number(bytes, kind), kind) {
        (Some(number), _) => number.to_string(),
        (None, MysqlType::String | MysqlType::Numeric | MysqlType::Enum | MysqlType::Set) => {
            std::str::from_utf8(bytes).map_or_else(|_| hex(bytes), escape)
        }
        _ => hex(bytes),
    }
}

fn number(bytes: &[u8], kind: MysqlType) -> Option<i128> {
    match kind {
        MysqlType::Tiny => bytes.first().map(|byte| byte.cast_signed().into()),
        MysqlType::UnsignedTiny => bytes.first().map(|byte| i128::from(*byte)),
        MysqlType::Short => read(bytes).map(|bytes| i16::from_ne_bytes(bytes).into()),
        MysqlType::UnsignedShort => read(bytes).map(|bytes| u16::from_ne_bytes(bytes).into()),
        MysqlType::Long => read(bytes).map(|bytes| i32::from_ne_bytes(bytes).into()),
        MysqlType::UnsignedLong => read(bytes).map(|bytes| u32::from_ne_bytes(bytes).into()),
        MysqlType::LongLong => read(bytes).map(|bytes| i64::from_ne_bytes(bytes).into()),
        MysqlType::UnsignedLongLong => read(bytes).map(|bytes| u64::from_ne_bytes(bytes).into()),
        _ => None,
    }
}

fn read<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.first_chunk().copied()
}
