//! PostgreSQL.

use actix_web::web::ServiceConfig;
use actix_web::{HttpRequest, post, web};
use diesel::{PgConnection, QueryResult, RunQueryDsl, sql_query};
use idempotent_runtime::{Db, Reply, TrackedConnection, idempotent};
use support::Postgres;

use super::{Count, Effect, Kind, Number, alike};
use crate::bank::{self, Order};

impl Kind for PgConnection {
    const NAME: &'static str = "postgres";
    const HAS_SERVER: bool = true;
    const SCHEMA: &'static str = "";

    type Server = Postgres;

    fn start() -> Postgres {
        Postgres::start()
    }

    fn killed_and_restarted(server: Postgres) -> Postgres {
        server.killed_and_restarted()
    }

    fn database(server: &mut Postgres) -> String {
        server.database("crash")
    }

    /// Any error does it.
    fn lose(conn: &mut TrackedConnection<Self>, _: &str) {
        let _ = Self::change(conn, "INSERT INTO traps VALUES (1, 0)");
    }

    alike!(PgConnection);
}
