//! PostgreSQL. A rival is waited for no longer than `lock_timeout`, which is the closure's own again afterwards.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::result::QueryResult;
use diesel::sql_types::{BigInt, Binary, Nullable, Text};

use super::{Claim, Claimed, Done, Rows, alike, upsert};
use crate::once::table::Table;
use crate::track::backend::sealed::Sealed;

#[allow(private_interfaces, reason = "sealed")]
impl Rows for PgConnection {
    alike!("CAST(floor(extract(epoch FROM clock_timestamp())) AS BIGINT)");

    fn claim(&mut self, table: &Table, claim: &Claim) -> QueryResult<Claimed> {
        // Zero would be for ever.
        let millis = claim.wait.as_millis().clamp(1, i32::MAX as u128);
        let before =
            sql::<Text>("SELECT current_setting('lock_timeout')").get_result::<String>(self)?;
        set(self, &millis.to_string())?;
        let claimed = upsert(self, table, claim)?;
        set(self, &before)?;
        Ok(claimed)
    }

    fn sweep(&mut self, table: &Table, most: i64) -> QueryResult<usize> {
        let table = table.quoted(Self::DIALECT);
        // Rows that someone is claiming, or sweeping, are theirs.
        sql::<BigInt>(&format!(
            "DELETE FROM {table} WHERE id IN (SELECT id FROM {table} \
             WHERE expires <= CAST(floor(extract(epoch FROM clock_timestamp())) AS BIGINT) LIMIT "
        ))
        .bind::<BigInt, _>(most)
        .sql(" FOR UPDATE SKIP LOCKED)")
        .execute(self)
    }
}

upsert!(
    PgConnection,
    "CAST(floor(extract(epoch FROM clock_timestamp())) AS BIGINT)"
);

/// For the rest of the transaction; what a rollback undoes.
fn set(conn: &mut PgConnection, timeout: &str) -> QueryResult<()> {
    sql::<Text>("SELECT set_config('lock_timeout', ")
        .bind::<Text, _>(timeout)
        .sql(", true)")
        .execute(conn)
        .map(drop)
}
