//! A store whose calls are measured, whichever store it is.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::Instrument;

use crate::key::RequestId;
use crate::meters;
use crate::spec::Changed;
use crate::store::{
    Claim, ExecutionId, Looked, Record, Stamp, Stamped, Store, StoreError, StoreFuture,
};

/// Counts what the store does.
#[derive(Debug)]
pub(crate) struct Observed(pub(crate) Arc<dyn Store>);

/// What took its time because it waited for others is no measure of the store.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Time {
    Tells,
    IsWaiting,
}

fn observe<'a, T: 'a>(
    operation: &'static str,
    time: Time,
    call: StoreFuture<'a, T>,
) -> StoreFuture<'a, T> {
    let span = tracing::debug_span!("idempotent.store", operation);
    let observed = async move {
        let since = Instant::now();
        let answer = call.await;
        note(operation, time, since, &answer);
        answer
    };
    match span.is_disabled() {
        true => Box::pin(observed),
        false => Box::pin(observed.instrument(span)),
    }
}

fn note<T>(operation: &'static str, time: Time, since: Instant, answer: &Result<T, StoreError>) {
    if time == Time::Tells {
        meters::store_answered(operation, since.elapsed());
    }
    if let Err(error) = answer {
        tracing::debug!(%error, "the store failed");
        meters::store_failed(operation);
    }
}

impl Store for Observed {
    fn look<'a>(&'a self, claim: &'a Claim, changed: Changed) -> StoreFuture<'a, Looked> {
        observe("look", Time::Tells, self.0.look(claim, changed))
    }

    fn keep<'a>(
        &'a self,
        claim: &'a Claim,
        record: Record,
        life: Duration,
    ) -> StoreFuture<'a, bool> {
        observe("keep", Time::Tells, self.0.keep(claim, record, life))
    }

    fn release<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, ()> {
        observe("release", Time::Tells, self.0.release(claim))
    }

    fn renew<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, bool> {
        observe("renew", Time::Tells, self.0.renew(claim))
    }

    fn ended<'a>(
        &'a self,
        id: &'a RequestId,
        execution: ExecutionId,
        wait: Duration,
    ) -> StoreFuture<'a, bool> {
        observe("ended", Time::IsWaiting, self.0.ended(id, execution, wait))
    }

    fn lock<'a>(&'a self, lock: &'a Claim, wait: Duration) -> StoreFuture<'a, bool> {
        observe("lock", Time::IsWaiting, self.0.lock(lock, wait))
    }

    fn renew_lock<'a>(&'a self, lock: &'a Claim) -> StoreFuture<'a, bool> {
        observe("renew-lock", Time::Tells, self.0.renew_lock(lock))
    }

    fn unlock<'a>(&'a self, lock: &'a Claim) -> StoreFuture<'a, bool> {
        observe("unlock", Time::Tells, self.0.unlock(lock))
    }

    fn stamp(&self, stamp: &Stamp<'_>) -> Result<Stamped, StoreError> {
        let _inside = tracing::debug_span!("idempotent.store", operation = "stamp").entered();
        let since = Instant::now();
        let answer = self.0.stamp(stamp);
        meters::stamping(stamp.tags.len());
        note("stamp", Time::Tells, since, &answer);
        answer
    }

    fn forget<'a>(&'a self, id: &'a RequestId) -> StoreFuture<'a, bool> {
        observe("forget", Time::Tells, self.0.forget(id))
    }

    fn clear<'a>(&'a self, prefix: &'a str) -> StoreFuture<'a, ()> {
        observe("clear", Time::Tells, self.0.clear(prefix))
    }
}
