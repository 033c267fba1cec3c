//! The suite that every [`Store`] must pass.
//!
//! It needs the feature `store-suite`, and a Tokio runtime with its timer enabled.
//!
//! ```
//! use idempotent_runtime::store::{MemoryStore, suite};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! suite::check(async || MemoryStore::new()).await;
//! # });
//! ```

#![allow(clippy::expect_used, reason = "a suite tells of failures by panicking")]

use std::fmt::Debug;
use std::future::Future;
use std::hash::{BuildHasher, RandomState};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::{
    Claim, ExecutionId, Looked, Miss, Record, Stamp, Stamped, Store, Tag, TagStamp, Version,
};
use crate::key::{Fingerprint, RequestId};
use crate::reply::Reply;
use crate::spec::Changed;

mod claims;
mod locks;
mod names;
mod records;
mod tags;

/// A lease or life that is left to run out.
const SHORT: Duration = Duration::from_millis(150);

/// One that is not.
const LONG: Duration = Duration::from_secs(60);

/// What is woken by an event is awake by then.
const SOON: Duration = Duration::from_millis(900);

/// Checks a store against the contract, case by case.
///
/// `make` is called once per case. It may give stores that share what they hold: every case keeps to names that
/// begin with a random prefix of its own.
///
/// # Panics
///
/// If the store breaks the contract, with a message that says what was promised and what was seen; or if a call
/// fails.
pub async fn check<S: Store>(make: impl AsyncFn() -> S) {
    let cases = [
        records::cases(),
        tags::cases(),
        claims::cases(),
        locks::cases(),
        names::cases(),
    ];
    for case in cases.into_iter().flatten() {
        case(Bench::new(make().await)).await;
    }
}

/// A case, without its type of future.
type Case<S> = Box<dyn Fn(Bench<S>) -> Pin<Box<dyn Future<Output = ()>>>>;

/// Makes a list of cases of the names of async functions.
macro_rules! cases {
    ($($case:ident),+ $(,)?) => {
        pub(super) fn cases<S: crate::store::Store>() -> Vec<super::Case<S>> {
            vec![$(Box::new(|bench| Box::pin($case(bench)))),+]
        }
    };
}
use cases;

/// A store and a corner of it that no other case touches.
struct Bench<S> {
    store: Arc<S>,
    prefix: String,
}

impl<S: Store> Bench<S> {
    fn new(store: S) -> Self {
        Self {
            store: Arc::new(store),
            prefix: format!("suite-{:016x}:", random()),
        }
    }

    fn id(&self, name: &str) -> RequestId {
        RequestId::from_text(&format!("{}{name}", self.prefix))
    }

    fn tag(&self, name: &str) -> Tag {
        format!("{}{name}", self.prefix).into()
    }

    /// A claim or a lock of an execution of its own, with a long lease.
    fn claim(&self, name: &str) -> Claim {
        Claim {
            id: self.id(name),
            execution: execution(),
            fingerprint: None,
            lease: LONG,
        }
    }

    async fn look(&self, claim: &Claim) -> Looked {
        self.store.look(claim, Changed::Run).await.expect("look")
    }

    async fn look_reject(&self, claim: &Claim) -> Looked {
        self.store.look(claim, Changed::Reject).await.expect("look")
    }

    async fn keep(&self, claim: &Claim, record: Record, life: Duration) -> bool {
        self.store.keep(claim, record, life).await.expect("keep")
    }

    async fn release(&self, claim: &Claim) {
        self.store.release(claim).await.expect("release");
    }

    async fn renew(&self, claim: &Claim) -> bool {
        self.store.renew(claim).await.expect("renew")
    }

    async fn ended(&self, claim: &Claim, wait: Duration) -> bool {
        self.store
            .ended(&claim.id, claim.execution, wait)
            .await
            .expect("ended")
    }

    async fn lock(&self, lock: &Claim, wait: Duration) -> bool {
        self.store.lock(lock, wait).await.expect("lock")
    }

    async fn unlock(&self, lock: &Claim) -> bool {
        self.store.unlock(lock).await.expect("unlock")
    }

    async fn renew_lock(&self, lock: &Claim) -> bool {
        self.store.renew_lock(lock).await.expect("renew_lock")
    }

    fn stamp(&self, stamp: &Stamp<'_>) -> Stamped {
        self.store.stamp(stamp).expect("stamp")
    }

