//! Where records, tags, claims and locks live: the [`Store`] contract.
//!
//! A *record* is a kept reply with the *tags* (a resource and its version) that it depends on. A *claim* is the mark
//! that an execution for a request id is under way; a *lock* lets one execution at a time through. All names
//! (request ids, tags, lock names) are opaque text that the runtime has made collision-free and prefixed with the
//! application's name.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::key::{Fingerprint, RequestId};
use crate::reply::Reply;
use crate::spec::Changed;

mod envelope;
#[cfg(test)]
pub(crate) mod gated;
mod memory;
#[cfg(feature = "redis")]
mod redis;
#[cfg(any(test, feature = "store-suite"))]
pub mod suite;

pub use envelope::{EnvelopeError, MAX_ENVELOPE};
pub use memory::MemoryStore;
#[cfg(feature = "redis")]
pub use redis::{Local, RedisBuilder, RedisProtocol, RedisStore};

/// What the methods of a [`Store`] return.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A store that did not do what it was asked: away, too slow, or confused.
#[derive(Debug, thiserror::Error)]
#[error("the store failed: {0}")]
pub struct StoreError(#[source] Box<dyn std::error::Error + Send + Sync>);

impl StoreError {
    /// Wraps what went wrong.
    pub fn new(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}

/// Names one execution of a handler. It never recurs, so it is also the token of the execution's claim and lock.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ExecutionId(pub(crate) u128);

impl fmt::Display for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for ExecutionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ExecutionId({self})")
    }
}

/// One version of one tag: the store's counter joined with a nonce of the stamping call, so that none ever recurs,
/// not after expiry, eviction, a restart or a late duplicate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Version {
    /// Counted by the store.
    pub count: u64,
    /// Chosen by the caller of [`Store::stamp`].
    pub nonce: u64,
}

/// The name of a tag, as in `shop:users:1`, `shop:users:*` or `shop:users:any`.
pub type Tag = Arc<str>;

/// A kept reply and what it depends on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// The execution whose reply this is.
    pub execution: ExecutionId,
    /// The client's payload, where another payload under the same id must be told apart.
    pub fingerprint: Option<Fingerprint>,
    /// The store's epoch when the execution stamped; `None` if it never did.
    pub epoch: Option<u64>,
    /// Every tag must be present with just this version, or the record is void.
    pub tags: Vec<(Tag, Version)>,
    /// What is replayed.
    pub reply: Reply,
}

/// The mark of an execution under way, or its lock.
#[derive(Clone, Debug)]
pub struct Claim {
    /// What is claimed.
    pub id: RequestId,
    /// By whom. Whatever ends or renews a claim compares it.
    pub execution: ExecutionId,
    /// The payload, see [`Record::fingerprint`].
    pub fingerprint: Option<Fingerprint>,
    /// For how long, unless it is renewed.
    pub lease: Duration,
}

/// The answer to [`Store::look`].
#[non_exhaustive]
#[derive(Clone, Debug)]
pub enum Looked {
    /// There is a valid record, which may be replayed for so long.
    Hit(Arc<Record>, Duration),
    /// There was none; now the claim is set.
    Claimed(Miss),
    /// An execution is under way.
    Busy {
        /// Which one.
        execution: ExecutionId,
        /// Its payload.
        fingerprint: Option<Fingerprint>,
    },
    /// A record was ended by this tag, and the caller asked not to run again ([`Changed::Reject`]).
    /// The fingerprint is that of the record.
    Changed(Tag, Option<Fingerprint>),
}

/// Why there was no record to replay.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss {
    /// None was there: never kept, expired or evicted.
    Absent,
    /// This tag has another version, or none any more.
    Changed(Tag),
    /// It is from another epoch of the store.
    Epoch,
    /// What was there was no record that this version of the library can read. It was removed.
    Unreadable,
}

/// One tag of a [`Stamp`].
#[derive(Clone, Debug)]
pub struct TagStamp {
    /// Which tag.
    pub tag: Tag,
    /// `true` gives it a new version; `false` only asks for the present one (and creates it, see [`Stamp::create`]).
    pub renew: bool,
}

/// What a transaction changed, told to the store before the transaction commits.
#[derive(Clone, Debug)]
pub struct Stamp<'a> {
    /// Each tag once.
    pub tags: &'a [TagStamp],
    /// Create the tags that do not exist. Without it those stay missing: no record can depend on them.
    pub create: bool,
    /// How long the tags must live at least. A tag's life only ever grows.
    pub life: Duration,
    /// Random; part of every new version.
    pub nonce: u64,
}

/// What a [`Stamp`] did, in the order of its tags.
#[derive(Clone, Debug)]
pub struct Stamped {
    /// The store's epoch.
    pub epoch: u64,
    /// Each tag's version before and after; `None` where there is none.
    pub versions: Vec<(Option<Version>, Option<Version>)>,
}

impl fmt::Debug for dyn Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store")
    }
}

