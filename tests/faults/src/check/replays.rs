//! No stale replay, no torn one, and none of a record that is over; and every request ends.

use std::collections::{BTreeMap, BTreeSet};

use super::{Broken, Verdict, by_run};
use crate::clock::Micros;
use crate::history::{Body, Change, End, History, Operation, RECORD, Reply, Way};
use crate::request::Kind;

/// By how much the store's clock may be behind ours: it takes the time once for all that it does at a time.
const SLACK: Micros = 100_000;

/// What is known of the executions.
struct Known<'a> {
    runs: BTreeMap<&'a str, Vec<&'a Change>>,
    rows: BTreeMap<i64, Vec<Committed<'a>>>,
    /// When the reply of an execution to its own request was there.
    ended: BTreeMap<&'a str, Micros>,
    /// The executions that have replied that they owe no stamp.
    owe_nothing: BTreeSet<&'a str>,
}

/// A change, and when it was surely committed.
struct Committed<'a> {
    change: &'a Change,
    by: Micros,
}

pub(super) fn check(history: &History, verdict: &mut Verdict) {
    let replies: Vec<_> = history.operations.iter().filter_map(replied).collect();
    let known = Known::of(history, &replies);
    for operation in &history.operations {
        if operation.end == End::Never {
            verdict.found(Broken::Stuck, format!("{operation:?}"));
        }
    }
    for (operation, reply, body) in &replies {
        let Some(body) = body else {
            verdict.found(Broken::Torn, format!("no body: {operation:?}"));
            continue;
        };
        if let Some(why) = known.torn(operation, reply, body) {
            verdict.found(Broken::Torn, format!("{why}: {operation:?}"));
        }
        if reply.way != Way::Own {
            verdict.replays += 1;
            known.check_replay(operation, reply, verdict);
        }
    }
}

type Replied<'a> = (&'a Operation, &'a Reply, Option<Body>);

/// An error is nothing to rely on: it is never kept, and given only to who follows the execution that ended with it.
fn replied(operation: &Operation) -> Option<Replied<'_>> {
    match &operation.end {
        End::Reply(reply) if reply.status == 200 || reply.way == Way::Hit => {
            Some((operation, reply, serde_json::from_str(&reply.body).ok()))
        }
        _ => None,
    }
}

impl<'a> Known<'a> {
    fn of(history: &'a History, replies: &'a [Replied<'a>]) -> Self {
        let mut seen = BTreeMap::<(i64, i64), Micros>::new();
        let (mut ended, mut owe_nothing) = (BTreeMap::new(), BTreeSet::new());
        for (operation, reply, body) in replies {
            let Some(body) = body else { continue };
            for row in &body.rows {
                let first = seen.entry(*row).or_insert(operation.ended);
                *first = operation.ended.min(*first);
            }
            if reply.way == Way::Own {
                ended.insert(body.run.as_str(), operation.ended);
                if !body.owed {
                    owe_nothing.insert(body.run.as_str());
                }
            }
        }
        Self {
            runs: by_run(history),
            rows: committed(history, &seen),
            ended,
            owe_nothing,
        }
    }

    /// Why a reply is not what its execution did.
    fn torn(&self, operation: &Operation, reply: &Reply, body: &Body) -> Option<&'static str> {
        if reply.status != 200 || reply.run != body.run {
            return Some("not a reply of its execution");
        }
        if operation.request.kind == Kind::Read {
            return (reply.way != Way::Own).then_some("a reader is replayed");
        }
        let Some(changes) = self.runs.get(body.run.as_str()) else {
            return Some("its execution has committed nothing");
        };
        if changes
            .iter()
            .any(|change| change.request != operation.request)
        {
            return Some("the reply to another request");
        }
        let rows = changes.iter().map(|change| (change.row, change.version));
        let request = operation.request.to_string();
        let whole = Body::new(&body.run, &request, rows.collect(), body.owed);
        (whole.to_text() != reply.body).then_some("not byte for byte")
    }

    fn check_replay(&self, operation: &Operation, reply: &Reply, verdict: &mut Verdict) {
        let ended = self.ended.get(reply.run.as_str()).copied();
        if reply.way == Way::Collapsed {
            // It is the other's reply since the two overlapped, whatever was changed in between.
            if ended.is_some_and(|ended| ended < operation.sent) {
                let shown = format!("after the end of the one it followed: {operation:?}");
                verdict.found(Broken::Stale, shown);
            }
            return;
        }
        if ended.is_some_and(|ended| ended + RECORD + SLACK < operation.sent) {
            verdict.found(Broken::Leaked, format!("an old record: {operation:?}"));
        }
        let (mut owed, mut unheard) = (false, false);
        for later in self.ended_by(&reply.run, operation.sent) {
            if may_be_unheard(later, operation) {
                unheard = true;
            } else if self.may_be_owed(later.change, operation.process) {
                owed = true;
            } else {
                let (change, by) = (later.change, later.by);
                let shown = format!("{change:?}, by {by}, came before {operation:?}");
                verdict.found(Broken::Stale, shown);
                return;
            }
        }
        verdict.owed += usize::from(owed);
        verdict.unheard += usize::from(unheard && !owed);
    }

    /// The changes by others that were surely committed by then, of rows that this execution has changed before.
    fn ended_by(&self, run: &str, by: Micros) -> impl Iterator<Item = &Committed<'a>> {
        let own = self.runs.get(run).into_iter().flatten();
        own.flat_map(move |own| {
            self.rows
                .get(&own.row)
                .into_iter()
                .flatten()
                .filter(move |later| {
                    let change = later.change;
                    change.version > own.version && change.run != run && later.by <= by
                })
        })
    }

    fn may_be_owed(&self, change: &Change, replayed_by: u64) -> bool {
        !change.request.kind.stamps_or_fails()
            && change.process != replayed_by
            && !self.owe_nothing.contains(change.run.as_str())
    }
}

fn may_be_unheard(later: &Committed<'_>, operation: &Operation) -> bool {
    later.change.process != operation.process && operation.sent < later.by + operation.staleness
}

/// The changes of each row, by version.
fn committed<'a>(
    history: &'a History,
    seen: &BTreeMap<(i64, i64), Micros>,
) -> BTreeMap<i64, Vec<Committed<'a>>> {
    let mut rows = BTreeMap::<_, Vec<_>>::new();
    for change in &history.changes {
        let by = seen.get(&(change.row, change.version));
        rows.entry(change.row).or_default().push(Committed {
            change,
            by: by.copied().unwrap_or(Micros::MAX),
        });
    }
    for row in rows.values_mut() {
        row.sort_by_key(|committed| committed.change.version);
        let mut by = Micros::MAX;
        for committed in row.iter_mut().rev() {
            by = by.min(committed.by);
            committed.by = by;
        }
    }
    rows
}
