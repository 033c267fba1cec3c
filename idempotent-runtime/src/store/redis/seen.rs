//! Which tags the records depend on that this process has seen lately.
//!
//! With them a record and its tags are asked for by plain commands in one round trip, which costs the server less than
//! a script. It is a guess about what to ask and nothing more: what is valid, the server's answers say.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use lru::LruCache;

use crate::sync::lock;

/// How many records are remembered.
const RECORDS: NonZeroUsize = NonZeroUsize::new(8_192).unwrap();

/// How many bytes their keys take at most, all together.
const BYTES: usize = 8 << 20;

/// How many of them those of one record may. A record on more rows is one that few are like.
const BYTES_OF_ONE: usize = BYTES / 64;

/// By the record's key, the keys of its tags.
#[derive(Debug)]
pub(super) struct Seen(Mutex<Lately>);

#[derive(Debug)]
struct Lately {
    records: LruCache<String, Arc<[String]>>,
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
    fn put(&mut self, record: &str, tags: Arc<[String]>) {
        self.remove(record);
        self.bytes += size(record, &tags);
        if let Some((record, tags)) = self.records.push(record.to_owned(), tags) {
            self.bytes -= size(&record, &tags);
        }
        while self.bytes > BYTES
            && let Some((record, tags)) = self.records.pop_lru()
        {
            self.bytes -= size(&record, &tags);
        }
    }

    fn remove(&mut self, record: &str) {
        if let Some(tags) = self.records.pop(record) {
            self.bytes -= size(record, &tags);
        }
    }
}

fn size(record: &str, tags: &[String]) -> usize {
    let sizes = tags.iter().map(|tag| tag.len() + size_of::<String>());
    record.len() + sizes.sum::<usize>()
}

impl Seen {
    pub(super) fn tags(&self, record: &str) -> Option<Arc<[String]>> {
        lock(&self.0).records.get(record).map(Arc::clone)
    }

    pub(super) fn note(&self, record: &str, tags: impl IntoIterator<Item = String>) {
        let tags: Arc<[String]> = tags.into_iter().collect();
        if size(record, &tags) <= BYTES_OF_ONE {
            lock(&self.0).put(record, tags);
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

    fn noted(seen: &Seen) -> (usize, usize) {
        let lately = lock(&seen.0);
        let sizes = lately
            .records
            .iter()
            .map(|(record, tags)| size(record, tags));
        (lately.bytes, sizes.sum())
    }

    #[test]
    fn the_bytes_are_those_that_are_held_and_within_the_bound() {
        let seen = Seen::default();
        let tags = |count: usize| (0..count).map(|number| format!("tag {number}"));
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
        assert_eq!(seen.tags("large 198").unwrap().len(), 3_000);
        assert!(seen.tags("large 199").is_none() && seen.tags("record 0").is_none());
    }

    #[test]
    fn what_is_too_large_is_not_remembered_and_nothing_older_of_it_is() {
        let seen = Seen::default();
        seen.note("record", ["tag".to_owned()]);
        seen.note("record", ["t".repeat(BYTES_OF_ONE)]);
        assert!(seen.tags("record").is_none());
        assert_eq!(noted(&seen), (0, 0));
    }
}
