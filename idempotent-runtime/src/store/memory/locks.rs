//! Who has each lock, and who is next.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::agenda::{Agenda, Slot, after};
use crate::key::RequestId;
use crate::store::{Claim, ExecutionId};

/// Rung for a waiter whose place has changed: it has the lock now, or is the next to get it.
pub(super) type Bell = Arc<Notify>;

/// A waiter's place in a queue; later ones are greater.
pub(super) type Ticket = u64;

#[derive(Debug)]
struct Lock {
    holder: Holder,
    queue: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Holder {
    execution: ExecutionId,
    until: Instant,
    slot: Slot,
    /// The waiter that was given the lock and has not noticed yet. If it is dropped before it does, nobody else
    /// knows that the lock is taken, and it must pass on.
    unaware: Option<Ticket>,
}

#[derive(Debug)]
struct Waiter {
    ticket: Ticket,
    execution: ExecutionId,
    lease: Duration,
    bell: Bell,
}

/// What came of asking for a lock.
#[derive(Debug)]
pub(super) enum Taken {
    Held,
    /// Another has it, and the caller would not wait.
    Busy,
    Queued(Ticket, Bell),
}

/// How a waiter stands.
#[derive(Debug)]
pub(super) enum Turn {
    Held,
    /// First in the queue: the lock is free at this moment, unless it is renewed. Only this one waiter sleeps
    /// towards it, so that a lapse wakes one and not all.
    Next(Instant),
    Behind,
    /// It was given the lock, did not notice within the lease, and another has it by now.
    Missed,
}

/// All locks that are held, by name. One that nobody holds is not here: there is no queue without a holder.
#[derive(Debug, Default)]
pub(super) struct Locks {
    locks: HashMap<RequestId, Lock>,
    agenda: Agenda<RequestId>,
    tickets: Ticket,
    /// To be rung once nobody is in the store's critical section.
    rung: Vec<Bell>,
}

impl Locks {
    /// Takes the lock if it is free or this execution's; else queues, if told to.
    pub(super) fn take(&mut self, claim: &Claim, queue: bool, now: Instant) -> Taken {
        self.settle(&claim.id, now);
        match self.locks.get_mut(&claim.id) {
            None => {
                self.insert(claim, now);
                Taken::Held
            }
            Some(lock) if lock.holder.execution == claim.execution => {
                lock.holder.until = after(now, claim.lease);
                lock.holder.unaware = None;
                Taken::Held
            }
            Some(_) if !queue => Taken::Busy,
            Some(lock) => {
                self.tickets += 1;
                lock.enqueue(claim, self.tickets)
            }
        }
    }

    /// How the waiter stands now. Once this says that it has the lock, its place in the queue is gone, and its lease
    /// begins: its thread may have been blocked since the lock was handed over.
    pub(super) fn turn(&mut self, claim: &Claim, ticket: Ticket, now: Instant) -> Turn {
        if !self.is_held_by(claim) {
            self.settle(&claim.id, now);
        }
        let Some(lock) = self.locks.get_mut(&claim.id) else {
            return Turn::Missed;
        };
        if lock.holder.execution == claim.execution {
            lock.holder.unaware = None;
            lock.holder.until = after(now, claim.lease);
            let bell = lock.dequeue(ticket);
            self.rung.extend(bell);
            return Turn::Held;
        }
        match lock.queue.front() {
            Some(first) if first.ticket == ticket => Turn::Next(lock.holder.until),
            _ if lock.place(ticket).is_some() => Turn::Behind,
            _ => Turn::Missed,
        }
    }

    fn is_held_by(&self, claim: &Claim) -> bool {
        self.locks
            .get(&claim.id)
            .is_some_and(|lock| lock.holder.execution == claim.execution)
    }

    /// Gives up a place in the queue, and the lock itself if it was handed over and not noticed.
    pub(super) fn leave(&mut self, id: &RequestId, ticket: Ticket, now: Instant) {
        let Some(lock) = self.locks.get_mut(id) else {
            return;
        };
        if lock.holder.unaware == Some(ticket) {
            self.pass_on(id, now);
        } else {
            let bell = lock.dequeue(ticket);
            self.rung.extend(bell);
        }
    }

