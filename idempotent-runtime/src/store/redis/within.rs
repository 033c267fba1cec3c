//! Deadlines that a blocked thread does not turn into failures.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout_at};

use crate::sync::after;

/// The least that a call is given after its deadline to find an answer that is there already.
const GRACE: Duration = Duration::from_millis(5);

/// The future's output, or `None` if it does not come in time.
///
/// A thread that was blocked (by a synchronous query, say) finds its deadline over, and the answer unread or the
/// question unsent. It is given the time that it was blocked beyond the deadline, at most a deadline more.
///
/// The future is pinned by the caller: one that is moved takes its place twice, and is copied.
pub(super) async fn within<F: Future + Unpin>(
    deadline: Duration,
    mut future: F,
) -> Option<F::Output> {
    let since = Instant::now();
    if let Ok(output) = timeout_at(after(since, deadline), &mut future).await {
        return Some(output);
    }
    let blocked = since.elapsed().saturating_sub(deadline);
    tokio::select! {
        biased;
        output = &mut future => Some(output),
        () = sleep(blocked.min(deadline).max(GRACE)) => None,
    }
}
