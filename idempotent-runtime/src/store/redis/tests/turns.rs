//! Locks and claims that several processes want. Two stores share nothing but the server, as two processes do.

use std::sync::Mutex;

use futures_util::future::{join, join_all};
use tokio::time::{sleep, timeout};

use super::*;
use crate::store::redis::server::Undo;
use crate::store::redis::value::call_token;

on_both![
    two_stores_exclude_and_wake_each_other,
    a_lock_is_handed_to_another_process_by_message,
    a_claim_that_ends_in_another_process_wakes,
    h31_a_lost_message_delays_by_a_second_at_most,
    h31_waiting_survives_the_loss_of_its_connection,
    h29_whoever_holds_a_lock_does_not_wait_behind_others,
    h28_a_lock_whose_answer_took_long_has_its_whole_lease,
    h30_a_holder_that_is_gone_is_succeeded_when_its_lease_ends,
    h35_a_dropped_look_leaves_no_claim,
    h35_a_dropped_lock_leaves_no_lock,
    h29_the_end_of_a_lost_call_does_not_end_its_repetition,
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

/// Polls once what is not ready, so that its request is on its way.
async fn begin<T>(future: &mut (impl Future<Output = T> + Unpin)) {
    assert!(timeout(Duration::from_millis(30), future).await.is_err());
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

async fn h29_the_end_of_a_lost_call_does_not_end_its_repetition(flavor: Flavor) {
    let redis = flavor.start();
    let store = connect(&redis).await;
    let holder = claim("a");
    store.look(&holder, Changed::Run).await.unwrap();
    assert!(store.lock(&holder, LONG).await.unwrap());
    for key in ["idempotent:{a}:claim", "idempotent:{a}:lock"] {
        // A call of the same execution, which was given up before those that have set them.
        let lost = store.server.ask(|link| async move {
            drop(Undo::new(&link, key, call_token(holder.execution)));
            Ok(())
        });
        lost.await.unwrap();
    }
    assert!(store.renew(&holder).await.unwrap() && store.renew_lock(&holder).await.unwrap());
}
