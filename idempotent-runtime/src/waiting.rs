//! Duplicates in this process that look, or wait for another process: one of them asks the store, the others get what it
//! finds. The first to look has no party, which costs more than most looks; who comes while it looks is in one, and the
//! store has two questions of one key at a time.
//!
//! ```text
//! join ──→ wait ── it is one's turn ──→ ask the store ── a record ──────────→ told to the party, which breaks up
//!             │                           │              this process runs it → told; they follow that run
//!             │                           │ ── refused, cancelled ───────────→ the turn is the next one's
//!             └── told what was found     └── away ──────────────────────────→ told to ask alone
//! ```
//!
//! # Interleavings
//!
//! * Who joins after a look was sent has perhaps seen what ended the record that it finds. Looks are numbered, and a record
//!   is only for those who joined before its look.
//! * Whoever asks is dropped, or must wait no longer: its turn ends with it, and is the next one's, in order of arrival.
//!   Everyone waits for as long as it wants itself.
//! * What was found is told before the turn ends, so that whoever gets the turn then sees it.
//! * The payload of the one that is waited for is known from the look that found it. Another payload is refused before
//!   anything is waited for; and when a record comes, by that.
//! * A party that has been told something is not joined any more; the last to leave removes what was not told. Who is
//!   the last is counted under the map's lock: of two that leave at once, each holds the party still when the other looks.
//! * Another one than was waited for has the key by the time of the next look: its payload is the party's from then on,
//!   also where the one that looked is refused by it.
//! * Somebody looks for longer than another one would wait: as long as no run is known, the other one asks alone. It is
//!   refused because of a run, not of a look.
//! * Two keys are looked for that share a count: who comes second has a party of its own, and nothing is different.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout_at};

use crate::key::{Fingerprint, RequestId};
use crate::running::Follower;
use crate::store::Record;
use crate::sync::{after, lock};

/// Many enough that two keys looked for at once rarely share one.
const COUNTS: u32 = 4096;

/// Who waits in this process, by what for.
#[derive(Debug)]
pub(crate) struct Waiting {
    parties: Mutex<HashMap<RequestId, Place>>,
    /// How many look, by the hash of what for.
    looking: Box<[AtomicU32]>,
}

/// One that looks, until it is dropped.
#[derive(Debug)]
pub(crate) struct Looking<'a>(&'a AtomicU32);

#[derive(Debug)]
struct Place {
    party: Arc<Party>,
    members: usize,
}

#[derive(Debug)]
struct Party {
    /// Who has it asks the store.
    turn: Arc<Semaphore>,
    found: watch::Sender<Option<Found>>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    looks: u64,
    payload: Option<Fingerprint>,
    /// A look has found one under way.
    runs: bool,
}

/// What one has found for all.
#[derive(Clone, Debug)]
enum Found {
    /// By the look of this number, a record that lasts until then.
    Kept(u64, Arc<Record>, Instant),
    Runs(Follower),
    Nothing,
}

/// How it goes on for one of a party.
pub(crate) enum Turn {
    /// It is to ask.
    Mine,
    /// There is a record, for so long.
    Kept(Arc<Record>, Duration),
    /// It runs in this process.
    Runs(Follower),
    /// What was found is not for this one.
    Again,
    /// It is to ask without the others.
    Alone,
    /// It was too long.
    Over,
}

/// One of a party; leaves it on drop.
#[derive(Debug)]
pub(crate) struct Member<'a> {
    waiting: &'a Waiting,
    id: RequestId,
    party: Arc<Party>,
    /// How many looks had begun when it joined.
    joined: u64,
    turn: Option<OwnedSemaphorePermit>,
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            parties: Mutex::default(),
            looking: (0..COUNTS).map(|_| AtomicU32::new(0)).collect(),
        }
    }
}

impl Waiting {
    /// One looks for this; and those who look or wait for it already, if anyone does.
    pub(crate) fn look(&self, id: &RequestId) -> (Looking<'_>, Option<Member<'_>>) {
        let count = &self.looking[id.slot(COUNTS)];
        let others = count.fetch_add(1, Ordering::Relaxed) > 0;
        let member = if others {
            Some(self.join(id))
        } else {
            self.join_others(id)
        };
        (Looking(count), member)
    }

