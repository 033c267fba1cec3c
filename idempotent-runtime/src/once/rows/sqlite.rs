//! SQLite. The claim is the transaction's first statement and so takes the one write lock before anything was read, so
//! that no other's commit can make a later write fail.

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};

use super::{Claim, Claimed, Done, Rows, alike, upsert};
use crate::once::table::Table;
use crate::track::backend::sealed::Sealed;

#[allow(private_interfaces, reason = "sealed")]
impl Rows for SqliteConnection {
    alike!("CAST(strftime('%s', 'now') AS INTEGER)");

    fn claim(&mut self, table: &Table, claim: &Claim) -> QueryResult<Claimed> {
        let before = sql::<BigInt>("PRAGMA busy_timeout").get_result::<i64>(self)?;
        // Whoever holds the lock may have nothing to do with this id, so it gets no less time than usual.
        let millis = i64::try_from(claim.wait.as_millis()).unwrap_or(i64::MAX);
        patience(self, millis.max(before).min(i32::MAX.into()))?;
        let claimed = upsert(self, table, claim);
        patience(self, before)?;
        claimed
    }

    fn sweep(&mut self, table: &Table, most: i64) -> QueryResult<usize> {
        let table = table.quoted(Self::DIALECT);
        sql::<BigInt>(&format!(
            "DELETE FROM {table} WHERE id IN (SELECT id FROM {table} \
             WHERE expires <= CAST(strftime('%s', 'now') AS INTEGER) LIMIT "
        ))
        .bind::<BigInt, _>(most)
        .sql(")")
        .execute(self)
    }
}

upsert!(SqliteConnection, "CAST(strftime('%s', 'now') AS INTEGER)");

fn patience(conn: &mut SqliteConnection, millis: i64) -> QueryResult<()> {
    conn.batch_execute(&format!("PRAGMA busy_timeout = {millis}"))
}
