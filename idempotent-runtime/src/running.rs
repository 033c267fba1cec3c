//! The executions of this process that are under way.
//!
//! A duplicate follows the one that runs: it is woken with that one's reply, kept or not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use tokio::sync::{Notify, watch};

use crate::execution::Execution;
use crate::key::{Fingerprint, RequestId};
use crate::reply::Reply;
use crate::store::ExecutionId;
use crate::sync::lock;

/// `None`: still running. `Some(None)`: ended without a reply to share.
type Outcome = Option<Option<Arc<Reply>>>;

#[derive(Debug)]
struct Entry {
    execution: Arc<Execution>,
    fingerprint: Arc<OnceLock<Fingerprint>>,
    outcome: watch::Receiver<Outcome>,
}

/// What is under way in this process.
#[derive(Debug, Default)]
pub(crate) struct Running {
    entries: Mutex<HashMap<RequestId, Entry>>,
    arrived: Notify,
}

/// A duplicate's view of the one that runs.
#[derive(Clone, Debug)]
pub(crate) struct Follower {
    pub(crate) fingerprint: Option<Fingerprint>,
    later: Arc<OnceLock<Fingerprint>>,
    outcome: watch::Receiver<Outcome>,
}

impl Follower {
    /// What tells the payload of the one that runs, also if it was not known yet when this one began to follow.
    pub(crate) fn payload(&self) -> Arc<OnceLock<Fingerprint>> {
        Arc::clone(&self.later)
    }

    /// Its reply, once it has ended; `None` if there is none to share.
    pub(crate) async fn reply(mut self) -> Option<Arc<Reply>> {
        match self.outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().flatten(),
            Err(_) => None,
        }
    }
}

impl Entry {
    fn follower(&self) -> Follower {
        Follower {
            fingerprint: self.fingerprint.get().copied(),
            later: Arc::clone(&self.fingerprint),
            outcome: self.outcome.clone(),
        }
    }
}

impl Running {
    /// The execution under way for this id, if it runs here.
    pub(crate) fn follow(&self, id: &RequestId) -> Option<Follower> {
        let entries = lock(&self.entries);
        let entry = entries.get(id)?;
        Some(entry.follower())
    }

    /// As [`lead`](Self::lead), unless another one does. Its payload is not told until [`Ticket::runs`]: as long as it
    /// only looks, it may be the one whose payload is another.
    pub(crate) fn lead_or_follow(
        self: &Arc<Self>,
        id: &RequestId,
        execution: &Arc<Execution>,
    ) -> Result<Ticket, Follower> {
        let mut entries = lock(&self.entries);
        match entries.get(id) {
            Some(entry) => Err(entry.follower()),
            None => Ok(self.enter(&mut entries, id, None, execution)),
        }
    }

    /// Returns when another execution has begun here.
    pub(crate) fn arrival(&self) -> tokio::sync::futures::Notified<'_> {
        self.arrived.notified()
    }

    /// From now on this execution is the one to follow.
    pub(crate) fn lead(
        self: &Arc<Self>,
        id: &RequestId,
        fingerprint: Option<Fingerprint>,
        execution: &Arc<Execution>,
    ) -> Ticket {
        self.enter(&mut lock(&self.entries), id, fingerprint, execution)
    }

    fn enter(
        self: &Arc<Self>,
        entries: &mut HashMap<RequestId, Entry>,
        id: &RequestId,
        fingerprint: Option<Fingerprint>,
        execution: &Arc<Execution>,
    ) -> Ticket {
        let (sender, outcome) = watch::channel(None);
        let payload = Arc::new(fingerprint.map_or_else(OnceLock::new, OnceLock::from));
        let entry = Entry {
            execution: Arc::clone(execution),
            fingerprint: Arc::clone(&payload),
            outcome,
        };
        entries.insert(id.clone(), entry);
        self.arrived.notify_waiters();
        Ticket {
            running: Arc::clone(self),
            id: id.clone(),
            execution: execution.id,
            payload,
            sender,
        }
    }

    /// A write that belongs to no request is about to commit: whichever of these executions has made none of its own
    /// may be where it came from.
    pub(crate) fn suspect(&self) {
        lock(&self.entries)
            .values()
            .for_each(|entry| entry.execution.suspect());
    }
}

/// Held by the execution that the others follow. Dropping it tells them that there is no reply.
#[derive(Debug)]
pub(crate) struct Ticket {
    running: Arc<Running>,
    id: RequestId,
    execution: ExecutionId,
    payload: Arc<OnceLock<Fingerprint>>,
    sender: watch::Sender<Outcome>,
}

impl Ticket {
    /// It does not only look any more: this is the payload that the others must have.
    pub(crate) fn runs(&self, fingerprint: Option<Fingerprint>) {
        if let Some(fingerprint) = fingerprint {
            let _ = self.payload.set(fingerprint);
        }
    }

    /// Gives the followers their reply.
    pub(crate) fn publish(self, reply: Option<Arc<Reply>>) {
        self.leave();
        self.sender.send_replace(Some(reply));
    }

    fn leave(&self) {
        let mut entries = lock(&self.running.entries);
        // After a lost claim another execution may lead by now.
        if entries
            .get(&self.id)
            .is_some_and(|entry| entry.execution.id == self.execution)
        {
            entries.remove(&self.id);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.leave();
        self.sender.send_if_modified(|outcome| {
            let open = outcome.is_none();
            outcome.get_or_insert(None);
            open
        });
    }
}
