//! Several commits of one handler: one after the other, at once, begun anew, and after its reply.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::FromRequest;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::update;
use idempotent_runtime::{Builder, Db, Error};

use super::{C, UNKNOWN_ROWS};
use crate::app::{Gate, is_replay};
use crate::bench::{Bench as AnyBench, Tracked, USERS, detail, is_stored};
use crate::database::users;

type Bench = AnyBench<C>;

fn rename(conn: &mut Tracked<C>, id: i32) -> QueryResult<usize> {
    update(users::table.find(id))
        .set(users::name.eq("x"))
        .execute(conn)
}

/// A change of rows that nobody can tell.
fn rename_all(conn: &mut Tracked<C>) -> QueryResult<()> {
    conn.batch_execute(UNKNOWN_ROWS)
}

/// A handler that commits so is replayed, until someone changes a row that it has not named.
#[track_caller]
fn depends_on_the_whole_table(
    settings: impl FnOnce(Builder) -> Builder,
    commits: fn(&mut Tracked<C>) -> QueryResult<usize>,
) {
    let bench = Bench::built(USERS, settings);
    bench.keep("several", commits);
    assert_eq!(bench.ended_by("several"), None);
    rename(&mut bench.conn(), 3).unwrap();
    assert!(bench.ended_by("several").is_some());
}

#[test]
fn h05_a_handler_does_not_overtake_itself_by_a_row_after_rows_unknown() {
    depends_on_the_whole_table(
        |builder| builder,
        |conn| {
            rename_all(conn)?;
            rename(conn, 1)
        },
    );
}

#[test]
fn h05_a_handler_does_not_overtake_itself_by_rows_unknown_after_a_row() {
    depends_on_the_whole_table(
        |builder| builder,
        |conn| {
            rename(conn, 1)?;
            rename_all(conn)?;
            rename(conn, 1)
        },
    );
}

#[test]
fn h47_a_handler_with_more_rows_than_the_limit_is_replayed() {
    depends_on_the_whole_table(
        |builder| builder.rows_limit(1),
        |conn| {
            rename(conn, 1)?;
            rename(conn, 2)?;
            rename(conn, 1)
        },
    );
}

#[test]
fn h05_transactions_at_once_are_all_the_handlers() {
    let bench = Bench::with_users();
    bench.handler("at-once", |request| async move {
        let db = Db::<C>::extract(&request).await?;
        let renamed = |id| db.run(move |conn| rename(conn, id));
        let (one, two) = futures_util::future::join(renamed(1), renamed(2)).await;
        Ok(format!("{} and {}", one?, two?))
    });
    for id in [1, 2] {
        let reply = bench.get("at-once");
        assert!(is_stored(&reply), "{reply:?}");
        rename(&mut bench.conn(), 3).unwrap();
        assert!(is_replay(&bench.get("at-once")));
        rename(&mut bench.conn(), id).unwrap();
    }
    assert_eq!(bench.ended_by("at-once").as_deref(), Some("users:2"));
}

/// As the database reports it when two transactions got in each other's way.
fn not_serializable() -> DieselError {
    let kind = DatabaseErrorKind::SerializationFailure;
    DieselError::DatabaseError(kind, Box::new("on purpose".to_owned()))
}

#[test]
fn a_transaction_that_reports_our_error_is_begun_anew_too() {
    let (bench, tries) = (Bench::with_users(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&tries);
    bench.handler("retries", move |request| {
        let tries = Arc::clone(&counted);
        async move {
            let work = move |conn: &mut Tracked<C>| match tries.fetch_add(1, Ordering::SeqCst) {
                0 => Err(Error::from(not_serializable())),
                _ => Ok(rename(conn, 1)?),
            };
            let db = Db::<C>::extract(&request).await?;
            db.transaction_retrying(1, work).await?;
            Ok("done".to_owned())
        }
    });
    assert!(is_stored(&bench.get("retries")));
    assert_eq!(tries.load(Ordering::SeqCst), 2);
}

#[test]
fn a_reply_is_not_kept_while_a_closure_of_its_handler_runs() {
    let (bench, gate) = (Bench::with_users(), Gate::closed());
    let inside = gate.clone();
    bench.handler("leaves", move |_| {
        let gate = inside.clone();
        // The closure runs whether anyone waits for it or not.
        drop(idempotent_runtime::block(move || gate.pass_blocking()));
        async { Ok("done".to_owned()) }
    });
    assert_eq!(detail(&bench.get("leaves")), "still-running");
    gate.let_through(1);
}

/// A handler that replies while a task of its own has yet to rename a user, which waits at this gate.
fn leaving_work_behind() -> (Bench, Gate) {
    let (bench, gate) = (Bench::with_users(), Gate::closed());
    let inside = gate.clone();
    bench.handler("leaves", move |request| {
        let gate = inside.clone();
        async move {
            let db = Db::<C>::extract(&request).await?;
            actix_web::rt::spawn(async move {
                gate.pass().await;
                db.run(|conn| rename(conn, 1)).await
            });
            Ok("done".to_owned())
        }
    });
    (bench, gate)
}

#[test]
fn work_that_a_handler_has_left_behind_ends_its_reply() {
    let (bench, gate) = leaving_work_behind();
    assert!(is_stored(&bench.get("leaves")));
    assert!(is_replay(&bench.get("leaves")));
    gate.let_through(1);
    support::eventually("the handler runs again", || {
        !is_replay(&bench.get("leaves"))
    });
}

#[test]
fn work_that_a_handler_has_left_behind_ends_the_replies_of_others() {
    let (bench, gate) = leaving_work_behind();
    bench.keep("user", |conn| rename(conn, 1));
    assert!(is_stored(&bench.get("leaves")));
    assert_eq!(bench.ended_by("user"), None);
    gate.let_through(1);
    support::eventually("the reply ends", || bench.ended_by("user").is_some());
}
