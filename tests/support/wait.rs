//! Waiting, always with a deadline.

use std::time::{Duration, Instant};

/// How long anything may take before a test gives up on it. Generous: a loaded machine is no failure.
pub const DEADLINE: Duration = Duration::from_secs(30);

const PAUSE: Duration = Duration::from_millis(10);

/// Blocks until `condition` holds.
///
/// For what can only be asked for again and again; a server's own output is better awaited with
/// [`Server::await_line`](crate::Server::await_line).
///
/// # Panics
///
/// With `what` in the message, when it does not hold within [`DEADLINE`].
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "not within {DEADLINE:?}: {what}");
        std::thread::sleep(PAUSE);
    }
}

/// [`eventually`] for async tests, whose thread also runs what is waited for.
///
/// # Panics
///
/// As [`eventually`] does.
pub async fn eventually_async(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition().await {
        assert!(Instant::now() < end, "not within {DEADLINE:?}: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
