//! Which copies are answered without a question, until one of the keys that they depend on is changed; pure.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// What is watched, by numbers that never recur, and which of it depends on which key.
#[derive(Debug, Default)]
pub(super) struct Watched {
    by_key: HashMap<Arc<str>, HashSet<u64>>,
    keys: HashMap<u64, Vec<Arc<str>>>,
    last: u64,
}

impl Watched {
    /// From now on a change of one of these keys ends it.
    pub(super) fn watch<'a>(&mut self, keys: impl Iterator<Item = &'a str>) -> u64 {
        self.last += 1;
        let keys = keys.map(|key| self.depend(key)).collect();
        self.keys.insert(self.last, keys);
        self.last
    }

    fn depend(&mut self, key: &str) -> Arc<str> {
        let key = match self.by_key.get_key_value(key) {
            Some((key, _)) => Arc::clone(key),
            None => key.into(),
        };
        let watches = self.by_key.entry(Arc::clone(&key)).or_default();
        watches.insert(self.last);
        key
    }

    /// Whether nothing has ended it.
    pub(super) fn holds(&self, watch: u64) -> bool {
        self.keys.contains_key(&watch)
    }

    pub(super) fn end(&mut self, watch: u64) {
        for key in self.keys.remove(&watch).unwrap_or_default() {
            if let Some(watches) = self.by_key.get_mut(&key) {
                watches.remove(&watch);
                if watches.is_empty() {
                    self.by_key.remove(&key);
                }
            }
        }
    }

    pub(super) fn changed(&mut self, key: &str) {
        for watch in self.by_key.remove(key).unwrap_or_default() {
            self.end(watch);
        }
    }

    pub(super) fn end_all(&mut self) {
        self.by_key.clear();
        self.keys.clear();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_ends_what_depends_on_the_key_and_nothing_else() {
        let mut watched = Watched::default();
        let [a, b, c] =
            [["r1", "t"], ["r2", "t"], ["r3", "u"]].map(|keys| watched.watch(keys.into_iter()));
        watched.changed("r1");
        assert_eq!([a, b, c].map(|one| watched.holds(one)), [false, true, true]);
        watched.changed("t");
        watched.changed("nothing");
        assert_eq!(
            [a, b, c].map(|one| watched.holds(one)),
            [false, false, true]
        );
        watched.end(c);
        assert!(watched.by_key.is_empty() && watched.keys.is_empty());
        let d = watched.watch(["r1"].into_iter());
        assert!(![a, b, c].contains(&d));
        watched.end_all();
        assert!(!watched.holds(d));
    }
}
