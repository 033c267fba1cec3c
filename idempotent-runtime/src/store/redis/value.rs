//! Records as values of Redis.
//!
//! What a script must see comes first, in fixed places: whose record it is, of which epoch, and its tags. The rest is
//! the record's envelope without them.
//!
//! | bytes | what |
//! | --- | --- |
//! | 4 | the mark of this layout |
//! | 16 | the execution |
//! | 1, 8 | whether there is an epoch, and which |
//! | 4 | how many tags |
//! | 4, length, 16 | of each tag: its key's length, its key, its version |
//! | the rest | the envelope |
//!
//! Numbers are big-endian.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::names;
use crate::store::{EnvelopeError, ExecutionId, MAX_ENVELOPE, Record, Tag, Version};

/// Any change of the layout must change it, here and in `look.lua`.
const MARK: [u8; 4] = *b"\xc1id\x01";

/// The largest value that is written or read.
pub(super) const MAX_VALUE: usize = MAX_ENVELOPE;

/// The first and the last byte of a record's execution.
pub(super) const EXECUTION: [usize; 2] = [4, 19];

/// What [`call_token`] gives.
pub(super) const CALL: usize = 24;

/// A version is as long as this.
pub(super) const VERSION: usize = 16;

/// The record as a value, and the keys of its tags.
///
/// # Errors
///
/// If it is too large.
pub(super) fn write(mut record: Record) -> Result<(Vec<u8>, Vec<String>), EnvelopeError> {
    let tags = std::mem::take(&mut record.tags);
    let epoch = record.epoch.take();
    let envelope = record.to_msgpack()?;
    let keys: Vec<_> = tags.iter().map(|(tag, _)| names::tag_key(tag)).collect();
    let head = keys.iter().map(|key| key.len() + 20).sum::<usize>() + 33;
    let size = head + envelope.len();
    if size > MAX_VALUE {
        return Err(EnvelopeError::TooLarge(size));
    }
    let mut value = Vec::with_capacity(size);
    value.extend(MARK);
    value.extend(token(record.execution));
    value.push(epoch.is_some().into());
    value.extend(epoch.unwrap_or_default().to_be_bytes());
    value.extend(length(keys.len())?);
    for (key, (_, version)) in keys.iter().zip(&tags) {
        value.extend(length(key.len())?);
        value.extend(key.as_bytes());
        value.extend(version_bytes(*version));
    }
    value.extend(envelope);
    Ok((value, keys))
}

/// The value with another epoch, if it has one: for the proof that a record's is the one of its stamps.
pub(super) fn with_epoch(value: &[u8], epoch: u64) -> Vec<u8> {
    let mut value = value.to_vec();
    if value.get(20) == Some(&1)
        && let Some(place) = value.get_mut(21..29)
    {
        place.copy_from_slice(&epoch.to_be_bytes());
    }
    value
}

fn length(length: usize) -> Result<[u8; 4], EnvelopeError> {
    u32::try_from(length)
        .map(u32::to_be_bytes)
        .map_err(|_| EnvelopeError::TooLarge(length))
}

/// What is seen of a record without reading its envelope.
#[derive(Debug)]
pub(super) struct Head<'a> {
    pub(super) execution: ExecutionId,
    pub(super) epoch: Option<u64>,
    pub(super) tags: Vec<(&'a str, [u8; VERSION])>,
    envelope: &'a [u8],
}

impl<'a> Head<'a> {
    /// The bytes are not trusted: whatever they are, the answer is a head or an error, and no more memory is taken
    /// than their length warrants.
    pub(super) fn read(value: &'a [u8]) -> Result<Self, EnvelopeError> {
        if value.len() > MAX_VALUE {
            return Err(EnvelopeError::TooLarge(value.len()));
        }
        let mut rest = value.strip_prefix(&MARK).ok_or(EnvelopeError::Layout)?;
        let execution = ExecutionId(u128::from_be_bytes(take(&mut rest)?));
        let [is_there] = take(&mut rest)?;
        let epoch = u64::from_be_bytes(take(&mut rest)?);
        let count = take_length(&mut rest)?;
        let mut tags = Vec::with_capacity(count.min(rest.len() / 20));
        for _ in 0..count {
            let length = take_length(&mut rest)?;
            let (key, behind) = rest.split_at_checked(length).ok_or_else(cut_short)?;
            let key =
                std::str::from_utf8(key).map_err(|error| EnvelopeError::Damaged(error.into()))?;
            rest = behind;
            tags.push((key, take(&mut rest)?));
        }
        Ok(Self {
            execution,
            epoch: (is_there == 1).then_some(epoch),
            tags,
            envelope: rest,
        })
    }

