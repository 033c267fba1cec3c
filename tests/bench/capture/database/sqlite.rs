//! SQLite, in a file.
#![allow(clippy::duplicate_mod, reason = "the cases run on each database")]

use std::sync::atomic::{AtomicUsize, Ordering};

use diesel::prelude::*;
use diesel::sqlite::Sqlite as Backend;
use tempfile::TempDir;

use super::{Case, Database, Version, established};
use crate::tables::schema;

#[path = "../cases.rs"]
mod cases;
#[path = "../returning.rs"]
mod returning;

type C = SqliteConnection;

impl Database for C {
    const NAME: &'static str = "SQLite";

    type Home = TempDir;

    fn home() -> TempDir {
        tempfile::tempdir().expect("a temporary directory")
    }

    fn fresh(home: &TempDir) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let name = format!("{}.db", NUMBER.fetch_add(1, Ordering::Relaxed));
        // Nothing waits for the disk, as on the servers: it would hide what is measured.
        let settings = "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;";
        established(
            &home.path().join(name).display().to_string(),
            &format!("{settings} {}", schema("INTEGER")),
        )
    }

    fn version(&mut self) -> QueryResult<String> {
        diesel::sql_query("SELECT sqlite_version() AS version")
            .get_result(self)
            .map(|Version { version }| version)
    }

    fn cases() -> Vec<Case<Self>> {
        let mut cases = cases::cases(1.10);
        cases.extend(returning::cases());
        cases
    }

    fn tidy(&mut self) -> QueryResult<()> {
        Ok(())
    }
}