    pub(super) fn renew(&mut self, claim: &Claim, now: Instant) -> bool {
        self.settle(&claim.id, now);
        match self.locks.get_mut(&claim.id) {
            Some(lock) if lock.holder.execution == claim.execution => {
                lock.holder.until = after(now, claim.lease);
                true
            }
            _ => false,
        }
    }

    pub(super) fn unlock(&mut self, claim: &Claim, now: Instant) -> bool {
        self.settle(&claim.id, now);
        let mine = self.is_held_by(claim);
        if mine {
            self.pass_on(&claim.id, now);
        }
        mine
    }

    /// Ends one lease that has lapsed, if there is one.
    pub(super) fn sweep(&mut self, now: Instant) {
        let Some(id) = self.agenda.due(now) else {
            return;
        };
        let Some(lock) = self.locks.get_mut(&id) else {
            return;
        };
        if lock.holder.until > now {
            lock.holder.slot = self.agenda.note(lock.holder.until, id);
        } else {
            self.pass_on(&id, now);
        }
    }

    /// Takes the locks whose names begin with this from their holders; who waits for one gets it.
    pub(super) fn clear(&mut self, prefix: &str, now: Instant) {
        let ids: Vec<_> = self
            .locks
            .keys()
            .filter(|id| id.as_str().starts_with(prefix))
            .cloned()
            .collect();
        for id in &ids {
            self.pass_on(id, now);
        }
    }

    pub(super) fn take_rung(&mut self) -> Vec<Bell> {
        std::mem::take(&mut self.rung)
    }

    /// Lets the next one in if the holder's lease has lapsed.
    fn settle(&mut self, id: &RequestId, now: Instant) {
        if self
            .locks
            .get(id)
            .is_some_and(|lock| lock.holder.until <= now)
        {
            self.pass_on(id, now);
        }
    }

    /// Hands the lock straight to the next in the queue, or removes it: nobody who comes in between can take it.
    fn pass_on(&mut self, id: &RequestId, now: Instant) {
        let Some(lock) = self.locks.get_mut(id) else {
            return;
        };
        self.agenda.strike(lock.holder.slot);
        match lock.queue.pop_front() {
            None => drop(self.locks.remove(id)),
            Some(next) => {
                let until = after(now, next.lease);
                let slot = self.agenda.note(until, id.clone());
                lock.holder = Holder {
                    execution: next.execution,
                    until,
                    slot,
                    unaware: Some(next.ticket),
                };
                self.rung.extend(lock.bells_after(next));
            }
        }
    }

    fn insert(&mut self, claim: &Claim, now: Instant) {
        let until = after(now, claim.lease);
        let slot = self.agenda.note(until, claim.id.clone());
        let holder = Holder {
            execution: claim.execution,
            until,
            slot,
            unaware: None,
        };
        self.locks.insert(
            claim.id.clone(),
            Lock {
                holder,
                queue: VecDeque::new(),
            },
        );
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> (usize, usize) {
        (self.locks.len(), self.agenda.len())
    }
}

impl Lock {
    fn enqueue(&mut self, claim: &Claim, ticket: Ticket) -> Taken {
        let bell = Bell::default();
        let waiter = Waiter {
            ticket,
            execution: claim.execution,
            lease: claim.lease,
            bell: bell.clone(),
        };
        self.queue.push_back(waiter);
        Taken::Queued(ticket, bell)
    }

    fn place(&self, ticket: Ticket) -> Option<usize> {
        // Tickets ascend along the queue.
        self.queue
            .binary_search_by_key(&ticket, |waiter| waiter.ticket)
            .ok()
    }

    /// Removes a place; the answer is the bell of whoever became the first by that.
    fn dequeue(&mut self, ticket: Ticket) -> Option<Bell> {
        let place = self.place(ticket)?;
        self.queue.remove(place);
        let first = self.queue.front().filter(|_| place == 0)?;
        Some(first.bell.clone())
    }

    /// Who must hear that this waiter got the lock: itself, whoever is first now, and those who wait with the same
    /// token, as it is theirs, too.
    fn bells_after(&self, granted: Waiter) -> impl Iterator<Item = Bell> {
        let others = self.queue.iter().enumerate();
        let others = others
            .filter(move |(place, other)| *place == 0 || other.execution == granted.execution);
        std::iter::once(granted.bell).chain(others.map(|(_, other)| other.bell.clone()))
    }
}
