//! Whether a history keeps the promises; pure.
//!
//! # What is surely committed, and when
//!
//! The versions of a row are the order of its commits. A version is surely committed at the earliest end of a request
//! whose reply told of it or of a later one. A replay is stale if, before it was *sent*, a change of one of its rows
//! that came after its own was surely committed.
//!
//! # What is excused, as documented, and counted
//!
//! * **Owed**: a writer without the attribute goes on while the store is away, and its stamp is owed. Until it is
//!   delivered, or for as long as the record lives if the process that owes it dies, *another* process may replay. So a
//!   replay is excused if each of the changes that ended it is of a plain writer in another process, whose reply said
//!   that it owed, or who has left no reply that could have said so.
//! * **Unheard**: with `Local::tracking` a process may replay what *another* has changed until it hears of it, for at most
//!   the staleness that it was told. So a replay by such a process is excused if it was sent within that time after the
//!   change was surely committed. Its stamp is older than that, so this is never more than was promised.
//! * **Lost**: the store lost a lock: from when its holder's request was sent until the next holder had entered, the store
//!   was flushed, evicted something, or was started anew. Or the lease was over by then, and its holder knew that it had
//!   lost it; a holder that lost it sooner is no excuse.

use std::collections::BTreeMap;
use std::fmt;

use crate::history::{Change, History};

mod locks;
mod replays;
#[cfg(test)]
mod tests;

/// What was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A stale replay.
    Stale,
    /// Two holders of one lock.
    Overlap,
    /// Not the reply of the execution that it is said to be of.
    Torn,
    /// No end.
    Stuck,
    /// A key or a record that is longer there than it may be.
    Leaked,
}

/// One break of a promise, and what shows it.
#[derive(Clone, Debug)]
pub struct Offence {
    /// Which promise.
    pub broken: Broken,
    /// By what.
    pub shown: String,
}

impl fmt::Display for Offence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.broken, self.shown)
    }
}

/// What a history comes to.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Each break.
    pub offences: Vec<Offence>,
    /// How many stale replays were excused, as a stamp was owed.
    pub owed: usize,
    /// How many were, as the change was not heard of yet.
    pub unheard: usize,
    /// How many overlaps were excused.
    pub lost: usize,
    /// How many replays there were.
    pub replays: usize,
}

impl Verdict {
    fn found(&mut self, broken: Broken, shown: String) {
        self.offences.push(Offence { broken, shown });
    }

    /// How often this was broken.
    #[must_use]
    pub fn count(&self, broken: Broken) -> usize {
        let such = |offence: &&Offence| offence.broken == broken;
        self.offences.iter().filter(such).count()
    }
}

/// Judges a history.
#[must_use]
pub fn check(history: &History) -> Verdict {
    let mut verdict = Verdict::default();
    replays::check(history, &mut verdict);
    locks::check(history, &mut verdict);
    for leak in &history.leaks {
        verdict.found(Broken::Leaked, leak.clone());
    }
    verdict
}

/// What each execution has committed, in its order.
fn by_run(history: &History) -> BTreeMap<&str, Vec<&Change>> {
    let mut runs = BTreeMap::<_, Vec<_>>::new();
    for change in &history.changes {
        runs.entry(change.run.as_str()).or_default().push(change);
    }
    runs
}
