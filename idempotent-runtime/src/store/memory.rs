//! The store of a single process.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::{Claim, ExecutionId, Looked, Record, Stamp, Stamped, Store, StoreError, StoreFuture};
use crate::key::RequestId;
use crate::spec::Changed;

mod agenda;
mod claims;
mod locks;
mod shelf;
mod state;
mod tags;
#[cfg(test)]
mod tests;

use agenda::after;
use locks::{Bell, Taken, Ticket, Turn};
use state::State;

/// 64 MiB.
const CAPACITY: usize = 64 << 20;

/// How many expired entries of each kind one call removes at most, so that no call pays for a long silence. Two, as
/// one call adds one of a kind: what has expired shrinks as long as anything is called at all.
const SWEEP: usize = 2;

/// The store of a single process: everything is in its memory and gone when it ends.
///
/// It is the right store for an application that runs as one process; several processes that share a database must
/// share a store, too, or they replay what another has changed.
///
/// Records and tags take [64 MiB](MemoryStore::new) at most, or [what you say](MemoryStore::with_capacity). Beyond
/// that the least recently used records are evicted, and tags only after the records that depend on them; a retry
/// then runs its handler again. Claims and locks are never evicted: there are as many as there are executions under
/// way. What has expired is removed when it is seen and, a little at a time, by every other call.
///
/// The methods that wait need a Tokio runtime with its timer enabled, as every runtime of actix has.
///
/// # Examples
///
/// ```
/// use idempotent_runtime::store::MemoryStore;
///
/// let store = MemoryStore::with_capacity(16 << 20);
/// ```
pub struct MemoryStore {
    // One lock for all, as a record is valid only if all of its tags are seen at the same moment. It is held for a
    // few hundred nanoseconds at a time.
    state: Mutex<State>,
}

impl MemoryStore {
    /// A store that takes 64 MiB at most.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(CAPACITY)
    }

    /// A store whose records and tags take about so many bytes at most.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self {
            state: Mutex::new(State::new(bytes)),
        }
    }

    /// Runs a critical section. It is never held over an await, and never while a waiter is woken.
    fn with<T>(&self, act: impl FnOnce(&mut State, Instant) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        state.sweep(SWEEP, now);
        let answer = act(&mut state, now);
        let freed = state.take_freed();
        drop(state);
        drop(freed);
        answer
    }

    /// [`with`](Self::with) as a future that does nothing until it is polled.
    fn later<'a, T: 'a>(
        &'a self,
        act: impl FnOnce(&mut State, Instant) -> T + Send + 'a,
    ) -> StoreFuture<'a, T> {
        Box::pin(async move { Ok(self.with(act)) })
    }

    async fn wait_for_end(&self, id: &RequestId, execution: ExecutionId, wait: Duration) -> bool {
        let end = after(Instant::now(), wait);
        loop {
            let Some((mut ended, lease)) =
                self.with(|state, now| state.claims.watch(id, execution, now))
            else {
                return true;
            };
            if Instant::now() >= end {
                return false;
            }
            // Whatever wakes us, what counts is what is seen then: the lease may have been renewed.
            let _ = timeout_at(lease.min(end).into(), ended.changed()).await;
        }
    }

    async fn wait_for_lock(&self, claim: &Claim, wait: Duration) -> bool {
        let end = after(Instant::now(), wait);
        loop {
            let place = match self.with(|state, now| state.locks.take(claim, !wait.is_zero(), now))
            {
                Taken::Held => return true,
                Taken::Busy => return false,
                Taken::Queued(ticket, bell) => Place {
                    store: self,
                    claim,
                    ticket,
                    bell,
                },
            };
            if let Some(held) = place.wait(end).await {
                return held;
            }
        }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

/// A waiter's place in the queue of a lock, given up when it is dropped.
struct Place<'a> {
    store: &'a MemoryStore,
    claim: &'a Claim,
    ticket: Ticket,
    bell: Bell,
}

impl Place<'_> {
    /// Whether it got the lock in time; `None` if the place is lost, and another must be taken.
    async fn wait(&self, end: Instant) -> Option<bool> {
        loop {
            let until = match self
                .store
                .with(|state, now| state.locks.turn(self.claim, self.ticket, now))
            {
                Turn::Held => return Some(true),
                Turn::Missed => return None,
                Turn::Next(lapse) => lapse.min(end),
                Turn::Behind => end,
            };
            if Instant::now() >= end {
                return Some(false);
            }
            // The bell keeps a ring that came before it was listened to.
            let _ = timeout_at(until.into(), self.bell.notified()).await;
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.store
            .with(|state, now| state.locks.leave(&self.claim.id, self.ticket, now));
    }
}

impl Store for MemoryStore {
    fn look<'a>(&'a self, claim: &'a Claim, changed: Changed) -> StoreFuture<'a, Looked> {
        self.later(move |state, now| state.look(claim, changed, now))
    }

    fn keep<'a>(
        &'a self,
        claim: &'a Claim,
        record: Record,
        life: Duration,
    ) -> StoreFuture<'a, bool> {
        self.later(move |state, now| state.keep(claim, record, life, now))
    }

    fn release<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, ()> {
        self.later(move |state, now| {
            state.release(claim, now);
        })
    }

    fn renew<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, bool> {
        self.later(move |state, now| state.claims.renew(claim, now))
    }

    fn ended<'a>(
        &'a self,
        id: &'a RequestId,
        execution: ExecutionId,
        wait: Duration,
    ) -> StoreFuture<'a, bool> {
        Box::pin(async move { Ok(self.wait_for_end(id, execution, wait).await) })
    }

    fn lock<'a>(&'a self, lock: &'a Claim, wait: Duration) -> StoreFuture<'a, bool> {
        Box::pin(async move { Ok(self.wait_for_lock(lock, wait).await) })
    }

    fn renew_lock<'a>(&'a self, lock: &'a Claim) -> StoreFuture<'a, bool> {
        self.later(move |state, now| state.locks.renew(lock, now))
    }

    fn unlock<'a>(&'a self, lock: &'a Claim) -> StoreFuture<'a, bool> {
        self.later(move |state, now| state.locks.unlock(lock, now))
    }

    fn stamp(&self, stamp: &Stamp<'_>) -> Result<Stamped, StoreError> {
        Ok(self.with(|state, now| state.stamp(stamp, now)))
    }

    fn forget<'a>(&'a self, id: &'a RequestId) -> StoreFuture<'a, bool> {
        self.later(move |state, now| state.forget(id, now))
    }

    fn clear<'a>(&'a self, prefix: &'a str) -> StoreFuture<'a, ()> {
        self.later(move |state, now| state.clear(prefix, now))
    }
}
