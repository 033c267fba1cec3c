//! Copies of records in the process.

use metrics::set_default_local_recorder;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use super::*;

on_both![
    with_copies_the_contract_is_kept,
    a_copy_is_replayed_as_it_was_and_its_body_is_not_sent,
    h49_a_record_that_is_void_is_never_replayed_from_a_copy,
    copies_take_no_more_than_was_said_and_are_counted,
];

async fn strict(redis: &Redis, bytes: usize) -> RedisStore {
    let store = RedisStore::builder(redis.url()).local(Local::strict(bytes));
    store.connect().await.unwrap()
}

pub(super) const MUCH: usize = 1 << 20;

async fn with_copies_the_contract_is_kept(flavor: Flavor) {
    let redis = flavor.start();
    suite::check(async || strict(&redis, MUCH).await).await;
}

pub(super) async fn hit(store: &RedisStore, name: &str) -> std::sync::Arc<Record> {
    match look(store, name).await {
        Looked::Hit(record, left) if !left.is_zero() => record,
        looked => panic!("{looked:?}"),
    }
}

fn copies(store: &RedisStore) -> usize {
    store.server.copies.bytes().0
}

/// How many bytes the server has sent, to whomever.
fn sent(redis: &Redis) -> u64 {
    let stats: String = send(redis, "INFO stats");
    let line = stats
        .lines()
        .find_map(|line| line.strip_prefix("total_net_output_bytes:"));
    line.unwrap().trim().parse().unwrap()
}

async fn a_copy_is_replayed_as_it_was_and_its_body_is_not_sent(flavor: Flavor) {
    let redis = flavor.start();
    let (store, plain) = (strict(&redis, MUCH).await, connect(&redis).await);
    let holder = claim("a");
    store.look(&holder, Changed::Run).await.unwrap();
    let body: Vec<_> = (0..100_000_u32).map(|n| n as u8).collect();
    let reply = Reply::new(207).header("A", "b").header("A", "c").body(body);
    let record = Record {
        execution: holder.execution,
        fingerprint: None,
        epoch: None,
        tags: Vec::new(),
        reply: reply.clone(),
    };
    assert!(store.keep(&holder, record, LONG).await.unwrap());
    assert_eq!(copies(&store), 0);
    assert_eq!(hit(&store, "a").await.reply, reply);
    assert_eq!(copies(&store), 1);
    let before = sent(&redis);
    for _ in 0..5 {
        assert_eq!(hit(&store, "a").await.reply, reply);
    }
    // The store's own checks send a few kilobytes a second.
    assert!(sent(&redis) - before < 50_000);
    assert_eq!(hit(&plain, "a").await.reply, reply);
}

async fn h49_a_record_that_is_void_is_never_replayed_from_a_copy(flavor: Flavor) {
    let redis = flavor.start();
    let (store, other) = (strict(&redis, MUCH).await, connect(&redis).await);
    let key = "idempotent:{a}:record";
    // Each ends the record; what the next look must say then.
    type End = (&'static str, Miss);
    let ends: [End; 6] = [
        ("DEL idempotent:{a}:record", Miss::Absent),
        ("PEXPIRE idempotent:{a}:record 0", Miss::Absent),
        ("SETRANGE idempotent:{a}:record 4 x", Miss::Unreadable),
        ("DEL idempotent:tag:t", Miss::Changed("t".into())),
        ("FLUSHALL", Miss::Absent),
        ("RENAME other idempotent:{a}:record", Miss::Unreadable),
    ];
    for (end, wanted) in ends {
        let _: i64 = send(&redis, "RPUSH other x");
        run(&other, "a", &["t"]).await;
        for _ in 0..2 {
            hit(&store, "a").await;
        }
        assert_eq!(copies(&store), 1);
        let _: deadpool_redis::redis::Value = send(&redis, end);
        assert_eq!(miss(&store, "a").await, wanted, "{end}");
        assert_eq!(copies(&store), 0, "{end}");
        let _: i64 = send(&redis, &format!("DEL {key}"));
    }
    // Its end was known before, and is no later for having been taken away.
    run(&other, "a", &["t"]).await;
    hit(&store, "a").await;
    let _: i64 = send(&redis, &format!("PERSIST {key}"));
    let Looked::Hit(_, left) = look(&store, "a").await else {
        panic!("it is still there")
    };
    assert!(left <= LONG, "{left:?}");
    let _: i64 = send(&redis, &format!("DEL {key}"));
    // Changed by another process, or replaced by another execution's.
    run(&other, "a", &["t"]).await;
    hit(&store, "a").await;
    stamp(&other, &["t"], LONG, 7);
    assert_eq!(miss(&store, "a").await, Miss::Changed("t".into()));
    run(&other, "a", &["t"]).await;
    let first = hit(&store, "a").await.execution;
    assert!(other.forget(&RequestId::from_text("a")).await.unwrap());
    run(&other, "a", &["t"]).await;
    assert_ne!(hit(&store, "a").await.execution, first);
    assert_ne!(hit(&store, "a").await.execution, first);
}

async fn copies_take_no_more_than_was_said_and_are_counted(flavor: Flavor) {
    let recorder = DebuggingRecorder::new();
    let _local = set_default_local_recorder(&recorder);
    let redis = flavor.start();
    let store = strict(&redis, 2_000).await;
    run(&store, "h", &["t"]).await;
    for _ in 0..3 {
        hit(&store, "h").await;
    }
    for name in ["1", "2", "3", "4", "5", "6", "7", "8"] {
        run(&store, name, &[]).await;
        hit(&store, name).await;
        let (count, bytes) = store.server.copies.bytes();
        assert!(bytes <= 2_000 && count > 0, "{count}, {bytes}");
    }
    let seen = recorder.snapshotter().snapshot().into_vec();
    let value = |wanted: &str| {
        seen.iter()
            .find(|(key, ..)| key.key().name() == wanted)
            .map(|(.., value)| value)
    };
    assert_eq!(
        value("idempotent_local_hits_total"),
        Some(&DebugValue::Counter(2))
    );
    let DebugValue::Gauge(bytes) = value("idempotent_local_bytes").unwrap() else {
        panic!("{seen:?}")
    };
    assert_eq!(bytes.0 as usize, store.server.copies.bytes().1);
    assert!(matches!(
        value("idempotent_local_evictions_total"),
        Some(DebugValue::Counter(1..))
    ));
}
