//! Keys -> slots, and a counter for each slot.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use crc16::{State, XMODEM};

use crate::store::redis::names::COUNTER;

/// How many there are.
pub(super) const SLOTS: u16 = 16_384;

/// The slot of a key: of what is in its first braces, if there is anything.
pub(in crate::store::redis) fn slot(key: &str) -> u16 {
    let inner = key
        .split_once('{')
        .and_then(|(_, rest)| rest.split_once('}'))
        .map(|(inner, _)| inner)
        .filter(|inner| !inner.is_empty());
    State::<XMODEM>::calculate(inner.unwrap_or(key).as_bytes()) % SLOTS
}

/// For each slot a number that, as a key, is in it.
static NUMBERS: LazyLock<Vec<u32>> = LazyLock::new(|| {
    let (mut numbers, mut missing) = (vec![None; usize::from(SLOTS)], SLOTS);
    for number in 0_u32.. {
        let place = &mut numbers[usize::from(slot(&number.to_string()))];
        if place.is_none() {
            *place = Some(number);
            missing -= 1;
            if missing == 0 {
                break;
            }
        }
    }
    numbers.into_iter().flatten().collect()
});

/// The key of a slot's counter.
pub(super) fn counter(slot: u16) -> String {
    let number = NUMBERS.get(usize::from(slot)).copied().unwrap_or_default();
    format!("{COUNTER}:{{{number}}}")
}

/// The places of keys in a list, by their slots.
pub(super) fn by_slot(keys: &[String]) -> BTreeMap<u16, Vec<usize>> {
    let mut places = BTreeMap::<u16, Vec<usize>>::new();
    for (place, key) in keys.iter().enumerate() {
        places.entry(slot(key)).or_default().push(place);
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::redis::names::{Kind, key, name};

    #[test]
    fn slots_are_those_of_redis() {
        // From Redis' own `CLUSTER KEYSLOT`.
        for (key, expected) in [
            ("123456789", 12739),
            ("foo", 12182),
            ("{foo}bar", 12182),
            ("x{foo}{bar}", 12182),
            ("{}foo", 9500),
        ] {
            assert_eq!(slot(key), expected, "{key}");
        }
    }

    #[test]
    fn h27_every_slot_has_a_counter_in_it_and_no_name_has_its_key() {
        for number in 0..SLOTS {
            let counter = counter(number);
            assert_eq!((slot(&counter), name(&counter)), (number, None));
        }
    }

    #[test]
    fn h27_the_keys_of_a_request_share_a_slot() {
        let kinds = [Kind::Record, Kind::Claim, Kind::Lock];
        for id in ["shop:create:9f3a", "9f3a", "shop:", "", "a:}{", "ä"] {
            let slots = kinds.map(|kind| slot(&key(kind, id)));
            assert!(slots[0] == slots[1] && slots[1] == slots[2], "{id}");
        }
    }
}
