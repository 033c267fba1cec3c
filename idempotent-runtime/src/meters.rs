//! What an operator can count and measure, by the `metrics` facade.
//!
//! Labels have few values, each known beforehand: names of handlers, and words of this file. Never a key, an id, a
//! row, a body, or who asks.

use std::time::Duration;

use metrics::{Unit, counter, gauge, histogram};
use tokio::time::Instant;

use crate::execution::Unkept;
use crate::flow::{Entry, Refusal, Replay, Why};
use crate::keeper::Kind;
use crate::once::Answer;
use crate::spec::Outage;
use crate::store::Miss;

#[cfg(test)]
mod tests;

/// What kind of metric it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Counter,
    Gauge,
    Histogram,
}

/// A metric: its name, kind, unit, labels, and what it says. The table in `docs/operations.md` is this one.
type Metric = (
    &'static str,
    Of,
    Unit,
    &'static [&'static str],
    &'static str,
);

const ALL: &[Metric] = &[
    (
        HITS,
        Of::Counter,
        Unit::Count,
        &["handler", "from"],
        "replies that were replayed",
    ),
    (
        MISSES,
        Of::Counter,
        Unit::Count,
        &["handler", "reason"],
        "requests that found no valid record, so that the handler ran",
    ),
    (
        REFUSALS,
        Of::Counter,
        Unit::Count,
        &["handler", "reason"],
        "requests that were answered with an error before the handler ran",
    ),
    (
        KEPT,
        Of::Counter,
        Unit::Count,
        &["handler"],
        "replies that were kept",
    ),
    (
        UNKEPT,
        Of::Counter,
        Unit::Count,
        &["handler", "reason"],
        "replies of cached handlers that were not kept",
    ),
    (
        REPLY,
        Of::Histogram,
        Unit::Bytes,
        &["handler"],
        "how large the kept replies are: headers and body",
    ),
    (
        RUNNING,
        Of::Gauge,
        Unit::Count,
        &["handler"],
        "handlers that run",
    ),
    (
        RUN,
        Of::Histogram,
        Unit::Seconds,
        &["handler", "outcome"],
        "how long handlers ran",
    ),
    (
        WAIT,
        Of::Histogram,
        Unit::Seconds,
        &["handler", "for", "outcome"],
        "how long requests waited for a lock, or for the run of a duplicate",
    ),
    (
        LOST,
        Of::Counter,
        Unit::Count,
        &["lease"],
        "leases that ended before their handler did",
    ),
    (
        OUTAGES,
        Of::Counter,
        Unit::Count,
        &["handler", "reason", "policy"],
        "requests that could not be answered by the store",
    ),
    (
        BREAKER,
        Of::Counter,
        Unit::Count,
        &[],
        "how often Redis was taken for dead, to be asked only once a second",
    ),
    (
        OWED,
        Of::Gauge,
        Unit::Count,
        &[],
        "changed rows and tables that the store has not been told of",
    ),
    (
        STORE,
        Of::Histogram,
        Unit::Seconds,
        &["operation"],
        "how long the store took to answer",
    ),
    (
        ERRORS,
        Of::Counter,
        Unit::Count,
        &["operation"],
        "calls of the store that failed",
    ),
    (
        TAGS,
        Of::Histogram,
        Unit::Count,
        &[],
        "how many tags one transaction stamped",
    ),
    (
        COPY_HITS,
        Of::Counter,
        Unit::Count,
        &["by"],
        "replays whose body was a local copy",
    ),
    (
        COPY_MISSES,
        Of::Counter,
        Unit::Count,
        &["reason"],
        "looks that no local copy could answer",
    ),
    (
        COPY_EVICTIONS,
        Of::Counter,
        Unit::Count,
        &[],
        "local copies that made room for others",
    ),
    (
        COPY_BYTES,
        Of::Gauge,
        Unit::Bytes,
        &[],
        "what the local copies take",
    ),
];

