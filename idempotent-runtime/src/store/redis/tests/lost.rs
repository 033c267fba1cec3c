//! Calls that are dropped, late, lost or repeated.

use futures_util::future::join;
use tokio::time::{sleep, timeout};

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use super::*;
use crate::store::redis::server::Undo;
use crate::store::redis::value::call_token;

on_both![
    h29_whoever_holds_a_lock_does_not_wait_behind_others,
    h28_a_lock_whose_answer_took_long_has_its_whole_lease,
    h35_a_dropped_look_leaves_no_claim,
    h35_a_dropped_lock_leaves_no_lock,
    h29_the_end_of_a_lost_call_does_not_end_its_repetition,
    h35_a_call_dropped_at_any_await_leaves_nothing,
    h35_a_waiter_dropped_at_any_await_leaves_nothing,
];

async fn h29_whoever_holds_a_lock_does_not_wait_behind_others(flavor: Flavor) {
    let redis = flavor.start();
    let store = connect(&redis).await;
    let (holder, next) = (claim("a"), claim("a"));
    assert!(store.lock(&holder, Duration::ZERO).await.unwrap());
    let waiting = timeout(SOON, store.lock(&next, LONG));
    let again = async {
        sleep(Duration::from_millis(50)).await;
        let since = Instant::now();
        assert!(store.lock(&holder, LONG).await.unwrap());
        assert!(since.elapsed() < SOON / 2, "{:?}", since.elapsed());
    };
    let (waited, ()) = join(waiting, again).await;
    assert!(waited.is_err());
}

async fn h28_a_lock_whose_answer_took_long_has_its_whole_lease(flavor: Flavor) {
    let redis = flavor.start();
    let store = connect(&redis).await;
    let lease = Duration::from_millis(800);
    let lock = Claim {
        lease,
        ..claim("a")
    };
    // The script is known and the connection is there.
    assert!(store.lock(&lock, LONG).await.unwrap() && store.unlock(&lock).await.unwrap());
    let locking = store.lock(&lock, LONG);
    // The answer comes at once, but who waits for it is blocked: the lease began long before it is read.
    let block = async {
        tokio::task::yield_now().await;
        std::thread::sleep(lease / 2);
    };
    let (locked, ()) = join(locking, block).await;
    assert!(locked.unwrap());
    let left: i64 = send(&redis, "PTTL idempotent:{a}:lock");
    assert!(left > 600, "{left} ms of 800 are left");
}

async fn h35_a_dropped_look_leaves_no_claim(flavor: Flavor) {
    let redis = flavor.start();
    let store = connect(&redis).await;
    run(&store, "warms the connection", &[]).await;
    redis.server().pause();
    let dropped = claim("a");
    let mut looking = store.look(&dropped, Changed::Run);
    begin(&mut looking).await;
    drop(looking);
    // Those who are behind it on the connection are behind its end, too.
    let next = claim("a");
    let mut looking = store.look(&next, Changed::Run);
    begin(&mut looking).await;
    redis.server().resume();
    let looked = looking.await.unwrap();
    assert!(matches!(looked, Looked::Claimed(_)), "{looked:?}");
    let counted: String = send(&redis, "INFO commandstats");
    assert!(
        counted.contains("cmdstat_publish:calls=2,"),
        "the first one was never claimed: {counted}"
    );
}

async fn h35_a_dropped_lock_leaves_no_lock(flavor: Flavor) {
    let redis = flavor.start();
    let store = connect(&redis).await;
    run(&store, "warms the connection", &[]).await;
    let lock = claim("b");
    assert!(store.lock(&lock, LONG).await.unwrap() && store.unlock(&lock).await.unwrap());
    redis.server().pause();
    let (dropped, next) = (claim("a"), claim("a"));
    let mut locking = store.lock(&dropped, LONG);
    begin(&mut locking).await;
    drop(locking);
    let mut locking = store.lock(&next, Duration::ZERO);
    begin(&mut locking).await;
    redis.server().resume();
    assert!(locking.await.unwrap());
}

