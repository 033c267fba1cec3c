//! Copies that answer by themselves.

use std::sync::Arc;

use futures_util::future::join;
use tokio::time::Instant as Moment;

use super::local::{MUCH, hit};
use super::*;
use crate::store::redis::local::{Copies, Local};

on_both![
    with_trusted_copies_the_contract_is_kept,
    a_trusted_copy_asks_nothing,
    h49_whatever_ends_a_record_ends_its_copy,
    h49_a_change_by_another_process_ends_it_soon,
    h49_no_change_is_missed_while_questions_are_under_way,
    h49_this_process_never_replays_what_it_has_changed,
    h49_a_server_that_is_silent_is_not_trusted_for_long,
    h49_a_connection_that_is_cut_ends_all_trust,
    h49_a_server_that_was_a_replica_meanwhile_is_not_trusted,
    trusted_copies_take_no_more_than_was_said,
];

/// Longer than any test takes: what ends trust then is something else.
const EVER: Duration = Duration::from_secs(600);

async fn tracking(redis: &Redis, staleness: Duration) -> RedisStore {
    RedisStore::builder(redis.url())
        .local(Local::tracking(MUCH, staleness))
        .deadline(Duration::from_millis(300))
        .connect()
        .await
        .unwrap()
}

fn record_key(name: &str) -> String {
    format!("idempotent:{{{name}}}:record")
}

/// The execution whose copy would answer now.
fn trusted(store: &RedisStore, name: &str) -> Option<ExecutionId> {
    let copies = &store.server.copies;
    let (record, left) = copies.trusted(&record_key(name))?;
    assert!(!left.is_zero());
    Some(record.execution)
}

/// Replays until the copy answers by itself.
async fn replay(store: &RedisStore, name: &str) {
    eventually_async("the copy is trusted", async || {
        hit(store, name).await;
        trusted(store, name).is_some()
    })
    .await;
}

async fn is_not_trusted_any_more(store: &RedisStore, name: &str) {
    eventually_async("the copy is not trusted any more", async || {
        trusted(store, name).is_none()
    })
    .await;
}

async fn with_trusted_copies_the_contract_is_kept(flavor: Flavor) {
    let redis = flavor.start();
    suite::check(async || tracking(&redis, EVER).await).await;
}

/// How often the server was asked about records.
fn questions(redis: &Redis) -> u64 {
    let stats: String = send(redis, "INFO commandstats");
    let calls = ["getrange", "mget", "pttl", "evalsha"].map(|command| {
        let head = format!("cmdstat_{command}:calls=");
        let line = stats.lines().find_map(|line| line.strip_prefix(&head));
        line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
    });
    calls.into_iter().sum()
}

async fn a_trusted_copy_asks_nothing(flavor: Flavor) {
    let redis = flavor.start();
    let store = tracking(&redis, EVER).await;
    run(&store, "a", &["t", "u"]).await;
    run(&store, "none", &[]).await;
    replay(&store, "a").await;
    replay(&store, "none").await;
    let before = questions(&redis);
    for _ in 0..100 {
        for name in ["a", "none"] {
            let looked = store.look(&claim(name), Changed::Run).await.unwrap();
            let Looked::Hit(record, left) = looked else {
                panic!("{looked:?}")
            };
            assert_eq!(record.reply, Reply::new(200).body(name));
            assert!(left <= LONG && left > LONG / 2);
        }
    }
    assert_eq!(questions(&redis), before);
}

async fn h49_whatever_ends_a_record_ends_its_copy(flavor: Flavor) {
    let redis = flavor.start();
    let (store, other) = (tracking(&redis, EVER).await, connect(&redis).await);
    let ends: [(&str, Miss); 7] = [
        ("DEL idempotent:{a}:record", Miss::Absent),
        ("PEXPIRE idempotent:{a}:record 1", Miss::Absent),
        ("SETRANGE idempotent:{a}:record 4 x", Miss::Unreadable),
        ("DEL idempotent:tag:t", Miss::Changed("t".into())),
        ("PEXPIRE idempotent:tag:t 1", Miss::Changed("t".into())),
        ("FLUSHALL", Miss::Absent),
        ("FLUSHDB ASYNC", Miss::Absent),
    ];
    for (end, wanted) in ends {
        run(&other, "a", &["t"]).await;
        replay(&store, "a").await;
        let _: deadpool_redis::redis::Value = send(&redis, end);
        // What is to expire may be trusted again until it has.
        let mut looked = Looked::Claimed(Miss::Epoch);
        eventually_async("the copy is not replayed any more", async || {
            looked = look(&store, "a").await;
            !matches!(looked, Looked::Hit(..))
        })
        .await;
        assert!(
            matches!(&looked, Looked::Claimed(miss) if *miss == wanted),
            "{end}: {looked:?}"
        );
    }
}

