//! What is in the server, ours or not.

use super::*;
use crate::store::redis::value::MAX_VALUE;

on_both![
    an_evicted_tag_is_a_miss,
    h45_what_is_no_record_is_a_miss_and_removed,
    h45_what_is_no_claim_no_lock_no_tag_and_no_counter_is_as_none,
    h22_a_late_duplicate_stamp_is_a_version_of_its_own,
    h23_a_counter_that_begins_anew_revives_nothing,
    h7_the_life_of_a_tag_only_grows,
    h47_too_large_a_record_is_not_kept_and_its_claim_ends,
    a_hit_that_was_seen_needs_no_script,
    h13_a_record_that_took_the_place_of_a_void_one_stays,
    nothing_is_there_without_an_end,
];

const RECORD: &str = "idempotent:shop:{a}:record";

async fn an_evicted_tag_is_a_miss(flavor: Flavor) {
    let redis = flavor.start();
    let (warm, cold) = (connect(&redis).await, connect(&redis).await);
    for store in [&warm, &cold] {
        run(&warm, "shop:a", &["shop:t:1", "shop:t:*"]).await;
        assert!(is_hit(&warm, "shop:a").await);
        let _: i64 = send(&redis, "DEL idempotent:shop:tag:t:*");
        assert_eq!(
            miss(store, "shop:a").await,
            Miss::Changed("shop:t:*".into())
        );
    }
}

/// Puts something under a key.
type Put = fn(&mut Connection, &str);

/// Makes of a record what is none.
type Spoil = Box<dyn Fn(&[u8]) -> Vec<u8>>;

fn spoils() -> Vec<Spoil> {
    let fixed = [b"?".to_vec(), vec![0; 40], vec![b'x'; MAX_VALUE + 1]];
    // Another layout; more tags than there are; another execution; a key that is no tag's, one that is no text.
    let damages: [(usize, u8); 6] = [
        (3, 2),
        (29, 255),
        (32, 200),
        (19, 99),
        (37, b'x'),
        (40, 255),
    ];
    let mut spoils: Vec<Spoil> = Vec::new();
    for value in fixed {
        spoils.push(Box::new(move |_| value.clone()));
    }
    for (place, byte) in damages {
        spoils.push(Box::new(move |good| {
            let mut value = good.to_vec();
            value[place] = byte;
            value
        }));
    }
    spoils.push(Box::new(|good| [good, b"?"].concat()));
    for cut in [1, 5, 30, 60, 90] {
        spoils.push(Box::new(move |good| good[..good.len() - cut].to_vec()));
    }
    spoils
}

async fn h45_what_is_no_record_is_a_miss_and_removed(flavor: Flavor) {
    let redis = flavor.start();
    let (warm, cold) = (connect(&redis).await, connect(&redis).await);
    for (number, spoil) in spoils().iter().enumerate() {
        for store in [&warm, &cold] {
            run(&warm, "shop:a", &["shop:t:1"]).await;
            // Seen by `warm`, so that its next look does not begin with the script.
            assert!(is_hit(&warm, "shop:a").await);
            let good: Vec<u8> = raw(&redis).get(RECORD).unwrap();
            let _: () = raw(&redis).pset_ex(RECORD, spoil(&good), 60_000).unwrap();
            let why = miss(store, "shop:a").await;
            assert_eq!(why, Miss::Unreadable, "spoil {number}");
            assert_eq!(raw(&redis).exists(RECORD), Ok(false));
        }
    }
    let others: [Put; 3] = [
        |raw, key| raw.rpush(key, "x").unwrap(),
        |raw, key| raw.hset(key, "x", "y").unwrap(),
        |raw, key| raw.set(key, "without an end").unwrap(),
    ];
    for put in others {
        for store in [&warm, &cold] {
            run(&warm, "shop:a", &["shop:t:1"]).await;
            assert!(is_hit(&warm, "shop:a").await);
            let _: i64 = raw(&redis).del(RECORD).unwrap();
            put(&mut raw(&redis), RECORD);
            assert_eq!(miss(store, "shop:a").await, Miss::Unreadable);
            assert_eq!(raw(&redis).exists(RECORD), Ok(false));
        }
    }
}

async fn h45_what_is_no_claim_no_lock_no_tag_and_no_counter_is_as_none(flavor: Flavor) {
    let redis = flavor.start();
    let store = connect(&redis).await;
    let keys = [
        "idempotent:shop:{a}:claim",
        "idempotent:shop:{a}:lock",
        "idempotent:shop:tag:t:1",
        "idempotent:version",
    ];
    let puts: [Put; 3] = [
        |raw, key| raw.rpush(key, "x").unwrap(),
        |raw, key| raw.set(key, "x").unwrap(),
        // As long as one of ours, but without an end.
        |raw, key| raw.set(key, "0123456789abcdef01234567").unwrap(),
    ];
    for put in puts {
        for key in keys {
            let _: i64 = raw(&redis).del(key).unwrap();
            put(&mut raw(&redis), key);
        }
        let thief = claim("shop:a");
        assert!(store.ended(&thief.id, thief.execution, LONG).await.unwrap());
        assert!(!store.renew(&thief).await.unwrap() && !store.unlock(&thief).await.unwrap());
        assert!(store.lock(&thief, Duration::ZERO).await.unwrap());
        assert!(store.unlock(&thief).await.unwrap());
        run(&store, "shop:a", &["shop:t:1"]).await;
        assert!(is_hit(&store, "shop:a").await);
        assert!(store.forget(&thief.id).await.unwrap());
    }
}