async fn h29_the_end_of_a_lost_call_does_not_end_its_repetition(flavor: Flavor) {
    let redis = flavor.start();
    let store = connect(&redis).await;
    let holder = claim("a");
    store.look(&holder, Changed::Run).await.unwrap();
    assert!(store.lock(&holder, LONG).await.unwrap());
    for key in ["idempotent:{a}:claim", "idempotent:{a}:lock"] {
        // A call of the same execution, which was given up before those that have set them.
        let lost = store.server.ask(key, |link| async move {
            drop(Undo::new(&link, key, call_token(holder.execution)));
            Ok(())
        });
        lost.await.unwrap();
    }
    assert!(store.renew(&holder).await.unwrap() && store.renew_lock(&holder).await.unwrap());
}

/// Drops a future at its `polls`th wait, if it has not ended by then; not before what it sent is answered, unread.
async fn drop_at<T>(polls: usize, future: impl Future<Output = T>) -> Option<T> {
    let (mut future, mut polled) = (pin!(future), 0);
    let ended = poll_fn(|context| {
        polled += 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if polled == polls => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await;
    if ended.is_none() {
        sleep(Duration::from_millis(5)).await;
    }
    ended
}

/// What is sent after this comes after all that was sent before, dropped or not.
async fn settle(store: &RedisStore) {
    assert!(!store.renew(&claim("nothing")).await.unwrap());
}

async fn h35_a_call_dropped_at_any_await_leaves_nothing(flavor: Flavor) {
    let redis = flavor.start();
    let warm = connect(&redis).await;
    let mut dropped = 0;
    for polls in 1..=8 {
        // With the connection still to be made, and without.
        let cold = RedisStore::builder(redis.url()).build().unwrap();
        for store in [&warm, &cold] {
            let holder = claim("a");
            let looked = drop_at(polls, store.look(&holder, Changed::Run)).await;
            let locked = drop_at(polls, store.lock(&holder, LONG)).await;
            settle(store).await;
            for (ended, kind) in [(looked.is_some(), "claim"), (locked.is_some(), "lock")] {
                let is_left: bool = send(&redis, &format!("EXISTS idempotent:{{a}}:{kind}"));
                assert_eq!(is_left, ended, "the {kind} after {polls} polls");
                dropped += usize::from(!ended);
            }
            store.release(&holder).await.unwrap();
            store.unlock(&holder).await.unwrap();
        }
        assert_eq!(cold.server.queues.len(), 0);
    }
    assert!(dropped > 4, "hardly anything was dropped");
}

async fn h35_a_waiter_dropped_at_any_await_leaves_nothing(flavor: Flavor) {
    let redis = flavor.start();
    let (one, other) = (connect(&redis).await, connect(&redis).await);
    for polls in 1..=8 {
        let [holder, first, second, next] = [(); 4].map(|()| claim("a"));
        assert!(one.lock(&holder, Duration::ZERO).await.unwrap());
        let wait = Duration::from_secs(2);
        let waiters = join(
            drop_at(polls, other.lock(&first, wait)),
            drop_at(polls, other.lock(&second, wait)),
        );
        let free = async {
            // While they are at it, and before.
            sleep(Duration::from_millis(polls as u64)).await;
            assert!(one.unlock(&holder).await.unwrap());
        };
        let ((a, b), ()) = join(waiters, free).await;
        settle(&other).await;
        for (got, waiter) in [(a, &first), (b, &second)] {
            if let Some(got) = got {
                assert_eq!(got.unwrap(), other.unlock(waiter).await.unwrap());
            }
        }
        assert!(
            one.lock(&next, Duration::ZERO).await.unwrap(),
            "after {polls} polls"
        );
        assert!(one.unlock(&next).await.unwrap());
        assert_eq!(other.server.queues.len(), 0);
    }
}
