//! A store for tests, some of whose calls wait at a gate: to answer, or to free a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use super::{
    Claim, ExecutionId, Looked, MemoryStore, Record, Stamp, Stamped, Store, StoreError, StoreFuture,
};
use crate::key::RequestId;
use crate::spec::Changed;

/// What may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Look,
    Keep,
    Unlock,
}

/// In memory.
pub(crate) struct Gated {
    store: MemoryStore,
    /// Whose renewals do not return.
    stuck: Option<ExecutionId>,
    renewed: watch::Sender<u32>,
    looks: AtomicUsize,
    /// What waits until the gate is open.
    gated: &'static [Ask],
    gate: watch::Sender<bool>,
}

impl Gated {
    pub(crate) fn new(gated: &'static [Ask], stuck: Option<ExecutionId>) -> Arc<Self> {
        Arc::new(Self {
            store: MemoryStore::new(),
            stuck,
            renewed: watch::Sender::new(0),
            looks: AtomicUsize::new(0),
            gated,
            gate: watch::Sender::new(false),
        })
    }

    pub(crate) fn open(&self, open: bool) {
        self.gate.send_replace(open);
    }

    /// How many have been asked for.
    pub(crate) fn looks(&self) -> usize {
        self.looks.load(Ordering::SeqCst)
    }

    async fn pass(&self, ask: Ask) {
        if !self.gated.contains(&ask) {
            return;
        }
        let _ = self.gate.subscribe().wait_for(|open| *open).await;
    }

    /// Returns after so many renewals.
    pub(crate) async fn renewals(&self, count: u32) {
        let _ = self.renewed.subscribe().wait_for(|now| *now >= count).await;
    }
}

impl Store for Gated {
    fn look<'a>(&'a self, claim: &'a Claim, changed: Changed) -> StoreFuture<'a, Looked> {
        Box::pin(async move {
            self.looks.fetch_add(1, Ordering::SeqCst);
            let looked = self.store.look(claim, changed).await;
            self.pass(Ask::Look).await;
            looked
        })
    }

    fn keep<'a>(
        &'a self,
        claim: &'a Claim,
        record: Record,
        life: Duration,
    ) -> StoreFuture<'a, bool> {
        Box::pin(async move {
            let kept = self.store.keep(claim, record, life).await;
            self.pass(Ask::Keep).await;
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
            self.pass(Ask::Unlock).await;
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
