//! SQLite, a file for each schema.

use std::path::PathBuf;

use diesel::connection::SimpleConnection;
use diesel::sql_types::{BigInt, Integer, Nullable};
use diesel::sqlite::Sqlite as Backend;
use diesel::{QueryResult, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};
use idempotent_runtime::TrackedConnection;
use tempfile::TempDir;

use super::{Database, Noted};
use crate::builder;
use crate::schema::{Kind, Schema};
use crate::statement::Body;
use crate::value::Value;

/// Files in a directory that goes with it.
#[derive(Debug)]
pub struct Sqlite {
    directory: TempDir,
    count: u32,
}

#[derive(QueryableByName)]
struct Got {
    #[diesel(sql_type = Nullable<Integer>)]
    #[allow(dead_code, reason = "it is read so that Diesel reads it")]
    got: Option<i32>,
}

impl Sqlite {
    fn file(&self) -> PathBuf {
        self.directory.path().join(format!("{}.db", self.count))
    }
}

impl Database for Sqlite {
    type Connection = SqliteConnection;

    const KIND: Kind = Kind::Sqlite;
    const NAME: &'static str = "sqlite";

    #[allow(clippy::expect_used, reason = "without it there is no test")]
    fn start() -> Self {
        // In memory where there is such a directory: a file system in between is nothing that is tested.
        let memory = PathBuf::from("/dev/shm");
        let directory = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        Self {
            directory: directory.expect("a temporary directory"),
            count: 0,
        }
    }

    fn fresh(&mut self) -> String {
        let _ = std::fs::remove_file(self.file());
        self.count += 1;
        self.file().display().to_string()
    }

    fn prepare(connection: &mut impl SimpleConnection) -> QueryResult<()> {
        // REPLACE tells the triggers of the rows that it deletes only if they may set each other off.
        connection.batch_execute(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA foreign_keys = ON; PRAGMA recursive_triggers = ON",
        )
    }

    fn noted(bare: &mut SqliteConnection, sql: &str) -> QueryResult<Vec<Noted>> {
        sql_query(sql).load(bare)
    }

    fn query(
        connection: &mut TrackedConnection<SqliteConnection>,
        sql: &str,
        binds: &[Value],
    ) -> QueryResult<usize> {
        let mut query = sql_query(sql).into_boxed::<Backend>();
        for bind in binds {
            if let Value::Int(number) = bind {
                query = query.bind::<BigInt, _>(*number);
            }
        }
        query.execute(connection)
    }

    fn load(
        connection: &mut TrackedConnection<SqliteConnection>,
        sql: &str,
        whole: bool,
    ) -> QueryResult<()> {
        let rows = sql_query(sql).load_iter::<Got, _>(connection)?;
        let most = if whole { usize::MAX } else { 1 };
        rows.take(most).try_for_each(|row| row.map(|_: Got| ()))
    }

    fn build(
        connection: &mut TrackedConnection<SqliteConnection>,
        body: &Body,
        schema: &Schema,
    ) -> Option<QueryResult<()>> {
        builder::sqlite::run(connection, body, schema)
    }
}
