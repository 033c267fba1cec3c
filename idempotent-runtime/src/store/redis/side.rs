//! The store's own thread: what blocks waits for it, and it hears who is to be woken.

use std::io;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use super::servers::Servers;
use super::stamps::Job;
use super::trouble::Trouble;
use crate::store::{Stamp, Stamped};

/// What a stamp may take beyond its deadline to get from one thread to the other.
const SLACK: Duration = Duration::from_millis(50);

/// A thread with a runtime, and so with a connection, of its own.
pub(super) struct Side {
    runtime: Option<Runtime>,
}

impl Side {
    pub(super) fn start(server: &Arc<Servers>) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("idempotent-redis")
            .enable_all()
            .build()?;
        let waking = Arc::clone(server);
        runtime.spawn(async move {
            waking.tend().await;
        });
        Ok(Self {
            runtime: Some(runtime),
        })
    }

    /// Stamps from any thread, which blocks meanwhile.
    pub(super) fn stamp(
        &self,
        server: &Arc<Servers>,
        stamp: &Stamp<'_>,
    ) -> Result<Stamped, Trouble> {
        let runtime = self.runtime.as_ref().ok_or(Trouble::NoRuntime)?;
        let (job, stamping) = (Arc::new(Job::new(stamp)), Arc::clone(server));
        let (sender, receiver) = mpsc::sync_channel(1);
        let sent = Arc::clone(&job);
        runtime.spawn(async move {
            // Whoever waited may be gone.
            let _ = sender.send(stamping.stamp(&sent).await);
        });
        let answer = receiver
            .recv_timeout(server.deadline() + SLACK)
            .unwrap_or(Err(Trouble::Late(server.deadline())));
        // Done or not: before whoever stamps can commit.
        server.copies.changed(job.renewed());
        answer
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // A runtime must not be dropped by waiting for it on a thread of another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
