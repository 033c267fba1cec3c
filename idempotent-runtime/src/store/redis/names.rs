//! Names -> keys, and back.
//!
//! | what | name | key |
//! | --- | --- | --- |
//! | record, claim, lock | `shop:create:9f3a` | `idempotent:shop:create:{9f3a}:record` |
//! | tag | `shop:users:1` | `idempotent:shop:tag:users:1` |
//!
//! The braces are literal. They are around the last part of a request's id, its digest, so that all keys of one
//! request share a slot of a cluster. No other brace is left in a key, so what follows them is told from a name; and
//! nothing is percent-encoded in two ways. So every key has one name, and no two names have one key.

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// What every key begins with.
const ROOT: &str = "idempotent:";

/// Counts the versions. No name has this key.
pub(super) const COUNTER: &str = "idempotent:version";

/// What is not left as it is. Whatever is no ASCII is not, either.
const ESCAPED: &AsciiSet = &CONTROLS.add(b' ').add(b'%').add(b'{').add(b'}');

/// Empty braces would not count as braces, so something must be in them. No text is encoded as this.
const NOTHING: &str = "%";

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Record,
    Claim,
    Lock,
    Tag,
}

/// The key of this kind for a request's id.
pub(super) fn key(kind: Kind, id: &str) -> String {
    let suffix = match kind {
        Kind::Record => "record",
        Kind::Claim => "claim",
        Kind::Lock => "lock",
        Kind::Tag => return tag_key(id),
    };
    let (head, rest) = id.split_at(id.rfind(':').map_or(0, |colon| colon + 1));
    let mut key = String::with_capacity(ROOT.len() + id.len() + 16);
    key.push_str(ROOT);
    push_escaped(&mut key, head);
    key.push('{');
    if rest.is_empty() {
        key.push_str(NOTHING);
    }
    push_escaped(&mut key, rest);
    key.push_str("}:");
    key.push_str(suffix);
    key
}

fn push_escaped(key: &mut String, text: &str) {
    // Nearly all is plain, and seen to be so many bytes at once.
    let is_plain = |byte: u8| byte.is_ascii_graphic() & !matches!(byte, b'%' | b'{' | b'}');
    if text.bytes().fold(true, |all, byte| all & is_plain(byte)) {
        key.push_str(text);
    } else {
        key.extend(utf8_percent_encode(text, ESCAPED));
    }
}

/// The key of a tag.
pub(super) fn tag_key(tag: &str) -> String {
    let (application, rest) = tag.split_at(tag.find(':').map_or(0, |colon| colon + 1));
    let mut key = String::with_capacity(ROOT.len() + tag.len() + 8);
    key.push_str(ROOT);
    push_escaped(&mut key, application);
    key.push_str("tag:");
    push_escaped(&mut key, rest);
    key
}

/// What a key is for, and the name that it was made of; `None` if it was made of none.
pub(super) fn name(key: &str) -> Option<(Kind, String)> {
    let text = key.strip_prefix(ROOT)?;
    let (kind, parts) = match text.split_once('{') {
        Some((head, rest)) => {
            let (rest, suffix) = rest.split_once("}:")?;
            let kind = match suffix {
                "record" => Kind::Record,
                "claim" => Kind::Claim,
                "lock" => Kind::Lock,
                _ => return None,
            };
            (kind, [head, if rest == NOTHING { "" } else { rest }])
        }
        None => (Kind::Tag, tag_parts(text)?),
    };
    let mut name = String::with_capacity(text.len());
    for part in parts {
        name.push_str(&percent_decode_str(part).decode_utf8().ok()?);
    }
    Some((kind, name))
}

fn tag_parts(text: &str) -> Option<[&str; 2]> {
    match text.strip_prefix("tag:") {
        // An application may be called `tag`, too, and then there is another `tag:` behind it.
        Some(rest) if !rest.contains(':') => Some(["", rest]),
        _ => {
            let (application, rest) = text.split_at(text.find(':')? + 1);
            Some([application, rest.strip_prefix("tag:")?])
        }
    }
}

/// A pattern that all keys match whose names begin with this prefix, and others, too.
pub(super) fn pattern(prefix: &str) -> String {
    // Only up to the first colon do keys begin with what their names begin with.
    let application = prefix.split_inclusive(':').next();
    let application = application.filter(|text| text.ends_with(':'));
    let mut pattern = String::from(ROOT);
    for character in
        utf8_percent_encode(application.unwrap_or_default(), ESCAPED).flat_map(str::chars)
    {
        if matches!(character, '*' | '?' | '[' | ']' | '^' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('*');
    pattern
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KINDS: [Kind; 4] = [Kind::Record, Kind::Claim, Kind::Lock, Kind::Tag];

    #[test]
    fn keys_are_readable() {
        assert_eq!(
            key(Kind::Record, "shop:shop::orders::create:9f3a"),
            "idempotent:shop:shop::orders::create:{9f3a}:record"
        );
        assert_eq!(
            tag_key("shop:users:7,ann"),
            "idempotent:shop:tag:users:7,ann"
        );
    }

    #[test]
    fn h27_all_keys_of_a_request_share_their_braces() {
        for id in ["shop:create:9f3a", "9f3a", "shop:", "", "a:}{", "ä"] {
            let braces = KINDS[..3].iter().map(|kind| {
                let key = key(*kind, id);
                let open = key.find('{').unwrap();
                key[open..=key.find('}').unwrap()].to_owned()
            });
            let braces: Vec<_> = braces.collect();
            assert!(
                braces.iter().all(|one| *one == braces[0] && one != "{}"),
                "{braces:?}"
            );
        }
    }

    fn names() -> impl Strategy<Value = String> {
        prop_oneof!["[tagrecd:{}%]{0,12}", any::<String>()]
    }

    proptest! {
        #[test]
        fn h46_every_key_has_one_name(name in names()) {
            for kind in KINDS {
                prop_assert_eq!(super::name(&key(kind, &name)), Some((kind, name.clone())));
            }
        }

        #[test]
        fn whatever_is_no_key_has_no_name_that_leads_elsewhere(text in "(idempotent:)?[tagrecodlkim:{}%]{0,20}") {
            if let Some((kind, name)) = super::name(&text) {
                // Not the same key, perhaps, but what it is taken for is no panic.
                let _ = key(kind, &name);
            }
        }
    }

    #[test]
    fn the_counter_has_no_name() {
        assert_eq!(name(COUNTER), None);
    }

    #[test]
    fn a_pattern_means_nothing_but_itself() {
        assert_eq!(pattern("shop:users:1"), "idempotent:shop:*");
        assert_eq!(pattern("a*[b:"), "idempotent:a\\*\\[b:*");
        assert_eq!(pattern("shop"), "idempotent:*");
    }
}
