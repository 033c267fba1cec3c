//! PostgreSQL.
//!
//! It answers `COMMIT` in a failed transaction with a rollback and no error. `SELECT 1; COMMIT` in one batch fails
//! there, at the same number of round trips.

use std::fmt::Write;
use std::num::NonZeroU32;
use std::sync::Arc;

use diesel::connection::{
    AnsiTransactionManager, DefaultLoadingMode, LoadConnection, SimpleConnection,
    TransactionManager,
};
use diesel::expression::QueryMetadata;
use diesel::pg::{Pg, PgConnection, PgValue};
use diesel::query_builder::{Query, QueryFragment, QueryId};
use diesel::result::{DatabaseErrorKind, Error, QueryResult};
use diesel::row::{Field, PartialRow, Row, RowIndex, RowSealed};

use super::super::catalog::Catalog;
use super::super::statement::Dialect;
use super::{Moment, escape, hex, sealed::Sealed};

#[allow(private_interfaces, reason = "sealed")]
impl Sealed for PgConnection {
    type OwnedRow = OwnedPgRow;

    const DIALECT: Dialect = Dialect::Postgres;
    const CLOSES_ON_FAILED_COMMIT: bool = true;
    const KEEPS_BEFORE_ERROR: bool = false;

    fn load_owned<T>(&mut self, query: T) -> QueryResult<Vec<Self::OwnedRow>>
    where
        T: Query + QueryFragment<Pg> + QueryId,
        Pg: QueryMetadata<T::SqlType>,
    {
        let mut names = None;
        LoadConnection::<DefaultLoadingMode>::load(self, query)?
            .map(|row| row.map(|row| OwnedPgRow::new(&row, &mut names)))
            .collect()
    }

    fn write_part(value: PgValue<'_>, key: &mut String) {
        write_part(value.as_bytes(), value.get_oid().get(), key);
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

    fn commit(&mut self, sql: &str) -> QueryResult<()> {
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
fn write_part(bytes: &[u8], oid: u32, key: &mut String) {
    if let (20 | 21 | 23, Some(number)) = (oid, integer(bytes)) {
        let _ = write!(key, "{number}");
        return;
    }
    key.push_str(&match (oid, bytes.len()) {
        (2950, 16) => uuid(bytes),
        (19 | 25 | 1042 | 1043, _) => {
            std::str::from_utf8(bytes).map_or_else(|_| hex(bytes), escape)
        }
        _ => hex(bytes),
    });
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

/// A row that has let go of its result.
#[derive(Debug)]
pub struct OwnedPgRow {
    names: Arc<[Option<String>]>,
    values: Vec<Option<(Vec<u8>, NonZeroU32)>>,
}

impl OwnedPgRow {
    fn new<'a>(row: &impl Row<'a, Pg>, names: &mut Option<Arc<[Option<String>]>>) -> Self {
        let fields = || (0..row.field_count()).filter_map(|index| row.get(index));
        let names = names.get_or_insert_with(|| {
            fields()
                .map(|field| field.field_name().map(str::to_owned))
                .collect()
        });
        let values = fields()
            .map(|field| {
                field
                    .value()
                    .map(|value| (value.as_bytes().to_vec(), value.get_oid()))
            })
            .collect();
        Self {
            names: Arc::clone(names),
            values,
        }
    }
}

/// A field of an [`OwnedPgRow`].
#[derive(Debug)]
pub struct OwnedPgField<'f> {
    row: &'f OwnedPgRow,
    index: usize,
}

impl<'f> Field<'f, Pg> for OwnedPgField<'f> {
    fn field_name(&self) -> Option<&str> {
        self.row.names.get(self.index)?.as_deref()
    }

    fn value(&self) -> Option<PgValue<'_>> {
        let (bytes, oid) = self.row.values.get(self.index)?.as_ref()?;
        Some(PgValue::new(bytes, oid))
    }
}

impl RowSealed for OwnedPgRow {}

impl RowIndex<usize> for OwnedPgRow {
    fn idx(&self, index: usize) -> Option<usize> {
        (index < self.values.len()).then_some(index)
    }
}

impl RowIndex<&str> for OwnedPgRow {
    fn idx(&self, name: &str) -> Option<usize> {
        self.names
            .iter()
            .position(|column| column.as_deref() == Some(name))
    }
}

impl<'a> Row<'a, Pg> for OwnedPgRow {
    type Field<'f>
        = OwnedPgField<'f>
    where
        'a: 'f,
        Self: 'f;
    type InnerPartialRow = Self;

    fn field_count(&self) -> usize {
        self.values.len()
    }

    fn get<'b, I>(&'b self, index: I) -> Option<Self::Field<'b>>
    where
        'a: 'b,
        Self: RowIndex<I>,
    {
        Some(OwnedPgField {
            row: self,
            index: self.idx(index)?,
        })
    }

    fn partial_row(&self, range: std::ops::Range<usize>) -> PartialRow<'_, Self> {
        PartialRow::new(self, range)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_text(bytes: &[u8], oid: u32) -> String {
        let mut key = String::new();
        write_part(bytes, oid, &mut key);
        key
    }

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
