//! What only SQLite has: its own statements, and its ways with rows.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;

use super::C;
use super::proof::covers;
use crate::bench::{ALL_USERS, Bench as AnyBench};
use crate::tables::CHILDREN;

type Bench = AnyBench<C>;

#[test]
fn h51_what_changes_no_row_passes() {
    let bench = Bench::with_users();
    for sql in [
        "PRAGMA user_version = 7",
        "PRAGMA foreign_keys = ON",
        "VACUUM",
        "ANALYZE",
        "REINDEX users",
        "EXPLAIN QUERY PLAN DELETE FROM users",
        "CREATE TABLE other (id INTEGER)",
        "DROP TABLE other",
    ] {
        let ended = bench.ended_users(|conn| {
            conn.batch_execute(sql)
                .unwrap_or_else(|error| panic!("{sql}: {error}"))
        });
        assert!(ended.is_empty(), "{sql}: {ended:?}");
    }
}

#[test]
fn a_replace_ends_the_replies_of_the_new_row_and_of_the_replaced() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let replace = "REPLACE INTO users (id, email, name) VALUES (4, 'b@b.c', 'x')";
        assert_eq!(sql_query(replace).execute(conn), Ok(1));
    });
    assert_eq!(ended, ["users:2", "users:4"]);
}

#[test]
fn an_insert_or_ignore_that_ignores_ends_nothing() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let insert = "INSERT OR IGNORE INTO users (id, email, name) VALUES (4, 'b@b.c', 'x')";
        assert_eq!(sql_query(insert).execute(conn), Ok(0));
    });
    assert!(ended.is_empty(), "{ended:?}");
}

#[test]
fn the_rowid_is_the_key_by_other_names() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        sql_query("UPDATE users SET rowid = 4 WHERE oid = 3")
            .execute(conn)
            .unwrap()
    });
    assert_eq!(ended, ["users:3", "users:4"]);
}

#[test]
fn keys_of_bytes_and_of_dates_name_their_rows() {
    let bench = Bench::with(
        "CREATE TABLE blobs (id BLOB PRIMARY KEY, hits INTEGER);
         CREATE TABLE days (id DATE PRIMARY KEY, hits INTEGER);
         INSERT INTO blobs VALUES (x'0102', 0), (x'01', 0), (x'', 0);
         INSERT INTO days VALUES ('2026-02-28', 0), ('2026-03-01', 0)",
    );
    for (table, id) in [
        ("blobs", "x'0102'"),
        ("blobs", "x''"),
        ("days", "'2026-02-28'"),
    ] {
        let update = format!("UPDATE {table} SET hits = 1 WHERE id = {id}");
        bench.watch_sql("row", &update);
    }
    for sql in [
        "UPDATE blobs SET hits = 2",
        "UPDATE days SET hits = 2 WHERE id < '2026-03-01'",
    ] {
        sql_query(sql).execute(&mut bench.conn()).unwrap();
    }
    assert_eq!(
        bench.ended(),
        ["blobs:0x0102", "blobs:0x", "days:2026-02-28"]
    );
}

#[test]
fn a_batch_that_fails_half_way_has_changed_what_came_before() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let batch = "UPDATE users SET name = 'x' WHERE id = 1; INSERT INTO nowhere VALUES (1); DELETE FROM users";
        assert!(conn.batch_execute(batch).is_err());
    });
    assert_eq!(ended, ["users:1"]);
}

#[test]
fn h08_a_batch_that_fails_half_way_in_a_transaction_has_changed_what_came_before() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.transaction::<_, diesel::result::Error, _>(|conn| {
            let batch = "UPDATE users SET name = 'x' WHERE id = 1; INSERT INTO nowhere VALUES (1)";
            assert!(conn.batch_execute(batch).is_err());
            Ok(())
        })
    });
    assert_eq!(ended, ["users:1"]);
}

#[test]
fn h52_a_trigger_that_routes_rows_elsewhere_ends_the_replies_of_all() {
    let bench = Bench::with_users_and(
        "CREATE TRIGGER other AFTER INSERT ON users BEGIN UPDATE users SET name = 'x' WHERE id = 1; END",
    );
    let ended = bench.ended_users(|conn| {
        let insert = "INSERT INTO users (id, email, name) VALUES (9, 'i', 'i')";
        assert_eq!(sql_query(insert).execute(conn), Ok(1));
    });
    assert_eq!(ended, ALL_USERS);
}

#[test]
fn the_schema_may_change_while_the_server_runs() {
    let bench = Bench::with(crate::tables::CHILDREN);
    let update = "UPDATE notes SET body = body WHERE id = 1";
    bench.execute("UPDATE users SET name = name");
    bench.watch_sql("note", update);
    bench.execute("CREATE TRIGGER later AFTER UPDATE ON users BEGIN DELETE FROM notes; END");
    sql_query("UPDATE users SET name = 'x' WHERE id = 1")
        .execute(&mut bench.conn())
        .unwrap();
    assert_eq!(bench.ended(), ["notes:*"]);
}

#[test]
fn what_is_kept_before_a_failure_among_the_rows_that_refer_to_it_is_noted() {
    let bench = Bench::with(&format!(
        "{CHILDREN}; CREATE TABLE answers (id INTEGER PRIMARY KEY, post_id INTEGER REFERENCES posts (id) ON DELETE CASCADE); \
         INSERT INTO answers VALUES (1, 1), (2, 2); \
         CREATE TRIGGER stops AFTER DELETE ON answers WHEN OLD.id = 2 BEGIN SELECT RAISE(FAIL, 'no'); END"
    ));
    bench.watch_sql("user", "UPDATE users SET name = name WHERE id = 1");
    bench.watch_sql("post", "UPDATE posts SET user_id = 1 WHERE id = 1");
    let mut conn = bench.conn();
    conn.batch_execute("PRAGMA foreign_keys = ON").unwrap();
    let delete = sql_query("DELETE FROM users").execute(&mut conn);
    assert!(delete.is_err(), "{delete:?}");
    let mut bare = bench.bare();
    for table in ["users", "posts"] {
        let gone = sql_query(format!("DELETE FROM {table} WHERE id = 1")).execute(&mut bare);
        assert_eq!(gone, Ok(0), "{table}");
    }
    let ended = bench.ended();
    covers(&ended, "users", &[1], "a deletion that fails");
    covers(&ended, "posts", &[1], "a deletion that fails");
}
