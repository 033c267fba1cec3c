#![allow(clippy::unwrap_used)]

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Waker};

use super::*;
use crate::reply::Reply;
use crate::store::{Looked, Miss, Tag, TagStamp, Version, suite};

mod hazards;
mod locks;
mod model;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(30);

#[tokio::test]
async fn it_keeps_the_contract() {
    suite::check(async || MemoryStore::new()).await;
}

fn claim(name: &str) -> Claim {
    static EXECUTIONS: AtomicU64 = AtomicU64::new(1);
    let execution = ExecutionId(EXECUTIONS.fetch_add(1, Ordering::Relaxed).into());
    Claim {
        id: RequestId::from_text(name),
        execution,
        fingerprint: None,
        lease: LONG,
    }
}

fn record(claim: &Claim, tags: Vec<(Tag, Version)>, bytes: usize) -> Record {
    let epoch = (!tags.is_empty()).then_some(shelf::EPOCH);
    let reply = Reply::new(200).body(vec![b'x'; bytes]);
    Record {
        execution: claim.execution,
        fingerprint: None,
        epoch,
        tags,
        reply,
    }
}

/// Gives these tags new versions.
fn stamp(store: &MemoryStore, names: &[&str], life: Duration) -> Vec<(Tag, Version)> {
    let tags: Vec<_> = names
        .iter()
        .map(|name| TagStamp {
            tag: (*name).into(),
            renew: true,
        })
        .collect();
    let stamped = store
        .stamp(&Stamp {
            tags: &tags,
            create: true,
            life,
            nonce: 0,
        })
        .unwrap();
    let versions = stamped
        .versions
        .into_iter()
        .map(|(_, after)| after.unwrap());
    tags.into_iter()
        .map(|stamp| stamp.tag)
        .zip(versions)
        .collect()
}

/// Claims and keeps.
async fn run(
    store: &MemoryStore,
    name: &str,
    tags: Vec<(Tag, Version)>,
    bytes: usize,
    life: Duration,
) {
    assert!(try_run(store, name, tags, bytes, life).await);
}

/// The same; whether it was kept.
async fn try_run(
    store: &MemoryStore,
    name: &str,
    tags: Vec<(Tag, Version)>,
    bytes: usize,
    life: Duration,
) -> bool {
    let claim = claim(name);
    assert!(matches!(
        store.look(&claim, Changed::Run).await.unwrap(),
        Looked::Claimed(_)
    ));
    store
        .keep(&claim, record(&claim, tags, bytes), life)
        .await
        .unwrap()
}

/// Whether there is a record to replay; leaves no claim behind.
async fn is_kept(store: &MemoryStore, name: &str) -> bool {
    let claim = claim(name);
    let hit = matches!(
        store.look(&claim, Changed::Run).await.unwrap(),
        Looked::Hit(..)
    );
    store.release(&claim).await.unwrap();
    hit
}

/// How much there is of everything, agendas included.
fn census(store: &MemoryStore) -> Vec<usize> {
    store.with(|state, _| {
        let (claims, locks) = (state.claims.len(), state.locks.len());
        [
            &state.shelf.len()[..],
            &[claims.0, claims.1, locks.0, locks.1],
        ]
        .concat()
    })
}

fn bytes(store: &MemoryStore) -> usize {
    store.with(|state, _| state.shelf.bytes())
}

fn poll_once<F: Future + Unpin>(future: &mut F) -> bool {
    std::pin::Pin::new(future)
        .poll(&mut Context::from_waker(Waker::noop()))
        .is_ready()
}

#[tokio::test]
async fn a_hit_shares_the_record_and_does_not_copy_it() {
    let store = MemoryStore::new();
    run(&store, "a", Vec::new(), 10, LONG).await;
    let mut hits = Vec::new();
    for _ in 0..2 {
        let Looked::Hit(record, _) = store.look(&claim("a"), Changed::Run).await.unwrap() else {
            panic!("no hit")
        };
        hits.push(record);
    }
    assert!(Arc::ptr_eq(&hits[0], &hits[1]));
}

#[tokio::test]
async fn the_least_recently_used_records_go_first() {
    let store = MemoryStore::with_capacity(50_000);
    for name in ["a", "b", "c", "d"] {
        run(&store, name, Vec::new(), 10_000, LONG).await;
    }
    assert!(is_kept(&store, "a").await);
    run(&store, "e", Vec::new(), 10_000, LONG).await;
    let mut kept = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        kept.push(is_kept(&store, name).await);
    }
    assert_eq!(kept, [true, false, true, true, true]);
}

