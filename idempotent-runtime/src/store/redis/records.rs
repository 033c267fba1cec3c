//! Records and claims: look, keep, forget, and the wait for a claim's end.

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::{self, Value};
use tokio::time::Instant;

use super::convert::{as_bytes, as_text, duration, millis, read_all, second_look};
use super::local::LocalCopy;
use super::names::{Kind, key};
use super::scripts::{KEEP, LOOK};
use super::seen::Sight;
use super::server::{Server, Undo};
use super::servers::{Servers, Way};
use super::together::{Answer, Question};
use super::trouble::Trouble;
use super::value::{
    self, CALL, EXECUTION, Head, MAX_VALUE, call_token, execution_of, tag_of, token,
};
use crate::faults::Fault;
use crate::key::{Fingerprint, RequestId};
use crate::meters;
use crate::spec::Changed;
use crate::store::{Claim, EnvelopeError, ExecutionId, Looked, Miss, Record, Tag};
use crate::sync::after;

/// A record up to this size costs the server less to send than a command of its own that sends a part of it.
const SMALL: usize = 1_024;

/// A record that is still there, and for how long.
type Recalled = Result<Option<(Arc<Record>, Duration)>, Trouble>;

/// What a look came to.
enum Outcome {
    Looked(Looked),
    /// There is a record that cannot be read; this is its execution, as far as that can be told.
    Unreadable(Vec<u8>, EnvelopeError),
}

impl Servers {
    pub(super) async fn look(&self, claim: &Claim, changed: Changed) -> Result<Looked, Trouble> {
        let server = match &self.way {
            Way::One(server) => server,
            Way::Cluster(cluster) => {
                return Box::pin(self.look_in(cluster, claim, changed)).await;
            }
        };
        let record = key(Kind::Record, claim.id.as_str());
        if let Some((kept, left)) = self.copies.trusted(&record) {
            return Ok(Looked::Hit(kept, left));
        }
        let recalled = match self.copies.get(&record) {
            Some(copy) => self.ask_for_copy(server, &record, &copy).await?,
            None => self.recall(server, &record).await?,
        };
        if let Some((kept, left)) = recalled {
            return Ok(Looked::Hit(kept, left));
        }
        // A hit does not carry it.
        Box::pin(self.look_by_script(record, claim, changed)).await
    }

    async fn look_by_script(
        &self,
        record: String,
        claim: &Claim,
        changed: Changed,
    ) -> Result<Looked, Trouble> {
        let claim_key = key(Kind::Claim, claim.id.as_str());
        let mut unreadable = Vec::new();
        // One more round for each record that is found unreadable, and not for ever.
        for _ in 0..3 {
            let asked = Asked {
                record: &record,
                claim_key: &claim_key,
                claim,
                stays: changed == Changed::Reject,
                unreadable: &unreadable,
            };
            let sent = Instant::now();
            match self.ask_script(&asked).await? {
                Outcome::Looked(looked) => {
                    if let Looked::Hit(kept, left) = &looked {
                        let left = left.saturating_sub(sent.elapsed());
                        self.copies.note(&record, kept, left);
                    }
                    return Ok(looked);
                }
                Outcome::Unreadable(execution, error) => {
                    tracing::warn!(%error, "what Redis has for a record is none, and is removed");
                    unreadable = execution;
                }
            }
        }
        Err(Trouble::Senseless)
    }

    /// Asks for a record and for the tags that it had when it was seen last. `None` proves nothing.
    async fn recall(&self, server: &Arc<Server>, record: &str) -> Recalled {
        let Some(seen) = self.seen.find(record) else {
            return Ok(None);
        };
        let question = Question {
            record,
            part: None,
            tags: &seen.tags,
            size: seen.size,
        };
        // It may be no answer because there is more under the key than we ever kept there, or under one asked with it.
        let answer = server.ask_about(&question).await;
        let answer = answer.inspect_err(|_| self.seen.forget(record))?;
        self.copies.answered_by(answer.epoch);
        let Some((kept, left)) = recalled(&answer, &seen).zip(seen.left()) else {
            self.seen.forget(record);
            return Ok(None);
        };
        let kept = Arc::new(kept);
        self.copies.note(record, &kept, left);
        Ok(Some((kept, left)))
    }

