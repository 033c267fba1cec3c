//! The table of all cases.

use diesel::prelude::*;
use idempotent_runtime::Tracked;

diesel::table! {
    users (id) {
        id -> Integer,
        email -> Text,
        name -> Text,
        team -> Integer,
    }
}

/// How many users there are before each transaction.
pub(crate) const ROWS: i32 = 1_000;

/// Each has a hundred users.
pub(crate) const TEAMS: i32 = ROWS / 100;

#[derive(Queryable, Tracked)]
#[diesel(table_name = users)]
#[allow(dead_code, reason = "loaded, and that is all")]
pub(crate) struct User {
    pub(crate) id: i32,
    pub(crate) email: String,
    pub(crate) name: String,
    pub(crate) team: i32,
}

#[derive(Insertable)]
#[diesel(table_name = users)]
pub(crate) struct NewUser {
    pub(crate) email: &'static str,
    pub(crate) name: &'static str,
    pub(crate) team: i32,
}

/// The table, its key being this type in the database's words, and its rows.
pub(crate) fn schema(key: &str) -> String {
    let rows: Vec<_> = (0..ROWS)
        .map(|n| format!("('user{n}@example.org', 'User {n}', {})", n % TEAMS))
        .collect();
    format!(
        "CREATE TABLE users (id {key} PRIMARY KEY, email TEXT NOT NULL, name TEXT NOT NULL, team INTEGER NOT NULL);
         CREATE INDEX users_of_team ON users (team);
         INSERT INTO users (email, name, team) VALUES {};",
        rows.join(", ")
    )
}