    /// The whole record.
    pub(super) fn record(self) -> Result<Record, EnvelopeError> {
        let record = Record::from_msgpack(self.envelope)?;
        if record.execution != self.execution {
            return Err(EnvelopeError::Damaged("two executions".into()));
        }
        let tags = self.tags.iter().map(|(key, version)| {
            let tag = tag_of(key).ok_or_else(|| EnvelopeError::Damaged("no tag's key".into()))?;
            Ok((tag, read_version(*version)))
        });
        Ok(Record {
            epoch: self.epoch,
            tags: tags.collect::<Result<_, EnvelopeError>>()?,
            ..record
        })
    }
}

/// The execution of a value that is no record, to have it removed and no later one.
pub(super) fn execution_of(value: &[u8]) -> &[u8] {
    let [from, to] = EXECUTION;
    value.get(from..=to).unwrap_or_default()
}

/// The tag that a key was made of.
pub(super) fn tag_of(key: &str) -> Option<Tag> {
    match names::name(key)? {
        (names::Kind::Tag, tag) => Some(Arc::from(tag)),
        _ => None,
    }
}

/// An execution as bytes.
pub(super) fn token(execution: ExecutionId) -> [u8; 16] {
    execution.0.to_be_bytes()
}

/// An execution, which is one process' own, and one call of it, as bytes: so a call can be undone, and not a later one.
pub(super) fn call_token(execution: ExecutionId) -> [u8; CALL] {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    let mut bytes = [0; CALL];
    bytes[..16].copy_from_slice(&token(execution));
    bytes[16..].copy_from_slice(&call.to_be_bytes());
    bytes
}

fn version_bytes(version: Version) -> [u8; VERSION] {
    (u128::from(version.count) << 64 | u128::from(version.nonce)).to_be_bytes()
}

/// A version from its bytes.
pub(super) fn read_version(bytes: [u8; VERSION]) -> Version {
    let [count, nonce] = [&bytes[..8], &bytes[8..]].map(|half| {
        half.iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte))
    });
    Version { count, nonce }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], EnvelopeError> {
    let (taken, behind) = rest.split_first_chunk().ok_or_else(cut_short)?;
    *rest = behind;
    Ok(*taken)
}

fn take_length(rest: &mut &[u8]) -> Result<usize, EnvelopeError> {
    let length = u32::from_be_bytes(take(rest)?);
    usize::try_from(length).map_err(|_| cut_short())
}

fn cut_short() -> EnvelopeError {
    EnvelopeError::Damaged("cut short".into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::reply::Reply;

    fn records() -> impl Strategy<Value = Record> {
        let version = any::<(u64, u64)>().prop_map(|(count, nonce)| Version { count, nonce });
        let tag = (any::<String>().prop_map(Arc::from), version);
        let parts = (
            any::<u128>(),
            option::of(any::<u64>()),
            vec(tag, 0..5),
            vec(any::<u8>(), 0..99),
        );
        parts.prop_map(|(execution, epoch, tags, body)| Record {
            execution: ExecutionId(execution),
            fingerprint: None,
            epoch,
            tags,
            reply: Reply::new(200).header("A", "b").body(body),
        })
    }

    fn read(bytes: &[u8]) -> Result<Record, EnvelopeError> {
        Head::read(bytes)?.record()
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(record in records()) {
            let (value, keys) = write(record.clone()).unwrap();
            let read = read(&value).unwrap();
            prop_assert_eq!(read.execution, record.execution);
            prop_assert_eq!(read.epoch, record.epoch);
            prop_assert_eq!(&read.tags, &record.tags);
            prop_assert_eq!(read.reply, record.reply);
            prop_assert_eq!(keys.len(), record.tags.len());
            prop_assert_eq!(execution_of(&value), token(record.execution));
        }

        #[test]
        fn h45_damaged_bytes_are_errors_and_never_panic(
            record in records(), cut in any::<prop::sample::Index>(), hits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..9)
        ) {
            let (mut value, _) = write(record).unwrap();
            prop_assert!(read(&value[..cut.index(value.len())]).is_err());
            for (place, byte) in hits {
                let place = place.index(value.len());
                value[place] = byte;
            }
            let _ = read(&value);
        }

        #[test]
        fn h45_arbitrary_bytes_never_panic(noise in vec(any::<u8>(), 0..300)) {
            let _ = read(&noise);
            let _ = read(&[&MARK[..], &noise].concat());
            let _ = execution_of(&noise);
        }
    }

    #[test]
    fn h45_numbers_that_lie_are_errors() {
        let plain = Record {
            execution: ExecutionId(7),
            fingerprint: None,
            epoch: None,
            tags: Vec::new(),
            reply: Reply::new(200),
        };
        let (mut value, _) = write(plain).unwrap();
        value[29..33].fill(0xff);
        assert!(read(&value).is_err());
    }

    #[test]
    fn h47_too_large_a_record_is_not_written() {
        let tag: Tag = "x".repeat(1 << 20).into();
        let large = Record {
            execution: ExecutionId(7),
            fingerprint: None,
            epoch: None,
            tags: vec![(tag, Version { count: 1, nonce: 1 }); 17],
            reply: Reply::new(200),
        };
        assert!(matches!(write(large), Err(EnvelopeError::TooLarge(_))));
    }
}
