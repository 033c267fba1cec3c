//! What a history leaves in Redis: every key has an end, no later than it may be, and nobody holds anything.

use std::time::{Duration, Instant};

use support::Redis;

use crate::clock::Micros;
use crate::history::{CLAIM, CLAIM_CAP, LOCK, RECORD};
use crate::nemesis::BALLAST;
use crate::worker::APPLICATION;

/// The only key without an end: the counter of the versions.
const COUNTER: &str = "idempotent:version";

/// What is wrong with the keys, once nothing runs any more. Claims and locks that killed processes have left, or that
/// could not be freed while the store was away, must end by themselves: they are awaited.
#[must_use]
pub fn leaks(redis: &Redis) -> Vec<String> {
    let end = Instant::now() + Duration::from_micros(CLAIM.max(LOCK)) + Duration::from_millis(250);
    let mut leaks: Vec<_> = keys(redis).iter().filter_map(too_long).collect();
    loop {
        let held: Vec<_> = keys(redis).into_iter().filter(is_held).collect();
        if held.is_empty() {
            return leaks;
        }
        if Instant::now() >= end {
            leaks.extend(
                held.iter()
                    .map(|(key, left)| format!("held by nobody: {key} for {left} ms")),
            );
            return leaks;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// All keys with what `PTTL` says of them.
fn keys(redis: &Redis) -> Vec<(String, i64)> {
    let all = "local all = {} \
        for _, key in ipairs(redis.call('KEYS', '*')) do \
            all[#all + 1] = key \
            all[#all + 1] = redis.call('PTTL', key) \
        end \
        return all";
    let words = redis.ask(&["EVAL", all, "0"]);
    let pair = |pair: &[String]| Some((pair.first()?.clone(), pair.get(1)?.parse().ok()?));
    words.chunks(2).filter_map(pair).collect()
}

fn is_held((key, _): &(String, i64)) -> bool {
    key.ends_with("}:claim") || key.ends_with("}:lock")
}

fn too_long((key, left): &(String, i64)) -> Option<String> {
    if key == COUNTER || key.starts_with(BALLAST) || *left == -2 {
        return None;
    }
    let Some(longest) = longest(key) else {
        return Some(format!("belongs to nothing: {key}"));
    };
    let in_time = u64::try_from(*left).is_ok_and(|left| left * 1_000 <= longest);
    (!in_time).then(|| format!("lives too long: {key} for {left} ms"))
}

/// How long a key may live.
fn longest(key: &str) -> Option<Micros> {
    let rest = key
        .strip_prefix("idempotent:")?
        .strip_prefix(APPLICATION)?
        .strip_prefix(':')?;
    if rest.starts_with("tag:") {
        return Some(RECORD + CLAIM_CAP);
    }
    match rest.rsplit_once("}:")?.1 {
        "record" => Some(RECORD),
        "claim" => Some(CLAIM),
        "lock" => Some(LOCK),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_wrong(key: &str, left: i64) -> bool {
        too_long(&(key.to_owned(), left)).is_some()
    }

    #[test]
    fn keys_without_an_end_or_with_one_that_is_too_late_are_leaks() {
        let record = "idempotent:faults:a::cached:{1f}:record";
        assert!(!is_wrong(record, 2_000) && is_wrong(record, 2_001) && is_wrong(record, -1));
        let tag = "idempotent:faults:tag:items:1";
        assert!(!is_wrong(tag, 12_000) && is_wrong(tag, 12_001) && is_wrong(tag, -1));
        assert!(is_wrong("idempotent:faults:a:{1f}:lock", 1_501));
        assert!(!is_wrong("idempotent:version", -1));
    }

    #[test]
    fn a_key_that_is_none_of_ours_is_a_leak() {
        assert!(is_wrong("idempotent:faults:a:{1f}:other", 1) && is_wrong("other", 1));
    }
}