async fn h22_a_late_duplicate_stamp_is_a_version_of_its_own(flavor: Flavor) {
    let redis = flavor.start();
    let store = connect(&redis).await;
    let first = stamp(&store, &["t"], LONG, 7).versions[0].1.unwrap();
    let second = stamp(&store, &["t"], LONG, 8).versions[0].1.unwrap();
    let late = stamp(&store, &["t"], LONG, 7).versions[0];
    assert_eq!(late.0, Some(second));
    assert_ne!(late.1, Some(first));
}

async fn h23_a_counter_that_begins_anew_revives_nothing(flavor: Flavor) {
    let redis = flavor.start();
    let store = connect(&redis).await;
    let first = run(&store, "a", &["t"]).await[0].1;
    let _: i64 = send(&redis, "DEL idempotent:version");
    let again = stamp(&store, &["t"], LONG, first.nonce.wrapping_add(1)).versions[0]
        .1
        .unwrap();
    assert_eq!(again.count, first.count);
    assert_eq!(miss(&store, "a").await, Miss::Changed("t".into()));
}

async fn h7_the_life_of_a_tag_only_grows(flavor: Flavor) {
    let redis = flavor.start();
    let store = connect(&redis).await;
    let life = || send::<i64>(&redis, "PTTL idempotent:tag:t");
    stamp(&store, &["t"], LONG, 1);
    assert!(life() > 50_000);
    stamp(&store, &["t"], Duration::from_secs(1), 2);
    stamp(&store, &["t"], Duration::ZERO, 3);
    assert!(life() > 50_000);
    stamp(&store, &["t"], 10 * LONG, 4);
    assert!(life() > 500_000);
    // A record that lives shorter leaves it its life; one that lives longer extends it.
    run(&store, "a", &["t"]).await;
    assert!(life() > 500_000);
    let holder = claim("b");
    store.look(&holder, Changed::Run).await.unwrap();
    let stamped = stamp(&store, &["t"], LONG, 5);
    let record = Record {
        execution: holder.execution,
        fingerprint: None,
        epoch: Some(stamped.epoch),
        tags: vec![("t".into(), stamped.versions[0].1.unwrap())],
        reply: Reply::new(200),
    };
    assert!(store.keep(&holder, record, 100 * LONG).await.unwrap());
    assert!(life() >= send::<i64>(&redis, "PTTL idempotent:{b}:record"));
    assert!(is_hit(&store, "b").await);
}

async fn h47_too_large_a_record_is_not_kept_and_its_claim_ends(flavor: Flavor) {
    let redis = flavor.start();
    let store = connect(&redis).await;
    let holder = claim("a");
    store.look(&holder, Changed::Run).await.unwrap();
    let record = Record {
        execution: holder.execution,
        fingerprint: None,
        epoch: None,
        tags: Vec::new(),
        reply: Reply::new(200).body(vec![0; MAX_VALUE]),
    };
    assert!(!store.keep(&holder, record, LONG).await.unwrap());
    assert_eq!(miss(&store, "a").await, Miss::Absent);
}

async fn a_hit_that_was_seen_needs_no_script(flavor: Flavor) {
    let redis = flavor.start();
    let (keeper, other) = (connect(&redis).await, connect(&redis).await);
    let names: Vec<_> = (0..10).map(|row| format!("shop:t:{row}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    run(&keeper, "shop:a", &names).await;
    for store in [&keeper, &other] {
        assert!(is_hit(store, "shop:a").await);
    }
    let _: () = send(&redis, "CONFIG RESETSTAT");
    for store in [&keeper, &other] {
        let looked = store.look(&claim("shop:a"), Changed::Run).await.unwrap();
        let Looked::Hit(record, left) = looked else {
            panic!("{looked:?}")
        };
        assert_eq!(
            (record.tags.len(), record.reply.bytes()),
            (10, &b"shop:a"[..])
        );
        assert!(left > LONG / 2 && left <= LONG);
    }
    let calls: String = send(&redis, "INFO commandstats");
    assert!(
        calls.contains("cmdstat_mget:calls=2,") && !calls.contains("evalsha"),
        "{calls}"
    );
}

async fn h13_a_record_that_took_the_place_of_a_void_one_stays(flavor: Flavor) {
    let redis = flavor.start();
    let (warm, other) = (connect(&redis).await, connect(&redis).await);
    run(&warm, "a", &["t"]).await;
    assert!(is_hit(&warm, "a").await);
    stamp(&other, &["t"], LONG, 1);
    assert!(matches!(miss(&other, "a").await, Miss::Changed(_)));
    // With other tags than `warm` has seen, and one of them the same.
    run(&other, "a", &["t", "u"]).await;
    assert!(is_hit(&warm, "a").await && is_hit(&other, "a").await);
}

async fn nothing_is_there_without_an_end(flavor: Flavor) {
    let redis = flavor.start();
    let store = connect(&redis).await;
    run(&store, "shop:a", &["shop:t:1"]).await;
    let (holder, lock) = (claim("shop:b"), claim("shop:b"));
    store.look(&holder, Changed::Run).await.unwrap();
    assert!(store.lock(&lock, LONG).await.unwrap());
    let keys: Vec<String> = send(&redis, "KEYS *");
    assert_eq!(keys.len(), 5);
    for key in keys.iter().filter(|key| *key != "idempotent:version") {
        assert!(send::<i64>(&redis, &format!("PTTL {key}")) > 0, "{key}");
    }
}
