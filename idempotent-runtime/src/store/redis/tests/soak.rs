//! Two stores, random requests, and connections that are cut: no stale hit, no two holders, nobody stuck.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tokio::sync::Mutex;
use tokio::time::sleep;

use super::*;

on_both![
    h3_no_hit_is_stale_while_everything_is_lost,
    a_lock_has_one_holder_while_connections_are_cut,
];

const TIME: Duration = Duration::from_secs(3);

/// A number below this.
pub(super) fn any(below: u64) -> u64 {
    RandomState::new().hash_one(Instant::now()) % below
}

/// A row: who changes it holds the lock until the change is committed, as a database has it.
#[derive(Default)]
pub(super) struct Row {
    lock: Mutex<()>,
    pub(super) committed: AtomicU64,
}

impl Row {
    /// Stamps, then commits; `None` if it was not stamped, and so not committed.
    pub(super) async fn change(
        &self,
        store: &Arc<RedisStore>,
        tag: &str,
        keeps: bool,
    ) -> Option<(u64, Stamped)> {
        let _locked = self.lock.lock().await;
        let (store, tag) = (Arc::clone(store), Tag::from(tag));
        let stamping = tokio::task::spawn_blocking(move || {
            store.stamp(&Stamp {
                tags: &[TagStamp { tag, renew: true }],
                create: keeps,
                life: if keeps { LONG } else { Duration::ZERO },
                nonce: crate::sync::random(),
            })
        });
        let stamped = stamping.await.unwrap().ok()?;
        Some((self.committed.fetch_add(1, Ordering::SeqCst) + 1, stamped))
    }
}

/// One request: replayed or run. Whether it was replayed.
pub(super) async fn request(store: &Arc<RedisStore>, row: &Row, name: &str) -> bool {
    let before = row.committed.load(Ordering::SeqCst);
    let claim = Claim {
        lease: Duration::from_millis(500),
        ..claim(name)
    };
    match store.look(&claim, Changed::Run).await {
        Ok(Looked::Hit(record, _)) => {
            let replayed: u64 = String::from_utf8_lossy(record.reply.bytes())
                .parse()
                .unwrap();
            assert!(
                replayed >= before,
                "stale: {replayed}, but {before} was committed before the look"
            );
            return true;
        }
        Ok(Looked::Claimed(_)) => {
            let Some((value, stamped)) = row.change(store, name, true).await else {
                let _ = store.release(&claim).await;
                return false;
            };
            let record = Record {
                execution: claim.execution,
                fingerprint: None,
                epoch: Some(stamped.epoch),
                tags: vec![(name.into(), stamped.versions[0].1.unwrap())],
                reply: Reply::new(200).body(value.to_string()),
            };
            let _ = store.keep(&claim, record, LONG).await;
        }
        Ok(Looked::Busy { execution, .. }) => {
            let _ = store.ended(&claim.id, execution, SOON).await;
        }
        Ok(Looked::Changed(..)) | Err(_) => sleep(Duration::from_millis(1)).await,
    }
    false
}

async fn h3_no_hit_is_stale_while_everything_is_lost(flavor: Flavor) {
    let redis = flavor.start();
    let stores = [
        Arc::new(connect(&redis).await),
        Arc::new(connect(&redis).await),
    ];
    let rows: [Row; 3] = Default::default();
    let (hits, over) = (AtomicU64::new(0), AtomicBool::new(false));
    let work = futures_util::future::join_all((0..24).map(async |worker: usize| {
        while !over.load(Ordering::SeqCst) {
            let row = any(3) as usize;
            let (store, name) = (&stores[worker % 2], format!("soak:{row}"));
            if any(8) == 0 {
                rows[row].change(store, &name, false).await;
            } else if request(store, &rows[row], &name).await {
                hits.fetch_add(1, Ordering::SeqCst);
            }
            tokio::task::yield_now().await;
        }
    }));
    let nemesis = async {
        let since = Instant::now();
        while since.elapsed() < TIME {
            sleep(Duration::from_millis(20 + any(60))).await;
            match any(6) {
                0 => drop(send::<i64>(&redis, "CLIENT KILL TYPE normal")),
                1 => drop(send::<i64>(&redis, "CLIENT KILL TYPE pubsub")),
                2 => send::<()>(&redis, "SCRIPT FLUSH"),
                3 => send::<()>(&redis, "FLUSHALL"),
                4 => drop(send::<i64>(&redis, "DEL idempotent:version")),
                _ => drop(send::<i64>(&redis, "DEL idempotent:soak:tag:1")),
            }
        }
        over.store(true, Ordering::SeqCst);
    };
    futures_util::future::join(work, nemesis).await;
    let (hits, changes) = (hits.into_inner(), rows[0].committed.load(Ordering::SeqCst));
    assert!(
        hits > 200 && changes > 20,
        "{hits} hits and {changes} changes show little"
    );
}

async fn a_lock_has_one_holder_while_connections_are_cut(flavor: Flavor) {
    let redis = flavor.start();
    let stores = [connect(&redis).await, connect(&redis).await];
    let (inside, turns, over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    let work = futures_util::future::join_all((0..12).map(async |worker: usize| {
        let store = &stores[worker % 2];
        while !over.load(Ordering::SeqCst) {
            let lock = claim("a");
            let locked = store.lock(&lock, LONG).await;
            if matches!(locked, Ok(true)) {
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two holders");
                sleep(Duration::from_millis(1)).await;
                inside.fetch_sub(1, Ordering::SeqCst);
                turns.fetch_add(1, Ordering::SeqCst);
            }
            // What was not answered may be held; as whoever asked for it does, it is freed until that is known.
            eventually_async("it is freed", async || store.unlock(&lock).await.is_ok()).await;
        }
    }));
    let nemesis = async {
        let since = Instant::now();
        while since.elapsed() < TIME {
            sleep(Duration::from_millis(20 + any(60))).await;
            match any(3) {
                0 => drop(send::<i64>(&redis, "CLIENT KILL TYPE normal")),
                1 => drop(send::<i64>(&redis, "CLIENT KILL TYPE pubsub")),
                _ => send::<()>(&redis, "SCRIPT FLUSH"),
            }
        }
        over.store(true, Ordering::SeqCst);
    };
    futures_util::future::join(work, nemesis).await;
    let turns = turns.into_inner();
    println!("{turns} turns");
    assert!(turns > 50, "{turns} turns show little");
    assert_eq!(send::<i64>(&redis, "EXISTS idempotent:{a}:lock"), 0);
}
