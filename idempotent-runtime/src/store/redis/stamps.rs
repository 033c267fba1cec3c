//! Stamps.

use std::time::{Duration, UNIX_EPOCH};

use deadpool_redis::redis::{RedisResult, Value};

use super::convert::{as_bytes, millis};
use super::line::Link;
use super::names::{COUNTER, tag_key};
use super::scripts::STAMP;
use super::servers::{Servers, Way};
use super::trouble::Trouble;
use super::value::read_version;
use crate::faults::Fault;
use crate::store::{Stamp, Stamped, Version};

/// A [`Stamp`] that can be sent to another thread.
pub(super) struct Job {
    keys: Vec<String>,
    renewals: Vec<u8>,
    create: bool,
    life: u64,
    nonce: u64,
}

impl Job {
    pub(super) fn new(stamp: &Stamp<'_>) -> Self {
        let renewals = stamp
            .tags
            .iter()
            .map(|tag| if tag.renew { b'1' } else { b'0' });
        Self {
            keys: stamp.tags.iter().map(|tag| tag_key(&tag.tag)).collect(),
            renewals: renewals.collect(),
            create: stamp.create,
            life: if stamp.life == Duration::ZERO {
                0
            } else {
                millis(stamp.life)
            },
            nonce: match Fault::VersionsOfClient.is_on() {
                true => coarse_clock(),
                false => stamp.nonce,
            },
        }
    }

    pub(super) fn keys(&self) -> &[String] {
        &self.keys
    }

    /// The keys that get a new version.
    pub(super) fn renewed(&self) -> impl Iterator<Item = &str> {
        let keys = self.keys.iter().zip(&self.renewals);
        keys.filter_map(|(key, renewal)| (*renewal == b'1').then_some(&**key))
    }

    /// A job for some of the tags.
    pub(super) fn part(&self, places: &[usize]) -> Self {
        let renewals = places.iter().map(|place| self.renewals[*place]);
        Self {
            keys: places
                .iter()
                .map(|place| self.keys[*place].clone())
                .collect(),
            renewals: renewals.collect(),
            ..*self
        }
    }

    /// Does it, with this counter.
    pub(super) async fn send(&self, counter: &str, link: &Link) -> RedisResult<Vec<Value>> {
        let stamp = STAMP
            .call(1 + self.keys.len())
            .arg(counter)
            .arg(&self.keys)
            .arg(&self.nonce.to_be_bytes())
            .arg(u8::from(self.create))
            .arg(self.life)
            .arg(&self.renewals);
        stamp.send(&mut link.connection()).await
    }

    pub(super) fn understand(&self, epoch: u64, reply: &[Value]) -> Result<Stamped, Trouble> {
        let [now, befores @ ..] = reply else {
            return Err(Trouble::Senseless);
        };
        let now = version(now).ok_or(Trouble::Senseless)?;
        if befores.len() != self.keys.len() {
            return Err(Trouble::Senseless);
        }
        let versions = befores.iter().zip(&self.renewals).map(|(before, renewal)| {
            let before = version(before);
            let after = match before {
                None => self.create.then_some(now),
                Some(_) if *renewal == b'1' => Some(now),
                Some(before) => Some(before),
            };
            (before, after)
        });
        Ok(Stamped {
            epoch,
            versions: versions.collect(),
        })
    }
}

impl Servers {
    pub(super) async fn stamp(&self, job: &Job) -> Result<Stamped, Trouble> {
        if let Way::Cluster(cluster) = &self.way {
            return cluster.stamp(job).await;
        }
        let answer = self.ask(COUNTER, |link| async move {
            let reply = job.send(COUNTER, &link).await?;
            // Of the server that stamped: it is what the record must still find there.
            Ok((link.epoch, reply))
        });
        let (epoch, reply) = answer.await?;
        self.copies.answered_by(epoch);
        job.understand(epoch, &reply)
    }
}

/// A clock as coarse as some are, for the proof that versions must not be its readings.
fn coarse_clock() -> u64 {
    let since = UNIX_EPOCH.elapsed().unwrap_or_default();
    u64::try_from(since.as_millis() / 16).unwrap_or_default()
}

fn version(value: &Value) -> Option<Version> {
    as_bytes(value).try_into().ok().map(read_version)
}
