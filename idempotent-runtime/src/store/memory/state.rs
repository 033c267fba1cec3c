//! All that a [`MemoryStore`](super::MemoryStore) holds, as seen from inside its critical section.

use std::time::{Duration, Instant};

use super::claims::{Claims, Held};
use super::locks::{Bell, Locks};
use super::shelf::{Found, Kept, Shelf};
use crate::key::RequestId;
use crate::spec::Changed;
use crate::store::{Claim, Looked, Miss, Record, Stamp, Stamped};

#[derive(Debug)]
pub(super) struct State {
    pub(super) shelf: Shelf,
    pub(super) claims: Claims,
    pub(super) locks: Locks,
    freed: Freed,
}

/// What was taken out. It is dropped outside the critical section: that frees memory and wakes tasks, which takes
/// its time and may run code of others.
#[derive(Debug, Default)]
pub(super) struct Freed {
    records: Vec<Kept>,
    claims: Vec<Held>,
    bells: Vec<Bell>,
}

impl Drop for Freed {
    fn drop(&mut self) {
        for bell in &self.bells {
            bell.notify_one();
        }
    }
}

impl State {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            shelf: Shelf::new(capacity),
            claims: Claims::default(),
            locks: Locks::default(),
            freed: Freed::default(),
        }
    }

    pub(super) fn look(&mut self, claim: &Claim, changed: Changed, now: Instant) -> Looked {
        let miss = match self.shelf.find(&claim.id, now) {
            Found::Valid(record, left) => return Looked::Hit(record, left),
            Found::Void(Miss::Changed(tag)) if changed == Changed::Reject => {
                return Looked::Changed(tag, self.shelf.fingerprint(&claim.id));
            }
            Found::Void(miss) => miss,
        };
        self.freed.records.extend(self.shelf.remove(&claim.id));
        match self.claims.set(claim, now) {
            Ok(lapsed) => {
                self.freed.claims.extend(lapsed);
                Looked::Claimed(miss)
            }
            Err(rival) => Looked::Busy {
                execution: rival.execution,
                fingerprint: rival.fingerprint,
            },
        }
    }

    pub(super) fn keep(
        &mut self,
        claim: &Claim,
        record: Record,
        life: Duration,
        now: Instant,
    ) -> bool {
        if !self.release(claim, now) {
            return false;
        }
        let (gone, kept) = self.shelf.put(&claim.id, record, life, now);
        self.freed.records.extend(gone);
        kept
    }

    /// Ends the claim; `false` if it was not this execution's, or its lease had lapsed.
    pub(super) fn release(&mut self, claim: &Claim, now: Instant) -> bool {
        let (ended, good) = self.claims.end(claim, now);
        self.freed.claims.extend(ended);
        good
    }

    pub(super) fn stamp(&mut self, stamp: &Stamp<'_>, now: Instant) -> Stamped {
        // A call that adds much must also remove much, or what has expired would pile up.
        self.sweep(stamp.tags.len(), now);
        let (stamped, gone) = self.shelf.stamp(stamp, now);
        self.freed.records.extend(gone);
        stamped
    }

    pub(super) fn forget(&mut self, id: &RequestId, now: Instant) -> bool {
        let held = self.shelf.holds(id, now);
        self.freed.records.extend(self.shelf.remove(id));
        held
    }

    pub(super) fn clear(&mut self, prefix: &str, now: Instant) {
        self.freed.records.extend(self.shelf.clear(prefix));
        self.freed.claims.extend(self.claims.clear(prefix));
        self.locks.clear(prefix, now);
    }

    /// Removes up to so many expired entries of each kind.
    pub(super) fn sweep(&mut self, steps: usize, now: Instant) {
        for _ in 0..steps {
            self.freed.records.extend(self.shelf.sweep(now));
            self.freed.claims.extend(self.claims.sweep(now));
            self.locks.sweep(now);
        }
    }

    pub(super) fn take_freed(&mut self) -> Freed {
        self.freed.bells = self.locks.take_rung();
        std::mem::take(&mut self.freed)
    }
}
