//! One holder at a time, in the order of arrival.

use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use futures_util::future::{join, join_all};
use tokio::time::{sleep, timeout};

use super::*;

cases![
    a_free_lock_is_taken_and_a_held_one_is_not,
    a_lock_repeated_with_its_token_is_held_already,
    only_the_holders_token_frees_the_lock,
    a_waiter_is_woken_by_the_unlock,
    a_waiter_gets_the_lock_when_the_lease_lapses,
    a_renewed_lock_does_not_lapse,
    a_repeated_lock_renews_it,
    first_come_first_served,
    a_dropped_waiter_leaves_no_place_behind,
    one_at_a_time_under_contention,
    a_lock_is_no_claim,
];

async fn a_free_lock_is_taken_and_a_held_one_is_not<S: Store>(bench: Bench<S>) {
    let (holder, other) = (bench.claim("a"), bench.claim("a"));
    promise(
        bench.lock(&holder, Duration::ZERO).await,
        true,
        "a free lock is taken",
    );
    let start = Instant::now();
    promise(
        bench.lock(&other, Duration::ZERO).await,
        false,
        "a held lock is not taken",
    );
    promise(
        bench.lock(&other, SHORT).await,
        false,
        "a held lock is not taken",
    );
    promise(
        start.elapsed() >= SHORT,
        true,
        "`lock` waits for as long as it is told",
    );
    soon(start, "`lock` waits no longer than it is told");
    promise(
        bench.lock(&bench.claim("b"), Duration::ZERO).await,
        true,
        "a lock of another name is of no concern",
    );
}

async fn a_lock_repeated_with_its_token_is_held_already<S: Store>(bench: Bench<S>) {
    let holder = bench.claim("a");
    promise(
        bench.lock(&holder, LONG).await,
        true,
        "a free lock is taken",
    );
    let start = Instant::now();
    promise(
        bench.lock(&holder, LONG).await,
        true,
        "nobody waits for oneself",
    );
    soon(start, "a lock repeated with its token is held at once");
    promise(
        bench.unlock(&holder).await,
        true,
        "a lock taken twice by one token is held once",
    );
    promise(
        bench.lock(&bench.claim("a"), Duration::ZERO).await,
        true,
        "one unlock frees it",
    );
}

async fn only_the_holders_token_frees_the_lock<S: Store>(bench: Bench<S>) {
    let (holder, thief) = (bench.claim("a"), bench.claim("a"));
    promise(
        bench.unlock(&thief).await,
        false,
        "a lock that nobody holds is not freed",
    );
    promise(
        bench.lock(&holder, Duration::ZERO).await,
        true,
        "a free lock is taken",
    );
    promise(
        bench.unlock(&thief).await,
        false,
        "another's lock is not freed",
    );
    promise(
        bench.renew_lock(&thief).await,
        false,
        "another's lock is not renewed",
    );
    promise(
        bench.lock(&bench.claim("a"), Duration::ZERO).await,
        false,
        "another's token does not free a lock",
    );
    promise(
        bench.unlock(&holder).await,
        true,
        "the holder's token frees it",
    );
    promise(bench.unlock(&holder).await, false, "a lock is freed once");
    promise(
        bench.renew_lock(&holder).await,
        false,
        "a freed lock is not renewed",
    );
    promise(
        bench.lock(&thief, Duration::ZERO).await,
        true,
        "a freed lock is free",
    );
}

async fn a_waiter_is_woken_by_the_unlock<S: Store>(bench: Bench<S>) {
    let (holder, next) = (bench.claim("a"), bench.claim("a"));
    promise(
        bench.lock(&holder, Duration::ZERO).await,
        true,
        "a free lock is taken",
    );
    let free = async {
        sleep(SHORT / 3).await;
        promise(
            bench.unlock(&holder).await,
            true,
            "the holder's token frees it",
        );
        Instant::now()
    };
    let (taken, since) = join(bench.lock(&next, LONG), free).await;
    promise(taken, true, "the next one gets the lock");
    soon(since, "unlocking wakes the next one");
    promise(
        bench.lock(&bench.claim("a"), Duration::ZERO).await,
        false,
        "who was woken holds the lock",
    );
}

async fn a_waiter_gets_the_lock_when_the_lease_lapses<S: Store>(bench: Bench<S>) {
    let (holder, next) = (short(bench.claim("a")), bench.claim("a"));
    promise(
        bench.lock(&holder, Duration::ZERO).await,
        true,
        "a free lock is taken",
    );
    let start = Instant::now();
    promise(
        bench.lock(&next, LONG).await,
        true,
        "a lapsed lock lets the next one in",
    );
    soon(start, "the end of a lease wakes the next one");
    promise(
        start.elapsed() >= SHORT / 2,
        true,
        "a lock is held until its lease lapses",
    );
    promise(
        bench.renew_lock(&holder).await,
        false,
        "a lapsed lock is not renewed",
    );
    promise(
        bench.unlock(&holder).await,
        false,
        "who lost the lock does not free the next one's",
    );
    promise(bench.renew_lock(&next).await, true, "the next one holds it");
}

