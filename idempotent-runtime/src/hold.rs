//! What an execution holds while any part of it runs: its claim and its lock.
//!
//! The detached task holds it, and so does every blocking closure and every connection of the execution. The last of
//! them to end, by whatever way, frees what is still held: a closure that outlives its request (the client went away,
//! the server shuts down) may still commit, and until then nobody else may begin.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;

use crate::faults::{Point, reach};
use crate::keeper::{Keeper, Kind};
use crate::meters;
use crate::store::{Claim, Record, Store, StoreError};
use crate::sync::Counted;

/// The claim and the lock of one execution; freed on drop.
#[derive(Debug)]
pub(crate) struct Hold {
    keeper: Arc<Keeper>,
    claim: Option<Claim>,
    lock: Option<Claim>,
    /// The lock was given, and not only asked for.
    locked: bool,
    /// When the claim was asked for.
    asked: Option<Instant>,
    ended: AtomicBool,
    /// Made with the first lease that is renewed.
    lost: OnceLock<Arc<AtomicBool>>,
    counted: Option<Arc<Counted>>,
}

impl Hold {
    /// Holds nothing yet. Made before a claim or a lock is asked for, so that one which a cancelled call has set all
    /// the same is ended, too.
    pub(crate) fn new(keeper: &Arc<Keeper>) -> Self {
        Self {
            keeper: Arc::clone(keeper),
            claim: None,
            lock: None,
            locked: false,
            asked: None,
            ended: AtomicBool::new(false),
            lost: OnceLock::new(),
            counted: None,
        }
    }

    /// From now on this claim is ended on drop. It is asked for now, or has been lately.
    pub(crate) fn will_claim(&mut self, claim: &Claim, now: Instant) {
        self.asked = Some(now);
        self.claim = Some(claim.clone());
    }

    /// Someone else has the claim, or there is a record: there is nothing to end.
    pub(crate) fn no_claim(&mut self) {
        self.claim = None;
    }

    /// From now on this lock is freed on drop.
    pub(crate) fn will_lock(&mut self, lock: &Claim) {
        self.lock = Some(lock.clone());
    }

    /// The handler runs from now on, and as long as anything of it holds this.
    pub(crate) fn runs(&mut self, counted: Counted) {
        self.counted = Some(Arc::new(counted));
    }

    /// The lock was not granted.
    pub(crate) fn no_lock(&mut self) {
        self.lock = None;
    }

    /// The claim's lease is renewed from now on, for at most `cap`.
    pub(crate) fn keep_claim_alive(&self, cap: Duration) {
        if let (Some(claim), Some(asked)) = (&self.claim, self.asked) {
            self.keeper
                .watch(Kind::Claim, claim, asked, cap, self.lost());
        }
    }

    /// The lock's lease, which begins when the lock is given, is renewed from now on, for at most ten times its length or a minute.
    pub(crate) fn keep_lock_alive(&mut self) {
        self.locked = true;
        if let Some(lock) = &self.lock {
            let cap = lock.lease.saturating_mul(10).max(Duration::from_secs(60));
            self.keeper
                .watch(Kind::Lock, lock, Instant::now(), cap, self.lost());
        }
    }

    /// Whether a lease ran out while it was held.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost
            .get()
            .is_some_and(|lost| lost.load(Ordering::Acquire))
    }

    fn lost(&self) -> &Arc<AtomicBool> {
        self.lost.get_or_init(Arc::default)
    }

    /// Ends the claim by keeping a record; `false` if the claim was not this execution's any more.
    pub(crate) async fn keep(
        &self,
        store: &dyn Store,
        record: Record,
        life: Duration,
    ) -> Result<bool, StoreError> {
        let Some(claim) = &self.claim else {
            return Ok(false);
        };
        self.keeper.ends(Kind::Claim, claim);
        reach(Point::Keep);
        let kept = store.keep(claim, record, life).await?;
        reach(Point::Kept);
        self.ended.store(true, Ordering::Release);
        Ok(kept)
    }

    fn end(&mut self) {
        // What runs has not ended before others hear of it.
        let counted = self.counted.take();
        if let Some(claim) = self.claim.take() {
            self.keeper.unwatch(Kind::Claim, &claim);
            if !self.ended.load(Ordering::Acquire) {
                let counted = counted.clone();
                self.keeper.finish_here(move |store, _| {
                    let (claim, counted) = (claim.clone(), counted.clone());
                    async move {
                        let _counted = counted;
                        store.release(&claim).await
                    }
                });
            }
        }
        if let Some(lock) = self.lock.take() {
            self.keeper.unwatch(Kind::Lock, &lock);
            let (locked, lost) = (self.locked, Arc::clone(self.lost()));
            self.keeper.finish_here(move |store, is_first| {
                let (lock, lost, counted) = (lock.clone(), Arc::clone(&lost), counted.clone());
                async move {
                    let _counted = counted;
                    if !store.unlock(&lock).await? && locked && is_first {
                        told_lost(&lock, &lost);
                    }
                    Ok(())
                }
            });
        }
    }
}

/// Once for one lease: the keeper may have told already.
fn told_lost(lock: &Claim, lost: &AtomicBool) {
    if !lost.swap(true, Ordering::AcqRel) {
        meters::lease_lost(Kind::Lock);
    }
    tracing::warn!(execution = %lock.execution, "the lock was not this execution's any more when it was freed");
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.end();
    }
}
