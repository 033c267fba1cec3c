//! Calls that are dropped, late, lost or repeated.

use futures_util::future::join;
use tokio::time::{sleep, timeout};

use super::*;
use crate::store::redis::server::Undo;
use crate::store::redis::value::call_token;

on_both![
    h29_whoever_holds_a_lock_does_not_wait_behind_others,
    h28_a_lock_whose_answer_took_long_has_its_whole_lease,
    h35_a_dropped_look_leaves_no_claim,
    h35_a_dropped_lock_leaves_no_lock,
    h29_the_end_of_a_lost_call_does_not_end_its_repetition,
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
        let lost = store.server.ask(|link| async move {
            drop(Undo::new(&link, key, call_token(holder.execution)));
            Ok(())
        });
        lost.await.unwrap();
    }
    assert!(store.renew(&holder).await.unwrap() && store.renew_lock(&holder).await.unwrap());
}
