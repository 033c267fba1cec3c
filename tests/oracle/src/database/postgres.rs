//! PostgreSQL, one database whose schemas are dropped and made anew.

use std::io::Write;

use diesel::connection::SimpleConnection;
use diesel::pg::Pg;
use diesel::prelude::ExecuteCopyFromDsl;
use diesel::result::Error;
use diesel::sql_types::{BigInt, Integer, Nullable};
use diesel::{PgConnection, QueryResult, QueryableByName, RunQueryDsl, copy_from, sql_query};
use idempotent_runtime::TrackedConnection;

use super::{Database, Noted};
use crate::builder;
use crate::models::{t_big, t_int};
use crate::schema::{Kind, Schema};
use crate::statement::{Body, Insert, Relation, Rows};
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
        match body {
            Body::Copy(insert) => copy(connection, insert, schema),
            body => builder::postgres::run(connection, body, schema),
        }
    }
}

/// COPY … FROM STDIN, for which there is no SQL to send.
fn copy(
    connection: &mut TrackedConnection<PgConnection>,
    insert: &Insert,
    schema: &Schema,
) -> Option<QueryResult<()>> {
    let Relation::Table(table) = insert.target.relation else {
        return None;
    };
    let lines = lines(insert)?;
    let done = match schema.model(table).name {
        "t_int" => copy_from(t_int::table)
            .from_raw_data((t_int::id, t_int::n), |out| put(out, &lines))
            .execute(connection),
        "t_big" => copy_from(t_big::table)
            .from_raw_data((t_big::id, t_big::n), |out| put(out, &lines))
            .execute(connection),
        _ => return None,
    };
    Some(done.map(|_| ()))
}

fn put(out: &mut dyn Write, lines: &str) -> QueryResult<()> {
    let written = out.write_all(lines.as_bytes());
    written.map_err(|error| Error::SerializationError(Box::new(error)))
}

/// The numbers in `id` and `n` of each row.
fn lines(insert: &Insert) -> Option<String> {
    let Rows::Values(rows) = &insert.rows else {
        return None;
    };
    let place = |name| insert.columns.iter().position(|column| *column == name);
    let (id, n) = (place("id")?, place("n")?);
    let number = |value| match value {
        Value::Int(number) => number.to_string(),
        _ => "\\N".to_owned(),
    };
    let line = |row: &Vec<Value>| format!("{}\t{}\n", number(row[id]), number(row[n]));
    Some(rows.iter().map(line).collect())
}