    /// Asks whether the record of this copy is still there, and valid. `None` proves nothing.
    async fn ask_for_copy(&self, server: &Arc<Server>, record: &str, copy: &LocalCopy) -> Recalled {
        let is_small = copy.record.reply.size() <= SMALL;
        let question = Question {
            record,
            part: (!is_small).then_some(EXECUTION),
            tags: &copy.tags,
            size: if is_small { SMALL } else { 0 },
        };
        let answer = server.ask_about(&question).await?;
        self.copies.answered_by(answer.epoch);
        let execution = match is_small {
            true => execution_of(as_bytes(&answer.record)),
            false => as_bytes(&answer.record),
        };
        if copy.is_valid(answer.epoch, execution, &answer.tags)
            && let Some(left) = copy.left()
        {
            self.copies.confirmed(record);
            return Ok(Some((Arc::clone(&copy.record), left)));
        }
        meters::no_copy("void");
        self.copies.forget(record);
        self.seen.forget(record);
        Ok(None)
    }

    async fn ask_script(&self, asked: &Asked<'_>) -> Result<Outcome, Trouble> {
        let (sent, call) = (Instant::now(), call_token(asked.claim.execution));
        let fingerprint = asked.claim.fingerprint.as_ref();
        let reply = self.ask(asked.record, |link| async move {
            let look = LOOK
                .call(2)
                .arg(asked.record)
                .arg(asked.claim_key)
                .arg(&call)
                .arg(fingerprint.map_or(&[][..], |bytes| bytes.as_bytes()))
                .arg(millis(asked.claim.lease))
                .arg(&link.epoch.to_be_bytes())
                .arg(u8::from(asked.stays))
                .arg(MAX_VALUE)
                .arg(asked.unreadable);
            let undo = Undo::new(&link, asked.claim_key, call);
            let reply = look.send::<Vec<Value>>(&mut link.connection()).await;
            undo.disarm();
            reply
        });
        self.understand(asked.record, sent, &reply.await?)
    }

    fn understand(&self, record: &str, sent: Instant, reply: &[Value]) -> Result<Outcome, Trouble> {
        let looked = match reply {
            [word, value, Value::Int(left)] if is(word, b"hit") => match read(value) {
                Ok((kept, tags)) => {
                    let left = duration(*left);
                    let size = as_bytes(value).len();
                    let sight = Sight::new(kept.execution, (sent, left), size, tags);
                    self.seen.note(record, sight);
                    Looked::Hit(Arc::new(kept), left)
                }
                Err(error) => return Ok(unreadable(value, error)),
            },
            [word, value, tag] if is(word, b"changed") => match read(value) {
                Ok((kept, _)) => {
                    Looked::Changed(named(tag).ok_or(Trouble::Senseless)?, kept.fingerprint)
                }
                Err(error) => return Ok(unreadable(value, error)),
            },
            [word, claim] if is(word, b"busy") => busy(as_bytes(claim))?,
            [word, why, rest @ ..] if is(word, b"claimed") => Looked::Claimed(match rest {
                // A tag that cannot be one was in no record of ours.
                [tag] if is(why, b"changed") => named(tag).map_or(Miss::Unreadable, Miss::Changed),
                _ if is(why, b"epoch") => Miss::Epoch,
                _ if is(why, b"unreadable") => Miss::Unreadable,
                _ => Miss::Absent,
            }),
            _ => return Err(Trouble::Senseless),
        };
        Ok(Outcome::Looked(looked))
    }

    pub(super) async fn keep(
        &self,
        claim: &Claim,
        record: Record,
        life: Duration,
    ) -> Result<bool, Trouble> {
        if let Way::Cluster(cluster) = &self.way {
            return Box::pin(self.keep_in(cluster, claim, record, life)).await;
        }
        let Ok((value, tags)) = value::write(record) else {
            self.free(Kind::Claim, claim).await?;
            return Ok(false);
        };
        let claim_key = key(Kind::Claim, claim.id.as_str());
        let record_key = key(Kind::Record, claim.id.as_str());
        let (claim_key, record, keys, value) = (&claim_key, &record_key, &tags, &value[..]);
        let kept = self.ask(claim_key, |link| async move {
            let keep = KEEP
                .call(2 + keys.len())
                .arg(claim_key)
                .arg(record)
                .arg(keys)
                .arg(&token(claim.execution));
            let keep = match Fault::EpochAtKeeping.is_on() {
                true => keep.arg(value::with_epoch(value, link.epoch)),
                false => keep.arg(value),
            };
            keep.arg(millis(life)).send(&mut link.connection()).await
        });
        let kept = kept.await;
        self.copies.changed([&**record]);
        // It is not noted as seen: most are never asked for again.
        kept
    }

