//! A store as a user would write one: it keeps what it is told of changed rows.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use idempotent_runtime::store::{
    Claim, ExecutionId, Looked, Record, Stamp, Stamped, Store, StoreError, StoreFuture,
};
use idempotent_runtime::{Changed, MemoryStore, RequestId};

/// Hears every stamp.
#[derive(Debug, Default)]
pub struct Recorder {
    inner: MemoryStore,
    heard: Mutex<BTreeSet<String>>,
    deaf: Option<Deafness>,
}

/// What a recorder does not hear, so that it can be seen that this is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deafness {
    /// Single rows.
    Rows,
    /// Whole tables.
    Tables,
}

impl Recorder {
    /// One that does not hear this.
    #[must_use]
    pub fn new(deaf: Option<Deafness>) -> Arc<Self> {
        Arc::new(Self {
            deaf,
            ..Self::default()
        })
    }

    /// The resources that were stamped since this was last asked, as in `t_int:1`.
    pub fn heard(&self) -> BTreeSet<String> {
        std::mem::take(&mut *self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn hear(&self, tag: &str) {
        // Before the first colon is the application's name.
        let resource = tag.split_once(':').map_or(tag, |(_, resource)| resource);
        let deaf = match self.deaf {
            None => false,
            Some(Deafness::Rows) => !resource.ends_with(":*"),
            Some(Deafness::Tables) => resource.ends_with(":*"),
        };
        if !deaf && !resource.ends_with(":any") {
            let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.insert(resource.to_owned());
        }
    }
}

impl Store for Recorder {
    fn look<'a>(&'a self, claim: &'a Claim, changed: Changed) -> StoreFuture<'a, Looked> {
        self.inner.look(claim, changed)
    }

    fn keep<'a>(
        &'a self,
        claim: &'a Claim,
        record: Record,
        life: std::time::Duration,
    ) -> StoreFuture<'a, bool> {
        self.inner.keep(claim, record, life)
    }

    fn release<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, ()> {
        self.inner.release(claim)
    }

    fn renew<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, bool> {
        self.inner.renew(claim)
    }

    fn ended<'a>(
        &'a self,
        id: &'a RequestId,
        execution: ExecutionId,
        wait: std::time::Duration,
    ) -> StoreFuture<'a, bool> {
        self.inner.ended(id, execution, wait)
    }

    fn lock<'a>(&'a self, lock: &'a Claim, wait: std::time::Duration) -> StoreFuture<'a, bool> {
        self.inner.lock(lock, wait)
    }

    fn renew_lock<'a>(&'a self, lock: &'a Claim) -> StoreFuture<'a, bool> {
        self.inner.renew_lock(lock)
    }

    fn unlock<'a>(&'a self, lock: &'a Claim) -> StoreFuture<'a, bool> {
        self.inner.unlock(lock)
    }

    fn stamp(&self, stamp: &Stamp<'_>) -> Result<Stamped, StoreError> {
        for tag in stamp.tags.iter().filter(|tag| tag.renew) {
            self.hear(&tag.tag);
        }
        self.inner.stamp(stamp)
    }

    fn forget<'a>(&'a self, id: &'a RequestId) -> StoreFuture<'a, bool> {
        self.inner.forget(id)
    }

    fn clear<'a>(&'a self, prefix: &'a str) -> StoreFuture<'a, ()> {
        self.inner.clear(prefix)
    }
}
