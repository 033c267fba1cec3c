//! The store of any number of processes: one Redis or Valkey server.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::{Claim, ExecutionId, Looked, Record, Stamp, Stamped, Store, StoreError, StoreFuture};
use crate::key::RequestId;
use crate::spec::Changed;

mod breaker;
mod builder;
mod clear;
mod convert;
mod line;
mod locks;
mod names;
mod queue;
mod records;
mod scripts;
mod seen;
mod server;
mod side;
mod stamps;
#[cfg(test)]
mod tests;
mod trouble;
mod value;
mod wake;
mod within;

pub use builder::{RedisBuilder, RedisProtocol};

use names::Kind;
use server::Server;
use side::Side;
use trouble::Trouble;

/// The store of any number of processes: one Redis (7.0 or later) or Valkey server.
///
/// ```no_run
/// use idempotent_runtime::Idempotent;
/// use idempotent_runtime::store::RedisStore;
///
/// # async fn build() -> Result<(), idempotent_runtime::store::StoreError> {
/// let store = RedisStore::connect("redis://127.0.0.1/").await?;
/// let idempotent = Idempotent::builder("shop").store(store).build();
/// # Ok(())
/// # }
/// ```
///
/// # What it promises
///
/// * A record is valid on the server that its tags were stamped on and nowhere else: after a restart or a failover every
///   record that depends on rows is a miss. A server that is no primary any more is noticed within a second.
/// * A tag that was evicted is a miss. A claim or a lock that was evicted is no claim and no lock: do not let the server
///   evict (`maxmemory-policy noeviction`).
/// * Times are measured by the server, whose clock should not jump.
///
/// # Connections
///
/// Each Tokio runtime that uses it, and so each worker of actix, has one connection, on which all of its requests are
/// sent one behind the other. Another one is for the blocking [`stamp`](Store::stamp), which a thread of the store's own
/// serves, and one for the messages that wake those who wait. A connection that is lost is made anew, after a pause that
/// grows to a second.
///
/// Each call has a [deadline](RedisBuilder::deadline). After three failures in a row nothing is asked for a second, and
/// calls fail at once; then one call tries.
///
/// # What the server must allow
///
/// With ACLs: the keys and channels `idempotent:*`, and the commands `DEL`, `EVALSHA`, `GET`, `GETRANGE`, `INCR`, `INFO`,
/// `MGET`, `PEXPIRE`, `PING`, `PTTL`, `PUBLISH`, `SCRIPT LOAD`, `SET`, `SUBSCRIBE` and `UNSUBSCRIBE`; to
/// [`clear`](Store::clear), `SCAN` and `UNLINK`.
///
/// # Cancellation
///
/// A dropped call that may have set a claim or a lock ends it, behind itself on the same connection.
pub struct RedisStore {
    server: Arc<Server>,
    side: Side,
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").finish_non_exhaustive()
    }
}

impl RedisStore {
    /// Connects to the server of this URL: `redis://user:password@host:port/database`, or `rediss://` for TLS.
    ///
    /// # Errors
    ///
    /// If the URL makes no sense, or the server does not answer in time or does not let this client do what it must.
    pub async fn connect(url: impl Into<String>) -> Result<Self, StoreError> {
        Self::builder(url).connect().await
    }

    /// Begins with the server's URL.
    pub fn builder(url: impl Into<String>) -> RedisBuilder {
        RedisBuilder::new(url)
    }

    fn later<'a, T: 'a>(
        work: impl Future<Output = Result<T, Trouble>> + Send + 'a,
    ) -> StoreFuture<'a, T> {
        Box::pin(async move { Ok(work.await?) })
    }
}

impl Store for RedisStore {
    fn look<'a>(&'a self, claim: &'a Claim, changed: Changed) -> StoreFuture<'a, Looked> {
        Self::later(self.server.look(claim, changed))
    }

    fn keep<'a>(
        &'a self,
        claim: &'a Claim,
        record: Record,
        life: Duration,
    ) -> StoreFuture<'a, bool> {
        Self::later(self.server.keep(claim, record, life))
    }

    fn release<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, ()> {
        Self::later(async { self.server.free(Kind::Claim, claim).await.map(|_| ()) })
    }

    fn renew<'a>(&'a self, claim: &'a Claim) -> StoreFuture<'a, bool> {
        Self::later(self.server.renew(Kind::Claim, claim))
    }

    fn ended<'a>(
        &'a self,
        id: &'a RequestId,
        execution: ExecutionId,
        wait: Duration,
    ) -> StoreFuture<'a, bool> {
        Self::later(self.server.ended(id, execution, wait))
    }

    fn lock<'a>(&'a self, lock: &'a Claim, wait: Duration) -> StoreFuture<'a, bool> {
        Self::later(self.server.lock(lock, wait))
    }

    fn renew_lock<'a>(&'a self, lock: &'a Claim) -> StoreFuture<'a, bool> {
        Self::later(self.server.renew(Kind::Lock, lock))
    }

    fn unlock<'a>(&'a self, lock: &'a Claim) -> StoreFuture<'a, bool> {
        Self::later(self.server.free(Kind::Lock, lock))
    }

    fn stamp(&self, stamp: &Stamp<'_>) -> Result<Stamped, StoreError> {
        Ok(self.side.stamp(&self.server, stamp)?)
    }

    fn forget<'a>(&'a self, id: &'a RequestId) -> StoreFuture<'a, bool> {
        Self::later(self.server.forget(id))
    }

    fn clear<'a>(&'a self, prefix: &'a str) -> StoreFuture<'a, ()> {
        Self::later(self.server.clear(prefix))
    }
}
