//! The same of a cluster, whose servers are asked one by one.

use support::RedisCluster;

use super::*;

async fn join(cluster: &RedisCluster) -> RedisStore {
    let store = RedisStore::cluster_builder(cluster.urls()).deadline(Duration::from_millis(300));
    store.connect().await.unwrap()
}

/// The only key of this kind that there is.
fn only(cluster: &RedisCluster, pattern: &str) -> String {
    let primaries = cluster.nodes()[..3].iter();
    let keys: Vec<_> = primaries
        .flat_map(|node| node.ask(&["KEYS", pattern]))
        .collect();
    let [key] = keys.as_slice() else {
        panic!("{keys:?}")
    };
    key.clone()
}

#[actix_web::test]
async fn hits_misses_and_calls_of_a_cluster() {
    let recorder = DebuggingRecorder::new();
    let _local = set_default_local_recorder(&recorder);
    let (cluster, sqlite, gate) = (Flavor::Redis.start_cluster(), sqlite(), Gate::open());
    let app = app!(idempotent(join(&cluster).await), sqlite, gate);

    ask!(app, put "/rename/Bob").await;
    let first = Seen::now(&recorder);
    first.assert("misses_total{handler=rename,reason=absent}", 1.0);
    first.assert("kept_total{handler=rename}", 1.0);
    for operation in ["look", "stamp", "keep"] {
        first.assert(&format!("store_seconds{{operation={operation}}}"), 1.0);
    }

    // By what is known of it, and without.
    ask!(app, put "/rename/Bob").await;
    Seen::now(&recorder).assert("hits_total{from=store,handler=rename}", 1.0);
    let other = app!(idempotent(join(&cluster).await), sqlite, gate);
    ask!(other, put "/rename/Bob").await;
    Seen::now(&recorder).assert("hits_total{from=store,handler=rename}", 1.0);

    ask!(app, put "/plainly/Eve").await;
    ask!(app, put "/rename/Bob").await;
    let changed = Seen::now(&recorder);
    changed.assert("misses_total{handler=rename,reason=changed}", 1.0);

    let slot = cluster.slot(&only(&cluster, "idempotent:*:tag:*:1"));
    let old = cluster.owner(slot).port();
    let new = cluster.nodes()[..3].iter().find(|node| node.port() != old);
    cluster.begin_move(slot, new.unwrap());
    cluster.end_move(slot, new.unwrap());
    ask!(app, put "/rename/Bob").await;
    let epoch = Seen::now(&recorder);
    epoch.assert("misses_total{handler=rename,reason=epoch}", 1.0);

    let key = only(&cluster, "*:record");
    let owner = cluster.owner(cluster.slot(&key));
    owner.ask(&["PSETEX", &key, "60000", "not a record"]);
    ask!(app, put "/rename/Bob").await;
    let unreadable = Seen::now(&recorder);
    unreadable.assert("misses_total{handler=rename,reason=unreadable}", 1.0);
    assert!(!unreadable.has("store_errors"), "{unreadable:?}");
}
