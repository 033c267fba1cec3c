//! PostgreSQL, one database whose schemas are dropped and made anew.

use diesel::connection::SimpleConnection;
use diesel::pg::Pg;
use diesel::sql_types::{BigInt, Integer, Nullable};
use diesel::{PgConnection, QueryResult, QueryableByName, RunQueryDsl, sql_query};
use idempotent_runtime::TrackedConnection;

use super::{Database, Noted};
use crate::builder;
use crate::schema::{Kind, Schema};
use crate::statement::Body;
use crate::value::Value;

/// A server of this process.
#[derive(Debug)]
pub struct Postgres {
    url: String,
}

#[derive(QueryableByName)]
struct Got {
    #[diesel(sql_type = Nullable<Integer>)]
    #[allow(dead_code, reason = "it is read so that Diesel reads it")]
    got: Option<i32>,
}

impl Database for Postgres {
    type Connection = PgConnection;

    const KIND: Kind = Kind::Postgres;
    const NAME: &'static str = "postgres";

    fn start() -> Self {
        Self {
            url: support::postgres().database("oracle"),
        }
    }

    fn fresh(&mut self) -> String {
        self.url.clone()
    }

    fn prepare(connection: &mut impl SimpleConnection) -> QueryResult<()> {
        connection.batch_execute(
            "SET client_min_messages = error; SET synchronous_commit = off; SET search_path = public, app; SET statement_timeout = '5s'",
        )
    }

    fn noted(bare: &mut PgConnection, sql: &str) -> QueryResult<Vec<Noted>> {
        sql_query(sql).load(bare)
    }

    fn query(
        connection: &mut TrackedConnection<PgConnection>,
        sql: &str,
        binds: &[Value],
    ) -> QueryResult<usize> {
        let mut query = sql_query(sql).into_boxed::<Pg>();
        for bind in binds {
            if let Value::Int(number) = bind {
                query = query.bind::<BigInt, _>(*number);
            }
        }
        query.execute(connection)
    }

    fn load(
        connection: &mut TrackedConnection<PgConnection>,
        sql: &str,
        whole: bool,
    ) -> QueryResult<()> {
        let rows =
            sql_query(sql).load_iter::<Got, diesel::pg::PgRowByRowLoadingMode>(connection)?;
        let most = if whole { usize::MAX } else { 1 };
        rows.take(most).try_for_each(|row| row.map(|_: Got| ()))
    }

    fn build(
        connection: &mut TrackedConnection<PgConnection>,
        body: &Body,
        schema: &Schema,
    ) -> Option<QueryResult<()>> {
        builder::postgres::run(connection, body, schema)
    }
}
