//! No replay is older than what was committed before it was asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

use diesel::prelude::*;
use diesel::{sql_query, update};
use idempotent_runtime::Db;

use super::C;
use crate::app::is_replay;
use crate::bench::{Bench as AnyBench, Tracked};
use crate::tables::{LABELS, labels};

type Bench = AnyBench<C>;

const ROUNDS: usize = 300;

fn hits(conn: &mut Tracked<C>) -> QueryResult<i32> {
    labels::table.find("a").select(labels::hits).first(conn)
}

/// Touches the row, and tells its number.
fn read(conn: &mut Tracked<C>) -> QueryResult<i32> {
    conn.transaction(|conn| {
        sql_query("UPDATE labels SET hits = hits WHERE name = 'a'").execute(conn)?;
        hits(conn)
    })
}

fn count(conn: &mut Tracked<C>) -> QueryResult<i32> {
    conn.transaction(|conn| {
        update(labels::table.find("a"))
            .set(labels::hits.eq(labels::hits + 1))
            .execute(conn)?;
        hits(conn)
    })
}

/// A writer less, also when it fails: the readers must not wait for it.
struct Leaving<'a>(&'a AtomicUsize);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Writers count; each reader asks for a reply of its own, so that none takes the reply of one that began before it.
#[test]
fn h03_no_replay_is_older_than_a_commit_before_it() {
    let bench = Bench::with(&format!("{LABELS}; INSERT INTO labels VALUES ('a', 0)"));
    let committed = Arc::new(AtomicI32::new(0));
    let writers = AtomicUsize::new(2);
    for reader in ["one", "two"] {
        bench.handler(reader, |request| async move {
            let db = <Db<C> as actix_web::FromRequest>::extract(&request).await?;
            Ok(db.run(read).await?.to_string())
        });
    }
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                let _leaving = Leaving(&writers);
                for _ in 0..ROUNDS {
                    let now = count(&mut bench.conn()).unwrap();
                    committed.fetch_max(now, Ordering::SeqCst);
                }
            });
        }
        for reader in ["one", "two"] {
            let (bench, committed, writers) = (&bench, &committed, &writers);
            threads.spawn(move || {
                while writers.load(Ordering::SeqCst) > 0 {
                    let least = committed.load(Ordering::SeqCst);
                    let reply = bench.get(reader);
                    let told: i32 = reply.text().parse().unwrap_or_else(|_| panic!("{reply:?}"));
                    assert!(told >= least, "{told} is older than {least}: {reply:?}");
                }
            });
        }
    });
    bench.get("one");
    assert!(is_replay(&bench.get("one")));
}

/// The first transactions of a process must not be in each other's way while the catalog is still to be read.
#[test]
fn the_first_writers_of_all_connections_at_once_all_commit() {
    for _ in 0..20 {
        let bench = Bench::with(&format!("{LABELS}; INSERT INTO labels VALUES ('a', 0)"));
        let start = std::sync::Barrier::new(4);
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| {
                    let mut conn = bench.conn();
                    start.wait();
                    count(&mut conn).unwrap();
                });
            }
        });
        assert_eq!(hits(&mut bench.conn()).unwrap(), 4);
    }
}
