//! Which tags the records depend on that this process has seen lately, and when they end.
//!
//! With them a record and its tags are asked for by one plain command, which costs the server less than a script. It is a
//! guess about what to ask and nothing more: what is there and valid, the server's answers say. An execution keeps one
//! record, once, so that one of the same execution has the same end.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lru::LruCache;
use tokio::time::Instant;

use crate::store::ExecutionId;
use crate::sync::{after, lock};

/// How many records are remembered.
const RECORDS: NonZeroUsize = NonZeroUsize::new(8_192).unwrap();

/// How many bytes their keys take at most, all together.
const BYTES: usize = 8 << 20;

/// How many of them those of one record may. A record on more rows is one that few are like.
const BYTES_OF_ONE: usize = BYTES / 64;

/// A record that was seen.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) execution: ExecutionId,
    end: Instant,
    /// How many bytes its value has.
    pub(super) size: usize,
    /// The keys of its tags.
    pub(super) tags: Vec<String>,
}

impl Sight {
    /// `left`: how long it was still there at that moment, or later.
    pub(super) fn new(
        execution: ExecutionId,
        (then, left): (Instant, Duration),
        size: usize,
        tags: Vec<String>,
    ) -> Self {
        let end = after(then, left);
        Self {
            execution,
            end,
            size,
            tags,
        }
    }

    /// How long it has left; nothing if that is over.
    pub(super) fn left(&self) -> Option<Duration> {
        left(self.end)
    }
}

/// How long it is until then; nothing if that is over.
pub(super) fn left(end: Instant) -> Option<Duration> {
    let left = end.saturating_duration_since(Instant::now());
    (!left.is_zero()).then_some(left)
}

/// By the record's key.
#[derive(Debug)]
pub(super) struct Seen(Mutex<Lately>);

#[derive(Debug)]
struct Lately {
    records: LruCache<String, Arc<Sight>>,
    bytes: usize,
}

impl Default for Seen {
    fn default() -> Self {
        Self(Mutex::new(Lately {
            records: LruCache::new(RECORDS),
            bytes: 0,
        }))
    }
}

impl Lately {
    fn put(&mut self, record: &str, sight: Sight) {
        self.remove(record);
        self.bytes += size(record, &sight);
        if let Some((record, sight)) = self.records.push(record.to_owned(), Arc::new(sight)) {
            self.bytes -= size(&record, &sight);
        }
        while self.bytes > BYTES
            && let Some((record, sight)) = self.records.pop_lru()
        {
            self.bytes -= size(&record, &sight);
        }
    }

    fn remove(&mut self, record: &str) {
        if let Some(sight) = self.records.pop(record) {
            self.bytes -= size(record, &sight);
        }
    }
}

fn size(record: &str, sight: &Sight) -> usize {
    let sizes = sight.tags.iter().map(|tag| tag.len() + size_of::<String>());
    record.len() + sizes.sum::<usize>()
}

impl Seen {
    pub(super) fn find(&self, record: &str) -> Option<Arc<Sight>> {
        lock(&self.0).records.get(record).map(Arc::clone)
    }

    pub(super) fn note(&self, record: &str, sight: Sight) {
        if size(record, &sight) <= BYTES_OF_ONE {
            lock(&self.0).put(record, sight);
        } else {
            self.forget(record);
        }
    }

    pub(super) fn forget(&self, record: &str) {
        lock(&self.0).remove(record);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn sight(tags: impl IntoIterator<Item = String>) -> Sight {
        let moment = (Instant::now(), Duration::from_secs(60));
        Sight::new(ExecutionId(1), moment, 0, tags.into_iter().collect())
    }

    #[test]
    fn what_is_over_has_nothing_left() {
        let now = Instant::now();
        let ends = |left| Sight::new(ExecutionId(1), (now, left), 0, Vec::new());
        assert!(ends(Duration::from_secs(60)).left().is_some());
        assert!(ends(Duration::ZERO).left().is_none());
    }

    fn noted(seen: &Seen) -> (usize, usize) {
        let lately = lock(&seen.0);
        let sizes = lately
            .records
            .iter()
            .map(|(record, sight)| size(record, sight));
        (lately.bytes, sizes.sum())
    }

    #[test]
    fn the_bytes_are_those_that_are_held_and_within_the_bound() {
        let seen = Seen::default();
        let tags = |count: usize| sight((0..count).map(|number| format!("tag {number}")));
        for number in 0..20_000 {
            seen.note(&format!("record {}", number % 12_000), tags(number % 50));
        }
        for number in 0..200 {
            seen.note(&format!("large {number}"), tags(3_000));
        }
        seen.forget("large 199");
        let (counted, held) = noted(&seen);
        assert_eq!(counted, held);
        assert!(held <= BYTES && held > BYTES / 2, "{held}");
        assert_eq!(seen.find("large 198").unwrap().tags.len(), 3_000);
        assert!(seen.find("large 199").is_none() && seen.find("record 0").is_none());
    }

    #[test]
    fn what_is_too_large_is_not_remembered_and_nothing_older_of_it_is() {
        let seen = Seen::default();
        seen.note("record", sight(["tag".to_owned()]));
        seen.note("record", sight(["t".repeat(BYTES_OF_ONE)]));
        assert!(seen.find("record").is_none());
        assert_eq!(noted(&seen), (0, 0));
    }
}
