//! The same for `once`, whose records are in the application's database. The store only answers sooner.
//!
//! ```text
//!          ┌─────────── the one it followed left no reply ───────────┐
//!          ▼                                                         │
//! lead or follow ─ follow ──┬─ its reply ────────→ replay            │
//!          │                ├─ none ─────────────────────────────────┘
//!          │                └─ `wait` is over ───→ 409
//!          │ ─ lead → the store ─ Hit ───────────→ replay
//!          │              └─ any other answer, or none
//!          │                    → the table ─ found → replay
//!          │                          │ ─ none ───→ run, in which `db.once` claims the row
//!          │                          └ ─ away ───→ 503
//! ```
//!
//! Duplicates in one process follow one another here, so that they take no connections. Those in other processes meet at
//! the row. The claim in the store is nobody's promise: where another process has it, this one goes on to the row all the
//! same and keeps nothing in the store.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{Asked, Engine, Entry, Refusal, Replay, Run, Why};
use crate::hold::Hold;
use crate::key::Identified;
use crate::meters::{self, Wait, Waited};
use crate::once::{Answer, Look, record, row_id};
use crate::reply::Reply;
use crate::running::{Follower, Ticket};
use crate::spec::Changed;
use crate::store::{Looked, Miss, Record};
use crate::sync::after;

/// That another one only looks is no reason to refuse anyone: so long it may take, also for who would not wait for its run.
const LOOK: Duration = Duration::from_secs(5);

impl Engine {
    /// Everything up to the handler's run.
    ///
    /// # Cancellation
    ///
    /// A dropped call leaves no claim behind.
    pub(crate) async fn enter_once(
        self: &Arc<Self>,
        asked: Asked<'_>,
        look: Box<dyn Look>,
    ) -> Entry {
        let handler = asked.spec.name;
        let entry = self.find_entry_once(asked, look).await;
        meters::entered(handler, &entry);
        entry
    }

    async fn find_entry_once(self: &Arc<Self>, asked: Asked<'_>, look: Box<dyn Look>) -> Entry {
        if self.stopping.load(Ordering::Acquire) {
            return Entry::Refused(Refusal::Stopping);
        }
        let wait = asked.spec.wait.unwrap_or(self.settings.wait);
        let now = Instant::now();
        let (deadline, looks) = (after(now, wait), after(now, wait.max(LOOK)));
        let ticket = loop {
            let id = &asked.identified.id;
            match self.running.lead_or_follow(id, asked.execution) {
                Ok(ticket) => break ticket,
                Err(one) => {
                    if let Some(entry) = asked.follow(one, deadline, looks).await {
                        return entry;
                    }
                }
            }
        };
        if let Some(promise) = asked.execution.promise() {
            promise.has_waited(now.elapsed());
        }
        let mut hold = Hold::new(&self.keeper);
        if let Some(entry) = self.in_store(&asked, &mut hold).await {
            return entry;
        }
        match in_table(look, &asked).await {
            Ok(None) => self.run_once(&asked, hold, ticket),
            Ok(Some((record, _))) if asked.differs(record.fingerprint) => {
                Entry::Refused(Refusal::OtherPayload)
            }
            Ok(Some((record, left))) => {
                self.keep_in_store(&hold, record.clone(), left).await;
                Entry::Replay(Replay::Kept(Arc::new(record), left))
            }
            Err(error) => {
                tracing::error!(%error, handler = asked.spec.name, "the records cannot be read");
                Entry::Refused(Refusal::StoreAway)
            }
        }
    }

