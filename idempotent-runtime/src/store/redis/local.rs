//! Copies of records in this process, so that their bodies need not come from the server again.
//!
//! *Strict*: a copy says nothing about validity. Each look still asks the server, in one round trip, for the record's
//! execution, what it has left, and its tags; only the envelope is neither sent nor read. An execution keeps one record
//! and its id never recurs, so a record with the copy's execution is the copy.
//!
//! A copy is made when a record is replayed, not when it is kept: most are never asked for again, and what was read
//! from the server holds no more memory than its own bytes.

use std::sync::{Arc, Mutex};

use deadpool_redis::redis::Value;
use lru::LruCache;

use super::convert::as_bytes;
use super::names::tag_key;
use super::value::{read_version, token};
use crate::meters;
use crate::store::Record;
use crate::sync::lock;

/// What an entry takes beside its own bytes: the map's and the list's, and the counters of what is shared.
const OVERHEAD: usize = 256;

/// Whether a [`RedisStore`](super::RedisStore) keeps copies of records in this process, and how far it trusts them.
#[derive(Clone, Copy, Debug)]
pub struct Local {
    bytes: usize,
}

impl Local {
    /// Bodies here, validity there: each look still asks the server whether the record is valid, in one round trip as
    /// ever, but its body does not come along. So nothing is replayed that would not be without copies. The copies take
    /// about so many bytes at most; those that were not used for longest go first.
    #[must_use]
    pub const fn strict(bytes: usize) -> Self {
        Self { bytes }
    }
}

/// A record that was read from the server, and the keys of its tags.
#[derive(Debug)]
pub(super) struct LocalCopy {
    pub(super) record: Arc<Record>,
    pub(super) tags: Vec<String>,
    size: usize,
}

impl LocalCopy {
    fn new(key: &str, record: &Arc<Record>) -> Self {
        let tags: Vec<_> = record.tags.iter().map(|(tag, _)| tag_key(tag)).collect();
        let of_tags = record.tags.iter().zip(&tags).map(|((tag, _), key)| {
            tag.len() + key.len() + size_of::<String>() + size_of_val(&record.tags[0]) + 16
        });
        let of_headers = record.reply.headers().count() * 64;
        let size = OVERHEAD + key.len() + record.reply.size() + of_headers + of_tags.sum::<usize>();
        Self {
            record: Arc::clone(record),
            tags,
            size,
        }
    }

    /// Whether the server's record is this one, and valid: its execution, its epoch, each of its tags.
    pub(super) fn is_valid(&self, epoch: u64, execution: &Value, now: &[Value]) -> bool {
        let record = &self.record;
        as_bytes(execution) == token(record.execution)
            && record.epoch.is_none_or(|own| own == epoch)
            && now.len() == record.tags.len()
            && record.tags.iter().zip(now).all(|((_, own), now)| {
                as_bytes(now)
                    .try_into()
                    .is_ok_and(|now| read_version(now) == *own)
            })
    }
}

/// The copies, by their records' keys.
#[derive(Debug)]
pub(super) struct Copies {
    /// None at all if this is 0.
    most: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    copies: LruCache<String, Arc<LocalCopy>>,
    bytes: usize,
}

impl Copies {
    pub(super) fn new(local: Option<Local>) -> Self {
        Self {
            most: local.map_or(0, |local| local.bytes),
            kept: Mutex::new(Kept {
                copies: LruCache::unbounded(),
                bytes: 0,
            }),
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<Arc<LocalCopy>> {
        if self.most == 0 {
            return None;
        }
        let copy = lock(&self.kept).copies.get(key).map(Arc::clone);
        if copy.is_none() {
            meters::no_copy("absent");
        }
        copy
    }

    /// The server has this record.
    pub(super) fn note(&self, key: &str, record: &Arc<Record>) {
        if self.most == 0 {
            return;
        }
        let copy = LocalCopy::new(key, record);
        if copy.size > self.most {
            return self.forget(key);
        }
        let mut kept = lock(&self.kept);
        let before = kept.bytes;
        kept.bytes += copy.size;
        if let Some(old) = kept.copies.put(key.to_owned(), Arc::new(copy)) {
            kept.bytes -= old.size;
        }
        let mut evicted = 0;
        while kept.bytes > self.most
            && let Some((_, old)) = kept.copies.pop_lru()
        {
            kept.bytes -= old.size;
            evicted += 1;
        }
        meters::copied(before, kept.bytes, evicted);
    }

    /// The server has it no more, or it is void.
    pub(super) fn forget(&self, key: &str) {
        let mut kept = lock(&self.kept);
        if let Some(old) = kept.copies.pop(key) {
            let before = kept.bytes;
            kept.bytes -= old.size;
            meters::copied(before, kept.bytes, 0);
        }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> (usize, usize) {
        let kept = lock(&self.kept);
        (kept.copies.len(), kept.bytes)
    }
}

impl Drop for Copies {
    fn drop(&mut self) {
        meters::copied(lock(&self.kept).bytes, 0, 0);
    }
}
