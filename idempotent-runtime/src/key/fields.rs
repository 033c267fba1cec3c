//! How the parts of a request become one digest or text that no other parts share.

use std::fmt::Write;
use std::net::IpAddr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use sha2::{Digest as _, Sha256};

/// What a part of an id must not hold bare: whatever ids or the stores' names use as a mark, `:=;#{}` and `%` above
/// all.
pub(super) const PART: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'/')
    .remove(b'~')
    .remove(b',')
    .remove(b'*');

/// As [`PART`], for a handler's name: its colons stay, for they are most of what makes it readable.
pub(super) const HANDLER: &AsciiSet = &PART.remove(b':');

/// Beyond this a readable id ends in a digest of itself, for a body may be large and a store's keys may not.
const READABLE: usize = 1000;

/// Takes in named fields of any number of values each. No two different sequences come out the same: a field without
/// a value is not one with an empty value, and two values are never one that joins them.
pub(super) trait Fields {
    /// Begins a field, without a value so far.
    fn field(&mut self, name: &'static str);

    /// Adds a value to the field.
    fn value(&mut self, value: &[u8]);

    /// Adds a value that must not be seen in clear.
    fn secret(&mut self, value: &[u8]) {
        self.value(value);
    }

    /// A field of one value.
    fn single(&mut self, name: &'static str, value: &[u8]) {
        self.field(name);
        self.value(value);
    }

    /// A field with an address.
    fn address(&mut self, name: &'static str, address: IpAddr) {
        self.single(name, address.to_string().as_bytes());
    }

    /// A field of one value or none.
    fn optional(&mut self, name: &'static str, value: Option<&[u8]>) {
        self.field(name);
        if let Some(value) = value {
            self.value(value);
        }
    }
}

/// A SHA-256 of the fields. What is short is put together first: each part that is given to the hash costs as much as
/// some dozen bytes do.
pub(super) struct Digest {
    hash: Sha256,
    held: [u8; HELD],
    length: usize,
}

/// Two blocks of the hash.
const HELD: usize = 128;

/// What goes before a name or a value: its kind, and its length in as few bytes as it needs, of which the last one alone
/// is below 128.
const HEAD: usize = 11;

impl Default for Digest {
    fn default() -> Self {
        Self {
            hash: Sha256::new(),
            held: [0; HELD],
            length: 0,
        }
    }
}

impl Digest {
    pub(super) fn into_bytes(mut self) -> [u8; 32] {
        self.flush();
        self.hash.finalize().into()
    }

    pub(super) fn into_hex(self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let digit = |digit: u8| DIGITS[usize::from(digit)];
        let mut text = [0; 64];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.into_bytes()) {
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        std::str::from_utf8(&text).unwrap_or_default().to_owned()
    }

    // Kind and length in front of each make the whole prefix-free.
    fn take(&mut self, kind: u8, bytes: &[u8]) {
        if HEAD + bytes.len() > HELD - self.length {
            self.flush();
        }
        self.hold(kind);
        let mut length = bytes.len();
        while length > 127 {
            self.hold(length as u8 | 128);
            length >>= 7;
        }
        self.hold(length as u8);
        match self.held.get_mut(self.length..self.length + bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                self.length += bytes.len();
            }
            None => {
                self.flush();
                self.hash.update(bytes);
            }
        }
    }

    fn hold(&mut self, byte: u8) {
        self.held[self.length] = byte;
        self.length += 1;
    }

    fn flush(&mut self) {
        self.hash.update(&self.held[..self.length]);
        self.length = 0;
    }
}

impl Fields for Digest {
    fn field(&mut self, name: &'static str) {
        self.take(b'f', name.as_bytes());
    }

    fn value(&mut self, value: &[u8]) {
        self.take(b'v', value);
    }

    /// As bytes, which are fewer and faster to have than text.
    fn address(&mut self, name: &'static str, address: IpAddr) {
        match address {
            IpAddr::V4(address) => self.single(name, &address.octets()),
            IpAddr::V6(address) => self.single(name, &address.octets()),
        }
    }
}

/// The fields as text: `path=/users/1;query;accept=text/html=text/plain`.
#[derive(Default)]
pub(super) struct Readable(String);

impl Readable {
    pub(super) fn into_text(mut self) -> String {
        if self.0.len() > READABLE {
            let digest = Sha256::digest(&self.0);
            self.0.truncate(READABLE);
            self.push_digest(digest);
        }
        self.0
    }