/// Prints how long a copy outlives its record.
async fn h49_a_change_by_another_process_ends_it_soon(flavor: Flavor) {
    let redis = flavor.start();
    let (store, other) = (tracking(&redis, EVER).await, connect(&redis).await);
    let mut took = Vec::new();
    for nonce in 0..31 {
        run(&other, "a", &["t"]).await;
        replay(&store, "a").await;
        stamp(&other, &["t"], LONG, nonce);
        let since = Instant::now();
        while trusted(&store, "a").is_some() {
            tokio::task::yield_now().await;
        }
        took.push(since.elapsed());
        assert_eq!(miss(&store, "a").await, Miss::Changed("t".into()));
    }
    took.sort();
    println!(
        "stale after another's stamp was acknowledged: median {:?}, longest {:?}",
        took[took.len() / 2],
        took[took.len() - 1]
    );
}

/// Changes come at any moment of a question.
async fn h49_no_change_is_missed_while_questions_are_under_way(flavor: Flavor) {
    let redis = flavor.start();
    let (store, other) = (tracking(&redis, EVER).await, connect(&redis).await);
    for nonce in 0..200 {
        run(&other, "a", &["t", "u"]).await;
        let ask = async {
            for _ in 0..nonce % 5 {
                look(&store, "a").await;
            }
        };
        let change = async {
            for _ in 0..nonce % 7 {
                tokio::task::yield_now().await;
            }
            let tag = ["t", "u"][usize::from(nonce % 2 == 0)];
            stamp(&other, &[tag], LONG, nonce);
        };
        join(ask, change).await;
        is_not_trusted_any_more(&store, "a").await;
        assert_ne!(miss(&store, "a").await, Miss::Unreadable);
        eventually_async("nothing is under way", async || {
            store.server.copies.watched() == 0
        })
        .await;
    }
}

async fn h49_this_process_never_replays_what_it_has_changed(flavor: Flavor) {
    let redis = flavor.start();
    let store = tracking(&redis, EVER).await;
    run(&store, "a", &["t"]).await;
    replay(&store, "a").await;
    assert!(store.forget(&RequestId::from_text("a")).await.unwrap());
    assert_eq!(miss(&store, "a").await, Miss::Absent);
    run(&store, "a", &["t"]).await;
    replay(&store, "a").await;
    // No push can come. Whether the server has done it is not known.
    redis.server().pause();
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
    assert_eq!(trusted(&store, "a"), None);
    redis.server().resume();
}

async fn h49_a_server_that_is_silent_is_not_trusted_for_long(flavor: Flavor) {
    let redis = flavor.start();
    let store = tracking(&redis, Duration::from_millis(400)).await;
    run(&store, "a", &["t"]).await;
    replay(&store, "a").await;
    redis.server().pause();
    is_not_trusted_any_more(&store, "a").await;
    assert!(store.look(&claim("a"), Changed::Run).await.is_err());
    redis.server().resume();
    comes_back(&store).await;
    replay(&store, "a").await;
}

async fn h49_a_connection_that_is_cut_ends_all_trust(flavor: Flavor) {
    let redis = flavor.start();
    let (store, other) = (tracking(&redis, EVER).await, connect(&redis).await);
    run(&other, "a", &["t"]).await;
    replay(&store, "a").await;
    let clients: String = send(&redis, "CLIENT LIST");
    let tracked: Vec<_> = clients
        .lines()
        .filter(|line| line.contains(" flags=t "))
        .filter_map(|line| line.strip_prefix("id=")?.split(' ').next())
        .collect();
    let [id] = tracked[..] else {
        panic!("{clients}")
    };
    let _: i64 = send(&redis, &format!("CLIENT KILL ID {id}"));
    is_not_trusted_any_more(&store, "a").await;
    stamp(&other, &["t"], LONG, 1);
    assert_eq!(miss(&store, "a").await, Miss::Changed("t".into()));
    run(&other, "a", &["t"]).await;
    replay(&store, "a").await;
}

async fn h49_a_server_that_was_a_replica_meanwhile_is_not_trusted(flavor: Flavor) {
    let redis = flavor.start();
    let store = tracking(&redis, Duration::from_secs(1)).await;
    run(&store, "a", &["t"]).await;
    replay(&store, "a").await;
    let _: () = send(&redis, "REPLICAOF 127.0.0.1 1");
    let _: () = send(&redis, "REPLICAOF NO ONE");
    is_not_trusted_any_more(&store, "a").await;
    eventually_async("the record is void", async || {
        matches!(look(&store, "a").await, Looked::Claimed(Miss::Epoch))
    })
    .await;
}