    /// Gives tags new versions, creating them, for a long life.
    fn renew_tags(&self, tags: &[&Tag]) -> Vec<(Tag, Version)> {
        let stamps: Vec<_> = tags.iter().map(|tag| renewal(tag)).collect();
        let stamped = self.stamp(&Stamp {
            tags: &stamps,
            create: true,
            life: LONG,
            nonce: random(),
        });
        let versions = stamped
            .versions
            .iter()
            .map(|(_, after)| after.expect("a created tag has a version"));
        tags.iter()
            .map(|tag| (*tag).clone())
            .zip(versions)
            .collect()
    }

    /// The present version of a tag, created or not.
    fn version(&self, tag: &Tag) -> Option<Version> {
        let tags = [TagStamp {
            tag: tag.clone(),
            renew: false,
        }];
        self.stamp(&Stamp {
            tags: &tags,
            create: false,
            life: Duration::ZERO,
            nonce: random(),
        })
        .versions[0]
            .1
    }

    fn epoch(&self) -> u64 {
        self.stamp(&Stamp {
            tags: &[],
            create: true,
            life: LONG,
            nonce: random(),
        })
        .epoch
    }

    /// A record of this execution that depends on these tags.
    fn record(&self, claim: &Claim, tags: Vec<(Tag, Version)>) -> Record {
        let reply = Reply::new(201)
            .header("X-Case", claim.execution.to_string())
            .body(claim.id.as_str().to_owned());
        let epoch = (!tags.is_empty()).then(|| self.epoch());
        Record {
            execution: claim.execution,
            fingerprint: claim.fingerprint,
            epoch,
            tags,
            reply,
        }
    }

    /// Looks, and keeps a record of these tags.
    async fn run(&self, name: &str, tags: Vec<(Tag, Version)>, life: Duration) -> Claim {
        let claim = self.claim(name);
        claimed(
            &self.look(&claim).await,
            "a look that finds nothing sets the claim",
        );
        let record = self.record(&claim, tags);
        promise(
            self.keep(&claim, record, life).await,
            true,
            "who has the claim may keep",
        );
        claim
    }
}

/// Compares what was seen with what the contract promises.
#[track_caller]
fn promise<T: PartialEq + Debug>(seen: T, promised: T, sentence: &str) {
    assert!(
        seen == promised,
        "the contract promises: {sentence}. Promised {promised:?}, seen {seen:?}"
    );
}

#[track_caller]
fn claimed(looked: &Looked, sentence: &str) -> Miss {
    match looked {
        Looked::Claimed(miss) => miss.clone(),
        other => panic!("the contract promises: {sentence}. Promised a claim, seen {other:?}"),
    }
}

#[track_caller]
fn hit(looked: Looked, sentence: &str) -> (Arc<Record>, Duration) {
    match looked {
        Looked::Hit(record, left) => (record, left),
        other => panic!("the contract promises: {sentence}. Promised a hit, seen {other:?}"),
    }
}

#[track_caller]
fn busy(looked: &Looked, rival: &Claim, sentence: &str) {
    match looked {
        Looked::Busy {
            execution,
            fingerprint,
        } => {
            promise(
                (*execution, *fingerprint),
                (rival.execution, rival.fingerprint),
                sentence,
            );
        }
        other => panic!("the contract promises: {sentence}. Promised to be busy, seen {other:?}"),
    }
}

/// Whether this was done well before its deadline.
#[track_caller]
fn soon(since: Instant, sentence: &str) {
    let took = since.elapsed();
    assert!(
        took < SOON,
        "the contract promises: {sentence}. Promised at once, seen after {took:?}"
    );
}

fn short(claim: Claim) -> Claim {
    Claim {
        lease: SHORT,
        ..claim
    }
}

fn renewal(tag: &Tag) -> TagStamp {
    TagStamp {
        tag: tag.clone(),
        renew: true,
    }
}

/// Waits until what was given [`SHORT`] has run out.
async fn run_out() {
    tokio::time::sleep(SHORT + SHORT / 2).await;
}

fn execution() -> ExecutionId {
    ExecutionId(u128::from(random()) << 64 | u128::from(random()))
}

fn fingerprint(byte: u8) -> Fingerprint {
    let bytes = rmp_serde::to_vec(&[byte; 32]).expect("bytes are msgpack");
    rmp_serde::from_slice(&bytes).expect("a fingerprint is 32 bytes")
}

/// Never the same twice in a process, and hardly ever in two.
fn random() -> u64 {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    RandomState::new().hash_one(COUNT.fetch_add(1, Ordering::Relaxed))
}
