//! Records and the tags that they depend on, within a bound of memory.

use std::hash::RandomState;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lru::LruCache;

use super::agenda::{Agenda, Slot, after};
use super::tags::{Place, Tags};
use crate::key::{Fingerprint, RequestId};
use crate::store::{Miss, Record, Stamp, Stamped, Tag, Version};

/// What a process holds dies with it, so all of it is of one epoch.
pub(super) const EPOCH: u64 = 1;

/// Bytes that a record takes beside its texts and its reply: its places in the map, the list and the agenda.
const OVERHEAD: usize = 320;

/// A record that is kept.
#[derive(Debug)]
pub(super) struct Kept {
    record: Arc<Record>,
    /// Where its tags are.
    places: Box<[Place]>,
    until: Instant,
    slot: Slot,
    size: usize,
}

/// What there is under a request id.
#[derive(Debug)]
pub(super) enum Found {
    Valid(Arc<Record>, Duration),
    /// Nothing, or nothing that may be replayed.
    Void(Miss),
}

/// All records, in the order of their last use, and all tags.
#[derive(Debug)]
pub(super) struct Shelf {
    // Hashed, as all maps in here, with the standard library's keyed SipHash: clients choose parts of the names.
    records: LruCache<RequestId, Kept, RandomState>,
    agenda: Agenda<RequestId>,
    tags: Tags,
    /// Of the records alone.
    bytes: usize,
    capacity: usize,
}

impl Shelf {
    pub(super) fn new(capacity: usize) -> Self {
        let records = LruCache::unbounded_with_hasher(RandomState::new());
        Self {
            records,
            agenda: Agenda::default(),
            tags: Tags::default(),
            bytes: 0,
            capacity,
        }
    }

    /// The payload of the record under this id, whether it may be replayed or not.
    pub(super) fn fingerprint(&self, id: &RequestId) -> Option<Fingerprint> {
        self.records.peek(id)?.record.fingerprint
    }

    /// Finds the record under this id and says whether it may be replayed.
    pub(super) fn find(&mut self, id: &RequestId, now: Instant) -> Found {
        let Some(kept) = self.records.get(id).filter(|kept| kept.until > now) else {
            return Found::Void(Miss::Absent);
        };
        if kept.record.epoch.is_some_and(|epoch| epoch != EPOCH) {
            return Found::Void(Miss::Epoch);
        }
        let mut tags = kept.record.tags.iter().zip(&kept.places);
        match tags.find(|((_, version), place)| !self.tags.is_current(**place, *version, now)) {
            Some(((tag, _), _)) => Found::Void(Miss::Changed(tag.clone())),
            None => Found::Valid(kept.record.clone(), kept.until - now),
        }
    }

    /// Puts a record under its id, unless it is too large. The answer is what had to go for it, and whether it is there.
    pub(super) fn put(
        &mut self,
        id: &RequestId,
        record: Record,
        life: Duration,
        now: Instant,
    ) -> (Vec<Kept>, bool) {
        let mut gone: Vec<_> = self.remove(id).into_iter().collect();
        let size = size_of_record(id, &record);
        if size > self.capacity {
            return (gone, false); // It would push out everything else first, and then itself.
        }
        let until = after(now, life);
        let places = record
            .tags
            .iter()
            .map(|(tag, version)| self.tags.depend(tag, *version, until, now))
            .collect();
        let slot = self.agenda.note(until, id.clone());
        self.records.put(
            id.clone(),
            Kept {
                record: Arc::new(record),
                places,
                until,
                slot,
                size,
            },
        );
        self.bytes += size;
        self.shrink(&mut gone);
        (gone, true)
    }

    /// Removes the record under this id.
    pub(super) fn remove(&mut self, id: &RequestId) -> Option<Kept> {
        let kept = self.records.pop(id)?;
        self.agenda.strike(kept.slot);
        self.bytes -= kept.size;
        for ((tag, version), place) in kept.record.tags.iter().zip(&kept.places) {
            self.tags.let_go(tag, *place, *version);
        }
        Some(kept)
    }

    /// Whether there is an unexpired record under this id, may it be replayed or not.
    pub(super) fn holds(&self, id: &RequestId, now: Instant) -> bool {
        self.records.peek(id).is_some_and(|kept| kept.until > now)
    }

    /// Gives tags new versions. The other answer is what had to go for them.
    pub(super) fn stamp(&mut self, stamp: &Stamp<'_>, now: Instant) -> (Stamped, Vec<Kept>) {
        let versions = stamp
            .tags
            .iter()
            .map(|one| self.tags.stamp(one, stamp, now))
            .collect();
        let mut gone = Vec::new();
        self.shrink(&mut gone);
        (
            Stamped {
                epoch: EPOCH,
                versions,
            },
            gone,
        )
    }

    /// Removes one record and one tag that have expired, if there are.
    pub(super) fn sweep(&mut self, now: Instant) -> Option<Kept> {
        self.tags.sweep(now);
        let id = self.agenda.due(now)?;
        self.remove(&id)
    }

    /// Removes all records and tags whose names begin with this.
    pub(super) fn clear(&mut self, prefix: &str) -> Vec<Kept> {
        self.tags.clear(prefix);
        let ids = self
            .records
            .iter()
            .map(|(id, _)| id)
            .filter(|id| id.as_str().starts_with(prefix));
        let ids: Vec<_> = ids.cloned().collect();
        ids.iter().filter_map(|id| self.remove(id)).collect()
    }

    /// Evicts until what is left is within the bound.
    fn shrink(&mut self, gone: &mut Vec<Kept>) {
        while self.bytes + self.tags.bytes() > self.capacity {
            // A tag that no record depends on may belong to an execution under way, so records go first. But tags
            // must not crowd out every record until their lives end: beyond half of the memory it is their turn.
            if self.tags.bytes() > self.capacity / 2 && self.tags.evict() {
                continue;
            }
            match self.remove_coldest() {
                Some(kept) => gone.push(kept),
                None if self.tags.evict() => {}
                None => break,
            }
        }
    }

    fn remove_coldest(&mut self) -> Option<Kept> {
        let id = self.records.peek_lru()?.0.clone();
        self.remove(&id)
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.tags.bytes()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> Vec<usize> {
        [
            &[self.records.len(), self.agenda.len()],
            &self.tags.len()[..],
        ]
        .concat()
    }
}

fn size_of_record(id: &RequestId, record: &Record) -> usize {
    let tags = record.tags.len() * size_of::<(Tag, Version, Place)>();
    OVERHEAD + id.as_str().len() + tags + record.reply.size()
}