async fn trusted_copies_take_no_more_than_was_said(flavor: Flavor) {
    let redis = flavor.start();
    let store = RedisStore::builder(redis.url())
        .local(Local::tracking(5_000, EVER))
        .connect()
        .await
        .unwrap();
    for name in 0..20 {
        let name = name.to_string();
        run(&store, &name, &["t"]).await;
        replay(&store, &name).await;
        let (count, bytes) = store.server.copies.bytes();
        assert!(bytes <= 5_000 && count > 0, "{count}, {bytes}");
        assert!(store.server.copies.watched() <= count);
    }
}

fn copied(copies: &Copies, execution: u128, left: Duration) {
    let record = Record {
        execution: ExecutionId(execution),
        fingerprint: None,
        epoch: Some(7),
        tags: vec![("t".into(), Version { count: 1, nonce: 1 })],
        reply: Reply::new(200),
    };
    copies.note("a", &Arc::new(record), left);
}

/// What happens between the question and its answer.
#[test]
fn h49_a_watch_that_is_broken_before_the_answer_gives_no_trust() {
    type Breaks = fn(&Copies);
    let breaks: [(bool, Breaks); 8] = [
        (true, |_| {}),
        (true, |copies| copies.changed(["idempotent:tag:u"])),
        (false, |copies| copies.changed(["idempotent:tag:t"])),
        (false, |copies| copies.changed(["a"])),
        (false, Copies::doubt),
        (false, |copies| {
            copies.lose();
            copies.heard(7, Moment::now());
        }),
        (false, |copies| copies.forget("a")),
        (false, |copies| copied(copies, 2, LONG)),
    ];
    for (number, (stays, breaks)) in breaks.into_iter().enumerate() {
        let copies = Copies::new(Some(Local::tracking(MUCH, EVER)));
        copies.heard(7, Moment::now());
        copied(&copies, 1, LONG);
        let [asking] = <[_; 1]>::try_from(copies.take_wanted()).ok().unwrap();
        assert!(copies.trusted("a").is_none());
        breaks(&copies);
        asking.trust(Moment::now(), LONG);
        assert_eq!(copies.trusted("a").is_some(), stays, "{number}");
        assert_eq!(copies.watched(), usize::from(stays), "{number}");
        copies.answered_by(7);
        assert_eq!(copies.trusted("a").is_some(), stays, "{number}");
        // Another server has answered.
        copies.answered_by(8);
        assert!(copies.trusted("a").is_none());
    }
}

#[test]
fn h49_a_copy_is_trusted_until_its_record_ends_or_the_server_is_silent() {
    let copies = Copies::new(Some(Local::tracking(MUCH, LONG)));
    let now = Moment::now();
    for (heard, left, is_trusted) in [
        (now, LONG, true),
        (now, Duration::ZERO, false),
        (now - LONG, LONG, false),
    ] {
        copies.heard(7, now);
        copied(&copies, 1, left);
        for asking in copies.take_wanted() {
            asking.trust(now, left);
        }
        copies.heard(7, heard);
        assert_eq!(copies.trusted("a").is_some(), is_trusted);
    }
}

/// Two read the record at once, before anyone has asked for the first one's copy.
#[test]
fn a_copy_that_was_noted_twice_is_asked_for_once_and_watched_once() {
    let copies = Copies::new(Some(Local::tracking(MUCH, EVER)));
    copies.heard(7, Moment::now());
    copied(&copies, 1, LONG);
    copied(&copies, 1, LONG);
    let asked = copies.take_wanted();
    assert_eq!(asked.len(), 1);
    asked
        .into_iter()
        .for_each(|asking| asking.trust(Moment::now(), LONG));
    assert!(copies.trusted("a").is_some());
    assert_eq!(copies.watched(), 1);
    copies.forget("a");
    assert_eq!(copies.watched(), 0);
}

#[test]
fn where_nothing_can_be_tracked_it_is_refused() {
    let local = Local::tracking(MUCH, EVER);
    let url = "redis://127.0.0.1:1/";
    let refused = [
        RedisStore::builder(url).protocol(RedisProtocol::Resp2),
        RedisStore::cluster_builder([url]),
        RedisStore::sentinel_builder("shop", [url]),
    ];
    for (builder, word) in refused.into_iter().zip(["RESP3", "cluster", "Sentinel"]) {
        let error = builder.local(local).build().unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    let strict = RedisStore::cluster_builder([url]).local(Local::strict(MUCH));
    let error = strict.build().unwrap_err().to_string();
    assert!(error.contains("cluster"), "{error}");
}
