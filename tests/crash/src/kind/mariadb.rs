//! MariaDB.

use std::sync::mpsc::channel;

use actix_web::web::ServiceConfig;
use actix_web::{HttpRequest, post, web};
use diesel::connection::SimpleConnection;
use diesel::{Connection, MysqlConnection, QueryResult, RunQueryDsl, sql_query};
use idempotent_runtime::{Db, Reply, TrackedConnection, idempotent};
use support::MariaDb;

use super::{Count, Effect, Kind, Number, alike};
use crate::bank::{self, Order};

impl Kind for MysqlConnection {
    const NAME: &'static str = "mariadb";
    const HAS_SERVER: bool = true;
    const SCHEMA: &'static str =
        "CREATE TABLE meetings (id VARCHAR(64) PRIMARY KEY, n INTEGER NOT NULL);";

    type Server = MariaDb;

    /// What is committed outlives the process, though not the machine.
    fn start() -> MariaDb {
        MariaDb::start_with(&["--innodb-flush-log-at-trx-commit=2"])
    }

    fn killed_and_restarted(server: MariaDb) -> MariaDb {
        server.killed_and_restarted()
    }

    fn database(server: &mut MariaDb) -> String {
        server.database("crash")
    }

    /// Comes to a deadlock with another transaction, which has changed more rows and so goes on.
    fn lose(conn: &mut TrackedConnection<Self>, url: &str) {
        let meeting = format!("{:016x}", fastrand::u64(..));
        let ours = format!("INSERT INTO meetings VALUES ('{meeting}', 0)");
        if Self::change(conn, &ours).is_err() {
            return;
        }
        let (holds, held) = channel();
        let url = url.to_owned();
        let rival = std::thread::spawn(move || -> QueryResult<()> {
            let Ok(mut rival) = Self::establish(&url) else {
                return Ok(());
            };
            rival.batch_execute("SET SESSION innodb_lock_wait_timeout = 5; BEGIN")?;
            sql_query("UPDATE traps SET n = n + 1").execute(&mut rival)?;
            let _ = holds.send(());
            let theirs = format!("UPDATE meetings SET n = 1 WHERE id = '{meeting}'");
            sql_query(theirs).execute(&mut rival)?;
            rival.batch_execute("ROLLBACK")
        });
        // Without a rival there is nothing to lose against.
        if held.recv().is_ok() {
            let _ = Self::change(conn, "UPDATE traps SET n = n + 1 WHERE id = 1");
        }
        let _ = rival.join();
    }

    alike!(MysqlConnection);
}
