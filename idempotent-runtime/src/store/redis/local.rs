//! Copies of records in this process, so that their bodies need not come from the server again.
//!
//! *Strict*: a copy says nothing about validity. Each look still asks the server, in one round trip, for the record's
//! execution and its tags; only the envelope is not read, nor sent unless it is small. An execution keeps one record
//! and its id never recurs, so a record with the copy's execution is the copy.
//!
//! *Tracking*: the same, and a copy may be *trusted* for a while, which is to say that it answers by itself. How trust is
//! given and how it ends is in `tracking.rs`.
//!
//! A copy is made when a record is replayed, not when it is kept: most are never asked for again, and what was read
//! from the server holds no more memory than its own bytes.

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::{self, Value};
use tokio::time::Instant;

use super::convert::as_bytes;
use super::names::tag_key;
use super::seen;
use super::value::{EXECUTION, read_version, token};
use crate::store::Record;
use crate::sync::after;

mod copies;
mod watched;

pub(super) use copies::{Asking, Copies};

/// What an entry takes beside its own bytes: the map's and the list's, and the counters of what is shared.
const OVERHEAD: usize = 256;

/// What it takes beside a key's own bytes to know that a copy depends on it.
const WATCHING: usize = 192;

/// The shortest time for which a server may go unheard, as it must be asked several times in it.
const SHORTEST: Duration = Duration::from_millis(20);

/// Whether a [`RedisStore`](super::RedisStore) keeps copies of records in this process, and how far it trusts them.
#[derive(Clone, Copy, Debug)]
pub struct Local {
    bytes: usize,
    pub(super) staleness: Option<Duration>,
}

impl Local {
    /// Bodies here, validity there: each look still asks the server whether the record is valid, in one round trip as
    /// ever, but its body does not come along unless it is small. So nothing is replayed that would not be without copies. The copies take
    /// about so many bytes at most; those that were not used for longest go first.
    #[must_use]
    pub const fn strict(bytes: usize) -> Self {
        Self {
            bytes,
            staleness: None,
        }
    }

    /// Answers from this process' memory, without asking the server, until the server says that the record or one of
    /// its tags was changed (client tracking, over a RESP3 connection of its own).
    ///
    /// **A reply may be replayed that another process has ended already**: for as long as the server's message takes to
    /// come, and, when the network goes silent, for at most `staleness` after the change. After that time without a
    /// word from the server, and whenever its connection is lost, its epoch has changed or it was flushed, copies are
    /// what they are with [`strict`](Self::strict). What this process itself has changed it never replays.
    ///
    /// The server is asked for a sign of life four times in `staleness`, and each second in any case; 20 ms is the least
    /// `staleness`. Bytes are meant as for [`strict`](Self::strict). For one server, not for a cluster or Sentinel.
    #[must_use]
    pub const fn tracking(bytes: usize, staleness: Duration) -> Self {
        Self {
            bytes,
            staleness: Some(staleness),
        }
    }
}

/// A record that was read from the server, and the keys of its tags.
#[derive(Debug)]
pub(super) struct LocalCopy {
    pub(super) record: Arc<Record>,
    pub(super) tags: Vec<String>,
    end: Instant,
    size: usize,
}

impl LocalCopy {
    /// `left`: how long the record still is, at least.
    fn new(key: &str, record: &Arc<Record>, left: Duration, tracking: bool) -> Self {
        let tags: Vec<_> = record.tags.iter().map(|(tag, _)| tag_key(tag)).collect();
        let of_tags = record.tags.iter().zip(&tags).map(|((tag, _), key)| {
            tag.len() + key.len() + size_of::<String>() + size_of_val(&record.tags[0]) + 16
        });
        let of_headers = record.reply.headers().count() * 64;
        let mut size =
            OVERHEAD + key.len() + record.reply.size() + of_headers + of_tags.sum::<usize>();
        if tracking {
            let watched = std::iter::once(key).chain(tags.iter().map(String::as_str));
            size += watched.map(|key| key.len() + WATCHING).sum::<usize>();
        }
        Self {
            record: Arc::clone(record),
            tags,
            end: after(Instant::now(), left),
            size,
        }
    }

    /// What a server is asked to know whether the record of this copy is still there, and valid.
    pub(super) fn question(&self, key: &str) -> redis::Pipeline {
        let mut ask = redis::Pipeline::with_capacity(2);
        ask.ignore_errors();
        let [from, to] = EXECUTION;
        ask.cmd("GETRANGE").arg(key).arg(from).arg(to);
        if !self.tags.is_empty() {
            ask.cmd("MGET").arg(&self.tags);
        }
        ask
    }

    /// How long its record still is; nothing if that is over.
    pub(super) fn left(&self) -> Option<Duration> {
        seen::left(self.end)
    }

    /// Whether the answer to [`question`](Self::question) says that the record is still there, and valid.
    pub(super) fn is_valid_by(&self, epoch: u64, answer: &[Value]) -> bool {
        match answer {
            [execution] => self.is_valid(epoch, as_bytes(execution), &[]),
            [execution, Value::Array(now)] => self.is_valid(epoch, as_bytes(execution), now),
            _ => false,
        }
    }

    /// Whether the server's record is this one, and valid: its execution, its epoch, each of its tags.
    pub(super) fn is_valid(&self, epoch: u64, execution: &[u8], now: &[Value]) -> bool {
        let record = &self.record;
        execution == token(record.execution)
            && record.epoch.is_none_or(|own| own == epoch)
            && now.len() == record.tags.len()
            && record.tags.iter().zip(now).all(|((_, own), now)| {
                as_bytes(now)
                    .try_into()
                    .is_ok_and(|now| read_version(now) == *own)
            })
    }
}