    fn join_others(&self, id: &RequestId) -> Option<Member<'_>> {
        let mut parties = lock(&self.parties);
        Some(self.member(id, parties.get_mut(id)?))
    }

    /// Joins them, or is the first.
    pub(crate) fn join(&self, id: &RequestId) -> Member<'_> {
        let mut parties = lock(&self.parties);
        let place = parties.entry(id.clone()).or_insert_with(|| Place {
            party: Arc::new(Party {
                turn: Arc::new(Semaphore::new(1)),
                found: watch::channel(None).0,
                seen: Mutex::default(),
            }),
            members: 0,
        });
        self.member(id, place)
    }

    fn member(&self, id: &RequestId, place: &mut Place) -> Member<'_> {
        place.members += 1;
        let party = Arc::clone(&place.party);
        let joined = lock(&party.seen).looks;
        Member {
            waiting: self,
            id: id.clone(),
            party,
            joined,
            turn: None,
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        lock(&self.parties).len()
    }
}

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Member<'_> {
    /// The payload of the one that is waited for, as far as it is known.
    pub(crate) fn payload(&self) -> Option<Fingerprint> {
        lock(&self.party.seen).payload
    }

    pub(crate) fn has_payload(&self, payload: Option<Fingerprint>) {
        lock(&self.party.seen).payload = payload;
    }

    /// One is under way, which is what they wait for.
    pub(crate) fn waits_for_a_run(&self) {
        lock(&self.party.seen).runs = true;
    }

    pub(crate) fn is_waiting_for_a_run(&self) -> bool {
        lock(&self.party.seen).runs
    }

    /// Whether it is this one's turn at once, and nothing is found yet.
    pub(crate) fn takes_turn(&mut self) -> bool {
        self.turn = Arc::clone(&self.party.turn).try_acquire_owned().ok();
        self.turn.is_some() && self.party.found.borrow().is_none()
    }

    /// Returns when it is this one's turn, or something was found.
    pub(crate) async fn turn(&mut self, deadline: Instant) -> Turn {
        let mut found = self.party.found.subscribe();
        // Taken in vain, if something was found.
        self.turn = None;
        let turn = Arc::clone(&self.party.turn).acquire_owned();
        let either = async {
            tokio::select! {
                biased;
                _ = found.wait_for(Option::is_some) => None,
                turn = turn => turn.ok(),
            }
        };
        match timeout_at(deadline, either).await {
            Ok(turn) => self.turn = turn,
            Err(_) => return Turn::Over,
        }
        let found = self.party.found.borrow().clone();
        match found {
            None => Turn::Mine,
            Some(Found::Kept(look, record, end)) if look > self.joined => {
                Turn::Kept(record, end.saturating_duration_since(Instant::now()))
            }
            Some(Found::Runs(follower)) => Turn::Runs(follower),
            Some(Found::Kept(..)) => Turn::Again,
            Some(Found::Nothing) => Turn::Alone,
        }
    }

    /// A look is about to be sent.
    pub(crate) fn looks(&self) {
        lock(&self.party.seen).looks += 1;
    }

    /// The last look has found this.
    pub(crate) fn has_found(&self, record: &Arc<Record>, left: Duration) {
        let look = lock(&self.party.seen).looks;
        let end = after(Instant::now(), left);
        self.tell(Found::Kept(look, Arc::clone(record), end));
    }

    pub(crate) fn follows(&self, follower: Follower) {
        self.tell(Found::Runs(follower));
    }

    /// All must ask alone.
    pub(crate) fn gives_up(&self) {
        self.tell(Found::Nothing);
    }

    fn tell(&self, found: Found) {
        if self.turn.is_some() {
            self.leave(|_| true);
            self.party.found.send_replace(Some(found));
        }
    }

    fn leave(&self, ends: impl FnOnce(&mut Place) -> bool) {
        let mut parties = lock(&self.waiting.parties);
        if parties
            .get_mut(&self.id)
            .is_some_and(|place| Arc::ptr_eq(&place.party, &self.party) && ends(place))
        {
            parties.remove(&self.id);
        }
    }
}

impl Drop for Member<'_> {
    fn drop(&mut self) {
        self.leave(|place| {
            place.members -= 1;
            place.members == 0
        });
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::reply::Reply;
    use crate::store::ExecutionId;

    fn record() -> Arc<Record> {
        Arc::new(Record {
            execution: ExecutionId(1),
            fingerprint: None,
            epoch: None,
            tags: Vec::new(),
            reply: Reply::new(200),
        })
    }

    const LONG: Duration = Duration::from_secs(60);

    fn later() -> Instant {
        after(Instant::now(), LONG)
    }

    #[tokio::test]
    async fn a_record_is_only_for_those_who_came_before_its_look() {
        let (waiting, id) = (Waiting::default(), RequestId::from_text("a"));
        let mut asks = waiting.join(&id);
        assert!(matches!(asks.turn(later()).await, Turn::Mine));
        let mut before = waiting.join(&id);
        asks.looks();
        let mut behind = waiting.join_others(&id).unwrap();
        asks.has_found(&record(), LONG);
        assert!(waiting.join_others(&id).is_none());
        assert!(matches!(before.turn(later()).await, Turn::Kept(..)));
        assert!(matches!(behind.turn(later()).await, Turn::Again));
        assert_eq!(waiting.len(), 0);
    }

    #[tokio::test]
    async fn the_turn_of_one_that_is_gone_is_the_next_ones_and_nothing_stays() {
        let (waiting, id) = (Waiting::default(), RequestId::from_text("a"));
        let mut first = waiting.join(&id);
        assert!(matches!(first.turn(later()).await, Turn::Mine));
        let (mut second, mut third) = (waiting.join(&id), waiting.join(&id));
        assert!(matches!(second.turn(Instant::now()).await, Turn::Over));
        drop(second);
        let waits = async {
            assert!(matches!(third.turn(later()).await, Turn::Mine));
        };
        futures_util::future::join(waits, async { drop(first) }).await;
        // What one without the turn says is nothing to the others.
        let fourth = waiting.join(&id);
        fourth.gives_up();
        assert_eq!(waiting.len(), 1);
        drop((third, fourth));
        assert_eq!(waiting.len(), 0);
    }

    /// Between the end of a member's drop and that of its fields the next one may leave.
    #[test]
    fn who_has_left_and_is_not_gone_yet_does_not_count() {
        let (waiting, id) = (Waiting::default(), RequestId::from_text("a"));
        let (first, second) = (waiting.join(&id), waiting.join(&id));
        let of_the_first = Arc::clone(&first.party);
        drop(first);
        assert_eq!(waiting.len(), 1);
        drop(second);
        assert_eq!(waiting.len(), 0);
        drop(of_the_first);
    }
}
