//! Servers that are killed, stalled, emptied, or demoted.

use super::*;

on_both![
    a_killed_server_is_an_error_and_its_successor_is_found,
    h24_a_record_that_survived_a_restart_is_a_miss,
    h24_a_server_that_is_no_primary_any_more_is_left,
    h24_a_server_that_was_a_replica_meanwhile_is_another,
    a_stalled_server_costs_its_deadline_three_times,
    a_stalled_server_does_not_hold_up_a_stamp_for_longer_than_the_deadline,
    an_emptied_server_has_no_records_and_no_stale_ones,
    a_server_that_lost_its_scripts_gets_them_anew,
    connections_that_are_cut_are_made_anew,
    a_full_server_refuses_and_loses_nothing,
    while_the_server_is_away_nothing_can_be_built_on_it,
];

const DEADLINE: Duration = Duration::from_millis(300);

async fn hasty(redis: &Redis) -> RedisStore {
    RedisStore::builder(redis.url())
        .deadline(DEADLINE)
        .connect()
        .await
        .unwrap()
}

async fn a_killed_server_is_an_error_and_its_successor_is_found(flavor: Flavor) {
    let first = flavor.start();
    let store = hasty(&first).await;
    run(&store, "a", &["t"]).await;
    first.server().kill();
    assert!(store.look(&claim("a"), Changed::Run).await.is_err());
    let _second = flavor.start_on(first.port(), &[]);
    comes_back(&store).await;
    assert_eq!(miss(&store, "a").await, Miss::Absent);
    run(&store, "a", &["t"]).await;
    assert!(is_hit(&store, "a").await);
}

async fn h24_a_record_that_survived_a_restart_is_a_miss(flavor: Flavor) {
    let data = tempfile::tempdir().unwrap();
    let directory = data.path().to_str().unwrap();
    let keeps = [
        "--dir",
        directory,
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
    ];
    let first = flavor.start_with(&keeps);
    let store = hasty(&first).await;
    run(&store, "rows", &["t"]).await;
    run(&store, "none", &[]).await;
    assert!(is_hit(&store, "rows").await);
    first.server().kill();
    let _second = flavor.start_on(first.port(), &keeps);
    comes_back(&store).await;
    // Both are there. But the first one's tag may have been stamped in what was lost.
    assert_eq!(miss(&store, "rows").await, Miss::Epoch);
    assert!(is_hit(&store, "none").await);
}

async fn h24_a_server_that_is_no_primary_any_more_is_left(flavor: Flavor) {
    let redis = flavor.start();
    let store = hasty(&redis).await;
    run(&store, "a", &["t"]).await;
    let _: () = send(&redis, "REPLICAOF 127.0.0.1 1");
    // The hit is read from a replica until its role is seen, and not for longer.
    let since = Instant::now();
    eventually_async("a replica is not asked", async || {
        store.look(&claim("a"), Changed::Run).await.is_err()
    })
    .await;
    assert!(since.elapsed() < 2 * super::super::line::CHECK);
    let _: () = send(&redis, "REPLICAOF NO ONE");
    comes_back(&store).await;
    let _: () = send(&redis, "REPLICAOF 127.0.0.1 1");
    // What would write is refused, and then the connection is not used again.
    assert!(store.look(&claim("b"), Changed::Run).await.is_err());
    assert!(store.look(&claim("a"), Changed::Run).await.is_err());
}

async fn h24_a_server_that_was_a_replica_meanwhile_is_another(flavor: Flavor) {
    let redis = flavor.start();
    let store = hasty(&redis).await;
    run(&store, "a", &["t"]).await;
    // Too fast to be seen, and its `run_id` is what it was. But what it had may have been replaced by another's.
    let _: () = send(&redis, "REPLICAOF 127.0.0.1 1");
    let _: () = send(&redis, "REPLICAOF NO ONE");
    eventually_async("the record is void", async || {
        let looked = look(&store, "a").await;
        matches!(looked, Looked::Claimed(Miss::Epoch))
    })
    .await;
}

async fn a_stalled_server_costs_its_deadline_three_times(flavor: Flavor) {
    let redis = flavor.start();
    let store = hasty(&redis).await;
    redis.server().pause();
    for _ in 0..3 {
        let since = Instant::now();
        assert!(store.look(&claim("a"), Changed::Run).await.is_err());
        assert!(since.elapsed() < DEADLINE + SOON, "{:?}", since.elapsed());
    }
    let since = Instant::now();
    for _ in 0..100 {
        assert!(store.look(&claim("a"), Changed::Run).await.is_err());
        let stamp = Stamp {
            tags: &[],
            create: true,
            life: LONG,
            nonce: 1,
        };
        assert!(store.stamp(&stamp).is_err());
    }
    assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
    redis.server().resume();
    comes_back(&store).await;
    // Whatever was asked and given up has left no claim.
    eventually_async("no claim is left", async || {
        send::<i64>(&redis, "EXISTS idempotent:{a}:claim") == 0
    })
    .await;
}

