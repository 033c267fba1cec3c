#![allow(clippy::unwrap_used)]

use futures_util::FutureExt;
use futures_util::future::join;
use metrics::set_default_local_recorder;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tokio::sync::watch;
use tokio::time::timeout;

use super::*;
use crate::hold::Hold;
use crate::key::RequestId;
use crate::reply::Reply;
use crate::spec::Changed;
use crate::store::{Looked, MemoryStore, Record, Stamp, Stamped, StoreFuture};
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

/// A store of which some calls wait at a gate.
struct Gated {
    store: MemoryStore,
    /// Whose renewals do not return.
    stuck: Option<ExecutionId>,
    renewed: watch::Sender<u32>,
    /// What frees a lock or has kept a record waits until it is open.
    gate: watch::Sender<bool>,
}

impl Gated {
    fn new(stuck: Option<ExecutionId>) -> Arc<Self> {
        Arc::new(Self {
            store: MemoryStore::new(),
            stuck,
            renewed: watch::Sender::new(0),
            gate: watch::Sender::new(false),
        })
    }

    async fn pass(&self) {
        let _ = self.gate.subscribe().wait_for(|open| *open).await;
    }

    /// Returns after so many renewals.
    async fn renewals(&self, count: u32) {
        let _ = self.renewed.subscribe().wait_for(|now| *now >= count).await;
    }
}

impl Store for Gated {
    fn look<'a>(&'a self, claim: &'a Claim, changed: Changed) -> StoreFuture<'a, Looked> {
        self.store.look(claim, changed)
    }

    fn keep<'a>(
        &'a self,
        claim: &'a Claim,
        record: Record,
        life: Duration,
    ) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let kept = self.store.keep(claim, record, life).await;
            self.pass().await;
            kept
        })
    }

    fn release<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, ()> {
        self.store.release(claim)
    }

    fn renew<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            if self.stuck == Some(claim.execution) {
                std::future::pending::<()>().await;
            }
            let renewed = self.store.renew(claim).await;
            self.renewed.send_modify(|count| *count += 1);
            renewed
        })
    }

    fn ended<'a>(
        &'a self,
        id: &'a RequestId,
        execution: ExecutionId,
        wait: Duration,
    ) -> StoreFuture<'a, bool> {
        self.store.ended(id, execution, wait)
    }

    fn lock<'a>(&'a self, lock: &'a Claim, wait: Duration) -> StoreFuture<'a, bool> {
        self.store.lock(lock, wait)
    }

    fn renew_lock<'a>(&'a self, lock: &'a Claim) -> StoreFuture<'a, bool> {
        self.store.renew_lock(lock)
    }

    fn unlock<'a>(&'a self, lock: &'a Claim) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            self.pass().await;
            self.store.unlock(lock).await
        })
    }

    fn stamp(&self, stamp: &Stamp<'_>) -> Result<Stamped, StoreError> {
        self.store.stamp(stamp)
    }

    fn forget<'a>(&'a self, id: &'a RequestId) -> StoreFuture<'a, bool> {
        self.store.forget(id)
    }

    fn clear<'a>(&'a self, prefix: &'a str) -> StoreFuture<'a, ()> {
        self.store.clear(prefix)
    }
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
    hold.will_claim(claim);
    store.look(claim, Changed::Run).await.unwrap();
    hold.keep_claim_alive(Duration::from_secs(60));
    hold
}

const LEASE: Duration = Duration::from_millis(300);

#[tokio::test]
async fn a_renewal_that_takes_long_does_not_hold_up_the_others() {
    let stuck = claim(1, LEASE / 2);
    let store = Gated::new(Some(stuck.execution));
    let keeper = Keeper::start(Arc::<Gated>::clone(&store)).unwrap();
    let _stuck = hold(&keeper, &store, &stuck).await;
    let other = hold(&keeper, &store, &claim(2, LEASE)).await;
    let renewed = timeout(Duration::from_secs(10), store.renewals(6)).await;
    assert!(renewed.is_ok(), "the others wait");
    assert!(!other.is_lost());
}

#[tokio::test]
async fn a_claim_that_ends_by_being_kept_is_not_lost() {
    let store = Gated::new(None);
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
        store.gate.send_replace(true);
    };
    let (kept, ()) = join(keeping, others).await;
    assert!(kept.unwrap() && !keeps.is_lost());
}

#[tokio::test]
async fn a_run_is_under_way_until_its_lock_is_free() {
    let store = Gated::new(None);
    let keeper = Keeper::start(Arc::<Gated>::clone(&store)).unwrap();
    let (lock, runs) = (claim(1, LEASE), Arc::<Count>::default());
    let mut hold = Hold::new(&keeper);
    hold.will_lock(&lock);
    assert!(store.lock(&lock, Duration::ZERO).await.unwrap());
    hold.runs(runs.one());
    drop(hold);
    assert!(runs.none().now_or_never().is_none());
    store.gate.send_replace(true);
    runs.none().await;
    let next = Claim {
        execution: ExecutionId(2),
        ..lock
    };
    assert!(store.lock(&next, Duration::ZERO).await.unwrap());
}
