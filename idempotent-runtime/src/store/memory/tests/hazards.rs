//! The hazards that a store alone can show, by their numbers.

use tokio::time::timeout;

use super::*;

/// A version of a tag that the store has never heard of.
fn made_up(name: &str) -> Vec<(Tag, Version)> {
    vec![(name.into(), Version { count: 1, nonce: 0 })]
}

#[tokio::test]
async fn h07_a_record_whose_tag_is_missing_is_a_miss_and_no_error() {
    let store = MemoryStore::new();
    run(&store, "a", made_up("t"), 10, LONG).await;
    let looked = store.look(&claim("a"), Changed::Run).await.unwrap();
    assert!(matches!(looked, Looked::Claimed(Miss::Changed(tag)) if *tag == *"t"));
}

#[tokio::test]
async fn h13_a_reader_that_comes_late_does_not_remove_what_was_just_kept() {
    let store = MemoryStore::new();
    run(&store, "a", made_up("t"), 10, LONG).await;
    // The first reader finds it void, and keeps a new one; the second saw nothing of that.
    run(&store, "a", Vec::new(), 10, LONG).await;
    assert!(is_kept(&store, "a").await && is_kept(&store, "a").await);
}

#[tokio::test]
async fn h22_a_stamp_that_is_repeated_late_does_not_bring_a_version_back() {
    let store = MemoryStore::new();
    let first = stamp(&store, &["t"], LONG);
    run(&store, "a", first.clone(), 10, LONG).await;
    stamp(&store, &["t"], LONG);
    assert!(!is_kept(&store, "a").await);
    assert_ne!(stamp(&store, &["t"], LONG), first, "the nonce is the same");
}

#[tokio::test]
async fn h23_no_version_recurs_after_all_tags_were_lost() {
    let store = MemoryStore::new();
    let first = stamp(&store, &["t"], LONG);
    store.clear("").await.unwrap();
    assert_ne!(stamp(&store, &["t"], LONG), first, "the nonce is the same");
}

#[tokio::test]
async fn h29_who_asks_again_for_the_lock_it_has_does_not_wait_for_itself() {
    let store = MemoryStore::new();
    let holder = claim("a");
    assert!(store.lock(&holder, LONG).await.unwrap());
    assert!(poll_once(&mut store.lock(&holder, LONG)));
}

#[tokio::test]
async fn h31_who_waits_is_woken_by_the_event() {
    let store = MemoryStore::new();
    let (owner, waiter) = (claim("a"), claim("a"));
    store.look(&owner, Changed::Run).await.unwrap();
    assert!(store.lock(&owner, LONG).await.unwrap());
    let mut ended = store.ended(&owner.id, owner.execution, LONG);
    let mut locked = store.lock(&waiter, LONG);
    assert!(!poll_once(&mut ended) && !poll_once(&mut locked));
    store.release(&owner).await.unwrap();
    assert!(store.unlock(&owner).await.unwrap());
    let soon = LONG / 10;
    assert!(timeout(soon, ended).await.unwrap().unwrap());
    assert!(timeout(soon, locked).await.unwrap().unwrap());
}
