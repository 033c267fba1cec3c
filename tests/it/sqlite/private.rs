//! What one connection has and its siblings have not.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;

use super::C;
use super::schema::{bench, ended_by_audit, planned};

#[test]
fn h11_a_temporary_trigger_counts_for_its_own_connection_alone() {
    let bench = bench();
    let (mut own, mut sibling) = (bench.conn(), bench.conn());
    planned(&bench, &mut own);
    let trigger = "CREATE TEMP TRIGGER temporary AFTER UPDATE ON audits BEGIN UPDATE notes SET body = 'seen'; END";
    own.batch_execute(trigger).unwrap();
    planned(&bench, &mut sibling);
    assert_eq!(ended_by_audit(&bench, &mut own), ["notes:*"]);
    planned(&bench, &mut sibling);
}

#[test]
fn a_pool_in_memory_has_one_database() {
    let bench = bench();
    for url in [":memory:", "file::memory:"] {
        let pool = bench.idempotent.pool::<C>(url).unwrap();
        let create = "CREATE TABLE drafts (id INTEGER PRIMARY KEY)";
        pool.get().unwrap().batch_execute(create).unwrap();
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    let insert = sql_query("INSERT INTO drafts DEFAULT VALUES");
                    assert_eq!(insert.execute(&mut pool.get().unwrap()), Ok(1), "{url}");
                });
            }
        });
        let delete = sql_query("DELETE FROM drafts");
        assert_eq!(delete.execute(&mut pool.get().unwrap()), Ok(4), "{url}");
    }
}
