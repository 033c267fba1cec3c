//! SQLite's ways to end a transaction, or a statement, half way.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_query;
use diesel::sql_types::Integer;

use super::C;
use crate::bench::{ALL_USERS, Bench as AnyBench, Tracked};
use crate::database::users;

type Bench = AnyBench<C>;

fn names(bench: &Bench) -> Vec<String> {
    let names = users::table.order(users::id).select(users::name);
    names.load(&mut bench.bare()).unwrap()
}

fn rename(conn: &mut Tracked<C>, id: i32) -> QueryResult<usize> {
    diesel::update(users::table.find(id))
        .set(users::name.eq("x"))
        .execute(conn)
}

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = Integer)]
    #[expect(dead_code, reason = "its statement fails")]
    id: i32,
}

/// Reads the row that a statement returns: it fails, and with it goes the transaction.
fn lose(conn: &mut Tracked<C>) {
    let sql = "INSERT OR ROLLBACK INTO audits (id, what) VALUES (1, 'again') RETURNING id";
    assert!(sql_query(sql).load::<Id>(conn).is_err());
}

fn with_an_audit() -> Bench {
    Bench::with_users_and("INSERT INTO audits VALUES (1, 'a')")
}

#[test]
fn h17_after_a_row_whose_reading_ended_the_transaction_everything_is_refused() {
    let bench = with_an_audit();
    let ended = bench.ended_users(|conn| {
        let done = conn.transaction(|conn| {
            rename(conn, 1)?;
            lose(conn);
            assert!(rename(conn, 2).is_err());
            assert!(conn.batch_execute("UPDATE users SET name = 'y'").is_err());
            assert!(users::table.count().get_result::<i64>(conn).is_err());
            Ok::<_, Error>(())
        });
        assert!(done.is_err());
        assert_eq!(rename(conn, 3), Ok(1), "usable afterwards");
    });
    assert_eq!(ended, ["users:3"]);
    assert_eq!(names(&bench), ["Ann", "Bob", "x"]);
}

#[test]
fn h17_a_row_whose_reading_ended_the_transaction_is_not_a_commit() {
    let bench = with_an_audit();
    let ended = bench.ended_users(|conn| {
        let done = conn.transaction(|conn| {
            rename(conn, 1)?;
            lose(conn);
            Ok::<_, Error>(())
        });
        assert!(done.is_err());
        assert_eq!(rename(conn, 3), Ok(1), "usable afterwards");
    });
    assert_eq!(ended, ["users:3"]);
    assert_eq!(names(&bench), ["Ann", "Bob", "x"]);
}

#[test]
fn h17_after_a_batch_that_ended_its_transaction_the_connection_is_usable_at_once() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let fails = "INSERT OR ROLLBACK INTO users (id, email, name) VALUES (1, 'z', 'z')";
        let lost = conn.transaction(|conn| {
            rename(conn, 1)?;
            conn.batch_execute(fails)
        });
        assert!(lost.is_err());
        let update = "UPDATE users SET name = 'x' WHERE id = 2";
        let done = conn.transaction(|conn| sql_query(update).execute(conn));
        assert_eq!(done, Ok(1));
    });
    assert_eq!(ended, ["users:2"]);
    assert_eq!(names(&bench), ["Ann", "x", "Cid"]);
}

/// The update of the third user fails, and the others stay updated.
const FAILS_AT_THREE: &str =
    "CREATE TRIGGER third BEFORE UPDATE ON users WHEN new.id = 3 AND new.name = 'z'
    BEGIN SELECT RAISE(FAIL, 'no'); END";

#[test]
fn h11_what_a_change_did_before_raise_fail_stays_and_ends_replies() {
    let bench = Bench::with_users_and(FAILS_AT_THREE);
    let ended = bench.ended_users(|conn| {
        let update = sql_query("UPDATE users SET name = 'z'");
        assert_eq!(update.execute(conn).unwrap_err().to_string(), "no");
    });
    assert_eq!(ended, ALL_USERS);
    assert_eq!(names(&bench), ["z", "z", "Cid"]);
}

