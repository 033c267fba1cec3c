//! How duplicates wait: for the one that runs in this process, and for the one in another.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Asked, Attempt, Engine, Entry, Refusal, Replay};
use crate::key::RequestId;
use crate::meters::{Wait, Waited};
use crate::running::Follower;
use crate::store::{Claim, ExecutionId, Looked, Record, StoreError};
use crate::sync::after;
use crate::waiting::{Member, Turn};

/// So long one waits for another's look, which mostly takes a thousandth of that. The thread of the one that looks may be
/// kept by another request.
const LOOK: Duration = Duration::from_millis(200);

impl Engine {
    /// Waits for others that may answer this one, too, if there are any: for the run in this process (`one`), or in a party,
    /// which it joins. Who takes a lock has a party from the beginning, and follows nobody before it has the lock.
    pub(super) async fn after_others<'a>(
        &'a self,
        asked: &Asked<'_>,
        one: Option<Follower>,
        member: &mut Option<Member<'a>>,
        deadline: Instant,
    ) -> Option<Attempt> {
        let id = &asked.identified.id;
        asked.spec.cache?;
        if asked.spec.lock.is_some() {
            *member = Some(self.waiting.join(id));
        } else if let Some(follower) = one {
            return Some(Box::pin(self.follow(asked, follower, deadline)).await);
        } else {
            *member = self.waiting.join_others(id);
        }
        Some(Box::pin(self.turn(asked, member.as_mut()?, deadline)).await)
    }

    /// Asks the store. Who comes before it has answered need not.
    pub(super) async fn look(
        &self,
        asked: &Asked<'_>,
        claim: &Claim,
        in_party: bool,
    ) -> Result<Looked, StoreError> {
        let mut look = self.store.look(claim, asked.spec.changed);
        let mut looking = None;
        poll_fn(move |context| {
            let looked = look.as_mut().poll(context);
            if looked.is_pending() && !in_party && looking.is_none() {
                looking = Some(self.waiting.looks(&claim.id));
            }
            looked
        })
        .await
    }

    /// What this one, whose turn it was, has found for the others.
    pub(super) fn tell(&self, asked: &Asked<'_>, member: &Member<'_>, entry: &Entry) {
        match entry {
            Entry::Run(_) => member.follows(|| self.running.follow(&asked.identified.id)),
            // It has told already.
            Entry::Replay(_) => {}
            Entry::Refused(Refusal::InProgress | Refusal::OtherPayload) => {}
            Entry::Refused(_) => member.gives_up(),
        }
    }

    /// Waits for this one's turn to ask, or for what another has found.
    pub(super) async fn turn(
        &self,
        asked: &Asked<'_>,
        member: &mut Member<'_>,
        deadline: Instant,
    ) -> Attempt {
        if asked.differs(member.payload()) {
            return Attempt::Refused(Refusal::OtherPayload);
        }
        if member.takes_turn() {
            return Attempt::Mine;
        }
        let mut turn = Turn::Over;
        if asked.spec.lock.is_none() && !member.is_waiting_for_a_run() {
            turn = member.turn(deadline.min(after(Instant::now(), LOOK))).await;
            if matches!(turn, Turn::Over) && !member.is_waiting_for_a_run() {
                member.abandons();
                return Attempt::Alone;
            }
        }
        if matches!(turn, Turn::Over) {
            if asked.differs(member.payload()) {
                return Attempt::Refused(Refusal::OtherPayload);
            }
            let waiting = Wait::begin("duplicate", asked.spec.name);
            turn = member.turn(deadline).await;
            waiting.end(match turn {
                Turn::Over => Waited::Over,
                _ => Waited::Done,
            });
        }
        match turn {
            Turn::Mine => Attempt::Mine,
            Turn::Alone => Attempt::Alone,
            Turn::Over => Attempt::Refused(Refusal::InProgress),
            Turn::Runs(follower) => self.follow(asked, follower, deadline).await,
            Turn::Kept(record, left) => self.hit(asked, record, left),
        }
    }

    /// Waits for the one that runs in this process.
    pub(super) async fn follow(
        &self,
        asked: &Asked<'_>,
        follower: Follower,
        deadline: Instant,
    ) -> Attempt {
        if let Some(refusal) = asked.refusal(follower.fingerprint, deadline) {
            return Attempt::Refused(refusal);
        }
        let waiting = Wait::begin("duplicate", asked.spec.name);
        let waited = timeout_at(deadline, follower.reply()).await;
        waiting.end(match waited {
            Ok(_) => Waited::Done,
            Err(_) => Waited::Over,
        });
        match waited {
            Ok(Some(reply)) => Attempt::Replay(Replay::Followed(reply)),
            Ok(None) => Attempt::Again,
            Err(_) => Attempt::Refused(Refusal::InProgress),
        }
    }

    /// Another one has found a record.
    fn hit(&self, asked: &Asked<'_>, record: Arc<Record>, left: Duration) -> Attempt {
        if self.owed.any() {
            Attempt::Owing
        } else {
            asked.answer(record, left)
        }
    }

    /// Waits until the execution has ended, or has been registered in this process.
    pub(super) async fn until_over(
        &self,
        id: &RequestId,
        execution: ExecutionId,
        deadline: Instant,
    ) -> Result<Attempt, StoreError> {
        let ended = self.store.ended(
            id,
            execution,
            deadline.saturating_duration_since(Instant::now()),
        );
        tokio::pin!(ended);
        loop {
            let arrival = self.running.arrival();
            tokio::pin!(arrival);
            arrival.as_mut().enable();
            if self.running.follow(id).is_some() {
                return Ok(Attempt::Again);
            }
            tokio::select! {
                () = arrival => {}
                ended = &mut ended => return Ok(match ended? {
                    true => Attempt::Again,
                    false => Attempt::Refused(Refusal::InProgress),
                }),
            }
        }
    }
}
