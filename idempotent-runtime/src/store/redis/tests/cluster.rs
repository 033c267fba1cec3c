//! Clusters of six servers.

use support::RedisCluster;

use super::*;

mod load;
mod ways;

on_both![
    it_keeps_the_contract_in_a_cluster,
    h27_tags_in_all_slots_are_stamped_kept_and_compared,
    h7_in_a_cluster_tags_outlive_their_records,
    h24_a_shard_that_failed_over_ends_its_records,
    h24_a_tag_that_a_failover_lost_is_no_change,
    a_slot_in_mid_move_is_followed,
    a_moved_slot_is_followed,
    a_tag_s_slot_that_moves_before_a_keep_is_followed,
    a_cluster_that_is_stalled_costs_its_deadline_once,
    an_unknown_record_in_a_cluster_is_a_miss_and_removed,
    what_is_no_cluster_is_told,
];

async fn join(cluster: &RedisCluster) -> RedisStore {
    RedisStore::cluster(cluster.urls()).await.unwrap()
}

async fn it_keeps_the_contract_in_a_cluster(flavor: Flavor) {
    let cluster = flavor.start_cluster();
    suite::check(async || join(&cluster).await).await;
}

async fn h27_tags_in_all_slots_are_stamped_kept_and_compared(flavor: Flavor) {
    let cluster = flavor.start_cluster();
    let (warm, cold) = (join(&cluster).await, join(&cluster).await);
    let names: Vec<_> = (0..500).map(|row| format!("shop:t:{row}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let tags = run(&warm, "shop:a", &names).await;
    assert_eq!(tags.len(), 500);
    let owned = cluster.nodes().iter().filter(|node| {
        let keys = node.ask(&["KEYS", "idempotent:shop:tag:*"]).len();
        keys > 100
    });
    assert_eq!(
        owned.count(),
        6,
        "they are on all three, and on their replicas"
    );
    for changed in [0, 250, 499] {
        for store in [&warm, &cold] {
            assert!(is_hit(&warm, "shop:a").await && is_hit(store, "shop:a").await);
            stamp(&cold, &[names[changed]], LONG, crate::sync::random());
            let ended = Miss::Changed(names[changed].into());
            assert_eq!(miss(store, "shop:a").await, ended);
            run(&warm, "shop:a", &names).await;
        }
    }
    // One counter for each slot that was stamped, and nothing else without an end.
    for node in &cluster.nodes()[..3] {
        for key in node.ask(&["KEYS", "*"]) {
            let has_end = node.ask(&["PTTL", &key])[0] != "-1";
            assert_eq!(has_end, !key.starts_with("idempotent:version:{"), "{key}");
        }
    }
}

async fn h7_in_a_cluster_tags_outlive_their_records(flavor: Flavor) {
    let cluster = flavor.start_cluster();
    let store = join(&cluster).await;
    let holder = claim("a");
    store.look(&holder, Changed::Run).await.unwrap();
    let stamped = stamp(&store, &["t", "u"], Duration::from_secs(1), 5);
    let tags = ["t", "u"].map(Tag::from).into_iter();
    let record = Record {
        execution: holder.execution,
        fingerprint: None,
        epoch: Some(stamped.epoch),
        tags: tags
            .zip(stamped.versions.iter().map(|(_, now)| now.unwrap()))
            .collect(),
        reply: Reply::new(200),
    };
    assert!(store.keep(&holder, record, LONG).await.unwrap());
    let life = |key: &str| -> u64 {
        let node = cluster.owner(cluster.slot(key));
        node.ask(&["PTTL", key])[0].parse().unwrap()
    };
    let kept = life("idempotent:{a}:record");
    assert!(kept > 50_000);
    assert!(life("idempotent:tag:t") >= kept && life("idempotent:tag:u") >= kept);
    stamp(&store, &["t"], Duration::from_secs(1), 6);
    assert!(life("idempotent:tag:t") >= kept - 1_000);
}

async fn h24_a_shard_that_failed_over_ends_its_records(flavor: Flavor) {
    let cluster = flavor.start_cluster();
    let store = join(&cluster).await;
    let [there, elsewhere] = tags_apart(&cluster);
    run(&store, "there", &[&there]).await;
    run(&store, "elsewhere", &[&elsewhere]).await;
    run(&store, "nowhere", &[]).await;
    let slot = |name: &str| cluster.slot(&names::tag_key(name));
    let old = cluster.owner(slot(&there));
    let place = cluster
        .nodes()
        .iter()
        .position(|node| std::ptr::eq(node, old));
    let new = &cluster.nodes()[place.unwrap() + 3];
    // Nothing is lost, and the old one lives on and comes back. It cannot be known that nothing was lost.
    for next in [new, old] {
        cluster.promote(next);
        let turned = eventually_miss(&store, "there").await;
        assert_eq!(turned, Miss::Epoch);
        run_eventually(&store, "there", &there).await;
    }
    for record in ["elsewhere", "nowhere"] {
        eventually_async("the others were never touched", async || {
            let claim = claim(record);
            matches!(store.look(&claim, Changed::Run).await, Ok(Looked::Hit(..)))
        })
        .await;
    }
}

async fn h24_a_tag_that_a_failover_lost_is_no_change(flavor: Flavor) {
    let cluster = flavor.start_cluster();
    let store = join(&cluster).await;
    let [tag, _] = tags_apart(&cluster);
    run(&store, "there", &[&tag]).await;
    let key = names::tag_key(&tag);
    let old = cluster.owner(cluster.slot(&key)).port();
    let place = cluster.nodes().iter().position(|node| node.port() == old);
    let new = &cluster.nodes()[place.unwrap() + 3];
    cluster.promote(new);
    new.ask(&["DEL", &key]);
    // Nobody can say whether the row was changed, so a retry is not rejected for it.
    loop {
        let claim = claim("there");
        match store.look(&claim, Changed::Reject).await {
            Ok(Looked::Claimed(miss)) => break assert_eq!(miss, Miss::Epoch),
            Ok(Looked::Hit(..)) | Err(_) => tokio::task::yield_now().await,
            looked => panic!("{looked:?}"),
        }
    }
}

/// The names of two tags that are on different servers, away from the records `there` and `elsewhere`, if possible.
fn tags_apart(cluster: &RedisCluster) -> [String; 2] {
    let busy = ["there", "elsewhere", "nowhere"].map(|id| names::key(Kind::Record, id));
    let home = |key: &str| cluster.owner(cluster.slot(key)).port();
    let busy = busy.map(|key| home(&key));
    let mut names = (0..).map(|row| format!("t:{row}"));
    let there = names.find(|name| {
        let port = home(&names::tag_key(name));
        busy[1] != port && busy[2] != port
    });
    let there = there.unwrap();
    let taken = home(&names::tag_key(&there));
    let elsewhere = names.find(|name| home(&names::tag_key(name)) != taken);
    [there, elsewhere.unwrap()]
}

/// The miss that a record turns out to be, when its server answers again.
async fn eventually_miss(store: &RedisStore, name: &str) -> Miss {
    loop {
        let claim = claim(name);
        let looked = store.look(&claim, Changed::Run).await;
        eventually_async("the claim is ended", async || {
            store.release(&claim).await.is_ok()
        })
        .await;
        match looked {
            Ok(Looked::Claimed(miss)) => return miss,
            // Before the connection has noticed; it asks each second.
            Ok(_) | Err(_) => tokio::task::yield_now().await,
        }
    }
}

async fn run_eventually(store: &RedisStore, name: &str, tag: &str) {
    eventually_async("tags can be stamped", async || {
        let tags = [TagStamp {
            tag: tag.into(),
            renew: true,
        }];
        let stamp = Stamp {
            tags: &tags,
            create: true,
            life: LONG,
            nonce: 1,
        };
        store.stamp(&stamp).is_ok()
    })
    .await;
    run(store, name, &[tag]).await;
    assert!(is_hit(store, name).await);
}

async fn a_slot_in_mid_move_is_followed(flavor: Flavor) {
    let cluster = flavor.start_cluster();
    let (warm, cold) = (join(&cluster).await, join(&cluster).await);
    run(&warm, "a", &["t"]).await;
    let key = "idempotent:{a}:record";
    let slot = cluster.slot(key);
    let old = cluster.owner(slot);
    let new = cluster.nodes()[..3]
        .iter()
        .find(|node| node.port() != old.port())
        .unwrap();
    cluster.begin_move(slot, new);
    // Still where it was, then at the new place while the old one is still asked first.
    assert!(is_hit_only(&warm, "a").await);
    assert_eq!(cluster.move_keys(slot, new, 100), 1);
    assert!(is_hit_only(&warm, "a").await);
    cluster.end_move(slot, new);
    for store in [&warm, &cold] {
        assert!(is_hit(store, "a").await);
        assert!(store.forget(&claim("a").id).await.unwrap());
        run(store, "a", &["t"]).await;
    }
}

/// Looks without a claim's end, whose script wants both of its keys on one side.
async fn is_hit_only(store: &RedisStore, name: &str) -> bool {
    let looked = store.look(&claim(name), Changed::Run).await;
    matches!(looked, Ok(Looked::Hit(..)))
}

async fn a_moved_slot_is_followed(flavor: Flavor) {
    let cluster = flavor.start_cluster();
    let (one, other) = (join(&cluster).await, join(&cluster).await);
    run(&one, "a", &["t"]).await;
    assert!(is_hit(&other, "a").await);
    let slot = cluster.slot("idempotent:tag:t");
    let old = cluster.owner(slot).port();
    let new = cluster.nodes()[..3].iter().find(|node| node.port() != old);
    cluster.begin_move(slot, new.unwrap());
    cluster.end_move(slot, new.unwrap());
    // The version came along; but what it was stamped on was another server.
    assert_eq!(miss(&one, "a").await, Miss::Epoch);
    run(&one, "a", &["t"]).await;
    assert!(is_hit(&other, "a").await);
    stamp(&one, &["t"], LONG, 7);
    assert_eq!(miss(&other, "a").await, Miss::Changed("t".into()));
}

async fn a_tag_s_slot_that_moves_before_a_keep_is_followed(flavor: Flavor) {
    let cluster = flavor.start_cluster();
    let store = join(&cluster).await;
    let slot = cluster.slot("idempotent:tag:t");
    let [in_mid_move, after] = ["a", "b"].map(claim);
    let mut records = Vec::new();
    for holder in [&in_mid_move, &after] {
        store.look(holder, Changed::Run).await.unwrap();
        let stamped = stamp(&store, &["t"], LONG, crate::sync::random());
        records.push(Record {
            execution: holder.execution,
            fingerprint: None,
            epoch: Some(stamped.epoch),
            tags: vec![("t".into(), stamped.versions[0].1.unwrap())],
            reply: Reply::new(200),
        });
    }
    let old = cluster.owner(slot).port();
    let new = cluster.nodes()[..3].iter().find(|node| node.port() != old);
    cluster.begin_move(slot, new.unwrap());
    cluster.move_keys(slot, new.unwrap(), 100);
    let kept = store.keep(&in_mid_move, records.remove(0), LONG).await;
    assert!(kept.unwrap());
    cluster.end_move(slot, new.unwrap());
    let kept = store.keep(&after, records.remove(0), LONG).await;
    assert!(kept.unwrap());
}

async fn a_cluster_that_is_stalled_costs_its_deadline_once(flavor: Flavor) {
    let cluster = flavor.start_cluster();
    let deadline = Duration::from_millis(300);
    let store = RedisStore::cluster_builder(cluster.urls()).deadline(deadline);
    let store = store.build().unwrap();
    let pause = |node: &Redis| node.server().pause();
    cluster.nodes().iter().for_each(pause);
    let since = Instant::now();
    let claims: Vec<_> = (0..10).map(|name| claim(&name.to_string())).collect();
    let looks = claims.iter().map(|claim| store.look(claim, Changed::Run));
    for looked in futures_util::future::join_all(looks).await {
        assert!(looked.is_err());
    }
    assert!(since.elapsed() < deadline + SOON, "{:?}", since.elapsed());
    let since = Instant::now();
    for claim in &claims {
        assert!(store.look(claim, Changed::Run).await.is_err());
    }
    assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
    let resume = |node: &Redis| node.server().resume();
    cluster.nodes().iter().for_each(resume);
    comes_back(&store).await;
}

async fn an_unknown_record_in_a_cluster_is_a_miss_and_removed(flavor: Flavor) {
    let cluster = flavor.start_cluster();
    let (warm, cold) = (join(&cluster).await, join(&cluster).await);
    let key = "idempotent:{a}:record";
    let node = cluster.owner(cluster.slot(key));
    for store in [&warm, &cold] {
        run(&warm, "a", &["t"]).await;
        assert!(is_hit(&warm, "a").await);
        let value: Vec<u8> = raw(node).get(key).unwrap();
        for whole in [1, 4, 11, 24, 60] {
            let _: () = raw(node).pset_ex(key, &value[..whole], 60_000).unwrap();
            assert_eq!(miss(store, "a").await, Miss::Unreadable, "{whole} bytes");
            assert_eq!(raw(node).exists(key), Ok(false));
        }
        let _: i64 = raw(node).rpush(key, "x").unwrap();
        assert_eq!(miss(store, "a").await, Miss::Unreadable);
    }
}

async fn what_is_no_cluster_is_told(flavor: Flavor) {
    let redis = flavor.start();
    assert!(RedisStore::cluster([redis.url()]).await.is_err());
    assert!(RedisStore::cluster(Vec::<String>::new()).await.is_err());
    let numbered = RedisStore::cluster([format!("{}1", redis.url())]).await;
    assert!(numbered.unwrap_err().to_string().contains("database 0"));
}
