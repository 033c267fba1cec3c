//! The records as rows: what is asked of each database.
//!
//! Everything goes to the connection inside, for nobody tracks the table of the records.

use std::time::Duration;

use diesel::connection::Connection;
use diesel::result::QueryResult;

use super::migrate::Making;
use super::table::Table;

#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

/// Whose the row shall be, and for how long.
#[derive(Clone, Debug)]
pub struct Claim {
    pub(super) id: String,
    pub(super) execution: String,
    pub(super) fingerprint: Option<Vec<u8>>,
    /// In seconds.
    pub(super) life: i64,
    /// How long a rival is waited for.
    pub(super) wait: Duration,
}

/// A row that says "done".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    pub(super) fingerprint: Option<Vec<u8>>,
    pub(super) reply: Vec<u8>,
    /// For how many seconds more.
    pub(super) left: i64,
}

/// What a claim has found.
#[derive(Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The row is this execution's until its transaction ends.
    Ours,
    /// It was done.
    Done(Done),
    /// There is no row, where there should have been one: it was swept. Begin anew.
    Gone,
}

/// What the databases have to do with the records, each in its own way.
#[allow(private_interfaces, reason = "sealed: nobody outside can name these")]
pub trait Rows: Connection {
    /// Makes the table.
    #[doc(hidden)]
    fn migrate(&mut self, making: Making) -> diesel::migration::Result<()>;

    /// What must be committed before the transaction begins.
    #[doc(hidden)]
    fn before(&mut self, _table: &Table, _claim: &Claim) -> QueryResult<()> {
        Ok(())
    }

    /// Takes the row for the open transaction, whose first statement it is.
    #[doc(hidden)]
    fn claim(&mut self, table: &Table, claim: &Claim) -> QueryResult<Claimed>;

    /// Writes the reply into the row that was claimed; how many rows that were.
    #[doc(hidden)]
    fn record(&mut self, table: &Table, claim: &Claim, reply: &[u8]) -> QueryResult<usize>;

    /// The row, if it says "done".
    #[doc(hidden)]
    fn find(&mut self, table: &Table, id: &str) -> QueryResult<Option<Done>>;

    /// Removes expired rows, so many at most; how many there were.
    #[doc(hidden)]
    fn sweep(&mut self, table: &Table, most: i64) -> QueryResult<usize>;
}

/// Defines what all databases do alike, once `$now` is its clock in seconds.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
macro_rules! alike {
    ($now:literal) => {
        fn migrate(
            &mut self,
            making: $crate::once::migrate::Making,
        ) -> diesel::migration::Result<()> {
            diesel_migrations::MigrationHarness::run_pending_migrations(self, making).map(drop)
        }

        fn find(&mut self, table: &Table, id: &str) -> QueryResult<Option<Done>> {
            let table = table.quoted(<Self as Sealed>::DIALECT);
            let select = concat!("SELECT fingerprint, reply, expires - ", $now, " FROM ");
            let free = concat!(" AND reply IS NOT NULL AND expires > ", $now);
            let row =
                sql::<(Nullable<Binary>, Binary, BigInt)>(&format!("{select}{table} WHERE id = "))
                    .bind::<Text, _>(id)
                    .sql(free)
                    .get_result::<(Option<Vec<u8>>, Vec<u8>, i64)>(self)
                    .optional()?;
            Ok(row.map(|(fingerprint, reply, left)| Done {
                fingerprint,
                reply,
                left,
            }))
        }

        fn record(&mut self, table: &Table, claim: &Claim, reply: &[u8]) -> QueryResult<usize> {
            let table = table.quoted(<Self as Sealed>::DIALECT);
            sql::<BigInt>(&format!("UPDATE {table} SET reply = "))
                .bind::<Binary, _>(reply)
                .sql(", fingerprint = ")
                .bind::<Nullable<Binary>, _>(claim.fingerprint.as_deref())
                .sql(concat!(", expires = ", $now, " + "))
                .bind::<BigInt, _>(claim.life)
                .sql(" WHERE id = ")
                .bind::<Text, _>(&claim.id)
                .sql(" AND execution = ")
                .bind::<Text, _>(&claim.execution)
                .sql(" AND reply IS NULL")
                .execute(self)
        }
    };
}

/// The claim where a conflict can be a condition: it waits for a rival and then sees what that has left.
#[cfg(any(feature = "sqlite", feature = "postgres"))]
macro_rules! upsert {
    ($conn:ty, $now:literal) => {
        fn upsert(conn: &mut $conn, table: &Table, claim: &Claim) -> QueryResult<Claimed> {
        let name = table.quoted(<$conn as Sealed>::DIALECT);
        let taken = sql::<Text>(&format!(
            "INSERT INTO {name} AS record (id, execution, fingerprint, expires) VALUES ("
        ))
        .bind::<Text, _>(&claim.id)
        .sql(", ")
        .bind::<Text, _>(&claim.execution)
        .sql(", ")
        .bind::<Nullable<Binary>, _>(claim.fingerprint.as_deref())
        .sql(concat!(", ", $now, " + "))
        .bind::<BigInt, _>(claim.life)
        .sql(concat!(
            ") ON CONFLICT (id) DO UPDATE SET execution = excluded.execution, fingerprint = excluded.fingerprint, ",
            "expires = excluded.expires, reply = NULL ",
            "WHERE record.expires <= ", $now, " OR record.reply IS NULL RETURNING id"
        ))
        .load::<String>(conn)?;
        match taken.is_empty() {
            false => Ok(Claimed::Ours),
            true => {
                let done = Rows::find(conn, table, &claim.id)?;
                // It expired between the two.
                Ok(done.map_or(Claimed::Gone, Claimed::Done))
            }
        }
        }
    };
}

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
use alike;
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use upsert;