#[test]
fn h11_what_a_transaction_did_before_raise_fail_stays_and_ends_replies() {
    let bench = Bench::with_users_and(FAILS_AT_THREE);
    let ended = bench.ended_users(|conn| {
        conn.transaction(|conn| {
            let update = sql_query("UPDATE users SET name = 'z'");
            assert!(update.execute(conn).is_err());
            QueryResult::Ok(())
        })
        .unwrap();
    });
    assert_eq!(ended, ALL_USERS);
    assert_eq!(names(&bench), ["z", "z", "Cid"]);
}

#[test]
fn h14_a_savepoint_that_is_the_transaction_may_be_rolled_back_to() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.batch_execute("SAVEPOINT a").unwrap();
        rename(conn, 1).unwrap();
        conn.batch_execute("ROLLBACK TO a").unwrap();
        rename(conn, 2).unwrap();
        conn.batch_execute("RELEASE a").unwrap();
        assert!(conn.batch_execute("ROLLBACK").is_err(), "it is committed");
    });
    assert_eq!(ended, ["users:2"]);
    assert_eq!(names(&bench), ["Ann", "x", "Cid"]);
}

#[test]
fn h14_a_savepoint_within_one_of_the_same_name_is_not_the_transaction() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.batch_execute("SAVEPOINT a").unwrap();
        conn.batch_execute("SAVEPOINT a").unwrap();
        rename(conn, 1).unwrap();
        conn.batch_execute("RELEASE a").unwrap();
        conn.batch_execute("ROLLBACK").unwrap();
        for sql in ["SAVEPOINT a", "SAVEPOINT a"] {
            conn.batch_execute(sql).unwrap();
        }
        rename(conn, 2).unwrap();
        conn.batch_execute("RELEASE a; RELEASE a").unwrap();
    });
    assert_eq!(ended, ["users:2"]);
    assert_eq!(names(&bench), ["Ann", "x", "Cid"]);
}

/// Batches that cannot be told apart, or hardly; each changes the first user.
const ODD_BATCHES: [&str; 4] = [
    "BEGIN; UPDATE users SET name = 'x' WHERE id = 1; COMMIT; /* open",
    "BEGIN; UPDATE users SET name = 'x' WHERE id = 1 AND name <> '\u{a0}'; COMMIT;\u{c}",
    "BEGIN; UPDATE users SET name = 'x' WHERE id = 0x1 AND 2 > .5e1 - 4e0; COMMIT",
    "UPDATE users SET name = 'x' WHERE id = 1; /* open",
];

#[test]
fn h52_a_batch_that_cannot_be_read_runs_as_on_a_bare_connection() {
    for batch in ODD_BATCHES {
        let (bench, bare) = (Bench::with_users(), Bench::with_users());
        bare.bare().batch_execute(batch).unwrap();
        let ended = bench.ended_users(|conn| {
            conn.batch_execute(batch)
                .unwrap_or_else(|error| panic!("{batch:?}: {error}"));
        });
        assert!(
            ended == ALL_USERS || ended == ["users:1"],
            "{batch:?}: {ended:?}"
        );
        for bench in [bench, bare] {
            assert_eq!(names(&bench), ["x", "Bob", "Cid"], "{batch:?}");
        }
    }
}

/// Ends the open transaction where the wrapper does not see it.
fn lose_unseen(conn: &mut Tracked<C>) {
    conn.untracked().batch_execute("ROLLBACK").unwrap();
}

#[test]
fn h17_a_transaction_that_ended_unseen_is_not_a_commit() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.batch_execute("BEGIN").unwrap();
        lose_unseen(conn);
        rename(conn, 2).unwrap();
        assert!(conn.batch_execute("COMMIT").is_err());
        assert_eq!(rename(conn, 3), Ok(1), "usable afterwards");
    });
    assert_eq!(ended, ["users:2", "users:3"]);
    assert_eq!(names(&bench), ["Ann", "x", "x"]);
}

#[test]
fn h17_what_came_after_a_transaction_that_ended_unseen_ends_replies_when_the_next_begins() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.batch_execute("BEGIN").unwrap();
        lose_unseen(conn);
        rename(conn, 2).unwrap();
        conn.batch_execute("BEGIN; ROLLBACK").unwrap();
    });
    assert_eq!(ended, ["users:2"]);
    assert_eq!(names(&bench), ["Ann", "x", "Cid"]);
}
