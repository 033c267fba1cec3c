//! How transactions of the MySQL family end: by themselves, or by statements of other kinds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;

use actix_web::FromRequest;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::Error;
use diesel::{sql_query, update};
use idempotent_runtime::{Db, Reply};

use super::C;
use crate::bench::{ALL_USERS, Bench as AnyBench, Tracked, is_stored};
use crate::database::users;

type Bench = AnyBench<C>;

fn rename(
    conn: &mut impl diesel::connection::LoadConnection<Backend = diesel::mysql::Mysql>,
    id: i32,
) -> QueryResult<usize> {
    update(users::table.find(id))
        .set(users::name.eq("x"))
        .execute(conn)
}

fn names(bench: &Bench) -> Vec<String> {
    let names = users::table.order(users::id).select(users::name);
    names.load(&mut bench.bare()).unwrap()
}

/// Comes to a deadlock with another transaction, loses it, and does not say so.
fn swallow_a_deadlock(conn: &mut Tracked<C>, url: &str) {
    rename(conn, 1).unwrap();
    let (waits, about_to) = channel();
    let url = url.to_owned();
    let rival = std::thread::spawn(move || {
        let mut rival = C::establish(&url).unwrap();
        rival.batch_execute("BEGIN").unwrap();
        // More changes than the other's make it the one that goes on.
        sql_query("UPDATE users SET name = 'rival' WHERE id > 1")
            .execute(&mut rival)
            .unwrap();
        sql_query("INSERT INTO audits (what) VALUES ('a'), ('b'), ('c'), ('d'), ('e')")
            .execute(&mut rival)
            .unwrap();
        waits.send(()).unwrap();
        sql_query("UPDATE users SET name = 'rival' WHERE id = 1")
            .execute(&mut rival)
            .unwrap();
        rival.batch_execute("COMMIT").unwrap();
    });
    about_to.recv().unwrap();
    let lost = rename(conn, 2);
    assert!(matches!(lost, Err(Error::DatabaseError(..))), "{lost:?}");
    rival.join().unwrap();
}

#[test]
fn h17_after_a_swallowed_deadlock_nothing_is_committed_statement_by_statement() {
    let bench = Bench::with_users();
    let mut conn = bench.conn();
    let done = conn.transaction::<_, Error, _>(|conn| {
        swallow_a_deadlock(conn, &bench.url);
        let refused = rename(conn, 3);
        assert!(refused.unwrap_err().to_string().contains("until ROLLBACK"));
        Ok(())
    });
    assert!(done.is_err());
    assert_eq!(names(&bench), ["rival"; 3]);
    assert_eq!(rename(&mut *conn, 3), Ok(1));
    assert_eq!(names(&bench), ["rival", "rival", "x"]);
}

#[test]
fn h17_the_reply_of_a_handler_that_swallowed_a_deadlock_is_not_kept() {
    let bench = Bench::with_users();
    let url = bench.url.clone();
    bench.handler_on_db("swallows", move |conn| {
        let _ = conn.transaction::<_, Error, _>(|conn| {
            swallow_a_deadlock(conn, &url);
            rename(conn, 3)
        });
        Ok::<_, Error>(())
    });
    let first = bench.get("swallows");
    assert_eq!(names(&bench), ["rival"; 3]);
    // What it depends on was never committed: a retry may as well run again.
    assert!(!is_stored(&first) || bench.ended_by("swallows").is_none());
}

#[test]
fn a_change_of_the_schema_commits_what_came_before_it() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.batch_execute("BEGIN").unwrap();
        rename(conn, 1).unwrap();
        conn.batch_execute("CREATE TABLE made (id INTEGER PRIMARY KEY)")
            .unwrap();
        rename(conn, 2).unwrap();
        conn.batch_execute("ROLLBACK").unwrap();
    });
    assert_eq!(names(&bench), ["x", "x", "Cid"]);
    assert_eq!(ended, ["users:1", "users:2"]);
}

#[test]
fn a_change_of_the_schema_that_cannot_be_parsed_leaves_the_transaction_open() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.transaction::<(), Error, _>(|conn| {
            rename(conn, 1)?;
            assert!(conn.batch_execute("CREATE TABLE (").is_err());
            Err(Error::RollbackTransaction)
        })
    });
    assert_eq!(names(&bench), ["Ann", "Bob", "Cid"]);
    assert!(ended.len() <= 1, "{ended:?}");
}