const HITS: &str = "idempotent_hits_total";
const MISSES: &str = "idempotent_misses_total";
const REFUSALS: &str = "idempotent_refusals_total";
const KEPT: &str = "idempotent_kept_total";
const UNKEPT: &str = "idempotent_unkept_total";
const REPLY: &str = "idempotent_reply_bytes";
const RUNNING: &str = "idempotent_running";
const RUN: &str = "idempotent_run_seconds";
const WAIT: &str = "idempotent_wait_seconds";
const LOST: &str = "idempotent_lease_losses_total";
const OUTAGES: &str = "idempotent_outages_total";
const BREAKER: &str = "idempotent_breaker_openings_total";
const OWED: &str = "idempotent_owed_stamps";
const STORE: &str = "idempotent_store_seconds";
const ERRORS: &str = "idempotent_store_errors_total";
const TAGS: &str = "idempotent_stamp_tags";
const COPY_HITS: &str = "idempotent_local_hits_total";
const COPY_MISSES: &str = "idempotent_local_misses_total";
const COPY_EVICTIONS: &str = "idempotent_local_evictions_total";
const COPY_BYTES: &str = "idempotent_local_bytes";

/// Tells whatever collects the metrics what they are.
pub(crate) fn describe() {
    for (name, of, unit, _, text) in ALL {
        match of {
            Of::Counter => metrics::describe_counter!(*name, *unit, *text),
            Of::Gauge => metrics::describe_gauge!(*name, *unit, *text),
            Of::Histogram => metrics::describe_histogram!(*name, *unit, *text),
        }
    }
}

/// How a request was answered, or why its handler runs.
pub(crate) fn entered(handler: &'static str, entry: &Entry) {
    match entry {
        Entry::Replay(replay) => {
            let from = match replay {
                Replay::Kept(..) => "store",
                Replay::Followed(_) => "duplicate",
            };
            counter!(HITS, "handler" => handler, "from" => from).increment(1);
        }
        Entry::Refused(refusal) => refused(handler, refusal),
        Entry::Run(run) => {
            if let Why::Miss(miss) = &run.why {
                let reason = match miss {
                    Miss::Absent => "absent",
                    Miss::Changed(_) => "changed",
                    Miss::Epoch => "epoch",
                    Miss::Unreadable => "unreadable",
                };
                counter!(MISSES, "handler" => handler, "reason" => reason).increment(1);
            }
        }
    }
}

fn refused(handler: &'static str, refusal: &Refusal) {
    let reason = match refusal {
        Refusal::InProgress => "in-progress",
        Refusal::OtherPayload => "other-payload",
        Refusal::Changed(_) => "changed",
        Refusal::StoreAway => "store-away",
        Refusal::Stopping => "stopping",
    };
    counter!(REFUSALS, "handler" => handler, "reason" => reason).increment(1);
}

/// Whether a reply of so many bytes was kept.
pub(crate) fn kept(handler: &'static str, bytes: usize, kept: Result<(), &Unkept>) {
    match kept {
        Ok(()) => {
            counter!(KEPT, "handler" => handler).increment(1);
            histogram!(REPLY, "handler" => handler).record(bytes as f64);
        }
        Err(why) => {
            tracing::debug!(handler, reason = why.as_str(), "a reply is not kept");
            counter!(UNKEPT, "handler" => handler, "reason" => why.as_str()).increment(1);
        }
    }
}

/// Whether the reply of a `once` handler was recorded.
pub(crate) fn recorded(handler: &'static str, answer: Option<&Answer>) {
    match answer {
        Some(Answer::Recorded(reply, _)) => kept(handler, reply.size(), Ok(())),
        // It ran, or began to, while another process was first.
        Some(Answer::Found(..)) => {
            counter!(HITS, "handler" => handler, "from" => "store").increment(1);
        }
        Some(Answer::OtherPayload) => refused(handler, &Refusal::OtherPayload),
        Some(Answer::InProgress) => refused(handler, &Refusal::InProgress),
        None => counter!(UNKEPT, "handler" => handler, "reason" => "not-recorded").increment(1),
    }
}

