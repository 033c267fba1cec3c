//! Whatever is done in whatever order: no hit is stale, and the bound holds.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Run {
        name: u8,
        tags: Vec<u8>,
        bytes: usize,
    },
    Stamp {
        tags: Vec<u8>,
        create: bool,
    },
    Look(u8),
    Forget(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let tags = || proptest::collection::vec(0..12_u8, 0..4);
    let step = prop_oneof![
        (0..12_u8, tags(), 0..3_000_usize).prop_map(|(name, tags, bytes)| Step::Run {
            name,
            tags,
            bytes
        }),
        (tags(), any::<bool>()).prop_map(|(tags, create)| Step::Stamp { tags, create }),
        (0..12_u8).prop_map(Step::Look),
        (0..12_u8).prop_map(Step::Forget),
    ];
    proptest::collection::vec(step, 1..200)
}

/// The versions that tags have by all that was told to the store, with no bound and no end of life.
#[derive(Default)]
struct Model(HashMap<Tag, Version>);

impl Model {
    fn stamp(&mut self, store: &MemoryStore, tags: &[u8], create: bool) -> Vec<(Tag, Version)> {
        let tags: Vec<_> = tags
            .iter()
            .map(|tag| TagStamp {
                tag: tag.to_string().into(),
                renew: true,
            })
            .collect();
        let stamped = store
            .stamp(&Stamp {
                tags: &tags,
                create,
                life: LONG,
                nonce: 0,
            })
            .unwrap();
        let versions = stamped.versions.iter().map(|(_, after)| *after);
        let stamped: Vec<_> = tags
            .into_iter()
            .map(|stamp| stamp.tag)
            .zip(versions)
            .collect();
        for (tag, version) in &stamped {
            match version {
                Some(version) => self.0.insert(tag.clone(), *version),
                None => self.0.remove(tag),
            };
        }
        stamped
            .into_iter()
            .filter_map(|(tag, version)| Some((tag, version?)))
            .collect()
    }

    fn allows(&self, record: &Record) -> bool {
        record
            .tags
            .iter()
            .all(|(tag, version)| self.0.get(tag) == Some(version))
    }
}

async fn walk(store: &MemoryStore, capacity: usize, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Stamp { tags, create } => drop(model.stamp(store, &tags, create)),
            Step::Forget(name) => {
                drop(store.forget(&RequestId::from_text(&name.to_string())).await)
            }
            Step::Look(name) => {
                let claim = claim(&name.to_string());
                if let Looked::Hit(record, _) = store.look(&claim, Changed::Run).await.unwrap() {
                    prop_assert!(model.allows(&record), "a stale hit");
                }
                store.release(&claim).await.unwrap();
            }
            Step::Run { name, tags, bytes } => {
                let claim = claim(&name.to_string());
                if matches!(
                    store.look(&claim, Changed::Run).await.unwrap(),
                    Looked::Claimed(_)
                ) {
                    let tags = model.stamp(store, &tags, true);
                    // One that is larger than the store is refused.
                    store
                        .keep(&claim, record(&claim, tags, bytes), LONG)
                        .await
                        .unwrap();
                }
            }
        }
        prop_assert!(bytes(store) <= capacity, "{} bytes", bytes(store));
    }
    store.clear("").await.unwrap();
    prop_assert_eq!(census(store), [0; 9]);
    prop_assert_eq!(bytes(store), 0);
    Ok(())
}

proptest! {
    #[test]
    fn no_hit_is_stale_and_the_bound_holds(capacity in 0..12_000_usize, steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(walk(&MemoryStore::with_capacity(capacity), capacity, steps))?;
    }
}