#[test]
fn a_second_begin_commits_the_first_transaction() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.batch_execute("BEGIN").unwrap();
        rename(conn, 1).unwrap();
        conn.batch_execute("START TRANSACTION").unwrap();
        rename(conn, 2).unwrap();
        conn.batch_execute("ROLLBACK").unwrap();
    });
    assert_eq!(names(&bench), ["x", "Bob", "Cid"]);
    assert_eq!(ended, ["users:1"]);
}

#[test]
fn a_truncation_ends_the_replies_of_the_whole_table() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        sql_query("TRUNCATE TABLE users").execute(conn).unwrap();
    });
    assert_eq!(ended, ALL_USERS);
}

#[test]
fn a_procedure_that_commits_ends_the_transaction_and_all_replies() {
    let bench = Bench::with_users();
    bench
        .bare()
        .batch_execute("CREATE PROCEDURE settle() BEGIN UPDATE users SET name = 'settled' WHERE id = 2; COMMIT; END")
        .unwrap();
    let ended = bench.ended_users(|conn| {
        conn.batch_execute("BEGIN").unwrap();
        rename(conn, 1).unwrap();
        sql_query("CALL settle()").execute(conn).unwrap();
        conn.batch_execute("ROLLBACK").unwrap();
    });
    assert_eq!(names(&bench), ["x", "settled", "Cid"]);
    assert_eq!(ended, ALL_USERS);
}

#[test]
fn chained_transactions_are_followed() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.batch_execute("BEGIN").unwrap();
        rename(conn, 1).unwrap();
        conn.batch_execute("COMMIT AND CHAIN").unwrap();
        rename(conn, 2).unwrap();
        conn.batch_execute("ROLLBACK AND CHAIN").unwrap();
        rename(conn, 3).unwrap();
        conn.batch_execute("COMMIT").unwrap();
    });
    assert_eq!(names(&bench), ["x", "Bob", "x"]);
    assert_eq!(ended, ["users:1", "users:3"]);
}

#[test]
fn a_session_that_commits_by_itself_is_as_ever_and_one_that_does_not_is_followed() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.batch_execute("SET autocommit = 0").unwrap();
        rename(conn, 1).unwrap();
        conn.batch_execute("ROLLBACK").unwrap();
        rename(conn, 2).unwrap();
        conn.batch_execute("COMMIT").unwrap();
        rename(conn, 3).unwrap();
        conn.batch_execute("SET autocommit = 1").unwrap();
    });
    assert_eq!(names(&bench), ["Ann", "x", "x"]);
    assert_eq!(ended, ["users:2", "users:3"]);
}

#[test]
fn a_row_that_was_changed_since_it_was_read_begins_the_transaction_anew() {
    let bench = Bench::with_users();
    let (runs, url) = (Arc::new(AtomicUsize::new(0)), bench.url.clone());
    let counted = Arc::clone(&runs);
    bench.handler("a", move |request| {
        let (runs, url) = (Arc::clone(&counted), url.clone());
        async move {
            let db = Db::<C>::extract(&request).await?;
            let reply = db.once(move |conn| {
                conn.batch_execute("SET SESSION innodb_snapshot_isolation = ON")?;
                let user = users::table.find(1);
                let name: String = user.select(users::name).first(conn)?;
                if runs.fetch_add(1, Ordering::SeqCst) == 0 {
                    let mut other = C::establish(&url).unwrap();
                    update(user)
                        .set(users::name.eq("Eve"))
                        .execute(&mut other)?;
                }
                update(user)
                    .set(users::name.eq(format!("{name}!")))
                    .execute(conn)?;
                Ok::<_, Error>(Reply::new(200))
            });
            reply.await?;
            Ok("done".to_owned())
        }
    });
    assert_eq!(bench.get("a").status, 200);
    let name: String = users::table
        .find(1)
        .select(users::name)
        .first(&mut bench.bare())
        .unwrap();
    assert_eq!((name.as_str(), runs.load(Ordering::SeqCst)), ("Eve!", 2));
}
