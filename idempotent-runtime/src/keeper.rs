//! A thread beside the workers: it renews leases and finishes what a dropped request began.
//!
//! A worker may be blocked by a synchronous query for longer than a lease, so renewal cannot be its work.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::execution;
use crate::store::{Claim, ExecutionId, Store, StoreError};
use crate::sync::{after, lock};

#[cfg(test)]
mod tests;

/// Which of an execution's two leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Claim,
    Lock,
}

/// A lease that is renewed until it is unwatched, lost or capped.
#[derive(Clone)]
struct Lease {
    claim: Claim,
    /// When it is to be renewed; `None` while it is being renewed.
    due: Option<Instant>,
    /// Until when it is surely held: a lease after the last renewal was *sent*.
    held: Instant,
    cap: Instant,
    lost: Arc<AtomicBool>,
    /// It may be ended at any moment, and then it was not lost.
    ends: bool,
}

#[derive(Default)]
struct Leases {
    all: HashMap<(ExecutionId, Kind), Lease>,
    /// When the thread will look next; `None` while it sleeps without end.
    next: Option<Instant>,
}

/// The thread, and the store that it works on.
pub(crate) struct Keeper {
    store: Arc<dyn Store>,
    leases: Arc<Mutex<Leases>>,
    sooner: Arc<Notify>,
    runtime: Option<Runtime>,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper")
    }
}

impl Keeper {
    /// Starts the thread.
    pub(crate) fn start(store: Arc<dyn Store>) -> io::Result<Arc<Self>> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("idempotent-keeper")
            .enable_all()
            .build()?;
        let leases = Arc::<Mutex<Leases>>::default();
        let sooner = Arc::<Notify>::default();
        runtime.spawn(renew_all(
            Arc::clone(&store),
            Arc::clone(&leases),
            Arc::clone(&sooner),
        ));
        Ok(Arc::new(Self {
            store,
            leases,
            sooner,
            runtime: Some(runtime),
        }))
    }

    /// Renews this lease at each third of it, for at most `cap`, both from when it was asked for.
    pub(crate) fn watch(
        &self,
        kind: Kind,
        claim: &Claim,
        now: Instant,
        cap: Duration,
        lost: &Arc<AtomicBool>,
    ) {
        let due = after(now, claim.lease / 3);
        let lease = Lease {
            claim: claim.clone(),
            due: Some(due),
            held: after(now, claim.lease),
            cap: after(now, cap),
            lost: Arc::clone(lost),
            ends: false,
        };
        let mut leases = lock(&self.leases);
        leases.all.insert((claim.execution, kind), lease);
        if leases.next.is_none_or(|next| due < next) {
            leases.next = Some(due);
            self.sooner.notify_one();
        }
    }

    /// Renews it as long as it is there, and does not call it lost any more.
    pub(crate) fn ends(&self, kind: Kind, claim: &Claim) {
        if let Some(lease) = lock(&self.leases).all.get_mut(&(claim.execution, kind)) {
            lease.ends = true;
        }
    }

    /// Renews it no more.
    pub(crate) fn unwatch(&self, kind: Kind, claim: &Claim) {
        lock(&self.leases).all.remove(&(claim.execution, kind));
    }

    /// Runs a future on the keeper's thread.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            runtime.spawn(future);
        }
    }

    /// Does something with the store that nobody waits for: at once if it can be done at once, else on the keeper's thread.
    pub(crate) fn finish<Fut>(&self, work: impl FnOnce(Arc<dyn Store>) -> Fut)
    where
        Fut: Future<Output = ()> + Send + 'static,
    {
        if let Some(runtime) = &self.runtime {
            begin(runtime.handle(), Box::pin(work(Arc::clone(&self.store))));
        }
    }

    /// The same on the caller's own runtime and so on the connection of its requests: no other thread must be
    /// woken. Only a handler's task has one that is surely alive and driven. Elsewhere, and if it fails there or the
    /// runtime ends before it is done, the keeper's thread does it; so it must be the same when it is done twice. The
    /// work is told whether it is the first time.
    pub(crate) fn finish_here<F, Fut>(self: &Arc<Self>, work: F)
    where
        F: Fn(Arc<dyn Store>, bool) -> Fut + Send + 'static,
        Fut: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
        let here = Handle::try_current()
            .ok()
            .filter(|_| execution::is_on_task());
        let Some(runtime) = here else {
            return self.finish(|store| end(work(store, true)));
        };
        let first = work(Arc::clone(&self.store), true);
        let unfinished = Unfinished(Some((Arc::clone(self), work)));
        let task = async move {
            if first.await.is_ok() {
                unfinished.done();
            }
        };
        begin(&runtime, Box::pin(task));
    }
}