/// A handler that runs.
#[derive(Debug)]
pub(crate) struct Run {
    handler: &'static str,
    since: Instant,
    outcome: &'static str,
}

impl Run {
    pub(crate) fn begin(handler: &'static str) -> Self {
        gauge!(RUNNING, "handler" => handler).increment(1);
        Self {
            handler,
            since: Instant::now(),
            outcome: "ended",
        }
    }

    pub(crate) fn replied(mut self) {
        self.outcome = "replied";
    }
}

impl Drop for Run {
    /// It has replied, or it panicked, or was dropped with its worker.
    fn drop(&mut self) {
        gauge!(RUNNING, "handler" => self.handler).decrement(1);
        histogram!(RUN, "handler" => self.handler, "outcome" => self.outcome)
            .record(self.since.elapsed());
    }
}

/// A request that waits.
#[derive(Debug)]
pub(crate) struct Wait {
    what: &'static str,
    handler: &'static str,
    since: Instant,
    outcome: &'static str,
}

/// How a wait ended.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Waited {
    /// With what it was for.
    Done,
    /// It was too long.
    Over,
    /// The store is away.
    Failed,
}

impl Wait {
    pub(crate) fn begin(what: &'static str, handler: &'static str) -> Self {
        Self {
            what,
            handler,
            since: Instant::now(),
            outcome: "left",
        }
    }

    pub(crate) fn end(mut self, waited: Waited) {
        self.outcome = match waited {
            Waited::Done => "done",
            Waited::Over => "over",
            Waited::Failed => "failed",
        };
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        histogram!(WAIT, "handler" => self.handler, "for" => self.what, "outcome" => self.outcome)
            .record(self.since.elapsed());
    }
}

/// A lease has ended before its handler did.
pub(crate) fn lease_lost(kind: Kind) {
    let lease = match kind {
        Kind::Claim => "claim",
        Kind::Lock => "lock",
    };
    counter!(LOST, "lease" => lease).increment(1);
}

/// The store could not answer a request. `reason`: it is `away`, or this process is `owing`.
pub(crate) fn outage(handler: &'static str, reason: &'static str, policy: Outage) {
    let policy = match policy {
        Outage::Reject => "reject",
        Outage::Run => "run",
    };
    counter!(OUTAGES, "handler" => handler, "reason" => reason, "policy" => policy).increment(1);
}

/// Redis is asked no more for a while.
#[cfg(feature = "redis")]
pub(crate) fn breaker_opened() {
    counter!(BREAKER).increment(1);
}

/// So many stamps were owed, and are now. Several applications of one process add up.
pub(crate) fn owed(before: usize, now: usize) {
    if before != now {
        gauge!(OWED).increment(now as f64 - before as f64);
    }
}

/// The store has answered.
pub(crate) fn store_answered(operation: &'static str, after: Duration) {
    histogram!(STORE, "operation" => operation).record(after);
}

/// The store has failed.
pub(crate) fn store_failed(operation: &'static str) {
    counter!(ERRORS, "operation" => operation).increment(1);
}

/// A transaction stamps so many tags.
pub(crate) fn stamping(tags: usize) {
    histogram!(TAGS).record(tags as f64);
}

/// A replay's body was a local copy. `by`: who said that it is valid, `redis` or, without a question, `tracking`.
#[cfg(feature = "redis")]
pub(crate) fn copy_used(by: &'static str) {
    counter!(COPY_HITS, "by" => by).increment(1);
}

/// A look that no local copy could answer. `reason`: it is `absent`, or `void`.
#[cfg(feature = "redis")]
pub(crate) fn no_copy(reason: &'static str) {
    counter!(COPY_MISSES, "reason" => reason).increment(1);
}

/// Local copies took so many bytes, and do now. Several stores of one process add up.
#[cfg(feature = "redis")]
pub(crate) fn copied(before: usize, now: usize, evicted: u64) {
    if before != now {
        gauge!(COPY_BYTES).increment(now as f64 - before as f64);
    }
    if evicted > 0 {
        counter!(COPY_EVICTIONS).increment(evicted);
    }
}
