//! PostgreSQL.
#![allow(clippy::duplicate_mod, reason = "the cases run on each database")]

use diesel::connection::SimpleConnection;
use diesel::pg::Pg as Backend;
use diesel::prelude::*;
use support::Postgres;

use super::{Case, Database, Version, established};
use crate::tables::schema;

#[path = "../cases.rs"]
mod cases;
#[path = "../returning.rs"]
mod returning;

type C = PgConnection;

impl Database for C {
    const NAME: &'static str = "PostgreSQL";

    type Home = Postgres;

    fn home() -> Postgres {
        Postgres::start()
    }

    fn fresh(home: &Postgres) -> Self {
        established(&home.database("bench"), &schema("SERIAL"))
    }

    fn version(&mut self) -> QueryResult<String> {
        diesel::sql_query("SELECT current_setting('server_version') AS version")
            .get_result(self)
            .map(|Version { version }| version)
    }

    fn cases() -> Vec<Case<Self>> {
        let mut cases = cases::cases(1.10);
        cases.extend(returning::cases());
        cases
    }

    fn tidy(&mut self) -> QueryResult<()> {
        self.batch_execute("VACUUM ANALYZE users")
    }
}
