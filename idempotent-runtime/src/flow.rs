//! The state machine of a request: look, claim, wait, run, keep, release.
//!
//! # States
//!
//! ```text
//!          ┌────────────── the one it followed left no reply ──────────────┐
//!          ▼                                                               │
//! lock → look ─ Hit ──────────────────────────────→ replay                 │
//!          │ ─ Busy ──→ follow (in this process) or wait (in another) ─────┤
//!          │                 └─ its reply ────────→ replay                 │
//!          │                 └─ `wait` is over ───→ 409                    │
//!          │ ─ Claimed → run → stamp … → keep ────→ reply                  │
//!          │               └─ not kept: release ──→ reply                  │
//!          │ ─ store away → 503, or run unprotected                        │
//! ```
//!
//! # Interleavings
//!
//! * Cancelled before the run: the [`Hold`] was made before the lock or the claim was asked for and ends both.
//! * Cancelled while it runs: the run is detached and goes on; see [`Hold`] for closures that outlive even that.
//! * Two look at once: the store sets one claim. The loser may hear of it before the winner is registered here, so it
//!   waits for whichever comes first: the winner's registration, or the end of the claim.
//! * Many look at once, or wait for one in another process, or with a lock for the lock: one of them asks the store, see
//!   `waiting.rs`. Who waits for its turn holds neither claim nor lock.
//! * The claim runs out while the handler runs: another may run; `keep` compares the token and keeps nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::Instant;

use crate::execution::Execution;
use crate::faults::{Point, reach};
use crate::hold::Hold;
use crate::keeper::Keeper;
use crate::key::{Fingerprint, Identified, Rules};
use crate::meters::{self, Wait, Waited};
use crate::names::Names;
use crate::once::On;
use crate::owed::Owed;
use crate::reply::Reply;
use crate::running::Running;
use crate::settings::Settings;
use crate::spec::{Keep, Outage, Spec};
use crate::store::{Claim, ExecutionId, Looked, Miss, Record, Store, StoreError, Tag};
use crate::sync::{Count, after};
use crate::waiting::{Member, Waiting};

mod duplicates;
mod once;
mod run;
#[cfg(test)]
mod tests;

pub(crate) use run::Run;

/// What all requests of one application share.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) rules: Rules,
    pub(crate) settings: Settings,
    /// The application's name as the first part of every tag.
    pub(crate) prefix: String,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) running: Arc<Running>,
    pub(crate) waiting: Waiting,
    /// The runs under way, and what outlives them.
    pub(crate) runs: Arc<Count>,
    pub(crate) owed: Arc<Owed>,
    /// Where the records of `once` are.
    pub(crate) once_on: OnceLock<On>,
    pub(crate) names: Names,
    /// The server is about to stop: nothing new is begun.
    pub(crate) stopping: AtomicBool,
}

/// One request, before it is known whether its handler will run.
pub(crate) struct Asked<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) identified: &'a Identified,
    pub(crate) execution: &'a Arc<Execution>,
}

/// What a request gets.
pub(crate) enum Entry {
    /// A reply from an earlier run, or from the one that has just ended.
    Replay(Replay),
    /// An error, before the handler ran.
    Refused(Refusal),
    /// The handler must run.
    Run(Box<Run>),
}

/// A reply that is sent again.
pub(crate) enum Replay {
    /// From the store, for so long.
    Kept(Arc<Record>, Duration),
    /// Of the execution that this request waited for.
    Followed(Arc<Reply>),
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The first one is still running.
    InProgress,
    /// The same key came with another payload.
    OtherPayload,
    /// One of the rows was changed by another, and the handler asked for `changed = "reject"`.
    Changed(Tag),
    /// The store does not answer.
    StoreAway,
    /// The server is about to stop.
    Stopping,
}

/// Why a handler runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It keeps no replies.
    Uncached,
    /// There was no record.
    Miss(Miss),
    /// The store did not answer, or what it says cannot be trusted now.
    Unprotected,
}

impl Engine {
    /// A new execution for a handler.
    pub(crate) fn execution(&self, spec: &Spec) -> Arc<Execution> {
        let life = spec
            .cache
            .unwrap_or_default()
            .saturating_add(self.settings.claim_cap);
        Execution::new(
            life,
            spec.once.is_none() && self.outage(spec) == Outage::Reject,
            self.settings.rows,
        )
    }

    fn outage(&self, spec: &Spec) -> Outage {
        spec.outage.unwrap_or(self.settings.outage)
    }

    /// Takes the lock, looks, and waits: everything up to the handler's run.
    ///
    /// # Cancellation
    ///
    /// A dropped call leaves no lock and no claim behind.
    pub(crate) async fn enter(self: &Arc<Self>, asked: Asked<'_>) -> Entry {
        let handler = asked.spec.name;
        let entry = self.find_entry(asked).await;
        meters::entered(handler, &entry);
        entry
    }