/// Where records, tags, claims and locks live.
///
/// Every method is atomic: no other call on the same names is seen half done. Times are measured by the store, on a
/// clock that does not jump. What has run out (a record, a tag, the lease of a claim or of a lock) is as if it were
/// not there, from that moment on and for every method, removed or not. Claims and locks are different things: those
/// of one name do not know of each other. Dropping a returned future may leave the call done or not done, never half done; a claim
/// or lock that was set by a dropped call is ended by [`release`](Store::release) or [`unlock`](Store::unlock) with
/// the same token, which the caller then makes.
pub trait Store: Send + Sync + 'static {
    /// Looks for a valid record under the claim's id and, if there is none and no other claim, sets the claim.
    ///
    /// A record is valid if it has not expired, its epoch is the store's, and *every* tag of it is present with the
    /// same version. A missing tag is a miss, never valid and never an error. The record comes first: it is the
    /// answer even while a claim is set. A void record is removed, unless `changed` is [`Changed::Reject`] and a tag
    /// made it void: then it stays until its own end and the answer is [`Looked::Changed`]. One from another epoch is
    /// removed in either case, as nobody can say any more whether its rows were changed.
    /// Repeated with the token of the claim that is set, it answers [`Looked::Claimed`] again (with whatever reason)
    /// and gives the claim its lease anew.
    fn look<'a>(&'a self, claim: &'a Claim, changed: Changed) -> StoreFuture<'a, Looked>;

    /// Ends the claim and puts the record under its id for `life`, if the claim is still this execution's; else keeps
    /// nothing and answers `false`. The same answer says that the record is too large for the store. From then on those of its tags that are present live at least as long as it does:
    /// they were stamped earlier, and a record without its tags is void. Those who wait in [`ended`](Store::ended) are woken either way.
    fn keep<'a>(
        &'a self,
        claim: &'a Claim,
        record: Record,
        life: Duration,
    ) -> StoreFuture<'a, bool>;

    /// Ends the claim if it is this execution's, and wakes those who wait for it. Otherwise does nothing.
    fn release<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, ()>;

    /// Gives the claim its lease anew; `false` if it is not this execution's any more.
    fn renew<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, bool>;

    /// Returns when the claim of `execution` on `id` has ended (kept, released or run out), or after `wait`.
    /// `true`: it has ended, or there never was one. Wakes by event, not by polling alone. A renewed claim has not
    /// ended when its first lease has.
    fn ended<'a>(
        &'a self,
        id: &'a RequestId,
        execution: ExecutionId,
        wait: Duration,
    ) -> StoreFuture<'a, bool>;

    /// Takes the lock, waiting up to `wait` for those before it, first come, first served within a process.
    /// `false`: not within that time; with a `wait` of zero, at once. Repeated with the token that holds it, it
    /// answers `true` at once and gives the lock its lease anew. When the holder's lease runs out, the next one gets
    /// the lock. A dropped call leaves no place in the queue behind.
    fn lock<'a>(&'a self, lock: &'a Claim, wait: Duration) -> StoreFuture<'a, bool>;

    /// Gives the lock its lease anew; `false` if it is not this execution's any more.
    fn renew_lock<'a>(&'a self, lock: &'a Claim) -> StoreFuture<'a, bool>;

    /// Frees the lock and wakes the next in the queue; `false` if it was not this execution's any more.
    fn unlock<'a>(&'a self, lock: &'a Claim) -> StoreFuture<'a, bool>;

    /// Gives tags new versions, which never were any tag's before, even if the same stamp is delivered twice.
    /// Blocking: it is called from whatever thread a transaction commits on, a runtime's
    /// worker among them, so it must neither need that runtime nor take longer than the store's deadline.
    ///
    /// # Errors
    ///
    /// If it is not sure that every tag was stamped.
    fn stamp(&self, stamp: &Stamp<'_>) -> Result<Stamped, StoreError>;

    /// Removes the record under this id, void or not; `false` if there is none. Claims stay.
    fn forget<'a>(&'a self, id: &'a RequestId) -> StoreFuture<'a, bool>;

    /// Removes all records, tags, claims and locks whose names begin with this prefix, which means nothing but
    /// itself. Those who wait for such a claim are woken; those who wait for such a lock get it in their turn. For
    /// tests.
    fn clear<'a>(&'a self, prefix: &'a str) -> StoreFuture<'a, ()>;
}

/// A store that several applications of one process share.
impl<S: Store + ?Sized> Store for Arc<S> {
    fn look<'a>(&'a self, claim: &'a Claim, changed: Changed) -> StoreFuture<'a, Looked> {
        (**self).look(claim, changed)
    }

    fn keep<'a>(
        &'a self,
        claim: &'a Claim,
        record: Record,
        life: Duration,
    ) -> StoreFuture<'a, bool> {
        (**self).keep(claim, record, life)
    }

    fn release<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, ()> {
        (**self).release(claim)
    }

    fn renew<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, bool> {
        (**self).renew(claim)
    }

    fn ended<'a>(
        &'a self,
        id: &'a RequestId,
        execution: ExecutionId,
        wait: Duration,
    ) -> StoreFuture<'a, bool> {
        (**self).ended(id, execution, wait)
    }

    fn lock<'a>(&'a self, lock: &'a Claim, wait: Duration) -> StoreFuture<'a, bool> {
        (**self).lock(lock, wait)
    }

    fn renew_lock<'a>(&'a self, lock: &'a Claim) -> StoreFuture<'a, bool> {
        (**self).renew_lock(lock)
    }

    fn unlock<'a>(&'a self, lock: &'a Claim) -> StoreFuture<'a, bool> {
        (**self).unlock(lock)
    }

    fn stamp(&self, stamp: &Stamp<'_>) -> Result<Stamped, StoreError> {
        (**self).stamp(stamp)
    }

    fn forget<'a>(&'a self, id: &'a RequestId) -> StoreFuture<'a, bool> {
        (**self).forget(id)
    }

    fn clear<'a>(&'a self, prefix: &'a str) -> StoreFuture<'a, ()> {
        (**self).clear(prefix)
    }
}
