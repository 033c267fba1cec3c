//! The schema changes while the server runs, and what was planned before it is forgotten everywhere.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;

use super::{C, DROPS_NOTING, IMPATIENT, PATIENT, updates_notes};
use crate::bench::{Bench as AnyBench, Tracked};
use crate::tables::CHILDREN;

type Bench = AnyBench<C>;

/// What the trigger waits for.
pub const AUDIT: &str = "UPDATE audits SET what = 'b' WHERE id = 1";

/// A bench with a row for [`AUDIT`], which nothing listens to yet.
pub fn bench() -> Bench {
    Bench::with(&format!(
        "{CHILDREN}; INSERT INTO audits (id, what) VALUES (1, 'a')"
    ))
}

fn trigger() -> String {
    updates_notes("AFTER UPDATE ON audits")
}

/// What is ended by an [`AUDIT`]. The reply is made only now, for a CREATE or DROP ends it by itself.
pub fn ended_by_audit(bench: &Bench, conn: &mut Tracked<C>) -> Vec<String> {
    bench.watch_sql("note", "UPDATE notes SET body = body WHERE id = 2");
    assert_eq!(sql_query(AUDIT).execute(conn), Ok(1));
    bench.ended()
}

/// It has planned an [`AUDIT`], which ended nothing.
pub fn planned(bench: &Bench, conn: &mut Tracked<C>) {
    let ended = ended_by_audit(bench, conn);
    assert!(ended.is_empty(), "{ended:?}");
}

#[test]
fn h11_a_batch_may_make_a_trigger_and_set_it_off() {
    let bench = bench();
    let mut conn = bench.conn();
    planned(&bench, &mut conn);
    bench.watch_sql("note", "UPDATE notes SET body = body WHERE id = 2");
    let batch = format!("{}; {AUDIT}", trigger());
    conn.transaction(|conn| conn.batch_execute(&batch)).unwrap();
    assert_eq!(bench.ended(), ["notes:*"]);
}

#[test]
fn h11_a_trigger_made_in_a_transaction_is_set_off_in_it() {
    let bench = bench();
    let mut conn = bench.conn();
    planned(&bench, &mut conn);
    bench.watch_sql("note", "UPDATE notes SET body = body WHERE id = 2");
    let changed = conn.transaction(|conn| {
        conn.batch_execute(&trigger())?;
        sql_query(AUDIT).execute(conn)
    });
    assert_eq!(changed, Ok(1));
    assert_eq!(bench.ended(), ["notes:*"]);
}

#[test]
fn h11_what_was_planned_while_a_trigger_was_made_is_planned_anew() {
    let bench = bench();
    let (mut maker, mut sibling) = (bench.conn(), bench.conn());
    maker.batch_execute("BEGIN").unwrap();
    maker.batch_execute(&trigger()).unwrap();
    sibling.batch_execute(IMPATIENT).unwrap();
    // It reads the catalog without the trigger, and then the table is locked.
    assert!(sql_query(AUDIT).execute(&mut sibling).is_err());
    maker.batch_execute("COMMIT").unwrap();
    sibling.batch_execute(PATIENT).unwrap();
    assert_eq!(ended_by_audit(&bench, &mut sibling), ["notes:*"]);
    assert_eq!(ended_by_audit(&bench, &mut maker), ["notes:*"]);
}

#[test]
fn h11_a_trigger_that_was_rolled_back_is_not_there() {
    let bench = bench();
    let (mut maker, mut sibling) = (bench.conn(), bench.conn());
    let undone = maker.transaction(|conn| {
        conn.batch_execute(&trigger())?;
        sql_query(AUDIT).execute(conn)?;
        QueryResult::<()>::Err(diesel::result::Error::RollbackTransaction)
    });
    assert!(undone.is_err());
    planned(&bench, &mut maker);
    planned(&bench, &mut sibling);
}

#[test]
fn h11_a_trigger_whose_drop_was_rolled_back_is_there() {
    let bench = bench();
    let (mut maker, mut sibling) = (bench.conn(), bench.conn());
    maker.batch_execute(&trigger()).unwrap();
    maker.batch_execute("BEGIN").unwrap();
    maker.batch_execute(DROPS_NOTING).unwrap();
    assert_eq!(sql_query(AUDIT).execute(&mut maker), Ok(1));
    maker.batch_execute("ROLLBACK").unwrap();
    assert_eq!(ended_by_audit(&bench, &mut maker), ["notes:*"]);
    assert_eq!(ended_by_audit(&bench, &mut sibling), ["notes:*"]);
}

#[test]
fn h11_a_trigger_whose_drop_a_savepoint_undid_is_there() {
    let bench = bench();
    let mut conn = bench.conn();
    conn.batch_execute(&trigger()).unwrap();
    conn.batch_execute("BEGIN; SAVEPOINT dropping").unwrap();
    conn.batch_execute(DROPS_NOTING).unwrap();
    assert_eq!(sql_query(AUDIT).execute(&mut conn), Ok(1));
    conn.batch_execute("ROLLBACK TO dropping; COMMIT").unwrap();
    assert_eq!(ended_by_audit(&bench, &mut conn), ["notes:*"]);
}

#[test]
fn h11_a_trigger_made_through_another_pool_is_seen() {
    let bench = bench();
    let mut conn = bench.conn();
    planned(&bench, &mut conn);
    let other = bench.idempotent.pool::<C>(bench.url.clone()).unwrap();
    other.get().unwrap().batch_execute(&trigger()).unwrap();
    assert_eq!(ended_by_audit(&bench, &mut conn), ["notes:*"]);
}