async fn a_renewed_lock_does_not_lapse<S: Store>(bench: Bench<S>) {
    let (holder, next) = (bench.claim("a"), bench.claim("a"));
    promise(
        bench.lock(&short(holder.clone()), Duration::ZERO).await,
        true,
        "a free lock is taken",
    );
    let (taken, renewed) = join(bench.lock(&next, 2 * SHORT), bench.renew_lock(&holder)).await;
    promise(renewed, true, "a held lock is renewed");
    promise(
        taken,
        false,
        "a renewed lock does not lapse at the end of its first lease",
    );
    promise(
        bench.unlock(&holder).await,
        true,
        "who renewed the lock still holds it",
    );
}

async fn a_repeated_lock_renews_it<S: Store>(bench: Bench<S>) {
    let holder = bench.claim("a");
    promise(
        bench.lock(&short(holder.clone()), Duration::ZERO).await,
        true,
        "a free lock is taken",
    );
    promise(
        bench.lock(&holder, Duration::ZERO).await,
        true,
        "a lock repeated with its token is held already",
    );
    run_out().await;
    promise(
        bench.unlock(&holder).await,
        true,
        "a repeated lock has its lease anew",
    );
}

async fn first_come_first_served<S: Store>(bench: Bench<S>) {
    let order = Mutex::new(Vec::new());
    let holder = bench.claim("a");
    promise(
        bench.lock(&holder, Duration::ZERO).await,
        true,
        "a free lock is taken",
    );
    let waiters = join_all((0..6).map(|place| {
        let (bench, order) = (&bench, &order);
        async move {
            let lock = bench.claim("a");
            sleep(SHORT / 6 * place).await;
            promise(
                bench.lock(&lock, LONG).await,
                true,
                "who waits long enough gets the lock",
            );
            order.lock().expect("no case panics in here").push(place);
            promise(
                bench.unlock(&lock).await,
                true,
                "the holder's token frees it",
            );
        }
    }));
    let free = async {
        sleep(SHORT * 2).await;
        bench.unlock(&holder).await
    };
    join(waiters, free).await;
    let order = order.into_inner().expect("no case panics in here");
    promise(
        order,
        (0..6).collect(),
        "within a process the first to come is the first to be served",
    );
}

async fn a_dropped_waiter_leaves_no_place_behind<S: Store>(bench: Bench<S>) {
    let (holder, dropped, next) = (bench.claim("a"), bench.claim("a"), bench.claim("a"));
    promise(
        bench.lock(&holder, Duration::ZERO).await,
        true,
        "a free lock is taken",
    );
    let cut = async {
        promise(
            timeout(SHORT, bench.lock(&dropped, LONG)).await.is_err(),
            true,
            "a held lock is not taken",
        );
        promise(
            bench.unlock(&holder).await,
            true,
            "the holder's token frees it",
        );
        Instant::now()
    };
    let wait = async {
        sleep(SHORT / 3).await;
        bench.lock(&next, LONG).await
    };
    let (since, taken) = join(cut, wait).await;
    promise(taken, true, "a waiter that was dropped is in nobody's way");
    soon(since, "the one behind a dropped waiter is woken");
    promise(
        bench.unlock(&dropped).await,
        false,
        "a waiter that was dropped gets no lock",
    );
}

async fn one_at_a_time_under_contention<S: Store>(bench: Bench<S>) {
    let inside = AtomicUsize::new(0);
    join_all((0..20).map(|_| async {
        let lock = bench.claim("a");
        promise(
            bench.lock(&lock, LONG).await,
            true,
            "who waits long enough gets the lock",
        );
        promise(
            inside.fetch_add(1, Ordering::SeqCst),
            0,
            "a lock has one holder at a time",
        );
        sleep(Duration::from_millis(2)).await;
        inside.fetch_sub(1, Ordering::SeqCst);
        promise(
            bench.unlock(&lock).await,
            true,
            "the holder's token frees it",
        );
    }))
    .await;
    promise(
        bench.lock(&bench.claim("a"), Duration::ZERO).await,
        true,
        "after all have gone the lock is free",
    );
}

async fn a_lock_is_no_claim<S: Store>(bench: Bench<S>) {
    let (lock, claim) = (bench.claim("a"), bench.claim("a"));
    promise(
        bench.lock(&lock, Duration::ZERO).await,
        true,
        "a free lock is taken",
    );
    claimed(
        &bench.look(&claim).await,
        "a lock of the same name sets no claim",
    );
    bench.release(&claim).await;
    promise(
        bench.unlock(&lock).await,
        true,
        "the end of a claim frees no lock",
    );
}
