//! What a session of the MySQL family can be told: to lock tables, and to go on after a COMMIT.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;

use super::C;
use super::proof::covers;
use crate::bench::{Bench as AnyBench, Tracked, is_stored};
use crate::database::{audits, users};

type Bench = AnyBench<C>;

fn rename(conn: &mut Tracked<C>, id: i32) -> QueryResult<usize> {
    diesel::update(users::table.find(id))
        .set(users::name.eq("x"))
        .execute(conn)
}

fn names(bench: &Bench) -> Vec<String> {
    let names = users::table.order(users::id).select(users::name);
    names.load(&mut bench.bare()).unwrap()
}

#[test]
fn h17_locked_tables_commit_what_came_before_and_each_change_after_it() {
    for end in ["ROLLBACK", "COMMIT"] {
        let bench = Bench::with_users();
        let ended = bench.ended_users(|conn| {
            conn.batch_execute("BEGIN").unwrap();
            rename(conn, 1).unwrap();
            conn.batch_execute("LOCK TABLES users WRITE").unwrap();
            rename(conn, 2).unwrap();
            assert_eq!(conn.batch_execute(end), Ok(()), "as on a bare connection");
            conn.batch_execute("UNLOCK TABLES").unwrap();
        });
        assert_eq!(names(&bench), ["x", "x", "Cid"]);
        assert_eq!(ended, ["users:1", "users:2"], "{end}");
    }
}

#[test]
fn h17_tables_that_were_not_locked_commit_nothing_when_they_are_let_go() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.batch_execute("LOCK TABLES users WRITE; BEGIN")
            .unwrap();
        rename(conn, 1).unwrap();
        conn.batch_execute("UNLOCK TABLES; ROLLBACK; BEGIN")
            .unwrap();
        rename(conn, 2).unwrap();
        conn.batch_execute("COMMIT").unwrap();
    });
    assert_eq!(names(&bench), ["Ann", "x", "Cid"]);
    covers(&ended, "users", &[2], "the second transaction");
}

/// Any of these is told by queries of ours, for which the table is locked by another name.
const TOLD_BY_QUERIES: [(&str, &[i32]); 6] = [
    ("INSERT INTO users (email, name) VALUES ('d', 'd')", &[]),
    (
        "INSERT INTO users (id, email, name) VALUES (4 + 0, 'd', 'd')",
        &[4],
    ),
    (
        "INSERT IGNORE INTO users VALUES (4, 'd', 'd'), (1, 'a', 'a')",
        &[4],
    ),
    (
        "INSERT INTO users (email, name) VALUES ('b@b.c', 'n') ON DUPLICATE KEY UPDATE name = 'u'",
        &[2],
    ),
    ("UPDATE users SET name = 'x' WHERE name > 'B'", &[2, 3]),
    ("UPDATE users SET id = 5 WHERE id = 3", &[3, 5]),
];

#[test]
fn h52_statements_do_as_ever_while_tables_are_locked() {
    for (sql, changed) in TOLD_BY_QUERIES {
        for lock in [
            "LOCK TABLES users WRITE",
            "LOCK TABLES users WRITE, audits READ",
        ] {
            let bare = Bench::with_users();
            let mut conn = bare.bare();
            conn.batch_execute(lock).unwrap();
            let expected = sql_query(sql).execute(&mut conn);
            let bench = Bench::with_users();
            bench.watch_users();
            let mut conn = bench.conn();
            conn.batch_execute(lock).unwrap();
            assert_eq!(sql_query(sql).execute(&mut conn), expected, "{sql}");
            conn.batch_execute("UNLOCK TABLES").unwrap();
            covers(&bench.ended(), "users", changed, sql);
        }
    }
}

#[test]
fn a_transaction_lets_locked_tables_go() {
    let bench = Bench::with_users();
    bench.handler_on_db("unlocks", |conn| {
        conn.batch_execute("LOCK TABLES users WRITE")?;
        conn.transaction(|conn| rename(conn, 1))?;
        rename(conn, 2)
    });
    assert!(is_stored(&bench.get("unlocks")));
    assert_eq!(bench.ended_by("unlocks"), None);
}

#[test]
fn a_change_by_itself_opens_no_transaction_where_a_commit_would() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.batch_execute("SET completion_type = 'CHAIN'").unwrap();
        rename(conn, 1).unwrap();
        sql_query("INSERT INTO audits (what) VALUES ('seen')")
            .execute(conn)
            .unwrap();
        conn.batch_execute("SET completion_type = 'NO_CHAIN'")
            .unwrap();
    });
    assert_eq!(ended, ["users:1"]);
    let seen = audits::table.count().get_result(&mut bench.bare());
    assert_eq!(seen, Ok(1_i64), "others see it");
}

#[test]
fn transactions_that_are_chained_by_a_setting_are_followed() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.batch_execute("SET SESSION completion_type = 1")
            .unwrap();
        conn.batch_execute("BEGIN").unwrap();
        rename(conn, 1).unwrap();
        conn.batch_execute("COMMIT").unwrap();
        rename(conn, 2).unwrap();
        conn.batch_execute("ROLLBACK").unwrap();
        rename(conn, 3).unwrap();
        conn.batch_execute("SET completion_type = 0; COMMIT")
            .unwrap();
        rename(conn, 2).unwrap();
    });
    assert_eq!(names(&bench), ["x", "x", "x"]);
    assert_eq!(ended, ["users:1", "users:2", "users:3"]);
}

#[test]
fn a_chained_transaction_can_be_rolled_back() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.batch_execute("SET completion_type = 1; BEGIN; COMMIT")
            .unwrap();
        rename(conn, 2).unwrap();
        conn.batch_execute("SET completion_type = 0; ROLLBACK")
            .unwrap();
    });
    assert_eq!(names(&bench), ["Ann", "Bob", "Cid"]);
    // The setting might have ended it.
    assert!(ended.is_empty() || ended == ["users:2"], "{ended:?}");
}

#[test]
fn a_setting_for_one_statement_does_not_hide_what_the_statement_changes() {
    for setting in [
        "sql_mode = ''",
        "completion_type = 0",
        "max_statement_time = 10",
    ] {
        let sql = format!("SET STATEMENT {setting} FOR DELETE FROM users WHERE id = 2");
        super::proof::changes("", "", &sql, &[2]);
    }
}