    async fn find_entry(self: &Arc<Self>, asked: Asked<'_>) -> Entry {
        if self.stopping.load(Ordering::Acquire) {
            return Entry::Refused(Refusal::Stopping);
        }
        let mut now = Instant::now();
        let deadline = after(now, asked.spec.wait.unwrap_or(self.settings.wait));
        let id = &asked.identified.id;
        let mut one = self.running.follow(id);
        if one
            .as_ref()
            .is_some_and(|one| asked.differs(one.fingerprint))
        {
            // Another payload comes before the lock, too.
            return Entry::Refused(Refusal::OtherPayload);
        }
        let mut alone = false;
        loop {
            let mut member = None;
            if !alone {
                let others = self.after_others(&asked, one.take(), &mut member, deadline);
                match others.await {
                    None => {}
                    Some(Attempt::Mine) => now = Instant::now(),
                    Some(Attempt::Replay(replay)) => return Entry::Replay(replay),
                    Some(Attempt::Refused(refusal)) => return Entry::Refused(refusal),
                    Some(attempt) => {
                        alone = matches!(attempt, Attempt::Alone) && asked.spec.lock.is_none();
                        now = Instant::now();
                        one = self.running.follow(id);
                        continue;
                    }
                }
            }
            let entry = self.contend(&asked, &mut member, now, deadline).await;
            if let Some(member) = &member {
                self.tell(&asked, member, &entry);
            }
            return entry;
        }
    }

    /// Asks the store, with all that belongs to it.
    async fn contend<'a>(
        self: &'a Arc<Self>,
        asked: &Asked<'_>,
        member: &mut Option<Member<'a>>,
        mut now: Instant,
        deadline: Instant,
    ) -> Entry {
        let mut hold = Hold::new(&self.keeper);
        match self.lock(asked, &mut hold, deadline).await {
            Ok(true) => {}
            Ok(false) => return Entry::Refused(Refusal::InProgress),
            Err(error) => return self.away(asked, hold, "away", &error),
        }
        if asked.spec.cache.is_none() {
            return self.run(asked, hold, Why::Uncached);
        }
        if asked.spec.lock.is_some() {
            now = Instant::now();
        }
        loop {
            match self.attempt(asked, &mut hold, member, now, deadline).await {
                Ok(Attempt::Again | Attempt::Alone | Attempt::Mine) => now = Instant::now(),
                Ok(Attempt::Owing) => {
                    return self.away(
                        asked,
                        hold,
                        "owing",
                        &StoreError::new("changed rows are yet to be announced"),
                    );
                }
                Ok(Attempt::Replay(replay)) => return Entry::Replay(replay),
                Ok(Attempt::Refused(refusal)) => return Entry::Refused(refusal),
                Ok(Attempt::Claimed(miss)) => return self.run(asked, hold, Why::Miss(miss)),
                Err(error) => return self.away(asked, hold, "away", &error),
            }
        }
    }

    async fn lock(
        &self,
        asked: &Asked<'_>,
        hold: &mut Hold,
        deadline: Instant,
    ) -> Result<bool, StoreError> {
        let Some(lease) = asked.spec.lock else {
            return Ok(true);
        };
        let lock = asked.claim(lease);
        hold.will_lock(&lock);
        let waiting = Wait::begin("lock", asked.spec.name);
        let locked = self
            .store
            .lock(&lock, deadline.saturating_duration_since(Instant::now()))
            .await;
        waiting.end(match locked {
            Ok(true) => Waited::Done,
            Ok(false) => Waited::Over,
            Err(_) => Waited::Failed,
        });
        let locked = locked?;
        if locked {
            hold.keep_lock_alive();
        } else {
            hold.no_lock();
        }
        Ok(locked)
    }

    /// One look, and the wait for the one that is under way.
    async fn attempt<'a>(
        &'a self,
        asked: &Asked<'_>,
        hold: &mut Hold,
        member: &mut Option<Member<'a>>,
        now: Instant,
        deadline: Instant,
    ) -> Result<Attempt, StoreError> {
        let id = &asked.identified.id;
        if let Some(follower) = self.running.follow(id) {
            if let Some(member) = member {
                member.follows(|| self.running.follow(id));
            }
            let followed = Box::pin(self.follow(asked, follower, deadline)).await;
            if asked.spec.lock.is_none() {
                // Its party has broken up.
                *member = None;
            }
            return Ok(followed);
        }
        if let Some(member) = member {
            member.looks();
        }
        let claim = asked.claim(self.settings.claim_lease);
        hold.will_claim(&claim, now);
        let owed = self.owed.any();
        reach(Point::Claim);
        let looked = self.look(asked, &claim, member.is_some()).await?;
        match looked {
            Looked::Claimed(_) => reach(Point::Claimed),
            _ => hold.no_claim(),
        }
        if let Some(member) = member {
            // Before anyone is refused by it. It may be another one than before.
            match &looked {
                Looked::Busy { fingerprint, .. } => member.waits_for(*fingerprint),
                _ => member.waits_for_none(),
            }
        }
        Ok(match looked {
            Looked::Claimed(miss) => Attempt::Claimed(miss),
            Looked::Changed(_, theirs) if asked.differs(theirs) => {
                Attempt::Refused(Refusal::OtherPayload)
            }
            Looked::Changed(tag, _) => Attempt::Refused(Refusal::Changed(tag)),
            Looked::Hit(record, left) => match (owed, self.owed.any()) {
                // What was owed may have ended it, and was delivered since.
                (true, false) => Attempt::Again,
                (_, true) => Attempt::Owing,
                (false, false) => {
                    // It is the others', too, where this one is refused by it.
                    if let Some(member) = member {
                        member.has_found(&record, left);
                    }
                    asked.answer(record, left)
                }
            },
            Looked::Busy {
                execution,
                fingerprint,
            } => Box::pin(self.busy(asked, (execution, fingerprint), member, deadline)).await?,
        })
    }

    /// Another process is at it: waits for that, or for who waits for it already.
    async fn busy<'a>(
        &'a self,
        asked: &Asked<'_>,
        (execution, fingerprint): (ExecutionId, Option<Fingerprint>),
        member: &mut Option<Member<'a>>,
        deadline: Instant,
    ) -> Result<Attempt, StoreError> {
        let id = &asked.identified.id;
        if let Some(refusal) = asked.refusal(fingerprint, deadline) {
            return Ok(Attempt::Refused(refusal));
        }
        // Who has a lock has company already, and must not wait for it now.
        if member.is_none() {
            let mut joined = self.waiting.join(id);
            joined.has_looked();
            match self.turn(asked, &mut joined, deadline).await {
                Attempt::Mine => {
                    // Another one has looked since, perhaps, and has seen another run.
                    let is_first = joined.is_first();
                    *member = Some(joined);
                    if !is_first {
                        return Ok(Attempt::Again);
                    }
                }
                Attempt::Alone => {}
                attempt => return Ok(attempt),
            }
        }
        if let Some(member) = member {
            member.waits_for(fingerprint);
        }
        let waiting = Wait::begin("duplicate", asked.spec.name);
        let waited = self.until_over(id, execution, deadline).await;
        waiting.end(match waited {
            Ok(Attempt::Again) => Waited::Done,
            Ok(_) => Waited::Over,
            Err(_) => Waited::Failed,
        });
        waited
    }

    /// `why`: `away`, or `owing`.
    fn away(
        self: &Arc<Self>,
        asked: &Asked<'_>,
        hold: Hold,
        why: &'static str,
        error: &StoreError,
    ) -> Entry {
        tracing::error!(%error, handler = asked.spec.name, "the store does not answer");
        let outage = self.outage(asked.spec);
        meters::outage(asked.spec.name, why, outage);
        match outage {
            Outage::Reject => Entry::Refused(Refusal::StoreAway),
            Outage::Run => self.run(asked, hold, Why::Unprotected),
        }
    }

    fn run(self: &Arc<Self>, asked: &Asked<'_>, mut hold: Hold, why: Why) -> Entry {
        let Identified { id, fingerprint } = asked.identified;
        let claimed = matches!(why, Why::Miss(_));
        let ticket = claimed.then(|| self.running.lead(id, *fingerprint, asked.execution));
        if claimed {
            hold.keep_claim_alive(self.settings.claim_cap);
        }
        hold.runs(self.runs.one());
        let hold = Arc::new(hold);
        asked.execution.set_hold(&hold);
        let keep = asked.spec.keep.unwrap_or(Keep::Final);
        Entry::Run(Box::new(Run {
            why,
            handler: asked.spec.name,
            engine: Arc::clone(self),
            keep: asked
                .spec
                .cache
                .filter(|_| claimed)
                .map(|life| (life, keep)),
            id: id.clone(),
            fingerprint: *fingerprint,
            execution: Arc::clone(asked.execution),
            hold,
            ticket,
        }))
    }
}

