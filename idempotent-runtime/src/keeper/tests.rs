#![allow(clippy::unwrap_used)]

use futures_util::FutureExt;
use futures_util::future::join;
use metrics::set_default_local_recorder;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tokio::time::timeout;

use super::*;
use crate::execution::{Scope, on_task};
use crate::hold::Hold;
use crate::key::RequestId;
use crate::reply::Reply;
use crate::spec::Changed;
use crate::store::gated::{Ask, Gated};
use crate::store::{MemoryStore, Record};
use crate::sync::Count;

/// The thread's work, on this thread.
#[tokio::test]
async fn a_claim_that_another_ended_is_a_lease_that_was_lost() {
    let recorder = DebuggingRecorder::new();
    let _local = set_default_local_recorder(&recorder);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let claim = Claim {
        id: RequestId::from_text("a"),
        execution: ExecutionId(1),
        fingerprint: None,
        lease: Duration::from_secs(10),
    };
    let (leases, name) = (
        Mutex::new(Leases::default()),
        (claim.execution, Kind::Claim),
    );
    let (now, lost) = (Instant::now(), Arc::<AtomicBool>::default());
    let lease = Lease {
        due: Some(now),
        held: after(now, claim.lease),
        cap: after(now, claim.lease),
        lost: Arc::clone(&lost),
        ends: false,
        claim,
    };
    lock(&leases).all.insert(name, lease.clone());
    renew(&store, &leases, name, lease).await;
    assert!(lost.load(Ordering::Acquire));
    let seen = recorder.snapshotter().snapshot().into_vec();
    let counted: Vec<_> = seen
        .iter()
        .map(|(key, _, _, value)| (key.key().name(), value))
        .collect();
    assert_eq!(
        counted,
        [("idempotent_lease_losses_total", &DebugValue::Counter(1))]
    );
}

fn claim(execution: u128, lease: Duration) -> Claim {
    Claim {
        id: RequestId::from_text(&execution.to_string()),
        execution: ExecutionId(execution),
        fingerprint: None,
        lease,
    }
}

/// Claims it, and has it renewed.
async fn hold(keeper: &Arc<Keeper>, store: &Gated, claim: &Claim) -> Hold {
    let mut hold = Hold::new(keeper);
    hold.will_claim(claim, Instant::now());
    store.look(claim, Changed::Run).await.unwrap();
    hold.keep_claim_alive(Duration::from_secs(60));
    hold
}

const LEASE: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_renewal_that_takes_long_does_not_hold_up_the_others() {
    let stuck = claim(1, LEASE / 2);
    let store = Gated::new(&[], Some(stuck.execution));
    let keeper = Keeper::start(Arc::<Gated>::clone(&store)).unwrap();
    let _stuck = hold(&keeper, &store, &stuck).await;
    let other = hold(&keeper, &store, &claim(2, LEASE)).await;
    let renewed = timeout(Duration::from_secs(10), store.renewals(6)).await;
    assert!(renewed.is_ok(), "the others wait");
    assert!(!other.is_lost());
}

#[tokio::test]
async fn a_claim_that_ends_by_being_kept_is_not_lost() {
    let store = Gated::new(&[Ask::Keep], None);
    let keeper = Keeper::start(Arc::<Gated>::clone(&store)).unwrap();
    let kept = claim(1, LEASE);
    let keeps = hold(&keeper, &store, &kept).await;
    let record = Record {
        execution: kept.execution,
        fingerprint: None,
        epoch: None,
        tags: Vec::new(),
        reply: Reply::new(200),
    };
    let keeping = keeps.keep(&*store, record, LEASE);
    let others = async {
        // Its own renewal would have been due by then, and so would its second.
        let _other = hold(&keeper, &store, &claim(2, LEASE)).await;
        store.renewals(3).await;
        store.open(true);
    };
    let (kept, ()) = join(keeping, others).await;
    assert!(kept.unwrap() && !keeps.is_lost());
}

#[tokio::test]
async fn a_run_is_under_way_until_its_lock_is_free() {
    let store = Gated::new(&[Ask::Unlock], None);
    let keeper = Keeper::start(Arc::<Gated>::clone(&store)).unwrap();
    let (lock, runs) = (claim(1, LEASE), Arc::<Count>::default());
    let mut hold = Hold::new(&keeper);
    hold.will_lock(&lock);
    assert!(store.lock(&lock, Duration::ZERO).await.unwrap());
    hold.runs(runs.one());
    drop(hold);
    assert!(runs.none().now_or_never().is_none());
    store.open(true);
    runs.none().await;
    let next = Claim {
        execution: ExecutionId(2),
        ..lock
    };
    assert!(store.lock(&next, Duration::ZERO).await.unwrap());
}

fn worker() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Takes a lock in a task of a runtime of its own, which ends at once.
fn freed_on_a_worker_that_ends(store: &Arc<Gated>, keeper: &Arc<Keeper>, runs: &Arc<Count>) {
    worker().block_on(on_task(Scope::Plain, async {
        let mut hold = Hold::new(keeper);
        hold.will_lock(&claim(1, LEASE));
        let locked = store.lock(&claim(1, LEASE), Duration::ZERO).await;
        assert!(locked.unwrap());
        hold.runs(runs.one());
    }));
}

async fn is_free(store: &Gated) -> bool {
    let next = Claim {
        execution: ExecutionId(2),
        ..claim(1, LEASE)
    };
    store.lock(&next, Duration::ZERO).await.unwrap()
}

/// As an actix worker that is told to stop.
#[test]
fn what_a_runtime_that_ends_has_not_finished_is_finished() {
    let store = Gated::new(&[Ask::Unlock], None);
    let keeper = Keeper::start(Arc::<Gated>::clone(&store)).unwrap();
    let runs = Arc::<Count>::default();
    freed_on_a_worker_that_ends(&store, &keeper, &runs);
    assert!(runs.none().now_or_never().is_none());
    store.open(true);
    worker().block_on(runs.none());
    assert!(worker().block_on(is_free(&store)));
}

#[test]
fn what_fails_on_one_runtime_is_done_on_the_keepers() {
    let keeper = Keeper::start(Arc::new(MemoryStore::new())).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    worker().block_on(on_task(Scope::Plain, async {
        keeper.finish_here(move |_, is_first| {
            let sender = sender.clone();
            async move {
                let _ = sender.send(is_first);
                match is_first {
                    true => Err(StoreError::new("this runtime is of no use")),
                    false => Ok(()),
                }
            }
        });
    }));
    let tries: Vec<_> = receiver.iter().collect();
    assert_eq!(tries, [true, false]);
}
