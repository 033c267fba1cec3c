//! Locks and claims that several processes want. Two stores share nothing but the server, as two processes do.

use std::sync::Mutex;

use futures_util::future::{join, join_all};
use tokio::time::sleep;

use super::*;

on_both![
    two_stores_exclude_and_wake_each_other,
    a_lock_is_handed_to_another_process_by_message,
    a_claim_that_ends_in_another_process_wakes,
    h31_a_lost_message_delays_by_a_second_at_most,
    h31_waiting_survives_the_loss_of_its_connection,
    h30_a_holder_that_is_gone_is_succeeded_when_its_lease_ends,
    a_thousand_waiters_ask_little_and_leave_nothing,
    a_wait_ends_in_time_though_nothing_answers,
];

async fn two_stores_exclude_and_wake_each_other(flavor: Flavor) {
    let redis = flavor.start();
    let stores = [connect(&redis).await, connect(&redis).await];
    let inside = AtomicU64::new(0);
    join_all((0..40).map(|n| {
        let (store, inside) = (&stores[n % 2], &inside);
        async move {
            let lock = claim("a");
            assert!(store.lock(&lock, LONG).await.unwrap());
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two holders");
            sleep(Duration::from_millis(1)).await;
            inside.fetch_sub(1, Ordering::SeqCst);
            assert!(store.unlock(&lock).await.unwrap());
        }
    }))
    .await;
}

/// How long it takes from the unlock in one process to the lock in the other; the median.
async fn hand_over(one: &RedisStore, other: &RedisStore) -> Duration {
    let mut took = Vec::new();
    for _ in 0..31 {
        let (holder, next) = (claim("a"), claim("a"));
        assert!(one.lock(&holder, Duration::ZERO).await.unwrap());
        let since = Mutex::new(Instant::now());
        let free = async {
            sleep(Duration::from_millis(20)).await;
            *since.lock().unwrap() = Instant::now();
            assert!(one.unlock(&holder).await.unwrap());
        };
        let wait = async {
            assert!(other.lock(&next, LONG).await.unwrap());
            took.push(since.lock().unwrap().elapsed());
        };
        join(wait, free).await;
        assert!(other.unlock(&next).await.unwrap());
    }
    took.sort();
    took[took.len() / 2]
}

async fn a_lock_is_handed_to_another_process_by_message(flavor: Flavor) {
    let redis = flavor.start();
    let (one, other) = (connect(&redis).await, connect(&redis).await);
    let median = hand_over(&one, &other).await;
    println!("handed over in {median:?}");
    // 2 ms are promised on a machine that does nothing else; the second look would take half a second at least.
    assert!(median < Duration::from_millis(20), "{median:?}");
}

async fn a_claim_that_ends_in_another_process_wakes(flavor: Flavor) {
    let redis = flavor.start();
    let (one, other) = (connect(&redis).await, connect(&redis).await);
    let holder = claim("a");
    one.look(&holder, Changed::Run).await.unwrap();
    let end = async {
        sleep(Duration::from_millis(50)).await;
        one.release(&holder).await.unwrap();
        Instant::now()
    };
    let waiters = join_all((0..5).map(|_| other.ended(&holder.id, holder.execution, LONG)));
    let (ended, since) = join(waiters, end).await;
    assert!(ended.into_iter().all(Result::unwrap));
    assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
}

async fn h31_a_lost_message_delays_by_a_second_at_most(flavor: Flavor) {
    let redis = flavor.start();
    let store = connect(&redis).await;
    let (holder, next) = (claim("a"), claim("a"));
    assert!(store.lock(&holder, Duration::ZERO).await.unwrap());
    store.look(&holder, Changed::Run).await.unwrap();
    let lose = async {
        sleep(Duration::from_millis(50)).await;
        // Freed without a word.
        let _: i64 = send(&redis, "DEL idempotent:{a}:lock idempotent:{a}:claim");
        Instant::now()
    };
    let wait = async {
        let both = join(
            store.lock(&next, LONG),
            store.ended(&holder.id, holder.execution, LONG),
        );
        let (locked, ended) = both.await;
        assert!(locked.unwrap() && ended.unwrap());
    };
    let ((), since) = join(wait, lose).await;
    assert!(
        since.elapsed() < Duration::from_secs(1) + SOON,
        "{:?}",
        since.elapsed()
    );
}