/// Polls it once, and spawns it if it is not done then.
fn begin(runtime: &Handle, mut work: Pin<Box<dyn Future<Output = ()> + Send>>) {
    let _inside = runtime.enter();
    let begun = work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    if begun.is_pending() {
        runtime.spawn(work);
    }
}

async fn end(work: impl Future<Output = Result<(), StoreError>>) {
    if let Err(error) = work.await {
        tracing::warn!(%error, "could not end a claim or a lock; it ends with its lease");
    }
}

/// What a runtime has begun to do. Dropped before it is done, the keeper's thread does it.
struct Unfinished<F, Fut>(Option<(Arc<Keeper>, F)>)
where
    F: Fn(Arc<dyn Store>, bool) -> Fut,
    Fut: Future<Output = Result<(), StoreError>> + Send + 'static;

impl<F, Fut> Unfinished<F, Fut>
where
    F: Fn(Arc<dyn Store>, bool) -> Fut,
    Fut: Future<Output = Result<(), StoreError>> + Send + 'static,
{
    fn done(mut self) {
        self.0 = None;
    }
}

impl<F, Fut> Drop for Unfinished<F, Fut>
where
    F: Fn(Arc<dyn Store>, bool) -> Fut,
    Fut: Future<Output = Result<(), StoreError>> + Send + 'static,
{
    fn drop(&mut self) {
        if let Some((keeper, work)) = self.0.take() {
            keeper.finish(|store| end(work(store, false)));
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // A runtime must not be dropped by waiting for it on a thread of another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn renew_all(store: Arc<dyn Store>, leases: Arc<Mutex<Leases>>, sooner: Arc<Notify>) {
    // One that takes long does not hold up the others.
    let mut renewing = FuturesUnordered::new();
    loop {
        let next = {
            let mut leases = lock(&leases);
            leases.next = leases.all.values().filter_map(|lease| lease.due).min();
            leases.next
        };
        let due = async {
            match next {
                Some(next) => tokio::time::sleep_until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            () = sooner.notified() => {}
            Some(()) = renewing.next() => while let Some(Some(())) = renewing.next().now_or_never() {},
        }
        let now = Instant::now();
        let mut all = lock(&leases);
        for (name, lease) in &mut all.all {
            if lease.due.is_some_and(|due| due <= now) {
                let renewed = lease.clone();
                lease.due = None;
                renewing.push(renew(&store, &leases, *name, renewed));
            }
        }
    }
}

async fn renew(
    store: &Arc<dyn Store>,
    leases: &Mutex<Leases>,
    name: (ExecutionId, Kind),
    lease: Lease,
) {
    let sent = Instant::now();
    if sent >= lease.cap {
        return give_up(leases, name, &lease);
    }
    let renewed = match name.1 {
        Kind::Claim => store.renew(&lease.claim).await,
        Kind::Lock => store.renew_lock(&lease.claim).await,
    };
    let third = lease.claim.lease / 3;
    match renewed {
        Ok(true) => update(
            leases,
            name,
            after(sent, third),
            after(sent, lease.claim.lease),
        ),
        Err(error) if Instant::now() < lease.held => {
            tracing::warn!(%error, execution = %name.0, "could not renew a lease; trying again");
            update(leases, name, after(Instant::now(), third / 4), lease.held);
        }
        Ok(false) | Err(_) => {
            give_up(leases, name, &lease);
        }
    }
}

fn update(leases: &Mutex<Leases>, name: (ExecutionId, Kind), due: Instant, held: Instant) {
    if let Some(lease) = lock(leases).all.get_mut(&name) {
        lease.due = Some(due);
        lease.held = held;
    }
}

fn give_up(leases: &Mutex<Leases>, name: (ExecutionId, Kind), lease: &Lease) {
    // Unwatched in the meantime: it was not lost but freed.
    let watched = lock(leases).all.remove(&name);
    if watched.is_some_and(|lease| !lease.ends) {
        tracing::warn!(execution = %name.0, kind = ?name.1, "a lease has ended before its handler did");
        crate::meters::lease_lost(name.1);
        lease.lost.store(true, Ordering::Release);
    }
}
