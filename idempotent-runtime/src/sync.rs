//! What every room needs to share state: a lock that survives a panic, a nonce, a count that can be awaited.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// A random number, from the keys of the standard library's hasher.
pub(crate) fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::time::SystemTime::now())
}

/// Locks, whatever a panicking thread left: every critical section leaves its data whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `now + length`, or the far future where that cannot be told.
pub(crate) fn after(now: Instant, length: Duration) -> Instant {
    now.checked_add(length)
        .or_else(|| now.checked_add(Duration::from_secs(86_400 * 365)))
        .unwrap_or(now)
}

/// Counts what is under way.
#[derive(Debug, Default)]
pub(crate) struct Count {
    now: AtomicUsize,
    none: Notify,
}

impl Count {
    /// One more, for as long as the guard lives.
    pub(crate) fn one(self: &Arc<Self>) -> Counted {
        self.now.fetch_add(1, Ordering::AcqRel);
        Counted(Arc::clone(self))
    }

    /// Returns when there is none.
    pub(crate) async fn none(&self) {
        loop {
            let none = self.none.notified();
            tokio::pin!(none);
            none.as_mut().enable();
            if self.now.load(Ordering::Acquire) == 0 {
                return;
            }
            none.await;
        }
    }
}

/// One of a [`Count`].
#[derive(Debug)]
pub(crate) struct Counted(Arc<Count>);

impl Drop for Counted {
    fn drop(&mut self) {
        if self.0.now.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.none.notify_waiters();
        }
    }
}
