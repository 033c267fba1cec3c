//! The store of any number of processes: Redis or Valkey, one server or a cluster.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::TryFutureExt;

use super::{Claim, ExecutionId, Looked, Record, Stamp, Stamped, Store, StoreError, StoreFuture};
use crate::key::RequestId;
use crate::spec::Changed;

mod breaker;
mod builder;
mod clear;
mod cluster;
mod convert;
mod door;
mod line;
mod local;
mod locks;
mod names;
mod queue;
mod records;
mod scripts;
mod seen;
mod sentinel;
mod server;
mod servers;
mod side;
mod stamps;
mod target;
#[cfg(test)]
mod tests;
mod together;
mod tracking;
mod trouble;
mod value;
mod wake;
mod wire;
mod within;

pub use builder::{RedisBuilder, RedisProtocol};
pub use local::Local;

use names::Kind;
use servers::Servers;
use side::Side;
use trouble::Trouble;

/// The store of any number of processes: a Redis (7.0 or later) or Valkey server, the one that Sentinel names, or a cluster.
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
///   record that depends on rows is a miss. A server that is no primary any more, or was none meanwhile, is noticed within
///   a second; until then, if a stamp was lost in between, a stale reply may be replayed.
/// * A tag that was evicted is a miss. A claim or a lock that was evicted is no claim and no lock: do not let the server
///   evict (`maxmemory-policy noeviction`).
/// * Times are measured by the server, whose clock should not jump.
///
/// # Connections
///
/// Each Tokio runtime that uses it, and so each worker of actix, has one connection, on which all of its requests are
/// sent one behind the other. Hits that a runtime of one thread looks for in the same turn are asked for by one command,
/// and so share its deadline and its failure; nothing waits for others to come. Another connection is for the blocking
/// [`stamp`](Store::stamp), which a thread of the store's own serves, and one for the messages that wake those who wait.
/// A connection that is lost is made anew, after a pause that grows to a second.
///
/// Each call has a [deadline](RedisBuilder::deadline). After three failures in a row, of which what is asked together is one, nothing is asked for a second, and
/// calls fail at once; then one call tries.
///
/// # Sentinel
///
/// [`sentinel`](Self::sentinel) asks the Sentinels, all at once, for the primary, and takes the first answer; the server must
/// say the same of itself. Each second they are asked again, so that a primary that is cut off from them, and does not
/// know that it was replaced, is left. If this process is cut off together with it, it is not: then its replies may be
/// stale, and its stamps are lost, until the cut ends (`min-replicas-to-write` on the servers bounds the latter).
///
/// # Cluster
///
/// [`cluster`](Self::cluster) learns from any server who has what, again every five seconds and whenever an answer casts
/// doubt on it, and follows `MOVED` and `ASK`. Each runtime has one connection to each primary; nothing is read from
/// replicas. What belongs to one request is on one server, its tags are anywhere:
///
/// * A hit seen lately takes as long as one round trip, as record and tags are asked at once; any other hit takes two, a
///   miss one, and one more for each record that was found void. Keeping takes two. A stamp takes one, with a script and a
///   counter (`idempotent:version:{…}`, without an end) for each of its slots, and is done when all have answered; one
///   that was done in part is an error, and has ended some records in vain.
/// * A restart or a failover of one primary ends the records that depend on a tag there, and so does moving a tag's slot.
///   Other records stay.
/// * While a slot is being moved, what is known of a request, or counter and tags of a slot, may be on two servers. Then
///   calls wait until it is on one, for the deadline at most. A claim or lock whose dropped call is undone just then
///   lasts until its lease is over.
/// * What remains: a failover that loses a stamp and is followed, within the life of a record, by the return of the tag's
///   slot to the server where the record's execution stamped it, leaves a stale record. And for a primary that was cut
///   off, see Sentinel; it stops to answer after `cluster-node-timeout`.
/// * Messages for those who wait reach every server, as plain publications in a cluster do.
/// * With `rediss://` the names that the servers tell of each other must be those in their certificates
///   (`cluster-preferred-endpoint-type hostname`).
///
/// # What the server must allow
///
/// With ACLs: the keys and channels `idempotent:*`, and the commands `DEL`, `EVALSHA`, `GET`, `GETRANGE`, `INCR`, `INFO`,
/// `MGET`, `PEXPIRE`, `PING`, `PTTL`, `PUBLISH`, `SCRIPT LOAD`, `SET`, `SUBSCRIBE` and `UNSUBSCRIBE`; for a database other
/// than 0, `SELECT`; to [`clear`](Store::clear), `SCAN` and `UNLINK`; with [`Local::tracking`], `CLIENT TRACKING`. In a cluster also `ASKING` and `CLUSTER SLOTS`; of Sentinels, `SENTINEL
/// GET-MASTER-ADDR-BY-NAME`.
///
/// # Cancellation
///
/// A dropped call that may have set a claim or a lock ends it, behind itself on the same connection.
pub struct RedisStore {
    server: Arc<Servers>,
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

    /// Connects to a cluster, of which these URLs name some servers. The user, the password and the protocol of the first
    /// are those of all.
    ///
    /// # Errors
    ///
    /// If a URL makes no sense, or a server that has keys does not answer in time or does not let this client do what it
    /// must.
    pub async fn cluster<U: Into<String>>(
        urls: impl IntoIterator<Item = U>,
    ) -> Result<Self, StoreError> {
        Self::cluster_builder(urls).connect().await
    }

    /// Begins with the URLs of some servers of a cluster.
    pub fn cluster_builder<U: Into<String>>(urls: impl IntoIterator<Item = U>) -> RedisBuilder {
        RedisBuilder::cluster(urls.into_iter().map(Into::into).collect())
    }

    /// Connects to whichever server the Sentinels at these URLs name as the primary `name`, and follows it elsewhere.
    ///
    /// # Errors
    ///
    /// If a URL makes no sense, no Sentinel knows such a primary, or it does not answer in time or does not let this client
    /// do what it must.
    pub async fn sentinel<U: Into<String>>(
        name: impl Into<String>,
        urls: impl IntoIterator<Item = U>,
    ) -> Result<Self, StoreError> {
        Self::sentinel_builder(name, urls).connect().await
    }

    /// Begins with the name of a primary and the URLs of its Sentinels.
    pub fn sentinel_builder<U: Into<String>>(
        name: impl Into<String>,
        urls: impl IntoIterator<Item = U>,
    ) -> RedisBuilder {
        RedisBuilder::sentinel(name.into(), urls.into_iter().map(Into::into).collect())
    }

    fn later<'a, T: 'a>(
        work: impl Future<Output = Result<T, Trouble>> + Send + 'a,
    ) -> StoreFuture<'a, T> {
        Box::pin(work.err_into())
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
        Self::later(self.server.free(Kind::Claim, claim).map_ok(|_| ()))
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
