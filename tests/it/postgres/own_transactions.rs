//! PostgreSQL's own ways with transactions.

use std::sync::{Arc, Barrier};

use actix_web::FromRequest;
use diesel::connection::{InstrumentationEvent, SimpleConnection};
use diesel::pg::PgRowByRowLoadingMode;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_query;
use idempotent_runtime::Db;

use super::C;
use crate::bench::{Bench as AnyBench, Tracked, detail, is_stored, sent};
use crate::database::{User, users};

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

/// A transaction in which this goes wrong and is swallowed returns an error, and the connection is usable.
fn not_a_commit(bench: &Bench, goes_wrong: impl Fn(&mut Tracked<C>)) {
    let ended = bench.ended_users(|conn| {
        let done = conn.transaction(|conn| {
            rename(conn, 1)?;
            goes_wrong(conn);
            Ok::<_, Error>(())
        });
        assert!(done.is_err());
        assert_eq!(rename(conn, 3), Ok(1));
    });
    // The first row was announced before the COMMIT failed, or was not: either is safe.
    assert!(
        ended == ["users:3"] || ended == ["users:1", "users:3"],
        "{ended:?}"
    );
    assert_eq!(names(bench), ["Ann", "Bob", "x"]);
}

#[test]
fn h16_swallowed_error_is_not_a_commit() {
    let bench = Bench::with_users();
    not_a_commit(&bench, |conn| {
        assert!(sql_query("SELECT 1 / 0").execute(conn).is_err());
    });
    let bench = Bench::with_users();
    not_a_commit(&bench, |conn| {
        let twice = "UPDATE users SET email = 'c@b.c' WHERE id = 2";
        assert!(sql_query(twice).execute(conn).is_err());
    });
}

#[test]
fn h16_an_error_in_a_cursor_that_was_dropped_early_is_not_a_commit() {
    let bench = Bench::with_users();
    not_a_commit(&bench, |conn| {
        let failing = diesel::dsl::sql::<diesel::sql_types::Integer>("1 / (3 - users.id)");
        let query = users::table.order(users::id).select(failing);
        let mut rows = query.load_iter::<i32, PgRowByRowLoadingMode>(conn).unwrap();
        assert_eq!(rows.next().unwrap(), Ok(0));
    });
}

#[test]
fn h16_a_reply_whose_transaction_failed_unseen_does_not_depend_on_it() {
    let bench = Bench::with_users();
    bench.handler_on_db("swallows", |conn| {
        conn.transaction(|conn| {
            rename(conn, 1)?;
            let _ = sql_query("SELECT 1 / 0").execute(conn);
            Ok::<_, Error>(())
        })
    });
    assert_eq!(bench.get("swallows").status, 500);
}

/// Reads, and swallows an error.
fn swallow<D>(conn: &mut D) -> QueryResult<()>
where
    D: diesel::connection::LoadConnection<Backend = diesel::pg::Pg>,
{
    conn.transaction(|conn| {
        users::table.load::<User>(conn)?;
        let _ = sql_query("SELECT 1 / 0").execute(conn);
        Ok(())
    })
}

#[test]
fn h16_a_failed_transaction_that_changed_nothing_commits_as_without_us() {
    let bench = Bench::with_users();
    assert_eq!(swallow(&mut bench.bare()), Ok(()));
    let mut conn = bench.conn();
    assert_eq!(swallow(&mut *conn), Ok(()));
    conn.batch_execute("BEGIN; SELECT 1").unwrap();
    assert!(conn.batch_execute("SELECT 1 / 0").is_err());
    conn.batch_execute("COMMIT AND CHAIN").unwrap();
    assert_eq!(rename(&mut conn, 1), Ok(1));
    conn.batch_execute("COMMIT").unwrap();
    assert_eq!(names(&bench), ["x", "Bob", "Cid"]);
}

#[test]
fn h16_the_reply_of_a_failed_transaction_that_changed_nothing_is_not_kept() {
    let bench = Bench::with_users();
    bench.handler_on_db("swallows", swallow);
    let reply = bench.get("swallows");
    assert_eq!(reply.status, 200);
    assert!(!is_stored(&reply), "{reply:?}");
}