    fn push_digest(&mut self, digest: impl std::fmt::LowerHex) {
        // Writing to a `String` cannot fail.
        let _ = write!(self.0, "#{digest:x}");
    }
}

impl Fields for Readable {
    fn field(&mut self, name: &'static str) {
        if !self.0.is_empty() {
            self.0.push(';');
        }
        self.0.push_str(name);
    }

    fn value(&mut self, value: &[u8]) {
        self.0.push('=');
        self.0.extend(percent_encode(value, PART));
    }

    fn secret(&mut self, value: &[u8]) {
        self.0.push('=');
        self.push_digest(Sha256::digest(value));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    type Field = (&'static str, Vec<&'static str>);

    /// Values of the very bytes that the encodings use as marks.
    const VALUES: [&str; 5] = ["", "v", "=", ";v", "%3D"];

    fn all_fields() -> Vec<Field> {
        let one = VALUES.map(|value| vec![value]);
        let two = VALUES.iter().flat_map(|a| VALUES.map(|b| vec![*a, b]));
        let values: Vec<_> = [vec![]].into_iter().chain(one).chain(two).collect();
        let named = |name| values.iter().map(move |values| (name, values.clone()));
        named("f").chain(named("v")).collect()
    }

    /// All sequences of up to two fields with up to two values each.
    fn all_sequences() -> Vec<Vec<Field>> {
        let fields = all_fields();
        let one = fields.iter().map(|field| vec![field.clone()]);
        let two = fields
            .iter()
            .flat_map(|a| fields.iter().map(|b| vec![a.clone(), b.clone()]));
        [vec![]].into_iter().chain(one).chain(two).collect()
    }

    fn write<F: Fields + Default>(sequence: &[Field]) -> F {
        let mut fields = F::default();
        for (name, values) in sequence {
            fields.field(name);
            values
                .iter()
                .for_each(|value| fields.value(value.as_bytes()));
        }
        fields
    }

    fn collisions(encode: impl Fn(&[Field]) -> String) -> usize {
        let sequences = all_sequences();
        let encoded: HashSet<_> = sequences.iter().map(|fields| encode(fields)).collect();
        sequences.len() - encoded.len()
    }

    #[test]
    fn h46_no_two_sequences_of_fields_have_one_digest() {
        let collisions = collisions(|fields| write::<Digest>(fields).into_hex());
        assert_eq!(collisions, 0);
    }

    #[test]
    fn h46_lengths_and_places_of_any_size_make_another_digest() {
        let long = vec![b'v'; 300];
        let mut seen = HashSet::new();
        for first in 0..300 {
            for second in [0, 1, 100, 127, 128, 129, 255, 256, 299] {
                let mut fields = Digest::default();
                fields.single("f", &long[..first]);
                fields.single("f", &long[..second]);
                assert!(seen.insert(fields.into_bytes()), "{first}, {second}");
            }
        }
    }

    #[test]
    fn a_digest_is_that_of_its_parts_however_they_are_put_together() {
        for length in (0..400).chain([20_000]) {
            let value = vec![b'v'; length];
            let mut fields = Digest::default();
            let mut plain = Vec::new();
            for _ in 0..3 {
                fields.single("name", &value);
                plain.extend(b"f\x04namev");
                let mut rest = length;
                while rest > 127 {
                    plain.push(rest as u8 | 128);
                    rest >>= 7;
                }
                plain.push(rest as u8);
                plain.extend(&value);
            }
            assert_eq!(
                fields.into_bytes(),
                <[u8; 32]>::from(Sha256::digest(&plain))
            );
        }
    }

    #[test]
    fn h46_no_two_sequences_of_fields_have_one_text() {
        let collisions = collisions(|fields| write::<Readable>(fields).into_text());
        assert_eq!(collisions, 0);
    }

    #[test]
    fn a_readable_id_reads_like_the_request() {
        let mut text = Readable::default();
        text.single("path", b"/users/1");
        text.optional("query", None);
        text.single("accept", b"a=b");
        assert_eq!(text.into_text(), "path=/users/1;query;accept=a%3Db");
    }

    #[test]
    fn h46_long_texts_that_begin_alike_stay_apart() {
        let text = |length| {
            let mut text = Readable::default();
            text.single("body", &vec![b'a'; length]);
            text.into_text()
        };
        assert_ne!(text(2000), text(2001));
        assert_eq!(text(2000), text(2000));
        assert_eq!(text(READABLE - 5).len(), READABLE);
    }
}
