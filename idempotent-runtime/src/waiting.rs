//! Duplicates in this process that look, or wait for another process: one of them asks the store, the others get what it
//! finds. A party costs more than most looks, so the first to look has none, and where the store answers at once nobody
//! has. Who comes while the store is still to answer joins one.
//!
//! ```text
//! join ──→ wait ── it is one's turn ──→ ask the store ── a record ──────────→ told to those who came before the look
//!             │                           │              this process runs it → told to all, who follow that run
//!             │                           │ ── refused, cancelled ───────────→ the turn is the next one's
//!             └── told what was found     └── away ──────────────────────────→ told to all, to ask alone
//! ```
//!
//! # Interleavings
//!
//! * Who joins after a look was sent has perhaps seen what ended the record that it finds. Looks are numbered, and a record
//!   is only for those who joined before its look. The others stay, and one of them looks for all who have come since: each
//!   look answers all that came during the one before, however hot the key is.
//! * Whoever asks is dropped, or must wait no longer: its turn ends with it, and is the next one's.
//!   Everyone waits for as long as it wants itself.
//! * What was found is told before the turn ends, so that whoever gets the turn then sees it.
//! * The payload of the run that is waited for is known from the look that found it. Another payload is refused before
//!   anything is waited for; and when a record comes, by that. That of a record is none to refuse who comes after its look.
//! * A party that was told of a run, or to ask alone, is not joined any more; another one is removed by the last to leave. Who
//!   is the last is counted under the map's lock: of two that leave at once, each holds the party still when the other looks.
//! * Another one than was waited for has the key by the time of the next look: its payload is the party's from then on,
//!   also where the one that looked is refused by it.
//! * Somebody looks for longer than another one would wait, or for longer than looks should take: its thread may be busy
//!   with another request. As long as no run is known the other one asks alone, for it is refused because of a run and not
//!   of a look, and nobody joins that party any more. (Who takes a lock first does not: it would wait for that.)
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

/// Many enough that two keys whose looks are under way rarely share one.
const COUNTS: u32 = 4096;

/// Who waits in this process, by what for.
#[derive(Debug)]
pub(crate) struct Waiting {
    parties: Mutex<HashMap<RequestId, Place>>,
    /// How many look without a party, by the hash of what for.
    looking: Box<[AtomicU32]>,
}

/// One that looks without a party, until it is dropped.
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

/// What one has found for the others.
#[derive(Clone, Debug)]
enum Found {
    /// By the look of this number, a record that lasts until then.
    Kept(u64, Arc<Record>, Instant),
    Runs(Follower),
    Nothing,
}

impl Found {
    /// Whether it is for one that joined after so many looks.
    fn is_for(&self, joined: u64) -> bool {
        match self {
            Self::Kept(look, ..) => *look > joined,
            Self::Runs(_) | Self::Nothing => true,
        }
    }
}

