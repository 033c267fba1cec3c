//! What a statement changes.

use std::hint::black_box;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use idempotent_runtime::{Tracked, TrackedConnection};

use crate::Part;

diesel::table! {
    users (id) {
        id -> Integer,
        name -> Text,
    }
}

#[derive(Tracked)]
#[diesel(table_name = users)]
#[allow(dead_code, reason = "it is there for its table")]
struct User;

fn connection() -> TrackedConnection<SqliteConnection> {
    let mut bare = SqliteConnection::establish(":memory:").unwrap();
    bare.batch_execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        .unwrap();
    TrackedConnection::new(bare)
}

pub(crate) fn static_id() -> Part {
    let mut conn = connection();
    Box::new(move || {
        black_box(conn.plan_only(&diesel::delete(users::table.find(7))));
    })
}

pub(crate) fn dynamic() -> Part {
    let mut conn = connection();
    Box::new(move || {
        let change = diesel::update(users::table.find(7)).set(users::name.eq("Renamed"));
        black_box(conn.plan_only(&change));
    })
}

pub(crate) fn never_seen() -> Part {
    let mut conn = connection();
    // As many digits each time, so that texts differ in nothing else.
    let mut number = 1_000_000_000_u64;
    Box::new(move || {
        number += 1;
        let text = format!("UPDATE users SET name = 'Renamed' WHERE id = {number}");
        black_box(conn.plan_only(&diesel::sql_query(text)));
    })
}
