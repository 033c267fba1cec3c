//! What runs out when.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Longer than anything lives, and far from where an `Instant` overflows.
const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

/// The moment that is `life` after `now`; durations beyond all sense are cut rather than overflowing.
pub(super) fn after(now: Instant, life: Duration) -> Instant {
    now.checked_add(life.min(FOREVER)).unwrap_or(now)
}

/// Where an entry stands in its [`Agenda`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    at: Instant,
    serial: u64,
}

/// What runs out when, each thing once.
///
/// Whoever removes a thing strikes its entry, so the agenda never holds more than there is: a million claims that
/// were set and ended leave nothing. A thing whose end is put off keeps its entry until that comes due and is then
/// noted anew, which makes renewals cheap.
#[derive(Debug)]
pub(super) struct Agenda<K> {
    entries: BTreeMap<Slot, K>,
    serial: u64,
}

impl<K> Default for Agenda<K> {
    fn default() -> Self {
        Self {
            entries: BTreeMap::new(),
            serial: 0,
        }
    }
}

impl<K> Agenda<K> {
    pub(super) fn note(&mut self, at: Instant, what: K) -> Slot {
        self.serial += 1;
        let slot = Slot {
            at,
            serial: self.serial,
        };
        self.entries.insert(slot, what);
        slot
    }

    pub(super) fn strike(&mut self, slot: Slot) {
        self.entries.remove(&slot);
    }

    /// Takes out one entry that is due.
    pub(super) fn due(&mut self, now: Instant) -> Option<K> {
        let first = self.entries.first_entry()?;
        (first.key().at <= now).then(|| first.remove())
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}
