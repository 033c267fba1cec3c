//! Records in a cluster, whose tags may be in other slots, and so on other servers.
//!
//! What is asked of the record's slot and what is asked of the tags' is no one step, and need not be: versions never
//! recur, so if every tag is as it was when the record's execution stamped, at some moment since the look began, then no
//! change that was committed before the look began is missing in the record. And what makes a record void makes it so for
//! ever, so that it can be removed later, if it is still the same.

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::{self, Value};
use futures_util::future::{join, try_join_all};
use tokio::time::Instant;

use super::slots::by_slot;
use super::stamps::EPOCH;
use super::{Cluster, of_epoch};
use crate::spec::Changed;
use crate::store::redis::convert::{as_bytes, duration, millis, read_all};
use crate::store::redis::names::{Kind, key};
use crate::store::redis::records::busy;
use crate::store::redis::scripts::{FIND, KEEP};
use crate::store::redis::seen::Sight;
use crate::store::redis::server::Undo;
use crate::store::redis::servers::Servers;
use crate::store::redis::trouble::Trouble;
use crate::store::redis::value::{
    self, Head, MAX_VALUE, call_token, execution_of, read_version, tag_of, token,
};
use crate::store::{Claim, Looked, Miss, Record, Version};

/// How many records a look finds void, one after the other, before it gives up.
const ROUNDS: usize = 8;

/// A slot counts to less than this. A version of another epoch, which is a random number, is more, all but once in 2^24: then
/// it is taken for another version of this one, and is no more valid for it.
const COUNTS: u64 = 1 << 40;

/// The version of a tag, and the epoch of the server that was asked for it.
type Present = (Option<Version>, u64);

/// What the script has found.
enum Found {
    Record(Vec<u8>, Duration),
    Looked(Looked),
}

/// What a record is worth.
enum Worth {
    Valid,
    Void(Miss),
}

impl Servers {
    pub(in crate::store::redis) async fn look_in(
        &self,
        cluster: &Cluster,
        claim: &Claim,
        changed: Changed,
    ) -> Result<Looked, Trouble> {
        let record = key(Kind::Record, claim.id.as_str());
        if let Some((kept, left)) = self.recall_in(cluster, &record).await? {
            return Ok(Looked::Hit(Arc::new(kept), left));
        }
        let (mut void, mut why) = (Vec::new(), Miss::Absent);
        for _ in 0..ROUNDS {
            let asked = Instant::now();
            let (value, left) = match cluster.find(&record, claim, &void).await? {
                Found::Record(value, left) => (value, left),
                Found::Looked(Looked::Claimed(Miss::Absent)) => return Ok(Looked::Claimed(why)),
                Found::Looked(looked) => return Ok(looked),
            };
            void = execution_of(&value).to_vec();
            let read = Head::read(&value).and_then(|head| {
                let (epoch, tags) = (head.epoch, owned(&head));
                Ok((head.record()?, epoch, tags))
            });
            let (kept, epoch, (keys, versions)) = match read {
                Ok(read) => read,
                Err(error) => {
                    tracing::warn!(%error, "what Redis has for a record is none, and is removed");
                    why = Miss::Unreadable;
                    continue;
                }
            };
            let worth = if epoch.is_some_and(|epoch| epoch != EPOCH) {
                Worth::Void(Miss::Epoch)
            } else {
                judge(&keys, &versions, &cluster.versions(&keys).await?)
            };
            match worth {
                Worth::Valid => {
                    let sight = Sight::new(kept.execution, (asked, left), value.len(), keys);
                    self.seen.note(&record, sight);
                    return Ok(Looked::Hit(Arc::new(kept), left));
                }
                Worth::Void(Miss::Changed(tag)) if changed == Changed::Reject => {
                    return Ok(Looked::Changed(tag, kept.fingerprint));
                }
                Worth::Void(miss) => why = miss,
            }
        }
        Err(Trouble::Senseless)
    }

    /// Asks for a record and, at the same time, for the tags that it had when it was seen last. `None` proves nothing.
    async fn recall_in(
        &self,
        cluster: &Cluster,
        record: &str,
    ) -> Result<Option<(Record, Duration)>, Trouble> {
        let Some(seen) = self.seen.find(record) else {
            return Ok(None);
        };
        let (kept, present) = join(cluster.read(record), cluster.versions(&seen.tags)).await;
        let kept = kept.inspect_err(|_| self.seen.forget(record));
        let (kept, present) = (kept?, present?);
        let recalled = kept.and_then(|value| {
            let head = Head::read(&value).ok()?;
            let (keys, versions) = owned(&head);
            let is_valid = head.execution == seen.execution
                && head.epoch.is_none_or(|epoch| epoch == EPOCH)
                && keys == seen.tags
                && matches!(judge(&keys, &versions, &present), Worth::Valid);
            Some((is_valid.then(|| head.record().ok())??, seen.left()?))
        });
        if recalled.is_none() {
            self.seen.forget(record);
        }
        Ok(recalled)
    }

    pub(in crate::store::redis) async fn keep_in(
        &self,
        cluster: &Cluster,
        claim: &Claim,
        record: Record,
        life: Duration,
    ) -> Result<bool, Trouble> {
        let Ok((value, tags)) = value::write(record) else {
            self.free(Kind::Claim, claim).await?;
            return Ok(false);
        };
        // By as much longer as it may take from here to the record, which must not outlive them.
        let longest = life.saturating_add(2 * self.deadline());
        cluster.prolong(&tags, longest).await?;
        let claim_key = &key(Kind::Claim, claim.id.as_str());
        let record_key = &key(Kind::Record, claim.id.as_str());
        let (value, sent) = (&value[..], Instant::now());
        let kept = cluster.ask(record_key, |link| async move {
            let keep = KEEP
                .call(2)
                .arg(claim_key)
                .arg(record_key)
                .arg(&token(claim.execution))
                .arg(value)
                .arg(millis(life));
            keep.send(&mut link.connection()).await
        });
        let kept = kept.await?;
        if kept {
            let sight = Sight::new(claim.execution, (sent, life), value.len(), tags);
            self.seen.note(record_key, sight);
        }
        Ok(kept)
    }
}