#[test]
fn h16_an_error_within_a_savepoint_may_be_swallowed() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.transaction(|conn| {
            rename(conn, 1)?;
            let inner = conn.transaction(|conn| {
                rename(conn, 2)?;
                sql_query("SELECT 1 / 0").execute(conn)
            });
            assert!(inner.is_err());
            rename(conn, 3)
        })
        .unwrap()
    });
    assert_eq!(ended, ["users:1", "users:3"]);
    assert_eq!(names(&bench), ["x", "Bob", "x"]);
}

#[test]
fn h15_what_a_deferred_trigger_changes_at_commit_ends_replies() {
    let bench = Bench::with(&format!(
        "{}; CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ \
             BEGIN UPDATE notes SET body = 'late'; RETURN NULL; END $$; \
         CREATE CONSTRAINT TRIGGER late AFTER INSERT ON users DEFERRABLE INITIALLY DEFERRED \
             FOR EACH ROW EXECUTE FUNCTION late()",
        crate::tables::CHILDREN
    ));
    bench.watch_sql("note", "UPDATE notes SET body = body WHERE id = 1");
    let insert = "INSERT INTO users (id, email, name) VALUES (9, 'i', 'i')";
    let order = sent(&mut *bench.conn(), |conn| {
        sql_query(insert).execute(conn).unwrap()
    });
    let at = |text| order.iter().position(|sql| sql.contains(text)).unwrap();
    assert!(
        at("SET CONSTRAINTS ALL IMMEDIATE") < at("COMMIT"),
        "{order:?}"
    );
    assert_eq!(bench.ended(), ["notes:*"]);
}

#[test]
fn h18_a_commit_without_an_answer_keeps_no_reply() {
    let bench = Bench::with_users();
    let url = bench.url.clone();
    bench.handler_on_db("lost", move |conn| {
        let done = conn.transaction(|conn| {
            rename(conn, 1)?;
            let pid = diesel::dsl::sql::<diesel::sql_types::Integer>("pg_backend_pid()");
            let pid: i32 = diesel::select(pid).get_result(conn)?;
            let kill = format!("SELECT pg_terminate_backend({pid}, 10000)");
            C::establish(&url).unwrap().batch_execute(&kill)
        });
        assert!(done.is_err());
        Ok::<_, Error>(())
    });
    let reply = bench.get("lost");
    assert_eq!(reply.status, 200);
    assert!(!is_stored(&reply), "{reply:?}");
    assert_eq!(detail(&reply), "commit-unknown");
    assert_eq!(names(&bench), ["Ann", "Bob", "Cid"]);
}

#[test]
fn built_transactions_end_their_replies() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.build_transaction()
            .serializable()
            .deferrable()
            .run(|conn| rename(conn, 1))
            .unwrap();
        conn.build_transaction()
            .repeatable_read()
            .read_write()
            .run(|conn| rename(conn, 2))
            .unwrap();
        let refused = conn
            .build_transaction()
            .read_only()
            .run(|conn| rename(conn, 3))
            .unwrap_err();
        assert!(
            matches!(
                refused,
                Error::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _)
            ),
            "{refused:?}"
        );
    });
    assert_eq!(ended, ["users:1", "users:2"]);
}

#[test]
fn the_isolation_level_may_be_set_after_begin() {
    let bench = Bench::with_users();
    let level = bench.conn().transaction(|conn| {
        conn.batch_execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")?;
        rename(conn, 1)?;
        let level =
            diesel::dsl::sql::<diesel::sql_types::Text>("current_setting('transaction_isolation')");
        diesel::select(level).get_result::<String>(conn)
    });
    assert_eq!(level, Ok("serializable".to_owned()));
}

/// The first try reads, then another one changes what it read: it cannot be serialized, and the second try succeeds.
#[test]
fn a_serialization_failure_is_tried_again() {
    let bench = Bench::with_users();
    let (url, tries) = (
        bench.url.clone(),
        std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0)),
    );
    let counted = std::sync::Arc::clone(&tries);
    bench.handler("retries", move |request| {
        let (url, tries) = (url.clone(), std::sync::Arc::clone(&counted));
        async move {
            let db = Db::<C>::extract(&request).await?;
            let work = move |conn: &mut Tracked<C>| {
                conn.batch_execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")?;
                users::table.count().get_result::<i64>(conn)?;
                if tries.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 {
                    C::establish(&url)
                        .unwrap()
                        .batch_execute("UPDATE users SET name = 'other'")?;
                }
                rename(conn, 1)
            };
            db.transaction_retrying(2, work).await?;
            Ok("done".to_owned())
        }
    });
    let reply = bench.get("retries");
    assert!(is_stored(&reply), "{reply:?}");
    assert_eq!(tries.load(std::sync::atomic::Ordering::SeqCst), 2);
    assert_eq!(names(&bench), ["x", "other", "other"]);
    rename(&mut bench.conn(), 1).unwrap();
    assert_eq!(bench.ended_by("retries").as_deref(), Some("users:1"));
}

