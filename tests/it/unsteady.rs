//! A store that fails or hangs when told to, and that two applications can share.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use idempotent_runtime::store::{
    Claim, ExecutionId, Looked, MemoryStore, Record, Stamp, Stamped, Store, StoreError, StoreFuture,
};
use idempotent_runtime::{Changed, RequestId};

/// What a store can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    Look,
    Keep,
    Release,
    Lock,
    RenewLock,
    Unlock,
    Stamp,
}

#[derive(Default)]
struct Inner {
    store: MemoryStore,
    failing: Mutex<Vec<Ask>>,
    hanging: Mutex<Vec<Ask>>,
    away: AtomicBool,
    stamps: AtomicUsize,
    hung: AtomicUsize,
}

/// Clones are one store.
#[derive(Clone, Default)]
pub struct Unsteady(Arc<Inner>);

impl Unsteady {
    pub fn fail(&self, ask: Ask) {
        self.0.failing.lock().unwrap().push(ask);
    }

    pub fn hang(&self, ask: Ask) {
        self.0.hanging.lock().unwrap().push(ask);
    }

    /// From now on everything fails.
    pub fn go_away(&self) {
        self.0.away.store(true, Ordering::SeqCst);
    }

    /// From now on everything works.
    pub fn come_back(&self) {
        self.0.away.store(false, Ordering::SeqCst);
        self.0.failing.lock().unwrap().clear();
        self.0.hanging.lock().unwrap().clear();
    }

    /// How many stamps it has taken.
    pub fn stamps(&self) -> usize {
        self.0.stamps.load(Ordering::SeqCst)
    }

    /// Waits until a call hangs.
    pub fn await_hanging(&self) {
        support::eventually("the store hangs", || self.0.hung.load(Ordering::SeqCst) > 0);
    }

    fn check(&self, ask: Ask) -> Result<(), StoreError> {
        let fails = self.0.failing.lock().unwrap().contains(&ask);
        if fails || self.0.away.load(Ordering::SeqCst) {
            return Err(StoreError::new("told to fail"));
        }
        Ok(())
    }

    fn hangs(&self, ask: Ask) -> bool {
        self.0.hanging.lock().unwrap().contains(&ask)
    }

    fn answer<'a, T: 'a>(&'a self, ask: Ask, answer: StoreFuture<'a, T>) -> StoreFuture<'a, T> {
        Box::pin(async move {
            if self.hangs(ask) {
                self.0.hung.fetch_add(1, Ordering::SeqCst);
                std::future::pending::<()>().await;
            }
            self.check(ask)?;
            answer.await
        })
    }
}

impl Store for Unsteady {
    fn look<'a>(&'a self, claim: &'a Claim, changed: Changed) -> StoreFuture<'a, Looked> {
        self.answer(Ask::Look, self.0.store.look(claim, changed))
    }

    fn keep<'a>(
        &'a self,
        claim: &'a Claim,
        record: Record,
        life: Duration,
    ) -> StoreFuture<'a, bool> {
        self.answer(Ask::Keep, self.0.store.keep(claim, record, life))
    }

    fn release<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, ()> {
        self.answer(Ask::Release, self.0.store.release(claim))
    }

    fn renew<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, bool> {
        self.0.store.renew(claim)
    }

    fn ended<'a>(
        &'a self,
        id: &'a RequestId,
        execution: ExecutionId,
        wait: Duration,
    ) -> StoreFuture<'a, bool> {
        self.0.store.ended(id, execution, wait)
    }

    fn lock<'a>(&'a self, lock: &'a Claim, wait: Duration) -> StoreFuture<'a, bool> {
        self.answer(Ask::Lock, self.0.store.lock(lock, wait))
    }

    fn renew_lock<'a>(&'a self, lock: &'a Claim) -> StoreFuture<'a, bool> {
        self.answer(Ask::RenewLock, self.0.store.renew_lock(lock))
    }

    fn unlock<'a>(&'a self, lock: &'a Claim) -> StoreFuture<'a, bool> {
        self.answer(Ask::Unlock, self.0.store.unlock(lock))
    }

    fn stamp(&self, stamp: &Stamp<'_>) -> Result<Stamped, StoreError> {
        self.check(Ask::Stamp)?;
        let stamped = self.0.store.stamp(stamp);
        self.0.stamps.fetch_add(1, Ordering::SeqCst);
        stamped
    }

    fn forget<'a>(&'a self, id: &'a RequestId) -> StoreFuture<'a, bool> {
        self.0.store.forget(id)
    }

    fn clear<'a>(&'a self, prefix: &'a str) -> StoreFuture<'a, ()> {
        self.0.store.clear(prefix)
    }
}
