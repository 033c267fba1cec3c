//! Many live records in one store: what each takes, and how long one of them takes to be found.
//!
//! `candidate fill-memory RECORDS TAGS`, `candidate fill-redis RECORDS TAGS`: tags of each record, none shared.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt, TryStreamExt};
use idempotent_runtime::store::{
    Claim, ExecutionId, Looked, MemoryStore, Record, Stamp, Store, StoreError, Tag, TagStamp,
    Version,
};
use idempotent_runtime::{Changed, Reply, RequestId};

use crate::Result;
use crate::replay::redis;

const LIFE: Duration = Duration::from_secs(3600);

/// How many calls are under way at once.
const AT_ONCE: usize = 64;

/// How many records are looked for.
const LOOKS: usize = 20_000;

/// The size of the bench's usual reply.
const BODY: [u8; 300] = [b'r'; 300];

#[derive(Clone, Copy)]
struct Amount {
    records: usize,
    tags: usize,
}

fn amount() -> Result<Amount> {
    let number =
        |at| -> Result<usize> { Ok(std::env::args().nth(at).ok_or("RECORDS TAGS")?.parse()?) };
    Ok(Amount {
        records: number(2)?,
        tags: number(3)?,
    })
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn memory() -> Result<()> {
    measure(&MemoryStore::with_capacity(8 << 30), amount()?).await
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn with_redis() -> Result<()> {
    measure(&redis(None).await?, amount()?).await
}

/// Tells the memory of this process before and after, and the time of a look.
async fn measure(store: &impl Store, amount: Amount) -> Result<()> {
    let before = resident()?;
    stream::iter(0..amount.records)
        .map(|number| keep(store, number, amount.tags))
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    let grown = resident()?.saturating_sub(before);
    let begun = Instant::now();
    // A stride that meets all of them, far from each other.
    stream::iter(0..LOOKS)
        .map(|look| find(store, look * 7_919 % amount.records))
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<()>>()
        .await?;
    let look = begun.elapsed().as_nanos() / LOOKS as u128;
    println!("filled {grown} {look}");
    Ok(())
}

async fn keep(store: &impl Store, number: usize, tags: usize) -> Result<()> {
    let claim = claim(number)?;
    let Looked::Claimed(_) = store.look(&claim, Changed::Run).await? else {
        return Err("a record before it was kept".into());
    };
    let (epoch, tags) = match tags {
        0 => (None, Vec::new()),
        _ => stamp(store, number, tags)?,
    };
    let reply = Reply::new(200)
        .header("content-type", "application/json")
        .body(&BODY[..]);
    let record = Record {
        execution: claim.execution,
        fingerprint: None,
        epoch,
        tags,
        reply,
    };
    match store.keep(&claim, record, LIFE).await? {
        true => Ok(()),
        false => Err("a record was not kept".into()),
    }
}

type Stamped = (Option<u64>, Vec<(Tag, Version)>);

fn stamp(
    store: &impl Store,
    number: usize,
    tags: usize,
) -> std::result::Result<Stamped, StoreError> {
    let names = (0..tags).map(|tag| Arc::from(format!("bench:accounts:{}", number * tags + tag)));
    let tags: Vec<_> = names.map(|tag| TagStamp { tag, renew: true }).collect();
    let stamped = store.stamp(&Stamp {
        tags: &tags,
        create: true,
        life: LIFE,
        nonce: number as u64,
    })?;
    let versions = stamped.versions.iter().filter_map(|(_, after)| *after);
    let tags = tags.iter().map(|stamp| Arc::clone(&stamp.tag));
    Ok((Some(stamped.epoch), tags.zip(versions).collect()))
}

async fn find(store: &impl Store, number: usize) -> Result<()> {
    match store.look(&claim(number)?, Changed::Run).await? {
        Looked::Hit(..) => Ok(()),
        other => Err(format!("record {number} is not there: {other:?}").into()),
    }
}

fn claim(number: usize) -> Result<Claim> {
    // Ids have the application's name in front, and a digest behind.
    let execution: ExecutionId = serde_json::from_str(&(number + 1).to_string())?;
    Ok(Claim {
        id: RequestId::new(format!("record {number}")),
        execution,
        fingerprint: None,
        lease: Duration::from_secs(60),
    })
}

/// In bytes.
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    Ok(number.ok_or("no VmRSS")?.parse::<u64>()? * 1024)
}
