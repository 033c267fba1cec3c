//! How much memory things take in the server, for the operator's page.
//!
//! `cargo nextest run -p idempotent-runtime --all-features --no-capture -E 'test(sizes)'` prints it.

use super::*;

on_both![records_and_tags_take_the_memory_that_is_documented];

const ID: &str =
    "shop:shop::orders::create:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

async fn keep(store: &RedisStore, body: usize, rows: usize) {
    let claim = claim(ID);
    store.look(&claim, Changed::Run).await.unwrap();
    let mut names: Vec<_> = (0..rows)
        .map(|n| format!("shop:orders:{}", n + 1))
        .collect();
    if rows > 0 {
        names.push("shop:orders:*".into());
    }
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let stamped = stamp(store, &names, LONG, 1);
    let versions = stamped.versions.iter().map(|(_, now)| now.unwrap());
    let record = Record {
        execution: claim.execution,
        fingerprint: None,
        epoch: (rows > 0).then_some(stamped.epoch),
        tags: names
            .iter()
            .map(|name| Tag::from(*name))
            .zip(versions)
            .collect(),
        reply: Reply::new(201)
            .header("content-type", "application/json")
            .body(vec![b'x'; body]),
    };
    assert!(store.keep(&claim, record, LONG).await.unwrap());
}

fn size(redis: &Redis, key: &str) -> usize {
    send(redis, &format!("MEMORY USAGE {key}"))
}

async fn records_and_tags_take_the_memory_that_is_documented(flavor: Flavor) {
    let redis = flavor.start();
    let store = connect(&redis).await;
    let record = key_of_record();
    for (body, rows, most) in [
        (0, 0, 450),
        (300, 0, 900),
        (300, 1, 900),
        (300, 10, 1_300),
        (300, 100, 6_400),
    ] {
        keep(&store, body, rows).await;
        let bytes = size(&redis, &record);
        println!("{flavor:?}: a record with a body of {body} bytes and {rows} rows: {bytes} bytes");
        assert!(bytes <= most, "{bytes}");
        assert!(store.forget(&RequestId::from_text(ID)).await.unwrap());
    }
    let tag = size(&redis, "idempotent:shop:tag:orders:1");
    println!("{flavor:?}: a tag: {tag} bytes");
    assert!(tag <= 144, "{tag}");
    let lock = Claim {
        id: RequestId::from_text(ID),
        ..claim("")
    };
    assert!(store.lock(&lock, LONG).await.unwrap());
    let lock = size(&redis, &record.replace(":record", ":lock"));
    println!("{flavor:?}: a lock: {lock} bytes");
    assert!(lock <= 264, "{lock}");
}

fn key_of_record() -> String {
    names::key(Kind::Record, ID)
}
