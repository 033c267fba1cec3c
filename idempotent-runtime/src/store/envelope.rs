//! Records as bytes, for stores outside the process.

use std::error::Error as StdError;
use std::io::ErrorKind;

use rmp_serde::Deserializer;
use rmp_serde::decode::Error as Malformed;
use serde::Deserialize;

use super::Record;
use crate::reply::Reply;

/// Says that the bytes are a record of ours, and in which layout. Any change of what a [`Record`] is made of must
/// change it: there is nothing else that tells the layouts apart. It is no valid msgpack, so nothing else passes.
const LAYOUT: [u8; 2] = [0xc1, 1];

/// The largest envelope that is written or read: 16 MiB.
pub const MAX_ENVELOPE: usize = 16 << 20;

/// Bytes that are no record, or a record that cannot be bytes.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Made by another version of this library, or no record at all.
    #[error("not a record, or one in another layout")]
    Layout,
    /// Larger than [`MAX_ENVELOPE`].
    #[error("a record of {0} bytes is too large")]
    TooLarge(usize),
    /// Cut short or damaged.
    #[error("a damaged record")]
    Damaged(#[source] Box<dyn StdError + Send + Sync>),
    /// Followed by something else.
    #[error("a record with something behind it")]
    Trailing,
    /// Whole, but with a reply that no server may send.
    #[error("a record whose reply is no HTTP")]
    Reply,
}

impl Record {
    /// The record as bytes, which [`from_msgpack`](Self::from_msgpack) reads.
    ///
    /// # Errors
    ///
    /// If it takes more than [`MAX_ENVELOPE`].
    pub fn to_msgpack(&self) -> Result<Vec<u8>, EnvelopeError> {
        let mut bytes = Vec::with_capacity(self.reply.size());
        bytes.extend(LAYOUT);
        rmp_serde::encode::write(&mut bytes, self)
            .map_err(|error| EnvelopeError::Damaged(error.into()))?;
        check_size(&bytes)?;
        Ok(bytes)
    }

    /// Reads what [`to_msgpack`](Self::to_msgpack) wrote. The bytes are not trusted: whatever they are, the answer is
    /// a record or an error, and no more memory is taken than their length warrants.
    ///
    /// # Errors
    ///
    /// If they are not exactly one record in this version's layout.
    pub fn from_msgpack(bytes: &[u8]) -> Result<Self, EnvelopeError> {
        check_size(bytes)?;
        let payload = bytes.strip_prefix(&LAYOUT).ok_or(EnvelopeError::Layout)?;
        let mut reader = Deserializer::from_read_ref(payload);
        let record =
            Self::deserialize(&mut reader).map_err(|error| EnvelopeError::Damaged(error.into()))?;
        // The reader does not tell where it stands, but the end is the only place where no marker can be read.
        match u8::deserialize(&mut reader) {
            Err(Malformed::InvalidMarkerRead(end)) if end.kind() == ErrorKind::UnexpectedEof => {}
            _ => return Err(EnvelopeError::Trailing),
        }
        is_http(&record.reply)
            .then_some(record)
            .ok_or(EnvelopeError::Reply)
    }
}

fn check_size(bytes: &[u8]) -> Result<(), EnvelopeError> {
    if bytes.len() > MAX_ENVELOPE {
        Err(EnvelopeError::TooLarge(bytes.len()))
    } else {
        Ok(())
    }
}

/// Whether status and headers could be on the wire, so that who can write to the store cannot split a response.
fn is_http(reply: &Reply) -> bool {
    (100..=999).contains(&reply.status())
        && reply
            .headers()
            .all(|(name, value)| is_name(name) && is_value(value))
}

fn is_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}

