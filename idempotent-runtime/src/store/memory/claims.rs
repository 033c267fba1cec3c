//! Which executions are under way.

use std::collections::HashMap;
use std::time::Instant;

use tokio::sync::watch;

use super::agenda::{Agenda, Slot, after};
use crate::key::{Fingerprint, RequestId};
use crate::store::{Claim, ExecutionId};

/// A claim that is set.
#[derive(Debug)]
pub(super) struct Held {
    execution: ExecutionId,
    fingerprint: Option<Fingerprint>,
    until: Instant,
    slot: Slot,
    /// Made by the first who waits. It wakes them all by being dropped, so no way of ending a claim can forget to.
    ended: Option<watch::Sender<()>>,
}

/// The claim of another execution.
#[derive(Debug)]
pub(super) struct Rival {
    pub(super) execution: ExecutionId,
    pub(super) fingerprint: Option<Fingerprint>,
}

/// All claims, by request id.
#[derive(Debug, Default)]
pub(super) struct Claims {
    held: HashMap<RequestId, Held>,
    agenda: Agenda<RequestId>,
}

impl Claims {
    /// Sets the claim, or gives it its lease anew if it is set already. A lapsed one of another is handed back.
    pub(super) fn set(&mut self, claim: &Claim, now: Instant) -> Result<Option<Held>, Rival> {
        match self.held.get_mut(&claim.id) {
            Some(held) if held.execution == claim.execution => {
                held.until = after(now, claim.lease);
                Ok(None)
            }
            Some(held) if held.until > now => Err(Rival {
                execution: held.execution,
                fingerprint: held.fingerprint,
            }),
            _ => {
                let lapsed = self.remove(&claim.id);
                self.insert(claim, now);
                Ok(lapsed)
            }
        }
    }

    /// Ends the claim if it is this execution's. The answer is what is left of it, and whether it was still good.
    pub(super) fn end(&mut self, claim: &Claim, now: Instant) -> (Option<Held>, bool) {
        match self.held.get(&claim.id) {
            Some(held) if held.execution == claim.execution => {
                let good = held.until > now;
                (self.remove(&claim.id), good)
            }
            _ => (None, false),
        }
    }

    pub(super) fn renew(&mut self, claim: &Claim, now: Instant) -> bool {
        match self.held.get_mut(&claim.id) {
            Some(held) if held.execution == claim.execution && held.until > now => {
                held.until = after(now, claim.lease);
                true
            }
            _ => false,
        }
    }

    /// What wakes when this execution's claim ends, and when its lease does; `None` if it has ended.
    pub(super) fn watch(
        &mut self,
        id: &RequestId,
        execution: ExecutionId,
        now: Instant,
    ) -> Option<(watch::Receiver<()>, Instant)> {
        let held = self
            .held
            .get_mut(id)
            .filter(|held| held.execution == execution && held.until > now)?;
        let ended = held.ended.get_or_insert_with(|| watch::channel(()).0);
        Some((ended.subscribe(), held.until))
    }

    /// Removes one claim that has lapsed, if there is one.
    pub(super) fn sweep(&mut self, now: Instant) -> Option<Held> {
        let id = self.agenda.due(now)?;
        let held = self.held.get_mut(&id)?;
        if held.until > now {
            held.slot = self.agenda.note(held.until, id);
            return None;
        }
        self.held.remove(&id)
    }

    /// Removes all claims whose id begins with this.
    pub(super) fn clear(&mut self, prefix: &str) -> Vec<Held> {
        let ids: Vec<_> = self
            .held
            .keys()
            .filter(|id| id.as_str().starts_with(prefix))
            .cloned()
            .collect();
        ids.iter().filter_map(|id| self.remove(id)).collect()
    }

    fn insert(&mut self, claim: &Claim, now: Instant) {
        let until = after(now, claim.lease);
        let slot = self.agenda.note(until, claim.id.clone());
        let held = Held {
            execution: claim.execution,
            fingerprint: claim.fingerprint,
            until,
            slot,
            ended: None,
        };
        self.held.insert(claim.id.clone(), held);
    }

    fn remove(&mut self, id: &RequestId) -> Option<Held> {
        let held = self.held.remove(id)?;
        self.agenda.strike(held.slot);
        Some(held)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> (usize, usize) {
        (self.held.len(), self.agenda.len())
    }
}
