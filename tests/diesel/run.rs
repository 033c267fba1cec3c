//! Each example of Diesel's documentation runs through tracked connections; a test is named by file and line.
#![allow(
    unexpected_cfgs,
    reason = "each database's package has that database's features"
)]

use std::sync::{Mutex, Once, PoisonError};

include!(concat!(env!("OUT_DIR"), "/tests.rs"));

/// The tables of the examples' set-up.
#[allow(dead_code)]
mod tracked {
    use idempotent_runtime::Tracked;

    diesel::table! { animals { id -> Integer, } }
    diesel::table! { brands { id -> Integer, } }
    diesel::table! { comments { id -> Integer, } }
    diesel::table! { posts { id -> Integer, } }
    diesel::table! { users { id -> Integer, } }

    #[derive(Tracked)]
    #[diesel(table_name = animals)]
    struct Animal;

    #[derive(Tracked)]
    #[diesel(table_name = brands)]
    struct Brand;

    #[derive(Tracked)]
    #[diesel(table_name = comments)]
    struct Comment;

    #[derive(Tracked)]
    #[diesel(table_name = posts)]
    struct Post;

    #[derive(Tracked)]
    #[diesel(table_name = users)]
    struct User;
}

/// One example at a time: on a server all of them make the same tables.
fn alone(example: fn()) {
    static DATABASE: Once = Once::new();
    static TURN: Mutex<()> = Mutex::new(());
    DATABASE.call_once(name_database);
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    example();
}

#[cfg(feature = "postgres")]
fn name_database() {
    std::env::set_var("PG_DATABASE_URL", support::postgres().database("examples"));
}

#[cfg(feature = "mysql")]
fn name_database() {
    std::env::set_var(
        "MYSQL_UNIT_TEST_DATABASE_URL",
        support::mariadb().database("examples"),
    );
}

/// Each example has one of its own, in memory.
#[cfg(feature = "sqlite")]
fn name_database() {}