#[tokio::test]
async fn a_record_larger_than_everything_pushes_nothing_out() {
    let store = MemoryStore::with_capacity(50_000);
    run(&store, "small", Vec::new(), 10, LONG).await;
    assert!(!try_run(&store, "large", Vec::new(), 60_000, LONG).await);
    assert!(is_kept(&store, "small").await);
    assert!(!is_kept(&store, "large").await);
}

#[tokio::test]
async fn records_make_room_before_tags_do() {
    let store = MemoryStore::with_capacity(50_000);
    let tags = stamp(&store, &["t"], LONG);
    for n in 0..100 {
        run(&store, &n.to_string(), Vec::new(), 10_000, LONG).await;
    }
    run(&store, "late", tags, 10, LONG).await;
    assert!(
        is_kept(&store, "late").await,
        "the tag of an execution under way was evicted"
    );
}

#[tokio::test]
async fn tags_alone_do_not_push_every_record_out() {
    let store = MemoryStore::with_capacity(100_000);
    for n in 0..2_000 {
        stamp(&store, &[&n.to_string()], LONG);
    }
    let tags = stamp(&store, &["mine"], LONG);
    run(&store, "a", tags, 1_000, LONG).await;
    for n in 2_000..4_000 {
        stamp(&store, &[&n.to_string()], LONG);
        assert!(is_kept(&store, "a").await, "evicted by tag {n}");
    }
}

#[tokio::test]
async fn what_cannot_fit_at_all_leaves_an_empty_store() {
    let store = MemoryStore::with_capacity(0);
    let tags = stamp(&store, &["a", "b"], LONG);
    assert!(!try_run(&store, "a", tags, 10, LONG).await);
    assert_eq!(census(&store), [0; 9]);
    assert_eq!(bytes(&store), 0);
}

#[tokio::test]
async fn one_off_requests_leave_nothing_behind() {
    let store = MemoryStore::new();
    for n in 0..100_000 {
        let name = n.to_string();
        let (owner, lock) = (claim(&name), claim(&name));
        assert!(store.lock(&lock, LONG).await.unwrap());
        store.look(&owner, Changed::Run).await.unwrap();
        if n % 100 == 0 {
            let mut waiter = store.ended(&owner.id, owner.execution, LONG);
            let second = claim(&name);
            let mut queued = store.lock(&second, LONG);
            assert!(!poll_once(&mut waiter) && !poll_once(&mut queued));
        }
        store.release(&owner).await.unwrap();
        assert!(store.unlock(&lock).await.unwrap());
    }
    assert_eq!(census(&store), [0; 9]);
}

#[tokio::test]
async fn what_expired_is_swept_by_whatever_is_called_next() {
    let store = MemoryStore::new();
    for n in 0..1_000 {
        let name = n.to_string();
        let tags = stamp(&store, &[&name], SHORT);
        run(&store, &name, tags, 10, SHORT).await;
        let abandoned = Claim {
            lease: SHORT,
            ..claim(&format!("abandoned {n}"))
        };
        store.look(&abandoned, Changed::Run).await.unwrap();
        assert!(store.lock(&abandoned, LONG).await.unwrap());
    }
    tokio::time::sleep(2 * SHORT).await;
    for _ in 0..1_000 {
        store.renew(&claim("nothing")).await.unwrap();
    }
    assert_eq!(census(&store), [0; 9]);
    assert_eq!(bytes(&store), 0);
}

