//! MariaDB, one database that is dropped and made anew.

use diesel::connection::SimpleConnection;
use diesel::mysql::Mysql;
use diesel::sql_types::{BigInt, Integer, Nullable};
use diesel::{MysqlConnection, QueryResult, QueryableByName, RunQueryDsl, sql_query};
use idempotent_runtime::TrackedConnection;
use support::MariaDb;

use super::{Database, Noted};
use crate::builder;
use crate::dialect::mariadb::DATABASE;
use crate::schema::{Kind, Schema};
use crate::statement::Body;
use crate::value::Value;

/// A server of this process.
#[derive(Debug)]
pub struct Mariadb {
    server: MariaDb,
}

/// Nobody needs what it writes to outlast it, and tables are made all the time.
const ARGUMENTS: [&str; 3] = [
    "--innodb-flush-method=nosync",
    "--innodb-doublewrite=OFF",
    "--innodb-file-per-table=OFF",
];

#[derive(QueryableByName)]
struct Got {
    #[diesel(sql_type = Nullable<Integer>)]
    #[allow(dead_code, reason = "it is read so that Diesel reads it")]
    got: Option<i32>,
}

impl Database for Mariadb {
    type Connection = MysqlConnection;

    const KIND: Kind = Kind::Mariadb;
    const NAME: &'static str = "mariadb";

    fn start() -> Self {
        let server = MariaDb::start_with(&ARGUMENTS);
        server.execute(&format!("CREATE DATABASE {DATABASE}"));
        Self { server }
    }

    fn fresh(&mut self) -> String {
        format!("mysql://root@127.0.0.1:{}/{DATABASE}", self.server.port())
    }

    fn prepare(connection: &mut impl SimpleConnection) -> QueryResult<()> {
        connection.batch_execute("SET SESSION max_statement_time = 5, innodb_lock_wait_timeout = 2")
    }

    fn noted(bare: &mut MysqlConnection, sql: &str) -> QueryResult<Vec<Noted>> {
        sql_query(sql).load(bare)
    }

    fn query(
        connection: &mut TrackedConnection<MysqlConnection>,
        sql: &str,
        binds: &[Value],
    ) -> QueryResult<usize> {
        let mut query = sql_query(sql).into_boxed::<Mysql>();
        for bind in binds {
            if let Value::Int(number) = bind {
                query = query.bind::<BigInt, _>(*number);
            }
        }
        query.execute(connection)
    }

    fn load(
        connection: &mut TrackedConnection<MysqlConnection>,
        sql: &str,
        whole: bool,
    ) -> QueryResult<()> {
        let rows = sql_query(sql).load_iter::<Got, _>(connection)?;
        let most = if whole { usize::MAX } else { 1 };
        rows.take(most).try_for_each(|row| row.map(|_: Got| ()))
    }

    fn build(
        connection: &mut TrackedConnection<MysqlConnection>,
        body: &Body,
        schema: &Schema,
    ) -> Option<QueryResult<()>> {
        builder::mariadb::run(connection, body, schema)
    }
}
