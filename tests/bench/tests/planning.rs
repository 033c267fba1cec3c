//! Planning a statement that was seen before takes no memory, whatever the machine's speed.
#![allow(missing_docs, reason = "of Diesel's `table!`")]

use allocation_counter::measure;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use idempotent_runtime::{Tracked, TrackedConnection};

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

fn connection() -> QueryResult<TrackedConnection<SqliteConnection>> {
    let mut bare = SqliteConnection::establish(":memory:").map_err(|_| diesel::NotFound)?;
    bare.batch_execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")?;
    Ok(TrackedConnection::new(bare))
}

#[test]
fn a_change_with_a_static_id_is_planned_without_allocating() -> QueryResult<()> {
    let mut conn = connection()?;
    let change = diesel::delete(users::table.find(7));
    assert!(!conn.plan_only(&change), "it changes a tracked table");
    let planning = measure(|| {
        conn.plan_only(&change);
    });
    assert_eq!(planning.count_total, 0);
    Ok(())
}

#[test]
fn a_select_with_a_static_id_is_planned_without_allocating() -> QueryResult<()> {
    let mut conn = connection()?;
    let select = users::table.find(7).select(users::name);
    assert!(conn.plan_only(&select), "it changes nothing");
    let planning = measure(|| {
        conn.plan_only(&select);
    });
    assert_eq!(planning.count_total, 0);
    Ok(())
}
