//! The MySQL family. An INSERT as a claim would deadlock those who wait for it when it is rolled back, so the row is there, and
//! committed, before anyone locks it.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Binary, Bool, Nullable, Text};

use super::{Claim, Claimed, Done, Rows, alike};
use crate::once::table::Table;
use crate::track::backend::sealed::Sealed;

type Locked = (Option<Vec<u8>>, Option<Vec<u8>>, i64, bool);

#[allow(private_interfaces, reason = "sealed")]
impl Rows for MysqlConnection {
    alike!("CAST(UNIX_TIMESTAMP() AS SIGNED)");

    fn before(&mut self, table: &Table, claim: &Claim) -> QueryResult<()> {
        let name = table.quoted(Self::DIALECT);
        // An insert would wait for the one that holds the row.
        let there = sql::<BigInt>(&format!("SELECT COUNT(*) FROM {name} WHERE id = "))
            .bind::<Text, _>(&claim.id)
            .get_result::<i64>(self)?;
        if there > 0 {
            return Ok(());
        }
        within(self, claim.wait, |conn| {
            sql::<BigInt>(&format!(
                "INSERT IGNORE INTO {name} (id, execution, expires) VALUES ("
            ))
            .bind::<Text, _>(&claim.id)
            .sql(", '', CAST(UNIX_TIMESTAMP() AS SIGNED) + ")
            .bind::<BigInt, _>(claim.life)
            .sql(")")
            .execute(conn)
            .map(drop)
        })
    }

    fn claim(&mut self, table: &Table, claim: &Claim) -> QueryResult<Claimed> {
        let name = table.quoted(Self::DIALECT);
        let row = within(self, claim.wait, |conn| {
            sql::<(Nullable<Binary>, Nullable<Binary>, BigInt, Bool)>(&format!(
                "SELECT fingerprint, reply, expires - CAST(UNIX_TIMESTAMP() AS SIGNED), \
                 expires > UNIX_TIMESTAMP() FROM {name} WHERE id = "
            ))
            .bind::<Text, _>(&claim.id)
            .sql(" FOR UPDATE")
            .get_result::<Locked>(conn)
            .optional()
        })?;
        match row {
            None => Ok(Claimed::Gone),
            Some((fingerprint, Some(reply), left, true)) => Ok(Claimed::Done(Done {
                fingerprint,
                reply,
                left,
            })),
            Some(_) => take(self, &name, claim),
        }
    }

    fn sweep(&mut self, table: &Table, most: i64) -> QueryResult<usize> {
        let name = table.quoted(Self::DIALECT);
        let expired = sql::<Text>(&format!(
            "SELECT id FROM {name} WHERE expires <= UNIX_TIMESTAMP() LIMIT "
        ))
        .bind::<BigInt, _>(most)
        .load::<String>(self)?;
        // One by one, by the primary key: a lock on the other index, then on this one, would be a claim's the other way round.
        let mut swept = 0;
        for id in expired {
            swept += sql::<BigInt>(&format!("DELETE FROM {name} WHERE id = "))
                .bind::<Text, _>(&id)
                .sql(" AND expires <= UNIX_TIMESTAMP()")
                .execute(self)?;
        }
        Ok(swept)
    }
}

/// The row is locked and free.
fn take(conn: &mut MysqlConnection, name: &str, claim: &Claim) -> QueryResult<Claimed> {
    let taken = sql::<BigInt>(&format!("UPDATE {name} SET reply = NULL, execution = "))
        .bind::<Text, _>(&claim.execution)
        .sql(" WHERE id = ")
        .bind::<Text, _>(&claim.id)
        .execute(conn)?;
    match taken {
        0 => Ok(Claimed::Gone),
        _ => Ok(Claimed::Ours),
    }
}

/// Waits for locks no longer than that; in full seconds, and at least one, as MySQL wants it.
fn within<R>(
    conn: &mut MysqlConnection,
    wait: Duration,
    run: impl FnOnce(&mut MysqlConnection) -> QueryResult<R>,
) -> QueryResult<R> {
    let before = sql::<BigInt>("SELECT CAST(@@SESSION.innodb_lock_wait_timeout AS SIGNED)")
        .get_result::<i64>(conn)?;
    let seconds = wait.as_millis().div_ceil(1_000).clamp(1, 1 << 30);
    patience(conn, seconds)?;
    let result = run(conn);
    patience(conn, before)?;
    result
}

fn patience(conn: &mut MysqlConnection, seconds: impl std::fmt::Display) -> QueryResult<()> {
    conn.batch_execute(&format!("SET SESSION innodb_lock_wait_timeout = {seconds}"))
}
