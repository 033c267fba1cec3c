//! A short run of the oracle, and whether it would notice.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

mod bites;

use oracle::database::{Database, Mariadb, Postgres, Sqlite};
use oracle::hunt::{Hunt, hunt};

/// Enough for each kind of statement to come a few times.
const STATEMENTS: usize = 300;

#[track_caller]
fn misses_nothing<D: Database>() {
    let asked = Hunt {
        statements: STATEMENTS,
        ..Hunt::default()
    };
    let found = hunt(&mut D::start(), asked).unwrap();
    if let Some(failure) = found.cases.first() {
        panic!("{}", failure.show(D::NAME));
    }
    assert!(
        found.totals.changing > STATEMENTS / 10,
        "{:?}",
        found.totals
    );
}

#[test]
fn every_changed_row_is_reported_on_sqlite() {
    misses_nothing::<Sqlite>();
}

#[test]
fn every_changed_row_is_reported_on_postgres() {
    misses_nothing::<Postgres>();
}

#[test]
fn every_changed_row_is_reported_on_mariadb() {
    misses_nothing::<Mariadb>();
}
