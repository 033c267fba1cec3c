//! Tags, their versions, and how many records depend on each.

use std::collections::HashMap;
use std::hash::RandomState;
use std::time::Instant;

use lru::LruCache;

use super::agenda::{Agenda, Slot, after};
use crate::store::{Stamp, Tag, TagStamp, Version};

/// Bytes that a tag takes beside its name: its places in the maps, the list and the agenda.
const OVERHEAD: usize = 320;

/// Where a tag is. What is asked for by it must name the version, too: after the tag is removed another takes the place.
pub(super) type Place = usize;

/// The place of a tag that is not there.
const NOWHERE: Place = usize::MAX;

/// The version of what is there no more. No tag has it.
const GONE: Version = Version { count: 0, nonce: 0 };

/// A tag that is present, or was.
#[derive(Debug)]
struct Known {
    version: Version,
    until: Instant,
    slot: Slot,
    /// How many records depend on the version that it has now.
    dependents: usize,
}

/// All tags, by name.
#[derive(Debug)]
pub(super) struct Tags {
    names: HashMap<Tag, Place>,
    // A replay asks for each tag of its record, by the place: no name is hashed or compared.
    places: Vec<Known>,
    /// Places that are to be taken again.
    free: Vec<Place>,
    /// Those that no record depends on, in the order of their last stamps.
    idle: LruCache<Tag, (), RandomState>,
    agenda: Agenda<Tag>,
    /// The last version given to any tag; it only grows, so that no version recurs.
    count: u64,
    bytes: usize,
}

impl Default for Tags {
    fn default() -> Self {
        Self {
            names: HashMap::new(),
            places: Vec::new(),
            free: Vec::new(),
            idle: LruCache::unbounded_with_hasher(RandomState::new()),
            agenda: Agenda::default(),
            count: 0,
            bytes: 0,
        }
    }
}

impl Tags {
    /// Whether the tag is present with this version.
    pub(super) fn is_current(&self, place: Place, version: Version, now: Instant) -> bool {
        self.places
            .get(place)
            .is_some_and(|known| known.version == version && known.until > now)
    }

    /// Has a tag live at least as long as a record that depends on it, if it is current. The answer is where it is to be
    /// asked for.
    pub(super) fn depend(
        &mut self,
        tag: &Tag,
        version: Version,
        until: Instant,
        now: Instant,
    ) -> Place {
        let Some(place) = self.names.get(tag).copied() else {
            return NOWHERE;
        };
        if !self.is_current(place, version, now) {
            return NOWHERE;
        }
        let known = &mut self.places[place];
        known.until = known.until.max(until);
        known.dependents += 1;
        self.idle.pop(tag);
        place
    }

    /// Undoes what [`depend`](Self::depend) noted, unless the tag has been renewed, and so has no such dependents.
    pub(super) fn let_go(&mut self, tag: &Tag, place: Place, version: Version) {
        let Some(known) = self
            .places
            .get_mut(place)
            .filter(|known| known.version == version)
        else {
            return;
        };
        known.dependents = known.dependents.saturating_sub(1);
        if known.dependents == 0 {
            self.idle.put(tag.clone(), ());
        }
    }

    /// Does one part of a stamp, and tells the versions before and after it.
    pub(super) fn stamp(
        &mut self,
        one: &TagStamp,
        stamp: &Stamp<'_>,
        now: Instant,
    ) -> (Option<Version>, Option<Version>) {
        let until = after(now, stamp.life);
        let place = self.names.get(&one.tag);
        let Some(known) = place
            .and_then(|place| self.places.get_mut(*place))
            .filter(|known| known.until > now)
        else {
            self.remove(&one.tag);
            return (
                None,
                stamp
                    .create
                    .then(|| self.create(&one.tag, stamp.nonce, until)),
            );
        };
        let before = known.version;
        known.until = known.until.max(until);
        if one.renew {
            self.count += 1;
            known.version = Version {
                count: self.count,
                nonce: stamp.nonce,
            };
            known.dependents = 0;
        }
        let present = known.version;
        if known.dependents == 0 {
            self.idle.put(one.tag.clone(), ());
        }
        (Some(before), Some(present))
    }

    /// Removes one tag whose life has ended, if there is one.
    pub(super) fn sweep(&mut self, now: Instant) {
        let Some(tag) = self.agenda.due(now) else {
            return;
        };
        let place = self.names.get(&tag);
        let Some(known) = place.and_then(|place| self.places.get_mut(*place)) else {
            return;
        };
        if known.until > now {
            known.slot = self.agenda.note(known.until, tag);
        } else {
            self.remove(&tag);
        }
    }

    /// Removes the tag that was stamped the longest ago of those that no record depends on.
    pub(super) fn evict(&mut self) -> bool {
        let Some((tag, ())) = self.idle.pop_lru() else {
            return false;
        };
        self.remove(&tag);
        true
    }

    /// Removes all tags whose names begin with this.
    pub(super) fn clear(&mut self, prefix: &str) {
        let tags: Vec<_> = self
            .names
            .keys()
            .filter(|tag| tag.starts_with(prefix))
            .cloned()
            .collect();
        for tag in &tags {
            self.remove(tag);
        }
    }

    /// About how many bytes of memory they take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn create(&mut self, tag: &Tag, nonce: u64, until: Instant) -> Version {
        self.count += 1;
        self.bytes += OVERHEAD + tag.len();
        let version = Version {
            count: self.count,
            nonce,
        };
        let slot = self.agenda.note(until, tag.clone());
        let known = Known {
            version,
            until,
            slot,
            dependents: 0,
        };
        let place = match self.free.pop() {
            Some(place) => {
                self.places[place] = known;
                place
            }
            None => {
                self.places.push(known);
                self.places.len() - 1
            }
        };
        self.names.insert(tag.clone(), place);
        self.idle.put(tag.clone(), ());
        version
    }

    fn remove(&mut self, tag: &Tag) {
        let Some(place) = self.names.remove(tag) else {
            return;
        };
        let known = &mut self.places[place];
        known.version = GONE;
        self.agenda.strike(known.slot);
        self.free.push(place);
        self.idle.pop(tag);
        self.bytes -= OVERHEAD + tag.len();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> [usize; 3] {
        [self.names.len(), self.agenda.len(), self.idle.len()]
    }
}
