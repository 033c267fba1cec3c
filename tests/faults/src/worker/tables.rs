//! The tables of the workers.

use diesel::prelude::*;
use idempotent_runtime::Tracked;

diesel::table! {
    /// What is fought over.
    items (id) {
        id -> BigInt,
        version -> BigInt,
    }
}

diesel::table! {
    /// Who has changed what, in the transaction that did.
    changes (seq) {
        seq -> BigInt,
        run -> Text,
        kind -> Text,
        history -> BigInt,
        name -> Integer,
        process -> BigInt,
        item -> BigInt,
        version -> BigInt,
    }
}

diesel::table! {
    /// Who was behind which lock.
    turns (run) {
        run -> Text,
        history -> BigInt,
        lock -> Text,
        asked -> BigInt,
        entered -> BigInt,
        left_at -> Nullable<BigInt>,
        lost -> Bool,
    }
}

#[derive(Debug, Queryable, Selectable, Identifiable, Tracked)]
pub(super) struct Item {
    pub(super) id: i64,
    pub(super) version: i64,
}

/// Makes them.
pub const SCHEMA: &str = "
    CREATE TABLE items (id BIGINT PRIMARY KEY, version BIGINT NOT NULL);
    CREATE TABLE changes (seq BIGSERIAL PRIMARY KEY, run TEXT NOT NULL, kind TEXT NOT NULL, history BIGINT NOT NULL,
        name INTEGER NOT NULL, process BIGINT NOT NULL, item BIGINT NOT NULL, version BIGINT NOT NULL);
    CREATE INDEX ON changes (history);
    CREATE TABLE turns (run TEXT PRIMARY KEY, history BIGINT NOT NULL, lock TEXT NOT NULL, asked BIGINT NOT NULL,
        entered BIGINT NOT NULL, left_at BIGINT, lost BOOLEAN NOT NULL);
    CREATE INDEX ON turns (history);
";
