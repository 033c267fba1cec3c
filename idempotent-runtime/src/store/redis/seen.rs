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

/// A record whose keys take more bytes than this is not, so that all together they take 8 MiB at most.
const BYTES: usize = 1_024;

/// By the record's key, the keys of its tags.
#[derive(Debug)]
pub(super) struct Seen(Mutex<LruCache<String, Arc<[String]>>>);

impl Default for Seen {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(RECORDS)))
    }
}

impl Seen {
    pub(super) fn tags(&self, record: &str) -> Option<Arc<[String]>> {
        lock(&self.0).get(record).map(Arc::clone)
    }

    pub(super) fn note(&self, record: &str, tags: impl IntoIterator<Item = String>) {
        let tags: Arc<[String]> = tags.into_iter().collect();
        let bytes = tags
            .iter()
            .map(|tag| tag.len() + size_of::<String>())
            .sum::<usize>()
            + record.len();
        if bytes <= BYTES {
            lock(&self.0).put(record.to_owned(), tags);
        } else {
            self.forget(record);
        }
    }

    pub(super) fn forget(&self, record: &str) {
        lock(&self.0).pop(record);
    }
}
