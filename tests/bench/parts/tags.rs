//! Whether the tags of a record are what they were.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use idempotent_runtime::store::{
    Claim, ExecutionId, Looked, MemoryStore, Record, Stamp, Store, TagStamp, Version,
};
use idempotent_runtime::{Changed, Reply, RequestId};

use crate::Part;

const LIFE: Duration = Duration::from_secs(3600);

fn execution() -> ExecutionId {
    serde_json::from_str("1").unwrap()
}

fn names(tags: usize) -> Vec<TagStamp> {
    let name = |number| TagStamp {
        tag: Arc::from(format!("bench:accounts:{number}")),
        renew: true,
    };
    (0..tags).map(name).collect()
}

/// A reply of 300 bytes that depends on so many rows.
pub(crate) fn record(tags: usize) -> Record {
    let version = Version { count: 7, nonce: 9 };
    Record {
        execution: execution(),
        fingerprint: None,
        epoch: Some(1),
        tags: names(tags)
            .into_iter()
            .map(|stamp| (stamp.tag, version))
            .collect(),
        reply: Reply::new(200)
            .header("content-type", "application/json")
            .body(&[b'r'; 300][..]),
    }
}

pub(crate) fn one() -> Part {
    check(1)
}

pub(crate) fn ten() -> Part {
    check(10)
}

pub(crate) fn hundred() -> Part {
    check(100)
}

/// A look into memory that finds a record.
fn check(tags: usize) -> Part {
    let store = MemoryStore::new();
    let claim = Claim {
        id: RequestId::new("one"),
        execution: execution(),
        fingerprint: None,
        lease: LIFE,
    };
    let look = |store: &MemoryStore, claim: &Claim| {
        let looked = store.look(claim, Changed::Run).now_or_never();
        looked.unwrap().unwrap()
    };
    assert!(matches!(look(&store, &claim), Looked::Claimed(_)));
    let stamps = names(tags);
    let stamped = store.stamp(&Stamp {
        tags: &stamps,
        create: true,
        life: LIFE,
        nonce: 1,
    });
    let stamped = stamped.unwrap();
    let versions = stamped.versions.iter().map(|(_, after)| after.unwrap());
    let record = Record {
        epoch: Some(stamped.epoch),
        tags: stamps
            .into_iter()
            .map(|stamp| stamp.tag)
            .zip(versions)
            .collect(),
        ..record(0)
    };
    let kept = store.keep(&claim, record, LIFE).now_or_never();
    assert!(kept.unwrap().unwrap());
    Box::new(move || {
        assert!(matches!(black_box(look(&store, &claim)), Looked::Hit(..)));
    })
}
