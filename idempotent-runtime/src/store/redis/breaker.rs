//! A server that is away costs its deadline once, and not on every request.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::meters;
use crate::sync::lock;

/// After how many failures in a row nothing is asked any more.
const FAILURES: u32 = 3;

/// For how long; then one call tries.
pub(super) const REST: Duration = Duration::from_secs(1);

/// Shut while the server answers; open after [`FAILURES`] in a row.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Whether `state` says anything, so that the lock is not taken on the good path.
    troubled: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    failed: Option<Instant>,
    /// One of the failures was on a connection, and not for want of one, which says nothing about those that others have.
    connected: bool,
    /// Since when one call is out to see whether the server is back.
    trying: Option<Instant>,
}

impl Breaker {
    /// Lets a call through, or not. `is_connected`: it has a connection already.
    pub(super) fn pass(&self, is_connected: impl FnOnce() -> bool) -> Option<Pass<'_>> {
        self.pass_at(is_connected, Instant::now)
    }

    fn pass_at(
        &self,
        is_connected: impl FnOnce() -> bool,
        now: impl FnOnce() -> Instant,
    ) -> Option<Pass<'_>> {
        let mut tries = false;
        if self.troubled.load(Ordering::Acquire) {
            let mut state = lock(&self.state);
            if state.failures >= FAILURES && (state.connected || !is_connected()) {
                // Who tries may be held up by a blocked thread, and must not hold up all others.
                let now = now();
                let is_recent = |since: Instant| now.saturating_duration_since(since) < REST;
                if [state.failed, state.trying]
                    .into_iter()
                    .flatten()
                    .any(is_recent)
                {
                    return None;
                }
                state.trying = Some(now);
                tries = true;
            }
        }
        Some(Pass {
            breaker: self,
            tries,
        })
    }
}

/// One call that was let through. Dropped without a verdict, it says nothing about the server.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    breaker: &'a Breaker,
    tries: bool,
}

impl Pass<'_> {
    /// The server has answered, whatever it said.
    pub(super) fn answered(mut self) {
        self.tries = false;
        if self.breaker.troubled.load(Ordering::Acquire) {
            let mut state = lock(&self.breaker.state);
            *state = State::default();
            self.breaker.troubled.store(false, Ordering::Release);
        }
    }

    /// It has not. `connected`: there was a connection to ask it on.
    pub(super) fn failed(self, connected: bool) {
        self.failed_at(connected, Instant::now());
    }

    fn failed_at(self, connected: bool, now: Instant) {
        let mut state = lock(&self.breaker.state);
        state.failures = state.failures.saturating_add(1);
        state.failed = Some(now);
        state.connected |= connected;
        if state.failures == FAILURES {
            tracing::warn!("Redis does not answer, and is asked once a second until it does");
            meters::breaker_opened();
        }
        self.breaker.troubled.store(true, Ordering::Release);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.tries {
            lock(&self.breaker.state).trying = None;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn broken() -> (Breaker, Instant) {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..FAILURES {
            breaker
                .pass_at(|| true, || now)
                .unwrap()
                .failed_at(true, now);
        }
        (breaker, now)
    }

    #[test]
    fn it_opens_after_failures_in_a_row() {
        let (breaker, now) = (Breaker::default(), Instant::now());
        for _ in 0..FAILURES - 1 {
            breaker
                .pass_at(|| true, || now)
                .unwrap()
                .failed_at(true, now);
        }
        breaker.pass_at(|| true, || now).unwrap().answered();
        for _ in 0..FAILURES {
            breaker
                .pass_at(|| true, || now)
                .unwrap()
                .failed_at(true, now);
        }
        assert!(breaker.pass_at(|| true, || now).is_none());
    }

    #[test]
    fn after_a_rest_one_call_tries() {
        let (breaker, now) = broken();
        let later = now + REST;
        let trying = breaker.pass_at(|| true, || later).unwrap();
        assert!(breaker.pass_at(|| true, || later).is_none());
        trying.failed_at(true, later);
        assert!(breaker.pass_at(|| true, || later).is_none());
        breaker
            .pass_at(|| true, || later + REST)
            .unwrap()
            .answered();
        assert!(
            breaker.pass_at(|| true, || later).is_some()
                && breaker.pass_at(|| true, || later).is_some()
        );
    }

    #[test]
    fn a_cancelled_try_does_not_keep_it_open() {
        let (breaker, now) = broken();
        let later = now + REST;
        drop(breaker.pass_at(|| true, || later).unwrap());
        assert!(breaker.pass_at(|| true, || later).is_some());
    }

    #[test]
    fn a_try_that_takes_too_long_does_not_keep_it_open() {
        let (breaker, now) = broken();
        // Of a task whose thread is blocked, say.
        let _tries = breaker.pass_at(|| true, || now + REST).unwrap();
        assert!(breaker.pass_at(|| true, || now + REST).is_none());
        breaker
            .pass_at(|| true, || now + 2 * REST)
            .unwrap()
            .answered();
        assert!(
            breaker.pass_at(|| true, || now).is_some()
                && breaker.pass_at(|| true, || now).is_some()
        );
    }
}