impl Asked<'_> {
    fn claim(&self, lease: Duration) -> Claim {
        let Identified { id, fingerprint } = self.identified;
        Claim {
            id: id.clone(),
            execution: self.execution.id,
            fingerprint: *fingerprint,
            lease,
        }
    }

    fn differs(&self, theirs: Option<Fingerprint>) -> bool {
        matches!((theirs, self.identified.fingerprint), (Some(theirs), Some(ours)) if theirs != ours)
    }

    /// A record's.
    fn answer(&self, record: Arc<Record>, left: Duration) -> Attempt {
        if self.differs(record.fingerprint) {
            Attempt::Refused(Refusal::OtherPayload)
        } else {
            Attempt::Replay(Replay::Kept(record, left))
        }
    }

    /// Another payload comes before "in progress".
    fn refusal(&self, theirs: Option<Fingerprint>, deadline: Instant) -> Option<Refusal> {
        if self.differs(theirs) {
            return Some(Refusal::OtherPayload);
        }
        (deadline <= Instant::now()).then_some(Refusal::InProgress)
    }
}

/// How one round of looking and waiting ended.
enum Attempt {
    Again,
    /// Without those who ask for the same.
    Alone,
    /// It is this one's turn to ask the store.
    Mine,
    /// There is a record, but this process owes stamps that may have ended it.
    Owing,
    Claimed(Miss),
    Replay(Replay),
    Refused(Refusal),
}
