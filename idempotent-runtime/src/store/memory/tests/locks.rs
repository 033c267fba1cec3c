//! Queues, hand-overs and waiters that go away.

use std::sync::atomic::AtomicBool;

use super::*;

#[tokio::test]
async fn a_lock_handed_to_a_waiter_that_is_dropped_passes_on() {
    let store = MemoryStore::new();
    let (holder, dropped, next) = (claim("a"), claim("a"), claim("a"));
    assert!(store.lock(&holder, LONG).await.unwrap());
    let mut first = store.lock(&dropped, LONG);
    let mut second = store.lock(&next, LONG);
    assert!(!poll_once(&mut first) && !poll_once(&mut second));
    assert!(store.unlock(&holder).await.unwrap());
    drop(first); // It has the lock and never came to know.
    assert!(
        poll_once(&mut second),
        "the lock was lost with the dropped waiter"
    );
    assert!(store.unlock(&next).await.unwrap());
    assert_eq!(census(&store), [0; 9]);
}

#[tokio::test]
async fn nobody_overtakes_a_waiter_that_has_not_woken_yet() {
    let store = MemoryStore::new();
    let (holder, next, late) = (claim("a"), claim("a"), claim("a"));
    assert!(store.lock(&holder, LONG).await.unwrap());
    let mut first = store.lock(&next, LONG);
    assert!(!poll_once(&mut first));
    assert!(store.unlock(&holder).await.unwrap());
    assert!(!store.lock(&late, Duration::ZERO).await.unwrap());
    assert!(poll_once(&mut first));
}

#[tokio::test]
async fn two_waiters_with_one_token_hold_the_lock_together() {
    let store = MemoryStore::new();
    let (holder, next) = (claim("a"), claim("a"));
    assert!(store.lock(&holder, LONG).await.unwrap());
    let (mut first, mut second) = (store.lock(&next, LONG), store.lock(&next, LONG));
    assert!(!poll_once(&mut first) && !poll_once(&mut second));
    assert!(store.unlock(&holder).await.unwrap());
    assert!(poll_once(&mut second));
    drop(first); // The other one knows of the lock, so this must not free it.
    assert!(store.renew_lock(&next).await.unwrap());
    assert!(store.unlock(&next).await.unwrap());
    assert_eq!(census(&store), [0; 9]);
}

#[tokio::test]
async fn a_new_first_waiter_learns_when_the_lease_ends() {
    let store = MemoryStore::new();
    let (holder, first, second) = (
        Claim {
            lease: 3 * SHORT,
            ..claim("a")
        },
        claim("a"),
        claim("a"),
    );
    assert!(store.lock(&holder, LONG).await.unwrap());
    let mut leaving = store.lock(&first, LONG);
    assert!(!poll_once(&mut leaving));
    let waiting = tokio::time::timeout(LONG / 2, store.lock(&second, LONG));
    let leave = async { drop(leaving) };
    // Polled in this order: the second waits behind the first before that one leaves.
    let (taken, ()) = futures_util::future::join(waiting, leave).await;
    assert!(taken.unwrap().unwrap(), "the second waiter slept on");
}

/// Drops a future after each number of polls that it can take.
#[tokio::test]
async fn a_waiter_may_be_dropped_at_every_await() {
    for polls in 0..4 {
        let store = MemoryStore::new();
        let (holder, waiter) = (claim("a"), claim("a"));
        assert!(store.lock(&holder, LONG).await.unwrap());
        let mut waiting = store.lock(&waiter, LONG);
        for poll in 0..polls {
            if poll == 2 {
                assert!(store.unlock(&holder).await.unwrap());
            }
            poll_once(&mut waiting);
            if poll == 2 {
                break; // It has the lock now, and that is its token's to free.
            }
        }
        drop(waiting);
        let _ = store.unlock(&holder).await.unwrap() || store.unlock(&waiter).await.unwrap();
        assert_eq!(census(&store), [0; 9], "dropped after {polls} polls");
    }
}

/// Locks and unlocks, and asserts that nobody else has the lock between. The answer is how often it gave up.
async fn contend(store: &MemoryStore, inside: &AtomicBool, task: u32) -> u32 {
    let mut given_up = 0;
    for round in 0..50 {
        let lock = claim("a");
        // Some give up after next to no time, just when others hand over to them.
        let patience = if (task + round).is_multiple_of(3) {
            Duration::from_micros(200)
        } else {
            LONG
        };
        match tokio::time::timeout(patience, store.lock(&lock, LONG)).await {
            Err(_) => given_up += 1,
            Ok(taken) => {
                assert!(taken.unwrap());
                assert!(!inside.swap(true, Ordering::SeqCst), "two are inside");
                tokio::task::yield_now().await;
                assert!(inside.swap(false, Ordering::SeqCst));
                assert!(store.unlock(&lock).await.unwrap());
            }
        }
    }
    given_up
}

#[test]
fn locks_exclude_each_other_across_runtimes() {
    let (store, inside) = (MemoryStore::new(), AtomicBool::new(false));
    let given_up = std::thread::scope(|scope| {
        // A runtime of one thread each, as actix's workers have.
        let workers = (0..4).map(|_| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_time()
                    .build()
                    .unwrap();
                let tasks = (0..16).map(|task| contend(&store, &inside, task));
                runtime
                    .block_on(futures_util::future::join_all(tasks))
                    .iter()
                    .sum::<u32>()
            })
        });
        workers
            .collect::<Vec<_>>()
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .sum::<u32>()
    });
    assert!(
        given_up > 0,
        "no waiter was dropped, so half of this was not tested"
    );
    assert_eq!(census(&store), [0; 9]);
}

#[tokio::test]
async fn h28_a_grant_noticed_late_is_held_for_a_whole_lease() {
    let store = MemoryStore::new();
    let short = |lease| Claim {
        lease,
        ..claim("a")
    };
    let lease = Duration::from_millis(90);
    let (holder, waiter) = (short(LONG), short(lease));
    assert!(store.lock(&holder, LONG).await.unwrap());
    let mut waiting = store.lock(&waiter, LONG);
    assert!(!poll_once(&mut waiting));
    assert!(store.unlock(&holder).await.unwrap());
    std::thread::sleep(Duration::from_millis(65)); // its worker is blocked by a query
    assert!(poll_once(&mut waiting));
    std::thread::sleep(lease / 3); // when the keeper first renews
    assert!(
        store.renew_lock(&waiter).await.unwrap(),
        "lost although renewed at a third"
    );
}

#[tokio::test]
async fn a_grant_that_lapsed_unnoticed_does_not_cost_the_wait() {
    let store = MemoryStore::new();
    let (holder, waiter) = (
        claim("a"),
        Claim {
            lease: SHORT,
            ..claim("a")
        },
    );
    assert!(store.lock(&holder, LONG).await.unwrap());
    let mut waiting = store.lock(&waiter, LONG);
    assert!(!poll_once(&mut waiting));
    assert!(store.unlock(&holder).await.unwrap());
    std::thread::sleep(2 * SHORT);
    let got = tokio::time::timeout(Duration::from_secs(3), waiting).await;
    assert!(
        got.is_ok(),
        "the lock is free ({:?}) and its waiter sleeps on",
        census(&store)
    );
}
