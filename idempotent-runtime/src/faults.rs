//! Places where a process may die, and promises that it may break, for the proofs that the rest holds.
//!
//! Without the feature `faults` all of it is constant and costs nothing.

/// A place on a request's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Point {
    /// A claim is about to be made, in the store or in the table of `once`.
    Claim,
    /// The claim is there.
    Claimed,
    /// The handler's effects are in the transaction.
    Effects,
    /// The record of `once` has its reply, uncommitted.
    Recorded,
    /// The changed rows are stamped, and their transaction is not committed.
    Stamped,
    /// The transaction is committed.
    Committed,
    /// The reply is about to be kept in the store.
    Keep,
    /// The reply is kept, and not yet sent.
    Kept,
}

impl Point {
    /// All of them, in the order in which a request comes by.
    pub const ALL: &'static [Self] = &[
        Self::Claim,
        Self::Claimed,
        Self::Effects,
        Self::Recorded,
        Self::Stamped,
        Self::Committed,
        Self::Keep,
        Self::Kept,
    ];
}

/// A rule of the protocol that is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Rows are stamped after the COMMIT.
    StampAfterCommit,
    /// Versions are those of a clock of the client's.
    VersionsOfClient,
    /// A tag that is missing does not end a record.
    MissingTagValid,
    /// A lock is released whoever holds it.
    ReleaseWithoutToken,
    /// A record has the epoch of its keeping instead of its stamps'.
    EpochAtKeeping,
    /// A handler's changes are not known to be its own.
    ContextLost,
    /// What the server says of changes is not heard by those who have local copies.
    ChangesUnheard,
    /// `once` claims after the effects.
    ClaimAfterEffects,
    /// `once` records its reply in a transaction of its own.
    ReplyApart,
    /// `once` trusts a transaction in which an error was swallowed.
    Unproven,
}

impl Fault {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self::StampAfterCommit,
        Self::VersionsOfClient,
        Self::MissingTagValid,
        Self::ReleaseWithoutToken,
        Self::EpochAtKeeping,
        Self::ContextLost,
        Self::ChangesUnheard,
        Self::ClaimAfterEffects,
        Self::ReplyApart,
        Self::Unproven,
    ];

    /// Whether the rule is broken.
    #[cfg(feature = "faults")]
    pub(crate) fn is_on(self) -> bool {
        BROKEN.load(Ordering::Relaxed) & (1 << self as u32) != 0
    }

    /// Whether the rule is broken.
    #[cfg(not(feature = "faults"))]
    #[inline]
    pub(crate) const fn is_on(self) -> bool {
        false
    }
}

/// A request is here; the process may end.
#[cfg(feature = "faults")]
pub(crate) fn reach(point: Point) {
    let armed = DEADLY.load(Ordering::Relaxed);
    if armed == NOWHERE || armed != point as u32 {
        return;
    }
    // The one that takes the last of them.
    if LEFT.fetch_sub(1, Ordering::SeqCst) == 1 {
        // No destructor runs and nothing is flushed, as with SIGKILL.
        std::process::abort();
    }
}

/// A request is here; the process may end.
#[cfg(not(feature = "faults"))]
#[inline]
pub(crate) const fn reach(_: Point) {}

#[cfg(feature = "faults")]
pub use armed::{die_at, switch_on};

#[cfg(feature = "faults")]
use armed::{BROKEN, DEADLY, LEFT, NOWHERE, Ordering};

#[cfg(feature = "faults")]
mod armed {
    use super::{Fault, Point};

    pub(super) use std::sync::atomic::Ordering;
    use std::sync::atomic::{AtomicU32, AtomicU64};

    pub(super) const NOWHERE: u32 = u32::MAX;
    pub(super) static BROKEN: AtomicU32 = AtomicU32::new(0);
    pub(super) static DEADLY: AtomicU32 = AtomicU32::new(NOWHERE);
    pub(super) static LEFT: AtomicU64 = AtomicU64::new(0);

    /// From now on this process breaks the rule.
    pub fn switch_on(fault: Fault) {
        BROKEN.fetch_or(1 << fault as u32, Ordering::Relaxed);
    }

    /// The process ends, as by SIGKILL, when the point is reached for the `visit`-th time from now, counted from 1.
    pub fn die_at(point: Point, visit: u64) {
        LEFT.store(visit, Ordering::SeqCst);
        DEADLY.store(point as u32, Ordering::SeqCst);
    }
}