async fn h31_waiting_survives_the_loss_of_its_connection(flavor: Flavor) {
    let redis = flavor.start();
    let (one, other) = (connect(&redis).await, connect(&redis).await);
    let (holder, next) = (claim("a"), claim("a"));
    assert!(one.lock(&holder, Duration::ZERO).await.unwrap());
    let free = async {
        eventually_async("the waiter is subscribed", async || {
            send::<Vec<String>>(&redis, "PUBSUB CHANNELS").len() == 1
        })
        .await;
        let _: i64 = send(&redis, "CLIENT KILL TYPE pubsub");
        eventually_async("it is subscribed anew", async || {
            send::<Vec<String>>(&redis, "PUBSUB CHANNELS").len() == 1
        })
        .await;
        assert!(one.unlock(&holder).await.unwrap());
        Instant::now()
    };
    let (locked, since) = join(other.lock(&next, LONG), free).await;
    assert!(locked.unwrap());
    assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
}

async fn h30_a_holder_that_is_gone_is_succeeded_when_its_lease_ends(flavor: Flavor) {
    let redis = flavor.start();
    let (gone, store) = (connect(&redis).await, connect(&redis).await);
    let lease = Duration::from_millis(300);
    let (holder, next) = (
        Claim {
            lease,
            ..claim("a")
        },
        claim("a"),
    );
    assert!(gone.lock(&holder, Duration::ZERO).await.unwrap());
    let since = Instant::now();
    drop(gone);
    assert!(store.lock(&next, LONG).await.unwrap());
    assert!(since.elapsed() < lease + SOON, "{:?}", since.elapsed());
}

async fn a_thousand_waiters_ask_little_and_leave_nothing(flavor: Flavor) {
    let redis = flavor.start();
    let store = connect(&redis).await;
    let holder = claim("a");
    assert!(store.lock(&holder, Duration::ZERO).await.unwrap());
    let _: () = send(&redis, "CONFIG RESETSTAT");
    let locks: Vec<_> = (0..1_000).map(|_| claim("a")).collect();
    let order = Mutex::new(Vec::new());
    let waiters = join_all(locks.iter().map(async |lock| {
        assert!(store.lock(lock, LONG).await.unwrap());
        order.lock().unwrap().push(lock.execution);
        assert!(store.unlock(lock).await.unwrap());
    }));
    join(waiters, async { store.unlock(&holder).await.unwrap() }).await;
    assert!(
        order.into_inner().unwrap().is_sorted(),
        "not first come, first served"
    );
    let calls: String = send(&redis, "INFO commandstats");
    let calls = calls
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    let calls: u64 = calls
        .and_then(|line| line.split(',').next())
        .unwrap()
        .parse()
        .unwrap();
    // Each renews in vain, takes and unlocks; with a few looks too many.
    assert!(calls < 4_500, "{calls} calls");
    assert_eq!(store.server.queues.len(), 0);
    eventually_async("nobody listens", async || store.server.wake.len() == 0).await;
    eventually_async("nothing is subscribed to", async || {
        send::<Vec<String>>(&redis, "PUBSUB CHANNELS").is_empty()
    })
    .await;
}

async fn a_wait_ends_in_time_though_nothing_answers(flavor: Flavor) {
    let redis = flavor.start();
    let store = connect(&redis).await;
    let (holder, next) = (claim("a"), claim("a"));
    assert!(store.lock(&holder, Duration::ZERO).await.unwrap());
    let mut waiting = store.lock(&next, LONG);
    begin(&mut waiting).await;
    redis.server().pause();
    let since = Instant::now();
    assert!(waiting.await.is_err());
    assert!(
        since.elapsed() < Duration::from_secs(2),
        "{:?}",
        since.elapsed()
    );
    redis.server().resume();
}
