//! Others that come between, where a transaction sees what they commit.

use diesel::connection::{InstrumentationEvent, SimpleConnection};
use diesel::prelude::*;
use diesel::sql_query;

use super::C;
use super::proof::covers;
use crate::bench::{Bench as AnyBench, Tracked};
use crate::database::{User, users};

type Bench = AnyBench<C>;

const READ_COMMITTED: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

/// Before the next statement that begins so, and after what we ask before it, another connection does this.
fn between(bench: &Bench, conn: &mut Tracked<C>, word: &'static str, does: &'static str) {
    let mut other = Some(bench.bare());
    conn.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event
            && query.to_string().starts_with(word)
            && let Some(mut other) = other.take()
        {
            other.batch_execute(does).unwrap();
        }
    });
}

/// What a statement counts and ends when others do this just before it runs.
fn crossed(sql: &str, first: &str, does: &'static str) -> (usize, Vec<String>) {
    let bench = Bench::with_users();
    bench.watch_users();
    bench.bare().batch_execute(first).unwrap();
    let mut conn = bench.conn();
    conn.batch_execute(READ_COMMITTED).unwrap();
    let word = if sql.starts_with("INSERT") {
        "INSERT"
    } else {
        "UPDATE"
    };
    between(&bench, &mut conn, word, does);
    let counted = sql_query(sql).execute(&mut conn).unwrap();
    (counted, bench.ended())
}

#[test]
fn h53_a_row_that_comes_before_those_that_a_limit_takes_is_not_overlooked() {
    let sql = "UPDATE users SET name = 'x' ORDER BY id LIMIT 1";
    let comes = "INSERT INTO users VALUES (1, 'a@b.c', 'Ann')";
    let (counted, ended) = crossed(sql, "DELETE FROM users WHERE id = 1", comes);
    assert_eq!(counted, 1);
    covers(&ended, "users", &[1], sql);
}

#[test]
fn h53_a_row_that_goes_for_another_to_come_is_not_overlooked() {
    let sql = "INSERT IGNORE INTO users VALUES (2, 'b@b.c', 'new'), (4, 'd', 'new')";
    let crosses = "DELETE FROM users WHERE id = 2; INSERT INTO users VALUES (4, 'd', 'd')";
    let (counted, ended) = crossed(sql, "SELECT 1", crosses);
    assert_eq!(counted, 1);
    covers(&ended, "users", &[2], sql);
}

/// Whether some transaction of the server waits for a row.
fn some_wait(conn: &mut C) -> bool {
    let waits = "(SELECT VARIABLE_VALUE > 0 FROM information_schema.GLOBAL_STATUS \
                 WHERE VARIABLE_NAME = 'INNODB_ROW_LOCK_CURRENT_WAITS')";
    let waits = diesel::dsl::sql::<diesel::sql_types::Bool>(waits);
    diesel::select(waits).get_result(conn).unwrap()
}

#[test]
fn h53_a_row_that_comes_while_the_statement_waits_is_not_overlooked() {
    let bench = Bench::with_users();
    bench.watch_users();
    let (mut conn, mut other) = (bench.conn(), bench.bare());
    conn.batch_execute(READ_COMMITTED).unwrap();
    // Bob's row is held, and before it is let go another one becomes a Bob.
    let holds = "BEGIN; UPDATE users SET email = 'B' WHERE id = 2";
    other.batch_execute(holds).unwrap();
    let writer = std::thread::spawn(move || {
        let sql = "UPDATE users SET name = 'x' WHERE name = 'Bob'";
        sql_query(sql).execute(&mut conn)
    });
    let mut watcher = bench.bare();
    support::eventually("the statement waits", || some_wait(&mut watcher));
    other
        .batch_execute("UPDATE users SET name = 'Bob' WHERE id = 3; COMMIT")
        .unwrap();
    assert_eq!(writer.join().unwrap(), Ok(2));
    covers(
        &bench.ended(),
        "users",
        &[2, 3],
        "the statement that waited",
    );
}

#[test]
fn h53_a_statement_that_waits_for_nobody_waits_for_nobody() {
    let bench = Bench::with_users();
    bench.watch_users();
    let (mut conn, mut other) = (bench.conn(), bench.bare());
    let mut bare = bench.bare();
    // What is held is not what the condition lets through, as others see it.
    let holds = "BEGIN; UPDATE users SET name = 'Cyd' WHERE id = 3";
    other.batch_execute(holds).unwrap();
    let impatient = format!("{READ_COMMITTED}; SET innodb_lock_wait_timeout = 1");
    let sql = "UPDATE users SET name = CONCAT(name, 'x') WHERE name LIKE 'Bob%'";
    bare.batch_execute(&impatient).unwrap();
    assert_eq!(sql_query(sql).execute(&mut bare), Ok(1));
    conn.batch_execute(&impatient).unwrap();
    assert_eq!(sql_query(sql).execute(&mut conn), Ok(1));
    other.batch_execute("ROLLBACK").unwrap();
    covers(&bench.ended(), "users", &[2], sql);
}

#[test]
fn h53_a_row_that_is_only_seen_still_is_none_that_an_upsert_has_found() {
    for (rows, set, counted) in [
        ("(3, 'b@b.c', 'x')", "name = 'u'", 2),
        ("(3, 'b@b.c', 'x')", "email = 'u'", 2),
        ("(3, 'b@b.c', 'x'), (4, 'd', 'd')", "name = 'u'", 3),
    ] {
        let bench = Bench::with_users();
        bench.watch_users();
        let mut conn = bench.conn();
        conn.batch_execute("BEGIN").unwrap();
        let seen = users::table.load::<User>(&mut conn);
        assert_eq!(seen.map(|users| users.len()), Ok(3));
        let goes = "DELETE FROM users WHERE id = 3";
        bench.bare().batch_execute(goes).unwrap();
        let sql = format!(
            "INSERT INTO users (id, email, name) VALUES {rows} ON DUPLICATE KEY UPDATE {set}"
        );
        assert_eq!(sql_query(&sql).execute(&mut conn), Ok(counted), "{sql}");
        conn.batch_execute("COMMIT").unwrap();
        covers(&bench.ended(), "users", &[2], &sql);
    }
}