fn is_value(value: &[u8]) -> bool {
    value
        .iter()
        .all(|&byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;
    use crate::key::Fingerprint;
    use crate::store::{ExecutionId, Tag, Version};

    fn fingerprints() -> impl Strategy<Value = Fingerprint> {
        any::<[u8; 32]>()
            .prop_map(|bytes| rmp_serde::from_slice(&rmp_serde::to_vec(&bytes).unwrap()).unwrap())
    }

    fn tags() -> impl Strategy<Value = (Tag, Version)> {
        let version = any::<(u64, u64)>().prop_map(|(count, nonce)| Version { count, nonce });
        (any::<String>().prop_map(Arc::from), version)
    }

    fn replies() -> impl Strategy<Value = Reply> {
        let bytes = || vec(any::<u8>(), 0..300).prop_map(Bytes::from);
        let values = "[ -~\u{80}-\u{ff}\t]{0,20}".prop_map(Bytes::from);
        let headers = vec(("[A-Za-z!#$%&'*+.^_`|~-]{1,20}", values), 0..5);
        (100..=999_u16, headers, option::of(bytes())).prop_map(|(status, headers, body)| Reply {
            status,
            headers,
            body,
        })
    }

    fn records() -> impl Strategy<Value = Record> {
        let parts = (
            any::<u128>(),
            option::of(fingerprints()),
            option::of(any::<u64>()),
            vec(tags(), 0..5),
            replies(),
        );
        parts.prop_map(|(execution, fingerprint, epoch, tags, reply)| Record {
            execution: ExecutionId(execution),
            fingerprint,
            epoch,
            tags,
            reply,
        })
    }

    fn plain(reply: Reply) -> Record {
        Record {
            execution: ExecutionId(7),
            fingerprint: None,
            epoch: None,
            tags: Vec::new(),
            reply,
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(record in records()) {
            let read = Record::from_msgpack(&record.to_msgpack().unwrap()).unwrap();
            prop_assert_eq!(read.execution, record.execution);
            prop_assert_eq!(read.fingerprint, record.fingerprint);
            prop_assert_eq!(read.epoch, record.epoch);
            prop_assert_eq!(read.tags, record.tags);
            prop_assert_eq!(read.reply, record.reply);
        }

        #[test]
        fn a_record_cut_short_or_added_to_is_an_error(record in records(), cut in any::<prop::sample::Index>(), more in vec(any::<u8>(), 1..9)) {
            let mut bytes = record.to_msgpack().unwrap();
            prop_assert!(Record::from_msgpack(&bytes[..cut.index(bytes.len())]).is_err());
            bytes.extend(more);
            prop_assert!(Record::from_msgpack(&bytes).is_err());
        }

        #[test]
        fn h45_damaged_bytes_never_panic(record in records(), hits in vec((any::<prop::sample::Index>(), any::<u8>()), 1..9)) {
            let mut bytes = record.to_msgpack().unwrap();
            for (place, byte) in hits {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            if let Ok(read) = Record::from_msgpack(&bytes) {
                prop_assert!(is_http(&read.reply));
            }
        }

        #[test]
        fn h45_arbitrary_bytes_never_panic(noise in vec(any::<u8>(), 0..300)) {
            prop_assert!(Record::from_msgpack(&noise).is_err() || noise.starts_with(&LAYOUT));
            let _ = Record::from_msgpack(&[&LAYOUT[..], &noise].concat());
        }
    }

    #[test]
    fn another_layout_is_told_from_damage() {
        let mut bytes = plain(Reply::new(200)).to_msgpack().unwrap();
        bytes[1] += 1;
        assert!(matches!(
            Record::from_msgpack(&bytes),
            Err(EnvelopeError::Layout)
        ));
        assert!(matches!(
            Record::from_msgpack(b""),
            Err(EnvelopeError::Layout)
        ));
    }

    #[test]
    fn h45_lengths_that_lie_are_errors() {
        // An array of five whose fourth claims four billion tags, and one whose body claims four billion bytes.
        let execution: &[u8] = &[0xc4, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let tags = [
            &LAYOUT,
            &[0x95][..],
            execution,
            &[0xc0, 0xc0, 0xdd, 255, 255, 255, 255],
        ]
        .concat();
        let body = [
            &LAYOUT,
            &[0x95][..],
            execution,
            &[0xc0, 0xc0, 0x90, 0x93, 200, 0x90, 0xc6, 255, 255, 255, 255],
        ];
        assert!(matches!(
            Record::from_msgpack(&tags),
            Err(EnvelopeError::Damaged(_))
        ));
        assert!(matches!(
            Record::from_msgpack(&body.concat()),
            Err(EnvelopeError::Damaged(_))
        ));
    }

    #[test]
    fn too_large_a_record_is_neither_written_nor_read() {
        let record = plain(Reply::new(200).body(vec![0; MAX_ENVELOPE]));
        assert!(matches!(
            record.to_msgpack(),
            Err(EnvelopeError::TooLarge(_))
        ));
        let bytes = vec![0; MAX_ENVELOPE + 1];
        assert!(matches!(
            Record::from_msgpack(&bytes),
            Err(EnvelopeError::TooLarge(_))
        ));
    }

    #[test]
    fn a_body_takes_its_own_length_and_little_more() {
        let bytes = plain(
            Reply::new(200)
                .header("A", vec![255; 100])
                .body(vec![255; 1000]),
        )
        .to_msgpack()
        .unwrap();
        assert!(bytes.len() < 1150, "{} bytes", bytes.len());
    }

    #[test]
    fn a_reply_that_would_split_a_response_is_refused() {
        let refused = [
            Reply::new(99),
            Reply::new(1000),
            Reply::new(200).header("", "x"),
            Reply::new(200).header("A b", "x"),
            Reply::new(200).header("A", "x\r\nSet-Cookie: a=b"),
        ];
        for reply in refused {
            let bytes = plain(reply.clone()).to_msgpack().unwrap();
            assert!(
                matches!(Record::from_msgpack(&bytes), Err(EnvelopeError::Reply)),
                "{reply:?}"
            );
        }
    }
}
