//! Further tables and their models, each with a kind of key or a relation of its own; and what they are made with.
#![allow(
    dead_code,
    reason = "models are there for their tables; the tests speak SQL"
)]

use idempotent_runtime::Tracked;

diesel::table! {
    /// Goes with its user.
    posts (id) {
        id -> Integer,
        user_id -> Integer,
    }
}

diesel::table! {
    /// Outlives its user; every column has a default.
    notes (id) {
        id -> Integer,
        body -> Text,
        user_id -> Nullable<Integer>,
    }
}

diesel::table! {
    labels (name) {
        name -> Text,
        hits -> Integer,
    }
}

diesel::table! {
    tokens (id) {
        id -> diesel::sql_types::Uuid,
        hits -> Integer,
    }
}

diesel::table! {
    blobs (id) {
        id -> Binary,
        hits -> Integer,
    }
}

diesel::table! {
    days (id) {
        id -> Date,
        hits -> Integer,
    }
}

diesel::table! {
    moments (id) {
        id -> Timestamptz,
        hits -> Integer,
    }
}

#[derive(Tracked)]
#[diesel(table_name = posts)]
struct Post;

#[derive(Tracked)]
#[diesel(table_name = notes)]
struct Note;

#[derive(Tracked)]
#[diesel(table_name = labels, primary_key(name))]
struct Label;

#[derive(Tracked)]
#[diesel(table_name = tokens)]
struct Token;

#[derive(Tracked)]
#[diesel(table_name = blobs)]
struct Blob;

#[derive(Tracked)]
#[diesel(table_name = days)]
struct Day;

#[derive(Tracked)]
#[diesel(table_name = moments)]
struct Moment;

pub const LABELS: &str =
    "CREATE TABLE labels (name VARCHAR(191) PRIMARY KEY, hits INTEGER NOT NULL DEFAULT 0)";

/// Posts and notes of the users 1, 2 and 3, with the same keys.
pub const CHILDREN: &str = "
    CREATE TABLE posts (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE);
    CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL DEFAULT '', user_id INTEGER REFERENCES users (id) ON DELETE SET NULL);
    INSERT INTO users (id, email, name) VALUES (1, 'a@b.c', 'Ann'), (2, 'b@b.c', 'Bob'), (3, 'c@b.c', 'Cid');
    INSERT INTO posts VALUES (1, 1), (2, 2), (3, 3);
    INSERT INTO notes VALUES (1, '', 1), (2, '', 2), (3, '', 3)";
