//! SQLite: a file, in WAL mode.

use actix_web::web::ServiceConfig;
use actix_web::{HttpRequest, post, web};
use diesel::{QueryResult, RunQueryDsl, SqliteConnection, sql_query};
use idempotent_runtime::{Db, Reply, TrackedConnection, idempotent};
use tempfile::TempDir;

use super::{Count, Effect, Kind, Number, alike};
use crate::bank::{self, Order};

/// Files in a directory that goes with them.
#[derive(Debug)]
pub struct Files {
    directory: TempDir,
    count: u32,
}

impl Kind for SqliteConnection {
    const NAME: &'static str = "sqlite";
    const HAS_SERVER: bool = false;
    const SCHEMA: &'static str =
        "CREATE TRIGGER trap BEFORE UPDATE ON traps BEGIN SELECT RAISE(ROLLBACK, 'trapped'); END;";

    type Server = Files;

    #[allow(clippy::expect_used, reason = "without it there is no proof")]
    fn start() -> Files {
        Files {
            directory: tempfile::tempdir().expect("a temporary directory"),
            count: 0,
        }
    }

    fn killed_and_restarted(server: Files) -> Files {
        server
    }

    fn database(server: &mut Files) -> String {
        server.count += 1;
        let file = server.directory.path().join(format!("{}.db", server.count));
        file.display().to_string()
    }

    fn lose(conn: &mut TrackedConnection<Self>, _: &str) {
        let _ = Self::change(conn, "UPDATE traps SET n = 1");
    }

    alike!(SqliteConnection);
}