async fn a_stalled_server_does_not_hold_up_a_stamp_for_longer_than_the_deadline(flavor: Flavor) {
    let redis = flavor.start();
    let store = hasty(&redis).await;
    stamp(&store, &["t"], LONG, 1);
    redis.server().pause();
    let since = Instant::now();
    let tags = [TagStamp {
        tag: "t".into(),
        renew: true,
    }];
    let stamped = store.stamp(&Stamp {
        tags: &tags,
        create: true,
        life: LONG,
        nonce: 2,
    });
    assert!(stamped.is_err());
    assert!(since.elapsed() < DEADLINE + SOON, "{:?}", since.elapsed());
    redis.server().resume();
}

async fn an_emptied_server_has_no_records_and_no_stale_ones(flavor: Flavor) {
    let redis = flavor.start();
    let store = connect(&redis).await;
    let before = run(&store, "a", &["t"]).await;
    assert!(is_hit(&store, "a").await);
    let _: () = send(&redis, "FLUSHALL");
    assert_eq!(miss(&store, "a").await, Miss::Absent);
    let after = run(&store, "a", &["t"]).await;
    assert_ne!(before, after);
}

async fn a_server_that_lost_its_scripts_gets_them_anew(flavor: Flavor) {
    let redis = flavor.start();
    let store = connect(&redis).await;
    run(&store, "a", &["t"]).await;
    let _: () = send(&redis, "SCRIPT FLUSH");
    run(&store, "b", &["t"]).await;
    let _: () = send(&redis, "SCRIPT FLUSH");
    let lock = claim("a");
    assert!(store.lock(&lock, LONG).await.unwrap());
    let _: () = send(&redis, "SCRIPT FLUSH");
    assert!(store.renew_lock(&lock).await.unwrap() && store.unlock(&lock).await.unwrap());
}

async fn connections_that_are_cut_are_made_anew(flavor: Flavor) {
    let redis = flavor.start();
    let store = connect(&redis).await;
    run(&store, "a", &["t"]).await;
    for _ in 0..3 {
        let _: i64 = send(&redis, "CLIENT KILL TYPE normal");
        comes_back(&store).await;
        // It is the same server, so nothing was lost.
        assert!(is_hit(&store, "a").await);
        stamp(&store, &["u"], LONG, 1);
    }
}

async fn while_the_server_is_away_nothing_can_be_built_on_it(flavor: Flavor) {
    let port = support::free_port();
    let url = format!("redis://127.0.0.1:{port}/");
    assert!(RedisStore::connect(&url).await.is_err());
    // Who would rather begin without it may.
    let store = RedisStore::builder(&url).build().unwrap();
    assert!(store.look(&claim("a"), Changed::Run).await.is_err());
    let _redis = flavor.start_on(port, &[]);
    comes_back(&store).await;
    run(&store, "a", &["t"]).await;
}

async fn a_full_server_refuses_and_loses_nothing(flavor: Flavor) {
    let redis = flavor.start();
    let (warm, cold) = (connect(&redis).await, connect(&redis).await);
    run(&warm, "a", &["t"]).await;
    let count: u64 = send(&redis, "GET idempotent:version");
    let _: () = send(&redis, "CONFIG SET maxmemory 1");
    for store in [&warm, &cold] {
        let looked = store.look(&claim("a"), Changed::Run).await.unwrap();
        assert!(matches!(looked, Looked::Hit(..)));
        assert!(store.look(&claim("b"), Changed::Run).await.is_err());
        assert!(store.lock(&claim("b"), LONG).await.is_err());
        let tags = [TagStamp {
            tag: "t".into(),
            renew: true,
        }];
        let stamp = Stamp {
            tags: &tags,
            create: true,
            life: LONG,
            nonce: 1,
        };
        assert!(store.stamp(&stamp).is_err());
    }
    assert_eq!(send::<u64>(&redis, "GET idempotent:version"), count);
    let _: () = send(&redis, "CONFIG SET maxmemory 0");
    assert!(is_hit(&warm, "a").await);
    run(&cold, "b", &["t"]).await;
}
