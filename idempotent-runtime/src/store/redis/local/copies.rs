//! The copies, and which of them are trusted.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lru::LruCache;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::watched::Watched;
use super::{Local, LocalCopy, SHORTEST};
use crate::meters;
use crate::store::Record;
use crate::sync::{after, lock};

/// The copies, by their records' keys.
#[derive(Debug)]
pub(in crate::store::redis) struct Copies {
    /// None at all if this is 0.
    most: usize,
    /// For how long a server that is not heard is still trusted; `None` if copies are never trusted.
    pub(in crate::store::redis) staleness: Option<Duration>,
    kept: Mutex<Kept>,
    /// A copy would be trusted.
    pub(in crate::store::redis) wanted: Notify,
    /// Another server has answered than the one that is tracked.
    pub(in crate::store::redis) parted: Notify,
}

#[derive(Debug)]
struct Kept {
    copies: LruCache<String, Entry>,
    bytes: usize,
    watched: Watched,
    /// Of the server that is tracked, and until when it need not be heard again.
    tracked: Option<(u64, Instant)>,
    /// Those that would be trusted. A copy may be replaced while it is among them.
    wanted: HashSet<String>,
}

#[derive(Debug)]
struct Entry {
    copy: Arc<LocalCopy>,
    trust: Trust,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    None,
    /// It is among those that would be trusted, or the question is under way.
    Wanted,
    /// As long as the watch holds, and until the record's end.
    Given(u64, Instant),
}

impl Kept {
    fn is_tracked(&self) -> bool {
        self.tracked
            .is_some_and(|(_, until)| Instant::now() < until)
    }

    fn take(&mut self, entry: Option<Entry>) {
        if let Some(Entry { copy, trust }) = entry {
            self.bytes -= copy.size;
            if let Trust::Given(watch, _) = trust {
                self.watched.end(watch);
            }
        }
    }

    /// Has it asked whether this copy may be trusted, unless it is or that is asked already.
    fn want(&mut self, key: &str) -> bool {
        if !self.is_tracked() {
            return false;
        }
        match self.copies.get_mut(key) {
            Some(Entry { trust, .. }) => match *trust {
                Trust::Wanted => return false,
                Trust::Given(watch, _) if self.watched.holds(watch) => return false,
                Trust::Given(..) | Trust::None => *trust = Trust::Wanted,
            },
            None => return false,
        }
        self.wanted.insert(key.to_owned());
        true
    }
}

impl Copies {
    pub(in crate::store::redis) fn new(local: Option<Local>) -> Self {
        let staleness = local.and_then(|local| local.staleness);
        Self {
            most: local.map_or(0, |local| local.bytes),
            staleness: staleness.map(|most| most.max(SHORTEST)),
            kept: Mutex::new(Kept {
                copies: LruCache::unbounded(),
                bytes: 0,
                watched: Watched::default(),
                tracked: None,
                wanted: HashSet::new(),
            }),
            wanted: Notify::new(),
            parted: Notify::new(),
        }
    }

    pub(in crate::store::redis) fn get(&self, key: &str) -> Option<Arc<LocalCopy>> {
        if self.most == 0 {
            return None;
        }
        let mut kept = lock(&self.kept);
        let copy = kept.copies.get(key).map(|entry| Arc::clone(&entry.copy));
        drop(kept);
        if copy.is_none() {
            meters::no_copy("absent");
        }
        copy
    }

    /// A record that is valid as far as this process must know, and how long it has left.
    pub(in crate::store::redis) fn trusted(&self, key: &str) -> Option<(Arc<Record>, Duration)> {
        self.staleness?;
        let now = Instant::now();
        let mut kept = lock(&self.kept);
        if kept.tracked.is_none_or(|(_, until)| now >= until) {
            return None;
        }
        let entry = kept.copies.get(key)?;
        let Trust::Given(watch, end) = entry.trust else {
            return None;
        };
        let record = Arc::clone(&entry.copy.record);
        if now >= end || !kept.watched.holds(watch) {
            return None;
        }
        drop(kept);
        meters::copy_used("tracking");
        Some((record, end - now))
    }

    /// The server has this record.
    pub(in crate::store::redis) fn note(&self, key: &str, record: &Arc<Record>, left: Duration) {
        if self.most == 0 {
            return;
        }
        let copy = LocalCopy::new(key, record, left, self.staleness.is_some());
        if copy.size > self.most {
            return self.forget(key);
        }
        let mut kept = lock(&self.kept);
        let before = kept.bytes;
        kept.bytes += copy.size;
        let entry = Entry {
            copy: Arc::new(copy),
            trust: Trust::None,
        };
        let old = kept.copies.put(key.to_owned(), entry);
        kept.take(old);
        let mut evicted = 0;
        while kept.bytes > self.most
            && let Some((_, old)) = kept.copies.pop_lru()
        {
            kept.take(Some(old));
            evicted += 1;
        }
        meters::copied(before, kept.bytes, evicted);
        if kept.want(key) {
            self.wanted.notify_one();
        }
    }

