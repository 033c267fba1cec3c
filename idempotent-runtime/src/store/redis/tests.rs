#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use deadpool_redis::redis::{Client, Commands, Connection, FromRedisValue};
use support::{Flavor, Redis, eventually_async};
use tokio::time::timeout;

use super::*;
use crate::reply::Reply;
use crate::store::{Miss, Tag, TagStamp, Version, suite};

/// Each case on Redis and on Valkey.
macro_rules! on_both {
    ($($case:ident),+ $(,)?) => {
        mod redis {
            $(#[tokio::test] async fn $case() { super::$case(support::Flavor::Redis).await; })+
        }
        mod valkey {
            $(#[tokio::test] async fn $case() { super::$case(support::Flavor::Valkey).await; })+
        }
    };
}

mod away;
mod cluster;
mod lines;
mod local;
mod lost;
mod sentinel;
mod sizes;
mod soak;
mod together;
mod tracking;
mod turns;
mod values;
mod ways;

const LONG: Duration = Duration::from_secs(60);

/// What is done at once is done by then, even on a loaded machine.
const SOON: Duration = Duration::from_millis(250);

on_both![it_keeps_the_contract];

async fn it_keeps_the_contract(flavor: Flavor) {
    let redis = flavor.start();
    suite::check(async || connect(&redis).await).await;
}

async fn connect(redis: &Redis) -> RedisStore {
    RedisStore::connect(redis.url()).await.unwrap()
}

/// A connection for what a store would never do.
fn raw(redis: &Redis) -> Connection {
    Client::open(redis.url()).unwrap().get_connection().unwrap()
}

/// Sends a command of words.
fn send<T: FromRedisValue>(redis: &Redis, command: &str) -> T {
    let mut words = command.split(' ');
    let mut ask = deadpool_redis::redis::cmd(words.next().unwrap());
    words.for_each(|word| {
        ask.arg(word);
    });
    ask.query(&mut raw(redis)).unwrap()
}

fn claim(name: &str) -> Claim {
    static EXECUTIONS: AtomicU64 = AtomicU64::new(1);
    let execution = ExecutionId(EXECUTIONS.fetch_add(1, Ordering::Relaxed).into());
    Claim {
        id: RequestId::from_text(name),
        execution,
        fingerprint: None,
        lease: LONG,
    }
}

fn stamp(store: &RedisStore, names: &[&str], life: Duration, nonce: u64) -> Stamped {
    let tags: Vec<_> = names
        .iter()
        .map(|name| TagStamp {
            tag: (*name).into(),
            renew: true,
        })
        .collect();
    let stamp = Stamp {
        tags: &tags,
        create: true,
        life,
        nonce,
    };
    store.stamp(&stamp).unwrap()
}

/// Claims, stamps these tags, and keeps; gives the versions.
async fn run(store: &RedisStore, name: &str, names: &[&str]) -> Vec<(Tag, Version)> {
    let claim = claim(name);
    let looked = store.look(&claim, Changed::Run).await.unwrap();
    assert!(matches!(looked, Looked::Claimed(_)), "{looked:?}");
    let stamped = stamp(store, names, LONG, crate::sync::random());
    let versions = stamped.versions.iter().map(|(_, now)| now.unwrap());
    let tags: Vec<_> = names
        .iter()
        .map(|name| Tag::from(*name))
        .zip(versions)
        .collect();
    let record = Record {
        execution: claim.execution,
        fingerprint: None,
        epoch: (!tags.is_empty()).then_some(stamped.epoch),
        tags: tags.clone(),
        reply: Reply::new(200).body(name.to_owned()),
    };
    assert!(store.keep(&claim, record, LONG).await.unwrap());
    tags
}

/// Looks, and leaves no claim behind.
async fn look(store: &RedisStore, name: &str) -> Looked {
    let claim = claim(name);
    let looked = store.look(&claim, Changed::Run).await.unwrap();
    store.release(&claim).await.unwrap();
    looked
}

async fn is_hit(store: &RedisStore, name: &str) -> bool {
    matches!(look(store, name).await, Looked::Hit(..))
}

async fn miss(store: &RedisStore, name: &str) -> Miss {
    match look(store, name).await {
        Looked::Claimed(miss) => miss,
        looked => panic!("{looked:?}"),
    }
}

/// Waits until the store answers.
async fn comes_back(store: &RedisStore) {
    eventually_async("the store answers", async || {
        store.renew(&claim("nothing")).await.is_ok()
    })
    .await;
}

/// Polls once what is not ready, so that its request is on its way.
async fn begin<T>(future: &mut (impl Future<Output = T> + Unpin)) {
    assert!(timeout(Duration::from_millis(30), future).await.is_err());
}
