//! What happens to a cluster while it is used: no hit is stale, and it recovers.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures_util::future::{join, join_all};
use tokio::time::sleep;

use super::super::soak::{Row, any, request};
use super::*;

on_both![
    h3_no_hit_is_stale_while_slots_are_moved,
    h24_no_hit_is_stale_while_primaries_are_killed,
];

const ROWS: usize = 6;

/// Two stores, and what they have done.
struct Load {
    stores: [Arc<RedisStore>; 2],
    rows: [Row; ROWS],
    hits: AtomicU64,
    over: AtomicBool,
}

impl Load {
    async fn on(cluster: &RedisCluster) -> Self {
        Self {
            stores: [
                Arc::new(super::join(cluster).await),
                Arc::new(super::join(cluster).await),
            ],
            rows: Default::default(),
            hits: AtomicU64::new(0),
            over: AtomicBool::new(false),
        }
    }

    async fn work(&self) {
        let workers = (0..16).map(async |worker: usize| {
            while !self.over.load(Ordering::SeqCst) {
                let row = usize::try_from(any(ROWS as u64)).unwrap();
                let (store, name) = (&self.stores[worker % 2], name(row));
                if any(8) == 0 {
                    self.rows[row].change(store, &name, false).await;
                } else if request(store, &self.rows[row], &name).await {
                    self.hits.fetch_add(1, Ordering::SeqCst);
                }
                tokio::task::yield_now().await;
            }
        });
        join_all(workers).await;
    }

    fn hits(&self) -> u64 {
        self.hits.load(Ordering::SeqCst)
    }

    fn changes(&self) -> u64 {
        let rows = self.rows.iter();
        rows.map(|row| row.committed.load(Ordering::SeqCst)).sum()
    }

    /// Returns when there were many more hits, of records of every row, and changes.
    async fn goes_on(&self) {
        let (hits, changes) = (self.hits(), self.changes());
        eventually_async("it is used as before", async || {
            self.hits() > hits + 200 && self.changes() > changes + 20
        })
        .await;
        for row in 0..ROWS {
            let name = name(row);
            eventually_async("every row can be changed", async || {
                self.rows[row]
                    .change(&self.stores[0], &name, true)
                    .await
                    .is_some()
            })
            .await;
            eventually_async("every record is replayed", async || {
                request(&self.stores[1], &self.rows[row], &name).await
            })
            .await;
        }
    }
}

fn name(row: usize) -> String {
    format!("soak:{row}")
}

async fn h3_no_hit_is_stale_while_slots_are_moved(flavor: Flavor) {
    let cluster = flavor.start_cluster();
    let load = Load::on(&cluster).await;
    let nemesis = async {
        load.goes_on().await;
        for row in 0..ROWS {
            let name = name(row);
            for key in [names::tag_key(&name), names::key(Kind::Record, &name)] {
                let slot = cluster.slot(&key);
                let old = cluster.owner(slot).port();
                let new = cluster.nodes()[..3].iter().find(|node| node.port() != old);
                let new = new.unwrap();
                cluster.begin_move(slot, new);
                sleep(Duration::from_millis(any(30))).await;
                cluster.move_keys(slot, new, 1);
                sleep(Duration::from_millis(any(30))).await;
                cluster.end_move(slot, new);
            }
        }
        load.goes_on().await;
        load.over.store(true, Ordering::SeqCst);
    };
    join(load.work(), nemesis).await;
}

async fn h24_no_hit_is_stale_while_primaries_are_killed(flavor: Flavor) {
    let cluster = flavor.start_cluster();
    let load = Load::on(&cluster).await;
    let nemesis = async {
        load.goes_on().await;
        let first = cluster.owner(cluster.slot(&names::tag_key(&name(0))));
        first.server().kill();
        load.goes_on().await;
        load.over.store(true, Ordering::SeqCst);
    };
    join(load.work(), nemesis).await;
}
