//! SQLite's own ways with transactions.

use std::sync::mpsc;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_query;

use super::C;
use crate::bench::{Bench as AnyBench, Tracked};
use crate::database::users;

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

/// A statement in a transaction makes SQLite end it, and the error is swallowed.
fn a_lost_transaction_is_not_a_commit(bench: &Bench, fails: &str) {
    let ended = bench.ended_users(|conn| {
        let done = conn.transaction(|conn| {
            rename(conn, 1)?;
            assert!(sql_query(fails).execute(conn).is_err(), "{fails}");
            assert!(rename(conn, 2).is_err(), "refused until the rollback");
            assert!(users::table.count().get_result::<i64>(conn).is_err());
            Ok::<_, Error>(())
        });
        assert!(done.is_err());
        assert_eq!(rename(conn, 3), Ok(1), "usable afterwards");
    });
    assert_eq!(ended, ["users:3"]);
    assert_eq!(names(bench), ["Ann", "Bob", "x"]);
}

#[test]
fn h17_a_transaction_that_or_rollback_ended_is_not_a_commit() {
    let bench = Bench::with_users();
    let fails = "INSERT OR ROLLBACK INTO users (id, email, name) VALUES (1, 'z', 'z')";
    a_lost_transaction_is_not_a_commit(&bench, fails);
}

#[test]
fn h17_a_transaction_that_a_trigger_ended_is_not_a_commit() {
    let bench = Bench::with_users_and(
        "CREATE TRIGGER no BEFORE INSERT ON audits BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
    );
    a_lost_transaction_is_not_a_commit(&bench, "INSERT INTO audits (what) VALUES ('x')");
}

#[test]
fn h17_a_change_by_itself_that_ends_its_transaction_leaves_the_connection_usable() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let fails = "INSERT OR ROLLBACK INTO users (id, email, name) VALUES (1, 'z', 'z')";
        assert!(sql_query(fails).execute(conn).is_err());
        assert_eq!(rename(conn, 2), Ok(1));
    });
    assert_eq!(ended, ["users:2"]);
}

#[test]
fn h17_an_error_that_ends_no_transaction_may_be_swallowed() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.transaction(|conn| {
            rename(conn, 1)?;
            let twice = "UPDATE users SET email = 'c@b.c' WHERE id = 2";
            assert!(sql_query(twice).execute(conn).is_err());
            rename(conn, 3)
        })
        .unwrap()
    });
    assert_eq!(ended, ["users:1", "users:3"]);
}

#[test]
fn h19_a_commit_waits_for_the_readers_of_a_rollback_journal() {
    let bench = Bench::with_users();
    bench.keep("one", |conn| rename(conn, 1));
    // A file of its own, for a pool puts its files into WAL mode.
    let home = tempfile::tempdir().unwrap();
    let url = home.path().join("journal.db").to_str().unwrap().to_owned();
    let schema = "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT, name TEXT); INSERT INTO users VALUES (1, 'a', 'a')";
    C::establish(&url).unwrap().batch_execute(schema).unwrap();
    let mut conn = Tracked::<C>::establish(&url).unwrap();
    conn.attach(&bench.idempotent);
    let mut reader = C::establish(&url).unwrap();
    reader.batch_execute("BEGIN; SELECT * FROM users").unwrap();
    let (sender, receiver) = mpsc::channel();
    let writer = std::thread::spawn(move || {
        let done = conn.transaction(|conn| rename(conn, 1));
        sender.send(()).unwrap();
        done
    });
    // Once the writer wants to commit, nobody may begin to read.
    let mut late = C::establish(&url).unwrap();
    support::eventually("the writer is at its COMMIT", || {
        late.batch_execute("SELECT * FROM users").is_err()
    });
    assert!(receiver.try_recv().is_err());
    reader.batch_execute("COMMIT").unwrap();
    assert_eq!(writer.join().unwrap(), Ok(1));
    assert_eq!(bench.ended_by("one").as_deref(), Some("users:1"));
}

#[test]
fn immediate_and_exclusive_transactions_end_their_replies() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.immediate_transaction(|conn| rename(conn, 1)).unwrap();
        conn.exclusive_transaction(|conn| rename(conn, 2)).unwrap();
        let undone = conn.immediate_transaction(|conn| {
            rename(conn, 3)?;
            Err::<(), _>(Error::RollbackTransaction)
        });
        assert_eq!(undone, Err(Error::RollbackTransaction));
    });
    assert_eq!(ended, ["users:1", "users:2"]);
}

#[test]
fn an_immediate_transaction_holds_the_write_lock() {
    let bench = Bench::with_users();
    let mut other = bench.bare();
    bench
        .conn()
        .immediate_transaction(|_| {
            assert!(other.batch_execute("UPDATE users SET name = 'y'").is_err());
            Ok::<_, Error>(())
        })
        .unwrap();
    assert_eq!(names(&bench), ["Ann", "Bob", "Cid"]);
}

#[test]
fn h14_a_savepoint_may_be_the_transaction() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.batch_execute("SAVEPOINT outer")?;
        rename(conn, 1)?;
        conn.batch_execute("SAVEPOINT inner")?;
        rename(conn, 2)?;
        conn.batch_execute("ROLLBACK TO inner; RELEASE outer")
    });
    assert_eq!(ended, ["users:1"]);
    assert_eq!(names(&bench), ["x", "Bob", "Cid"]);
}

#[test]
fn custom_functions_are_registered_on_the_connection_inside() {
    diesel::define_sql_function! {
        fn shout(text: diesel::sql_types::Text) -> diesel::sql_types::Text;
    }
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        shout_utils::register_impl(conn.untracked(), |text: String| text.to_uppercase()).unwrap();
        let update = diesel::update(users::table.find(1)).set(users::name.eq(shout(users::name)));
        assert_eq!(
            update.returning(users::name).get_result::<String>(conn),
            Ok("ANN".to_owned())
        );
    });
    assert_eq!(ended, ["users:1"]);
}

#[test]
fn a_change_whose_rows_are_asked_for_waits_for_the_write_lock_as_ever() {
    let bench = Bench::with_users_and(
        "CREATE TABLE posts (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users (id) ON DELETE CASCADE)",
    );
    for in_transaction in [false, true] {
        let (mut conn, mut other) = (bench.conn(), bench.bare());
        conn.batch_execute("PRAGMA foreign_keys = ON").unwrap();
        other
            .batch_execute("BEGIN IMMEDIATE; INSERT INTO audits (what) VALUES ('x')")
            .unwrap();
        let (waits, about_to) = mpsc::channel();
        let writer = std::thread::spawn(move || {
            about_to.recv().unwrap();
            // Whoever waits for the lock waits; whoever gives up has done so long since.
            std::thread::sleep(std::time::Duration::from_millis(100));
            other.batch_execute("COMMIT").unwrap();
        });
        waits.send(()).unwrap();
        let delete =
            |conn: &mut Tracked<C>| sql_query("DELETE FROM users WHERE id > 0").execute(conn);
        let deleted = match in_transaction {
            true => conn.transaction(|conn| delete(conn)),
            false => delete(&mut conn),
        };
        assert!(deleted.is_ok(), "{deleted:?}");
        writer.join().unwrap();
    }
}
