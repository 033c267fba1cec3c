//! Deadlines that a blocked thread does not turn into failures.

use std::future::Future;
use std::time::Duration;

use tokio::time::{sleep, timeout};

/// How long a call is given after its deadline to find an answer that is there already. A thread that was blocked
/// (by a synchronous query, say) finds both at once, the answer unread and the deadline over.
const GRACE: Duration = Duration::from_millis(5);

/// The future's output, or `None` if it does not come in time.
pub(super) async fn within<F: Future>(deadline: Duration, future: F) -> Option<F::Output> {
    tokio::pin!(future);
    if let Ok(output) = timeout(deadline, &mut future).await {
        return Some(output);
    }
    tokio::select! {
        biased;
        output = &mut future => Some(output),
        () = sleep(GRACE) => None,
    }
}
