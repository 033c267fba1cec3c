//! MariaDB.
#![allow(clippy::duplicate_mod, reason = "the cases run on each database")]

use diesel::mysql::Mysql as Backend;
use diesel::prelude::*;
use support::MariaDb;

use super::{Case, Database, Version, established};
use crate::tables::schema;

#[path = "../cases.rs"]
mod cases;

type C = MysqlConnection;

impl Database for C {
    const NAME: &'static str = "MariaDB";

    type Home = MariaDb;

    fn home() -> MariaDb {
        MariaDb::start()
    }

    fn fresh(home: &MariaDb) -> Self {
        established(
            &home.database("bench"),
            &schema("INTEGER NOT NULL AUTO_INCREMENT"),
        )
    }

    fn version(&mut self) -> QueryResult<String> {
        diesel::sql_query("SELECT VERSION() AS version")
            .get_result(self)
            .map(|Version { version }| version)
    }

    fn cases() -> Vec<Case<Self>> {
        // Its keys are asked for by a statement of ours.
        cases::cases(1.60)
    }

    fn tidy(&mut self) -> QueryResult<()> {
        Ok(())
    }
}
