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

/// How far an execution is.
#[derive(Clone, Debug)]
enum Stage {
    /// It only looks whether it was done before.
    Looking,
    Running,
    /// It has ended, with or without a reply to share.
    Ended(Option<Arc<Reply>>),
}

#[derive(Debug)]
struct Entry {
    execution: Arc<Execution>,
    fingerprint: Arc<OnceLock<Fingerprint>>,
    stage: watch::Receiver<Stage>,
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
    stage: watch::Receiver<Stage>,
}

impl Follower {
    /// Returns when it does not only look any more; with the payload of the one that runs, if that is known, and whether it
    /// still runs.
    pub(crate) async fn looked(&mut self) -> (Option<Fingerprint>, bool) {
        let looked = |stage: &Stage| !matches!(stage, Stage::Looking);
        let runs = match self.stage.wait_for(looked).await {
            Ok(stage) => matches!(*stage, Stage::Running),
            Err(_) => false,
        };
        (self.later.get().copied(), runs)
    }

    /// Its reply, once it has ended; `None` if there is none to share.
    pub(crate) async fn reply(mut self) -> Option<Arc<Reply>> {
        let ended = |stage: &Stage| matches!(stage, Stage::Ended(_));
        match self.stage.wait_for(ended).await.as_deref() {
            Ok(Stage::Ended(reply)) => reply.clone(),
            _ => None,
        }
    }
}

impl Entry {
    fn follower(&self) -> Follower {
        Follower {
            fingerprint: self.fingerprint.get().copied(),
            later: Arc::clone(&self.fingerprint),
            stage: self.stage.clone(),
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
            None => Ok(self.enter(&mut entries, id, None, execution, Stage::Looking)),
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
        let mut entries = lock(&self.entries);
        self.enter(&mut entries, id, fingerprint, execution, Stage::Running)
    }

    fn enter(
        self: &Arc<Self>,
        entries: &mut HashMap<RequestId, Entry>,
        id: &RequestId,
        fingerprint: Option<Fingerprint>,
        execution: &Arc<Execution>,
        stage: Stage,
    ) -> Ticket {
        let (sender, stage) = watch::channel(stage);
        let payload = Arc::new(fingerprint.map_or_else(OnceLock::new, OnceLock::from));
        let entry = Entry {
            execution: Arc::clone(execution),
            fingerprint: Arc::clone(&payload),
            stage,
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
    sender: watch::Sender<Stage>,
}

impl Ticket {
    /// It does not only look any more: this is the payload that the others must have.
    pub(crate) fn runs(&self, fingerprint: Option<Fingerprint>) {
        if let Some(fingerprint) = fingerprint {
            let _ = self.payload.set(fingerprint);
        }
        self.sender.send_replace(Stage::Running);
    }

    /// Gives the followers their reply.
    pub(crate) fn publish(self, reply: Option<Arc<Reply>>) {
        self.leave();
        self.sender.send_replace(Stage::Ended(reply));
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
        self.sender.send_if_modified(|stage| {
            let open = !matches!(stage, Stage::Ended(_));
            if open {
                *stage = Stage::Ended(None);
            }
            open
        });
    }
}