#[tokio::test]
async fn what_has_run_out_counts_for_nothing_even_before_it_is_swept() {
    let store = MemoryStore::new();
    let name = |kind: &str, n: i32| format!("{kind} {n}");
    let claims: Vec<_> = (0..200)
        .map(|n| Claim {
            lease: SHORT,
            ..claim(&name("claim", n))
        })
        .collect();
    for (n, owner) in (0..).zip(&claims) {
        let tag = name("tag", n);
        let versions = stamp(&store, &[&tag], SHORT);
        run(&store, &name("record", n), versions, 10, SHORT).await;
        store.look(owner, Changed::Run).await.unwrap();
        assert!(store.lock(owner, LONG).await.unwrap());
    }
    tokio::time::sleep(2 * SHORT).await;
    // The last to be swept are asked for first, and not much is asked.
    let [.., a, b, c, d] = &claims[..] else {
        panic!("200 claims")
    };
    assert!(!store.renew(a).await.unwrap());
    assert!(
        !store
            .keep(b, record(b, Vec::new(), 10), LONG)
            .await
            .unwrap()
    );
    assert!(store.ended(&c.id, c.execution, LONG).await.unwrap());
    let heir = Claim {
        id: d.id.clone(),
        ..claim("")
    };
    assert!(matches!(
        store.look(&heir, Changed::Run).await.unwrap(),
        Looked::Claimed(_)
    ));
    assert!(!store.renew_lock(a).await.unwrap());
    assert!(!store.unlock(b).await.unwrap());
    assert!(
        store
            .lock(
                &Claim {
                    id: c.id.clone(),
                    ..claim("")
                },
                Duration::ZERO
            )
            .await
            .unwrap()
    );
    assert!(!is_kept(&store, &name("record", 199)).await);
    assert!(
        !store
            .forget(&RequestId::from_text(&name("record", 198)))
            .await
            .unwrap()
    );
    let asked = [TagStamp {
        tag: name("tag", 199).into(),
        renew: true,
    }];
    let asked = store
        .stamp(&Stamp {
            tags: &asked,
            create: false,
            life: LONG,
            nonce: 0,
        })
        .unwrap();
    assert_eq!(asked.versions, [(None, None)]);
    assert!(
        census(&store)[0] > 100,
        "all had been swept before, so nothing was shown"
    );
}

#[tokio::test]
async fn a_thousand_renewals_take_no_more_than_one() {
    let store = MemoryStore::new();
    let (owner, lock) = (claim("a"), claim("a"));
    store.look(&owner, Changed::Run).await.unwrap();
    store.lock(&lock, LONG).await.unwrap();
    for _ in 0..1_000 {
        stamp(&store, &["t"], LONG);
        assert!(store.renew(&owner).await.unwrap() && store.renew_lock(&lock).await.unwrap());
    }
    assert_eq!(census(&store), [0, 0, 1, 1, 1, 1, 1, 1, 1]);
}

#[tokio::test]
async fn durations_beyond_all_sense_do_not_panic() {
    let store = MemoryStore::new();
    let endless = Claim {
        lease: Duration::MAX,
        ..claim("a")
    };
    store.look(&endless, Changed::Run).await.unwrap();
    assert!(store.lock(&endless, Duration::MAX).await.unwrap());
    assert!(store.renew(&endless).await.unwrap() && store.renew_lock(&endless).await.unwrap());
    let rival = claim("a");
    let mut waiters = (
        store.ended(&endless.id, endless.execution, Duration::MAX),
        store.lock(&rival, Duration::MAX),
    );
    assert!(!poll_once(&mut waiters.0) && !poll_once(&mut waiters.1));
    let tags = stamp(&store, &["t"], Duration::MAX);
    assert!(
        store
            .keep(&endless, record(&endless, tags, 10), Duration::MAX)
            .await
            .unwrap()
    );
    assert!(is_kept(&store, "a").await);
}

#[tokio::test]
async fn a_tag_named_twice_in_one_stamp_does_no_harm() {
    let store = MemoryStore::new();
    let tags = stamp(&store, &["t", "t"], LONG);
    assert_ne!(tags[0].1, tags[1].1);
    run(&store, "old", vec![tags[0].clone()], 10, LONG).await;
    run(&store, "new", vec![tags[1].clone()], 10, LONG).await;
    assert!(!is_kept(&store, "old").await);
    assert!(is_kept(&store, "new").await);
}

#[tokio::test]
async fn a_future_that_is_never_polled_does_nothing() {
    let store = MemoryStore::new();
    let (owner, lock) = (claim("a"), claim("a"));
    drop((store.look(&owner, Changed::Run), store.lock(&lock, LONG)));
    assert_eq!(census(&store), [0; 9]);
}

#[tokio::test]
async fn an_evicted_record_is_a_plain_miss() {
    let store = MemoryStore::with_capacity(20_000);
    run(&store, "a", Vec::new(), 10_000, LONG).await;
    run(&store, "b", Vec::new(), 10_000, LONG).await;
    let looked = store.look(&claim("a"), Changed::Run).await.unwrap();
    assert!(
        matches!(looked, Looked::Claimed(Miss::Absent)),
        "{looked:?}"
    );
}