    pub(super) async fn forget(&self, id: &RequestId) -> Result<bool, Trouble> {
        let record = key(Kind::Record, id.as_str());
        let forget = &redis::cmd("DEL").arg(&record).take();
        let forgotten = self.ask(&record, |link| async move {
            forget.query_async(&mut link.connection()).await
        });
        let forgotten = forgotten.await;
        self.copies.changed([&*record]);
        forgotten
    }

    /// Returns when the claim is not this execution's any more, or after `wait`.
    pub(super) async fn ended(
        &self,
        id: &RequestId,
        execution: ExecutionId,
        wait: Duration,
    ) -> Result<bool, Trouble> {
        let end = after(Instant::now(), wait);
        let claim = key(Kind::Claim, id.as_str());
        if wait.is_zero() {
            return Ok(self.claim_left(&claim, execution).await?.is_none());
        }
        let mut listener = self.wake.listen(&claim);
        listener.ready(self.deadline(), end).await;
        loop {
            // From here on nothing is missed, so the look comes after it.
            let Some(left) = self.claim_left(&claim, execution).await? else {
                return Ok(true);
            };
            let now = Instant::now();
            if now >= end {
                return Ok(false);
            }
            listener
                .rung(after(now, left.min(second_look())).min(end))
                .await;
        }
    }

    /// How long a claim of this execution is still set, if nobody ends or renews it.
    async fn claim_left(
        &self,
        claim: &str,
        execution: ExecutionId,
    ) -> Result<Option<Duration>, Trouble> {
        let mut ask = redis::Pipeline::with_capacity(2);
        ask.ignore_errors();
        ask.cmd("GETRANGE").arg(claim).arg(0).arg(15);
        ask.cmd("PTTL").arg(claim);
        let ask = &ask;
        let answer = self.ask(claim, |link| async move {
            read_all(ask, link.connection()).await
        });
        Ok(match answer.await?.as_deref() {
            Some([holder, Value::Int(left)])
                if as_bytes(holder) == token(execution) && *left >= 0 =>
            {
                Some(duration(*left) + Duration::from_millis(1))
            }
            _ => None,
        })
    }
}

/// What a look asks the script.
struct Asked<'a> {
    record: &'a str,
    claim_key: &'a str,
    claim: &'a Claim,
    stays: bool,
    unreadable: &'a [u8],
}

/// The record, if the answer has the one that was seen, with just these tags, and all of them as they were.
fn recalled(answer: &Answer, seen: &Sight) -> Option<Record> {
    let present = &answer.tags;
    let head = Head::read(as_bytes(&answer.record)).ok()?;
    let is_valid = head.execution == seen.execution
        && head.epoch.is_none_or(|own| own == answer.epoch)
        && head.tags.len() == seen.tags.len()
        && present.len() == seen.tags.len()
        && head
            .tags
            .iter()
            .zip(&seen.tags)
            .all(|((key, _), asked)| key == asked)
        && head.tags.iter().zip(present).all(|((_, own), now)| {
            as_bytes(now) == own || (Fault::MissingTagValid.is_on() && *now == Value::Nil)
        });
    is_valid.then(|| head.record().ok())?
}

fn read(value: &Value) -> Result<(Record, Vec<String>), EnvelopeError> {
    let head = Head::read(as_bytes(value))?;
    let tags = head.tags.iter().map(|(tag, _)| (*tag).to_owned()).collect();
    Ok((head.record()?, tags))
}

fn unreadable(value: &Value, error: EnvelopeError) -> Outcome {
    Outcome::Unreadable(execution_of(as_bytes(value)).to_vec(), error)
}

pub(super) fn busy(claim: &[u8]) -> Result<Looked, Trouble> {
    let (execution, rest) = claim.split_first_chunk().ok_or(Trouble::Senseless)?;
    let fingerprint = rest.get(CALL - 16..).and_then(|rest| rest.try_into().ok());
    Ok(Looked::Busy {
        execution: ExecutionId(u128::from_be_bytes(*execution)),
        fingerprint: fingerprint.map(Fingerprint::from_bytes),
    })
}

fn named(tag: &Value) -> Option<Tag> {
    as_text(tag).and_then(tag_of)
}

fn is(value: &Value, word: &[u8]) -> bool {
    as_bytes(value) == word
}