    /// The server says that this copy is valid.
    pub(in crate::store::redis) fn confirmed(&self, key: &str) {
        meters::copy_used("redis");
        if self.staleness.is_some() && lock(&self.kept).want(key) {
            self.wanted.notify_one();
        }
    }

    /// The server has it no more, or it is void.
    pub(in crate::store::redis) fn forget(&self, key: &str) {
        let mut kept = lock(&self.kept);
        let before = kept.bytes;
        let old = kept.copies.pop(key);
        kept.take(old);
        meters::copied(before, kept.bytes, 0);
    }

    /// Nothing that depends on one of these keys is trusted any more, nor will it be by a question that was asked
    /// before.
    pub(in crate::store::redis) fn changed<'a>(&self, keys: impl IntoIterator<Item = &'a str>) {
        if self.staleness.is_some() {
            let mut kept = lock(&self.kept);
            keys.into_iter().for_each(|key| kept.watched.changed(key));
        }
    }

    /// Everything may have been changed.
    pub(in crate::store::redis) fn doubt(&self) {
        lock(&self.kept).watched.end_all();
    }

    /// The server is not tracked any more.
    pub(in crate::store::redis) fn lose(&self) {
        let mut kept = lock(&self.kept);
        kept.tracked = None;
        kept.watched.end_all();
    }

    /// A server of this epoch has answered a call. If it is not the one that is tracked, there are two.
    pub(in crate::store::redis) fn answered_by(&self, epoch: u64) {
        let differs =
            |tracked: Option<(u64, Instant)>| tracked.is_some_and(|(own, _)| own != epoch);
        if self.staleness.is_some() && differs(lock(&self.kept).tracked) {
            self.lose();
            self.parted.notify_one();
        }
    }

    /// Everything that the server of this epoch said about changes before `asked` has been heard.
    pub(in crate::store::redis) fn heard(&self, epoch: u64, asked: Instant) {
        if let Some(staleness) = self.staleness {
            lock(&self.kept).tracked = Some((epoch, asked + staleness));
        }
    }

    /// Begins to ask for those that would be trusted.
    pub(in crate::store::redis) fn take_wanted(&self) -> Vec<Asking<'_>> {
        let mut kept = lock(&self.kept);
        let wanted = std::mem::take(&mut kept.wanted);
        let asking = wanted.into_iter().filter_map(|key| {
            let copy = Arc::clone(&kept.copies.peek(&key)?.copy);
            let keys = std::iter::once(&key).chain(&copy.tags);
            let watch = kept.watched.watch(keys.map(String::as_str));
            Some(Asking {
                copies: self,
                key,
                copy,
                watch,
            })
        });
        asking.collect()
    }

    #[cfg(test)]
    pub(in crate::store::redis) fn bytes(&self) -> (usize, usize) {
        let kept = lock(&self.kept);
        (kept.copies.len(), kept.bytes)
    }

    /// How many copies are trusted or asked for.
    #[cfg(test)]
    pub(in crate::store::redis) fn watched(&self) -> usize {
        lock(&self.kept).watched.len()
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        meters::copied(lock(&self.kept).bytes, 0, 0);
    }
}

/// A copy that is watched already, while the server is asked whether it is valid. Dropped, it is not trusted.
pub(in crate::store::redis) struct Asking<'a> {
    copies: &'a Copies,
    pub(in crate::store::redis) key: String,
    pub(in crate::store::redis) copy: Arc<LocalCopy>,
    watch: u64,
}

impl Asking<'_> {
    /// It is valid, and was for so long when it was asked, at that moment. If nothing has ended the watch since, it is
    /// trusted.
    pub(in crate::store::redis) fn trust(self, asked: Instant, left: Duration) {
        let mut kept = lock(&self.copies.kept);
        if kept.watched.holds(self.watch)
            && let Some(entry) = kept.copies.peek_mut(&self.key)
            && Arc::ptr_eq(&entry.copy, &self.copy)
        {
            entry.trust = Trust::Given(self.watch, after(asked, left));
        }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut kept = lock(&self.copies.kept);
        let entry = kept.copies.peek_mut(&self.key);
        let entry = entry.filter(|entry| Arc::ptr_eq(&entry.copy, &self.copy));
        match entry.map(|entry| &mut entry.trust) {
            Some(Trust::Given(watch, _)) if *watch == self.watch => {}
            Some(trust) => {
                *trust = Trust::None;
                kept.watched.end(self.watch);
            }
            None => kept.watched.end(self.watch),
        }
    }
}
