//! Stamps that the store has not taken yet.
//!
//! A writer outside any execution does not come to depend on the store: what it could not announce is owed, and
//! delivered as soon as the store answers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::meters;
use crate::store::{Stamp, Store, Tag, TagStamp};
use crate::sync::{lock, random};

/// Beyond this many resources the tables are owed.
const MOST_OWED: usize = 10_000;

/// So many are delivered at once: a stamp must not take longer than the store's deadline, or nothing is ever delivered.
const AT_ONCE: usize = 500;

/// How soon a store that was away is asked again.
const AGAIN: Duration = Duration::from_secs(1);

/// Stamps that the store has not taken yet, each with the number of the failure that it was owed by last.
#[derive(Debug, Default)]
pub(crate) struct Owed(Mutex<Debts>);

#[derive(Debug, Default)]
struct Debts {
    tags: HashMap<Tag, u64>,
    failures: u64,
}

impl Owed {
    pub(crate) fn any(&self) -> bool {
        !lock(&self.0).tags.is_empty()
    }

    /// `true` if nothing was owed before, so that someone must begin to deliver.
    pub(crate) fn add(&self, tags: Vec<TagStamp>) -> bool {
        let mut debts = lock(&self.0);
        let (first, before) = (debts.tags.is_empty(), debts.tags.len());
        debts.failures += 1;
        let failure = debts.failures;
        let renewed = tags.into_iter().filter(|stamp| stamp.renew);
        debts.tags.extend(renewed.map(|stamp| (stamp.tag, failure)));
        if debts.tags.len() > MOST_OWED {
            debts.tags = debts
                .tags
                .keys()
                .flat_map(tables)
                .map(|tag| (tag, failure))
                .collect();
        }
        meters::owed(before, debts.tags.len());
        first
    }

    /// The next to be delivered.
    fn some(&self) -> Vec<(Tag, u64)> {
        lock(&self.0)
            .tags
            .iter()
            .take(AT_ONCE)
            .map(|(tag, failure)| (Tag::clone(tag), *failure))
            .collect()
    }

    /// `true` if nothing is owed any more. A tag that was owed once more in the meantime still is.
    fn delivered(&self, tags: &[(Tag, u64)]) -> bool {
        let mut debts = lock(&self.0);
        let before = debts.tags.len();
        for (tag, failure) in tags {
            if debts.tags.get(tag) == Some(failure) {
                debts.tags.remove(tag);
            }
        }
        meters::owed(before, debts.tags.len());
        debts.tags.is_empty()
    }
}

/// The table's tags for a row's.
fn tables(tag: &Tag) -> Vec<Tag> {
    let table = tag.rsplit_once(':').map_or("", |(table, _)| table);
    vec![
        Tag::from(format!("{table}:*")),
        Tag::from(format!("{table}:any")),
    ]
}

/// Tries until nothing is owed.
pub(crate) async fn deliver(store: Arc<dyn Store>, owed: Arc<Owed>) {
    tokio::time::sleep(AGAIN).await;
    loop {
        let tags = owed.some();
        let stamps: Vec<_> = tags
            .iter()
            .map(|(tag, _)| TagStamp {
                tag: Tag::clone(tag),
                renew: true,
            })
            .collect();
        let store = Arc::clone(&store);
        let stamped =
            tokio::task::spawn_blocking(move || store.stamp(&plain(&stamps)).map(|_| ())).await;
        match stamped {
            Ok(Ok(())) if owed.delivered(&tags) => return,
            Ok(Ok(())) => {}
            _ => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// A stamp of a writer that keeps no record.
pub(crate) fn plain(tags: &[TagStamp]) -> Stamp<'_> {
    Stamp {
        tags,
        create: false,
        life: Duration::ZERO,
        nonce: random(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(names: &[&str]) -> Vec<TagStamp> {
        names
            .iter()
            .map(|name| TagStamp {
                tag: Tag::from(*name),
                renew: true,
            })
            .collect()
    }

    #[test]
    fn a_tag_owed_again_while_it_was_delivered_is_still_owed() {
        let owed = Owed::default();
        assert!(owed.add(tags(&["users:1"])));
        let sent = owed.some();
        assert!(!owed.add(tags(&["users:1"])));
        assert!(!owed.delivered(&sent) && owed.any());
        assert!(owed.delivered(&owed.some()) && !owed.any());
    }

    #[test]
    fn beyond_a_bound_the_tables_are_owed() {
        let owed = Owed::default();
        for row in 0..=MOST_OWED {
            owed.add(tags(&[&format!("shop:users:{row}")]));
        }
        let mut names: Vec<_> = owed
            .some()
            .into_iter()
            .map(|(tag, _)| tag.to_string())
            .collect();
        names.sort();
        assert_eq!(names, ["shop:users:*", "shop:users:any"]);
    }

    #[tokio::test]
    async fn all_is_delivered_in_parts() {
        let store = Arc::new(crate::MemoryStore::new());
        let owed = Arc::new(Owed::default());
        for row in 0..2 * AT_ONCE + 1 {
            owed.add(tags(&[&format!("shop:users:{row}")]));
        }
        assert_eq!(owed.some().len(), AT_ONCE);
        deliver(store, Arc::clone(&owed)).await;
        assert!(!owed.any());
    }
}
