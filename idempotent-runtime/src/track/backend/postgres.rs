//! PostgreSQL.
//!
//! It answers `COMMIT` in a failed transaction with a rollback and no error. `SELECT 1; COMMIT` in one batch fails
//! there, at the same number of round trips.

use std::fmt::Write;
use std::num::NonZeroU32;

use diesel::connection::{
    AnsiTransactionManager, DefaultLoadingMode, LoadConnection, SimpleConnection,
    TransactionManager,
};
use diesel::expression::QueryMetadata;
use diesel::pg::{Pg, PgConnection, PgValue};
use diesel::query_builder::bind_collector::RawBytesBindCollector;
use diesel::query_builder::{Query, QueryFragment, QueryId};
use diesel::result::{DatabaseErrorKind, Error, QueryResult};

use super::super::catalog::Catalog;
use super::super::catalog::Kind;
use super::super::statement::Dialect;
use super::super::statement::plan::Given;
use super::super::statement::reading::Read;
use super::owned::{OwnedRow, Typed};
use super::{Moment, ask_with_all_binds, each_given, escape, hex, sealed::Sealed};

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

    fn ask<T>(&mut self, statement: &T, read: &Read, see: impl FnMut(&str)) -> QueryResult<usize>
    where
        T: QueryFragment<Pg> + QueryId,
    {
        // A bind that is not used does no harm, since its type is given.
        ask_with_all_binds(self, statement, read, see)
    }

    fn given<T>(&mut self, statement: &T, given: &Given, see: impl FnMut(&str)) -> bool
    where
        T: QueryFragment<Pg> + QueryId,
    {
        let mut binds = RawBytesBindCollector::<Pg>::new();
        if statement.collect_binds(&mut binds, self, &Pg).is_err() {
            return false;
        }
        let write = |at: usize, kind, key: &mut String| {
            let oid = binds.metadata.get(at)?.oid().ok()?;
            let bytes = binds.binds.get(at)?.as_deref()?;
            let fits = matches!(
                (kind, oid),
                (Kind::Integer, 20 | 21 | 23) | (Kind::Text, 25 | 1043) | (Kind::Uuid, 2950)
            );
            fits.then(|| write_part(bytes, oid, key))
        };
        each_given(given, write, see).is_some()
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

/// The binary representation, which no session setting changes, but for what has several for equal values; readable for
/// the usual types of keys. (What the catalog does not call plain comes as a hash.)
fn write_part(bytes: &[u8], oid: u32, key: &mut String) {
    if let (20 | 21 | 23, Some(number)) = (oid, integer(bytes)) {
        let _ = write!(key, "{number}");
        return;
    }
    let text = || std::str::from_utf8(bytes).ok();
    let part = match (oid, bytes.len()) {
        (16, 1) => Some((bytes[0] != 0).to_string()),
        (2950, 16) => Some(uuid(bytes)),
        (19 | 25 | 1043, _) => text().map(escape),
        // The spaces at the end of a `char(n)` do not count.
        (1042, _) => text().map(|text| escape(text.trim_end_matches(' '))),
        // Zero has two signs, and what is no number has many forms.
        (700, 4) => bytes
            .try_into()
            .ok()
            .map(f32::from_be_bytes)
            .map(|number| float(number.into())),
        (701, 8) => bytes.try_into().ok().map(f64::from_be_bytes).map(float),
        (1186, 16) => interval(bytes),
        (1700, _) => numeric(bytes),
        _ => None,
    };
    key.push_str(&part.unwrap_or_else(|| hex(bytes)));
}

fn float(number: f64) -> String {
    match number {
        0.0 => hex(&0.0_f64.to_be_bytes()),
        number if number.is_nan() => "nan".to_owned(),
        number => hex(&number.to_be_bytes()),
    }
}

/// Two intervals are equal if they are as long, a month having 30 days and a day 24 hours.
fn interval(bytes: &[u8]) -> Option<String> {
    let (micros, rest) = bytes.split_first_chunk()?;
    let (days, months) = rest.split_first_chunk()?;
    let days = i128::from(i32::from_be_bytes(*days))
        + 30 * i128::from(i32::from_be_bytes(months.try_into().ok()?));
    let length = i128::from(i64::from_be_bytes(*micros)) + days * 86_400_000_000;
    Some(format!("{length}us"))
}

/// In decimal, without zeros at the ends: the scale does not count.
fn numeric(bytes: &[u8]) -> Option<String> {
    let mut words = bytes
        .chunks_exact(2)
        .map(|word| i16::from_be_bytes([word[0], word[1]]));
    let (count, weight, sign) = (words.next()?, words.next()?, words.next()?);
    words.next()?;
    match sign.cast_unsigned() {
        0x0000 | 0x4000 => {}
        special => return Some(format!("numeric-{special:x}")),
    }
    let digits: Vec<_> = words.take(count.try_into().ok()?).collect();
    let group = |place: i32| {
        let at = usize::try_from(i32::from(weight) - place).ok();
        at.and_then(|at| digits.get(at)).copied().unwrap_or(0)
    };
    let mut whole = String::new();
    for place in (0..=i32::from(weight).max(0)).rev() {
        let _ = write!(whole, "{:04}", group(place));
    }
    let mut part = String::new();
    let last = i32::from(weight) - i32::from(count) + 1;
    for place in (last..0).rev() {
        let _ = write!(part, "{:04}", group(place));
    }
    let whole = whole.trim_start_matches('0');
    let part = part.trim_end_matches('0');
    let minus = if sign == 0x4000 && !digits.is_empty() {
        "-"
    } else {
        ""
    };
    let point = if part.is_empty() { "" } else { "." };
    let whole = if whole.is_empty() { "0" } else { whole };
    Some(format!("{minus}{whole}{point}{part}"))
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
        assert_eq!(key_text(&[1], 16), "true");
    }

    #[test]
    fn equal_keys_read_alike_whatever_their_bytes_are() {
        let numeric = |weight: i16, sign: u16, scale: i16, digits: &[i16]| {
            let count = i16::try_from(digits.len()).unwrap_or_default();
            let words = [count, weight, sign.cast_signed(), scale];
            let words = words
                .iter()
                .chain(digits)
                .flat_map(|word| word.to_be_bytes());
            key_text(&words.collect::<Vec<_>>(), 1700)
        };
        assert_eq!(numeric(0, 0, 1, &[1, 5000]), "1.5");
        assert_eq!(numeric(0, 0, 4, &[1, 5000]), "1.5");
        assert_eq!(numeric(-1, 0x4000, 3, &[10]), "-0.001");
        assert_eq!(numeric(1, 0, 0, &[1]), "10000");
        assert_eq!(numeric(0, 0, 2, &[]), "0");
        assert_eq!(numeric(0, 0xc000, 0, &[]), "numeric-c000");
        assert_eq!(key_text(b"a  ", 1042), key_text(b"a", 1042));
        assert_eq!(
            key_text(&0.0_f64.to_be_bytes(), 701),
            key_text(&(-0.0_f64).to_be_bytes(), 701)
        );
        let interval = |micros: i64, days: i32, months: i32| {
            let bytes = [
                &micros.to_be_bytes()[..],
                &days.to_be_bytes(),
                &months.to_be_bytes(),
            ];
            key_text(&bytes.concat(), 1186)
        };
        assert_eq!(interval(0, 30, 0), interval(0, 0, 1));
        assert_ne!(interval(0, 31, 0), interval(0, 0, 1));
    }
}
