//! One statement on users, held against what it does on a bare connection.

use std::collections::BTreeMap;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;

use super::C;
use crate::bench::{Bench as AnyBench, USERS};
use crate::database::{User, users};

type Bench = AnyBench<C>;

/// The users 1, 2 and 3, and then this schema.
pub fn bench(schema: &str) -> Bench {
    Bench::with(&format!("{USERS};{schema}"))
}

fn rows(conn: &mut C) -> BTreeMap<i32, (String, String)> {
    let rows = users::table.select((users::id, users::email, users::name));
    let rows = rows.load::<User>(conn).unwrap();
    let row = |user: User| (user.id, (user.email, user.name));
    rows.into_iter().map(row).collect()
}

/// The keys of rows that came, went or changed.
fn differ(
    before: &BTreeMap<i32, (String, String)>,
    after: &BTreeMap<i32, (String, String)>,
) -> Vec<i32> {
    let all = before.keys().chain(after.keys());
    let mut keys: Vec<_> = all
        .filter(|key| before.get(key) != after.get(key))
        .copied()
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// What the statement counts or fails with, and the users that it changes, on a bare connection; nothing stays.
fn truth(bench: &Bench, session: &str, sql: &str) -> (Result<usize, String>, Vec<i32>) {
    let mut bare = bench.bare();
    if !session.is_empty() {
        bare.batch_execute(session).unwrap();
    }
    bare.batch_execute("BEGIN").unwrap();
    let before = rows(&mut bare);
    let counted = sql_query(sql).execute(&mut bare);
    let changed = match &counted {
        Ok(_) => differ(&before, &rows(&mut bare)),
        Err(_) => Vec::new(),
    };
    bare.batch_execute("ROLLBACK").unwrap();
    (counted.map_err(|error| error.to_string()), changed)
}

/// Whether the reply of each of these rows was ended, by the row or by its table.
#[track_caller]
pub fn covers(ended: &[String], table: &str, keys: &[impl std::fmt::Display], what: &str) {
    let whole = ended.contains(&format!("{table}:*"));
    for key in keys {
        assert!(
            whole || ended.contains(&format!("{table}:{key}")),
            "{what}: {table}:{key} has changed, but only {ended:?} ended"
        );
    }
}

/// Runs a statement after these others on a tracked connection: it counts as on a bare one, changes the same users, and
/// these are the users whose replies end. Gives their keys, which must be among 1 to 5, and what ended.
#[track_caller]
pub fn proven(schema: &str, session: &str, sql: &str) -> (Vec<i32>, Vec<String>) {
    let bench = bench(schema);
    let (expected, changed) = truth(&bench, session, sql);
    bench.watch_users();
    let before = rows(&mut bench.bare());
    let mut conn = bench.conn();
    if !session.is_empty() {
        conn.batch_execute(session).unwrap();
    }
    let counted = sql_query(sql).execute(&mut conn);
    assert_eq!(
        counted.map_err(|error| error.to_string()),
        expected,
        "{sql}"
    );
    assert_eq!(differ(&before, &rows(&mut bench.bare())), changed, "{sql}");
    let ended = bench.ended();
    covers(&ended, "users", &changed, sql);
    (changed, ended)
}

/// [`proven`] of a statement that changes these users.
#[track_caller]
pub fn changes(schema: &str, session: &str, sql: &str, users: &[i32]) {
    assert_eq!(proven(schema, session, sql).0, users, "{sql}");
}