/// The COMMIT of this connection's transaction, whose changes are stamped by then, waits for both.
fn hold_commit(conn: &mut Tracked<C>, stamped: Arc<Barrier>, go_on: Arc<Barrier>) {
    conn.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event
            && query.to_string().ends_with("COMMIT")
        {
            stamped.wait();
            go_on.wait();
        }
    });
}

#[test]
fn h05_a_transaction_that_stamps_first_and_commits_last_is_the_handlers_too() {
    let bench = Bench::with_users();
    bench.handler("overlapping", |request| async move {
        let db = Db::<C>::extract(&request).await?;
        let (stamped, go_on) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
        let (seen, after) = (Arc::clone(&stamped), Arc::clone(&go_on));
        let outer = db.transaction(move |conn| {
            hold_commit(conn, Arc::clone(&stamped), Arc::clone(&go_on));
            // Rows unknown.
            conn.batch_execute("UPDATE users SET name = 'x' WHERE id = 1")
        });
        let inner = async {
            let done = db.run(move |conn| {
                seen.wait();
                rename(conn, 2)
            });
            let done = done.await;
            after.wait();
            done
        };
        let (outer, inner) = futures_util::future::join(outer, inner).await;
        outer.and(inner)?;
        Ok("done".to_owned())
    });
    let reply = bench.get("overlapping");
    assert!(is_stored(&reply), "{reply:?}");
    assert_eq!(bench.ended_by("overlapping"), None);
}

#[test]
fn chained_transactions_each_end_their_own_replies() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.batch_execute("BEGIN")?;
        rename(conn, 1)?;
        conn.batch_execute("COMMIT AND CHAIN")?;
        rename(conn, 2)?;
        sql_query("ROLLBACK AND CHAIN").execute(conn)?;
        rename(conn, 3)?;
        conn.batch_execute("COMMIT")
    });
    assert_eq!(ended, ["users:1", "users:3"]);
    assert_eq!(names(&bench), ["x", "Bob", "x"]);
}

#[test]
fn a_prepared_transaction_is_announced_before_anyone_can_commit_it() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let name = bench.url.rsplit('/').next().unwrap();
        conn.batch_execute("BEGIN").unwrap();
        rename(conn, 1).unwrap();
        conn.batch_execute(&format!("PREPARE TRANSACTION '{name}'"))
            .unwrap();
        bench
            .bare()
            .batch_execute(&format!("COMMIT PREPARED '{name}'"))
            .unwrap();
    });
    assert_eq!(ended, ["users:1"]);
    assert_eq!(names(&bench), ["x", "Bob", "Cid"]);
}

#[test]
fn a_batch_without_a_transaction_stays_one() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let batch =
            "UPDATE users SET name = 'x' WHERE id = 1; UPDATE users SET name = 'x' WHERE id = 2";
        conn.batch_execute(batch).unwrap();
    });
    assert_eq!(ended, ["users:1", "users:2"]);
    assert_eq!(names(&bench), ["x", "x", "Cid"]);
    let ended = bench.ended_users(|conn| {
        let batch = "UPDATE users SET name = 'y' WHERE id = 1; INSERT INTO nowhere VALUES (1)";
        assert!(conn.batch_execute(batch).is_err());
    });
    assert!(ended.is_empty(), "{ended:?}");
    assert_eq!(names(&bench), ["x", "x", "Cid"]);
}

#[test]
fn rows_in_a_failed_transaction_cannot_be_read_either() {
    let bench = Bench::with_users();
    let done = bench.conn().transaction(|conn| {
        let _ = sql_query("SELECT 1 / 0").execute(conn);
        users::table.load::<User>(conn)
    });
    assert!(done.is_err());
}