    /// The store's answer, if it has one. Otherwise the hold has the claim, where the store has given it.
    async fn in_store(&self, asked: &Asked<'_>, hold: &mut Hold) -> Option<Entry> {
        // It would be there in the clear. Without a claim nothing is kept there either.
        if self.settings.sealing.is_on() {
            return None;
        }
        let claim = asked.claim(self.settings.claim_lease);
        hold.will_claim(&claim, Instant::now());
        match self.store.look(&claim, Changed::Run).await {
            Ok(Looked::Claimed(_)) => None,
            Ok(Looked::Hit(record, _)) if asked.differs(record.fingerprint) => {
                hold.no_claim();
                Some(Entry::Refused(Refusal::OtherPayload))
            }
            Ok(Looked::Hit(record, left)) => {
                hold.no_claim();
                Some(Entry::Replay(Replay::Kept(record, left)))
            }
            Ok(_) => {
                hold.no_claim();
                None
            }
            Err(error) => {
                tracing::warn!(%error, handler = asked.spec.name, "the store does not answer; the table does");
                None
            }
        }
    }

    async fn keep_in_store(&self, hold: &Hold, record: Record, life: Duration) {
        if let Err(error) = hold.keep(&*self.store, record, life).await {
            tracing::warn!(%error, "a reply is in its table only, and not in the store");
        }
    }

    fn run_once(self: &Arc<Self>, asked: &Asked<'_>, mut hold: Hold, ticket: Ticket) -> Entry {
        let Identified { id, fingerprint } = asked.identified;
        ticket.runs(*fingerprint);
        hold.keep_claim_alive(self.settings.claim_cap);
        hold.runs(self.runs.one());
        let hold = Arc::new(hold);
        asked.execution.set_hold(&hold);
        Entry::Run(Box::new(Run {
            why: Why::Miss(Miss::Absent),
            handler: asked.spec.name,
            engine: Arc::clone(self),
            keep: None,
            id: id.clone(),
            fingerprint: *fingerprint,
            execution: Arc::clone(asked.execution),
            hold,
            ticket: Some(ticket),
        }))
    }
}

impl Asked<'_> {
    /// Waits for the one that is under way in this process; nothing if it has left no reply.
    async fn follow(&self, mut one: Follower, deadline: Instant, looks: Instant) -> Option<Entry> {
        let Ok((payload, runs)) = timeout_at(looks, one.looked()).await else {
            return Some(Entry::Refused(Refusal::InProgress));
        };
        let differs = self.differs(payload);
        if differs && runs {
            return Some(Entry::Refused(Refusal::OtherPayload));
        }
        let waiting = Wait::begin("duplicate", self.spec.name);
        let waited = timeout_at(deadline, one.reply()).await;
        waiting.end(match waited {
            Ok(_) => Waited::Done,
            Err(_) => Waited::Over,
        });
        match waited {
            Ok(Some(_)) if differs => Some(Entry::Refused(Refusal::OtherPayload)),
            Ok(Some(reply)) => Some(Entry::Replay(Replay::Followed(reply))),
            Ok(None) => None,
            Err(_) => Some(Entry::Refused(Refusal::InProgress)),
        }
    }
}

async fn in_table(
    look: Box<dyn Look>,
    asked: &Asked<'_>,
) -> Result<Option<(Record, Duration)>, crate::error::Error> {
    let id = row_id(&asked.identified.id);
    let found = tokio::task::spawn_blocking(move || look.find(&id)).await;
    let found = found.map_err(|_| crate::error::Error::canceled())??;
    Ok(found.map(|(record, left)| (record, Duration::from_secs(left.max(0).unsigned_abs()))))
}

impl Run {
    /// Whether it is the run of a `once` handler.
    pub(crate) fn is_once(&self) -> bool {
        self.execution.promise().is_some()
    }

    /// The handler has replied: what its `db.once` has come to is the answer, if it has come to anything. Gives it to
    /// the store and to those who wait.
    pub(crate) async fn finish_once(mut self: Box<Self>) -> Option<Answer> {
        let answer = self
            .execution
            .promise()
            .and_then(|promise| promise.answer());
        meters::recorded(self.handler, answer.as_ref());
        if let Some(Answer::Recorded(reply, life) | Answer::Found(reply, life)) = &answer {
            let record = record(self.execution.id, self.fingerprint, Reply::clone(reply));
            self.engine.keep_in_store(&self.hold, record, *life).await;
            if let Some(ticket) = self.ticket.take() {
                ticket.publish(Some(Arc::clone(reply)));
            }
        }
        answer
    }
}