/// How it goes on for one of a party.
pub(crate) enum Turn {
    /// It is to ask.
    Mine,
    /// There is a record, for so long.
    Kept(Arc<Record>, Duration),
    /// It runs in this process.
    Runs(Follower),
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
    /// It has looked itself before it joined.
    has_looked: bool,
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
    /// One looks for this without a party: who comes from now on joins one.
    pub(crate) fn looks(&self, id: &RequestId) -> Looking<'_> {
        let count = self.count(id);
        count.fetch_add(1, Ordering::Relaxed);
        Looking(count)
    }

    /// Joins those who look or wait for this, if anyone does.
    pub(crate) fn join_others(&self, id: &RequestId) -> Option<Member<'_>> {
        match self.count(id).load(Ordering::Relaxed) {
            0 => self.join_waiting(id),
            _ => Some(self.join(id)),
        }
    }

    fn count(&self, id: &RequestId) -> &AtomicU32 {
        &self.looking[id.slot(COUNTS)]
    }

    fn join_waiting(&self, id: &RequestId) -> Option<Member<'_>> {
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
            has_looked: false,
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
    /// The payload of the run that is waited for, as far as it is known.
    pub(crate) fn payload(&self) -> Option<Fingerprint> {
        let seen = lock(&self.party.seen);
        // One that has seen a run of its own payload may know it from a later look than the party.
        seen.payload.filter(|_| !self.has_looked)
    }

    /// A look has found a run of this payload.
    pub(crate) fn waits_for(&self, payload: Option<Fingerprint>) {
        let mut seen = lock(&self.party.seen);
        (seen.payload, seen.runs) = (payload, true);
    }

    pub(crate) fn has_looked(&mut self) {
        self.has_looked = true;
    }

    /// Whether nobody has looked for the party yet.
    pub(crate) fn is_first(&self) -> bool {
        lock(&self.party.seen).looks == 0
    }

    /// The last look has found none.
    pub(crate) fn waits_for_none(&self) {
        let mut seen = lock(&self.party.seen);
        (seen.payload, seen.runs) = (None, false);
    }

    pub(crate) fn is_waiting_for_a_run(&self) -> bool {
        lock(&self.party.seen).runs
    }

    /// Whether it is this one's turn at once, and nothing is found for it yet.
    pub(crate) fn takes_turn(&mut self) -> bool {
        self.turn = Arc::clone(&self.party.turn).try_acquire_owned().ok();
        self.turn.is_some() && self.told().is_none()
    }

    fn told(&self) -> Option<Found> {
        let found = self.party.found.borrow();
        found
            .as_ref()
            .filter(|found| found.is_for(self.joined))
            .cloned()
    }

    /// Returns when it is this one's turn, or something was found.
    pub(crate) async fn turn(&mut self, deadline: Instant) -> Turn {
        let mut found = self.party.found.subscribe();
        // Taken in vain, if something was found.
        self.turn = None;
        let turn = Arc::clone(&self.party.turn).acquire_owned();
        let joined = self.joined;
        let is_told = |found: &Option<Found>| found.as_ref().is_some_and(|one| one.is_for(joined));
        let either = async {
            tokio::select! {
                biased;
                _ = found.wait_for(is_told) => None,
                turn = turn => turn.ok(),
            }
        };
        match timeout_at(deadline, either).await {
            Ok(turn) => self.turn = turn,
            Err(_) => return Turn::Over,
        }
        match self.told() {
            None => Turn::Mine,
            Some(Found::Kept(_, record, end)) => {
                Turn::Kept(record, end.saturating_duration_since(Instant::now()))
            }
            Some(Found::Runs(follower)) => Turn::Runs(follower),
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

    /// All follow the run that is under way now, if there still is one; else they ask alone. Nobody joins before it is
    /// asked for, so that nobody follows one that had ended when it came.
    pub(crate) fn follows(&self, run: impl FnOnce() -> Option<Follower>) {
        if self.turn.is_some() {
            self.abandons();
            self.tell(run().map_or(Found::Nothing, Found::Runs));
        }
    }

    /// All must ask alone.
    pub(crate) fn gives_up(&self) {
        self.follows(|| None);
    }

    /// Nobody joins this party any more.
    pub(crate) fn abandons(&self) {
        self.leave(|_| true);
    }

    /// Who has not the turn has found nothing for the others.
    fn tell(&self, found: Found) {
        if self.turn.is_some() {
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
        let mut last = waiting.join_others(&id).unwrap();
        asks.has_found(&record(), LONG);
        drop(asks);
        assert!(matches!(before.turn(later()).await, Turn::Kept(..)));
        // One of the others looks for all of them.
        assert!(matches!(behind.turn(later()).await, Turn::Mine));
        assert!(matches!(last.turn(Instant::now()).await, Turn::Over));
        behind.looks();
        let mut after = waiting.join_others(&id).unwrap();
        behind.has_found(&record(), LONG);
        drop(behind);
        assert!(matches!(last.turn(later()).await, Turn::Kept(..)));
        assert!(after.takes_turn());
        drop((before, last, after));
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