impl Cluster {
    /// Finds a record other than the void one, or removes that and sets the claim.
    async fn find(&self, record: &str, claim: &Claim, void: &[u8]) -> Result<Found, Trouble> {
        let (claim_key, call) = (
            &key(Kind::Claim, claim.id.as_str()),
            call_token(claim.execution),
        );
        let fingerprint = claim.fingerprint.as_ref();
        let reply = self.ask(record, |link| async move {
            let find = FIND
                .call(2)
                .arg(record)
                .arg(claim_key)
                .arg(&call)
                .arg(fingerprint.map_or(&[][..], |bytes| bytes.as_bytes()))
                .arg(millis(claim.lease))
                .arg(MAX_VALUE)
                .arg(void);
            let undo = Undo::new(&link, claim_key, call);
            let reply = find.send::<Vec<Value>>(&mut link.connection()).await;
            undo.disarm();
            reply
        });
        match &reply.await?[..] {
            [word, value, Value::Int(left)] if as_bytes(word) == b"record" => {
                Ok(Found::Record(as_bytes(value).to_vec(), duration(*left)))
            }
            [word, holder] if as_bytes(word) == b"busy" => {
                Ok(Found::Looked(busy(as_bytes(holder))?))
            }
            [word, rest @ ..] if as_bytes(word) == b"claimed" => {
                let is_absent = rest.is_empty();
                let miss = if is_absent {
                    Miss::Absent
                } else {
                    Miss::Unreadable
                };
                Ok(Found::Looked(Looked::Claimed(miss)))
            }
            _ => Err(Trouble::Senseless),
        }
    }

    async fn read(&self, record: &str) -> Result<Option<Vec<u8>>, Trouble> {
        // Not by GET, for which it is an error if there is something of another type.
        let ask = &redis::cmd("MGET").arg(record).take();
        let answer = self.ask(record, |link| async move {
            ask.query_async::<(Option<Vec<u8>>,)>(&mut link.connection())
                .await
        });
        let (value,) = answer.await?;
        Ok(value)
    }

    /// The versions that tags have now, and the epochs of their servers; a pipeline for each slot, all at once.
    async fn versions(&self, tags: &[String]) -> Result<Vec<Present>, Trouble> {
        let slots = by_slot(tags);
        let asked = slots.values().filter_map(|places| {
            let mut ask = redis::Pipeline::with_capacity(places.len());
            ask.ignore_errors();
            for place in places {
                // One by one: of a slot that is being moved, each may be on either side. And not by GET, for which it
                // is an error if there is something of another type.
                ask.cmd("MGET").arg(&tags[*place]);
            }
            let key = tags.get(*places.first()?)?;
            Some(async move {
                let ask = &ask;
                let answer = self.ask(key, |link| async move {
                    Ok((link.epoch, read_all(ask, link.connection()).await?))
                });
                Ok::<_, Trouble>((places, answer.await?))
            })
        });
        let mut versions = vec![(None, EPOCH); tags.len()];
        for (places, (epoch, answer)) in try_join_all(asked).await? {
            for (place, answer) in places.iter().zip(answer.unwrap_or_default()) {
                let Value::Array(answer) = answer else {
                    return Err(Trouble::Senseless);
                };
                let version = answer.first().map_or(&[][..], as_bytes);
                versions[*place] = (version.try_into().ok().map(read_version), epoch);
            }
        }
        Ok(versions)
    }

    /// Has tags live at least so long from now on, those that are there.
    async fn prolong(&self, tags: &[String], life: Duration) -> Result<(), Trouble> {
        let slots = by_slot(tags);
        let asked = slots.values().filter_map(|places| {
            let mut ask = redis::Pipeline::with_capacity(places.len());
            // A redirection that is an error of the pipeline does not say where to.
            ask.ignore_errors();
            for place in places {
                ask.cmd("PEXPIRE").arg(&tags[*place]).arg(millis(life));
                ask.arg("GT");
            }
            let key = tags.get(*places.first()?)?;
            Some(async move {
                let ask = &ask;
                self.ask(
                    key,
                    |link| async move { read_all(ask, link.connection()).await },
                )
                .await
            })
        });
        try_join_all(asked).await?;
        Ok(())
    }
}

/// The keys of a record's tags, and their versions.
fn owned(head: &Head<'_>) -> (Vec<String>, Vec<Version>) {
    head.tags
        .iter()
        .map(|(key, version)| ((*key).to_owned(), read_version(*version)))
        .unzip()
}

/// Whether every tag is as it was. If one's server is another than it was, or has lost its place since, then nobody knows
/// what else was stamped.
fn judge(keys: &[String], then: &[Version], now: &[Present]) -> Worth {
    let mut worth = Worth::Valid;
    for (key, (then, (now, epoch))) in keys.iter().zip(then.iter().zip(now)) {
        let then = of_epoch(*then, *epoch);
        if then.count >= COUNTS {
            return Worth::Void(Miss::Epoch);
        }
        if *now != Some(then) && matches!(worth, Worth::Valid) {
            // A tag that cannot be one was in no record of ours.
            worth = Worth::Void(tag_of(key).map_or(Miss::Unreadable, Miss::Changed));
        }
    }
    worth
}
