//! Leases: taking a lock in turn, and renewing and freeing what is held.

use std::time::Duration;

use deadpool_redis::redis;
use tokio::time::{Instant, timeout_at};

use super::convert::{duration, millis, second_look};
use super::names::{Kind, key};
use super::scripts::{FREE, LOCK, RENEW};
use super::server::Undo;
use super::servers::Servers;
use super::trouble::Trouble;
use super::value::{call_token, token};
use crate::store::Claim;
use crate::sync::after;

/// How a lock stands after it was asked for.
enum Taken {
    Held,
    /// Another has it, for so long if it does not renew it.
    Busy(Duration),
}

impl Servers {
    pub(super) async fn lock(&self, lock: &Claim, wait: Duration) -> Result<bool, Trouble> {
        let end = after(Instant::now(), wait);
        let name = key(Kind::Lock, lock.id.as_str());
        let place = self.queues.join(&name);
        let mut came_first = true;
        if !place.is_first() {
            // Whoever holds it already must not wait behind those who wait for it.
            if self.renew(Kind::Lock, lock).await? {
                return Ok(true);
            }
            if timeout_at(end, place.first()).await.is_err() {
                return Ok(false);
            }
            came_first = false;
        }
        // Who comes first finds it free as a rule. For the others it was just taken by the one before.
        if came_first && self.take_free(&name, lock).await? {
            return Ok(true);
        }
        if wait.is_zero() {
            return Ok(matches!(self.take(&name, lock).await?, Taken::Held));
        }
        let mut listener = self.wake.listen(&name);
        listener.ready(self.deadline(), end).await;
        loop {
            // From here on nothing is missed, so the look comes after it.
            let left = match self.take(&name, lock).await? {
                Taken::Held => return Ok(true),
                Taken::Busy(left) => left,
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

    /// Takes the lock, if there is nothing under its name, by one plain command, which costs the server less than a
    /// script. `false` proves nothing: what is there may be this execution's own, or nobody's.
    async fn take_free(&self, name: &str, lock: &Claim) -> Result<bool, Trouble> {
        let (sent, call) = (Instant::now(), call_token(lock.execution));
        let set = &redis::cmd("SET")
            .arg(name)
            .arg(&call)
            .arg("NX")
            .arg("PX")
            .arg(millis(lock.lease))
            .take();
        let taken = self.ask(name, |link| async move {
            let undo = Undo::new(&link, name, call);
            let taken = set.query_async::<bool>(&mut link.connection()).await;
            undo.disarm();
            taken
        });
        Ok(taken.await? && self.has_begun(sent, lock).await?)
    }

    /// Takes the lock, if nobody else has it.
    async fn take(&self, name: &str, lock: &Claim) -> Result<Taken, Trouble> {
        let (sent, call) = (Instant::now(), call_token(lock.execution));
        let left = self.ask(name, |link| async move {
            let take = LOCK.call(1).arg(name).arg(&call).arg(millis(lock.lease));
            let undo = Undo::new(&link, name, call);
            let left = take.send::<i64>(&mut link.connection()).await;
            undo.disarm();
            left
        });
        let left = left.await?;
        if left >= 0 {
            return Ok(Taken::Busy(duration(left) + Duration::from_millis(1)));
        }
        match self.has_begun(sent, lock).await? {
            true => Ok(Taken::Held),
            false => Ok(Taken::Busy(Duration::ZERO)),
        }
    }

    /// The lease began when the server gave it, and the caller counts from when it hears of it: after an answer that was
    /// long under way it begins anew.
    async fn has_begun(&self, sent: Instant, lock: &Claim) -> Result<bool, Trouble> {
        Ok(sent.elapsed() < lock.lease / 4 || Box::pin(self.renew(Kind::Lock, lock)).await?)
    }

    pub(super) async fn renew(&self, kind: Kind, claim: &Claim) -> Result<bool, Trouble> {
        let name = &key(kind, claim.id.as_str());
        self.ask(name, |link| async move {
            RENEW
                .call(1)
                .arg(name)
                .arg(&token(claim.execution))
                .arg(millis(claim.lease))
                .send(&mut link.connection())
                .await
        })
        .await
    }

    pub(super) async fn free(&self, kind: Kind, claim: &Claim) -> Result<bool, Trouble> {
        let name = &key(kind, claim.id.as_str());
        self.ask(name, |link| async move {
            FREE.call(1)
                .arg(name)
                .arg(&token(claim.execution))
                .send(&mut link.connection())
                .await
        })
        .await
    }
}
