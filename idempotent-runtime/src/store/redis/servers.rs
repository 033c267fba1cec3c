//! What a store's calls share: which server is asked, who queues and who waits.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::{Client, RedisResult};
use futures_util::future::join;

use super::cluster::Cluster;
use super::line::Link;
use super::local::Copies;
use super::queue::Queues;
use super::seen::Seen;
use super::server::Server;
use super::target::Address;
use super::tracking;
use super::trouble::Trouble;
use super::wake::Wake;

/// The servers of a store.
pub(super) struct Servers {
    pub(super) way: Way,
    /// The server of which this process hears what is changed.
    tracked: Option<Client>,
    deadline: Duration,
    pub(super) seen: Seen,
    pub(super) copies: Arc<Copies>,
    pub(super) queues: Queues,
    pub(super) wake: Wake,
}

/// How to come to the server that has a key.
pub(super) enum Way {
    /// One has them all.
    One(Arc<Server>),
    /// It depends on the key's slot.
    Cluster(Arc<Cluster>),
}

impl Servers {
    pub(super) fn new(
        way: Way,
        tracked: Option<Client>,
        deadline: Duration,
        copies: Copies,
    ) -> Arc<Self> {
        Arc::new(Self {
            way,
            tracked,
            deadline,
            seen: Seen::default(),
            copies: Arc::new(copies),
            queues: Queues::default(),
            wake: Wake::default(),
        })
    }

    pub(super) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Sees whether there is a connection to servers that may be used.
    pub(super) async fn check(&self) -> Result<(), Trouble> {
        match &self.way {
            Way::One(server) => server.ask(|_| async { Ok(()) }).await,
            Way::Cluster(cluster) => cluster.check().await,
        }
    }

    /// Asks the server that has this key, and no other key in another slot, see [`Server::ask`].
    pub(super) async fn ask<T, F>(
        &self,
        key: &str,
        ask: impl Fn(Arc<Link>) -> F,
    ) -> Result<T, Trouble>
    where
        F: Future<Output = RedisResult<T>>,
    {
        match &self.way {
            // In boxes of their own: several small ones are faster to allocate than a large one.
            Way::One(server) => Box::pin(server.ask(ask)).await,
            Way::Cluster(cluster) => Box::pin(cluster.ask(key, ask)).await,
        }
    }

    /// What goes on beside the calls, for ever.
    pub(super) async fn tend(&self) {
        let waking = self.wake.serve(|| self.speaker(), self.deadline);
        match (&self.way, &self.tracked) {
            (Way::One(_), None) => waking.await,
            (Way::One(_), Some(client)) => {
                join(waking, tracking::track(&self.copies, client, self.deadline)).await;
            }
            (Way::Cluster(cluster), _) => {
                join(waking, cluster.tend()).await;
            }
        }
    }

    /// A client of a server that passes messages on; and where it is, if it may be elsewhere later. In a cluster every
    /// one does, wherever they come from.
    async fn speaker(&self) -> Result<(Option<Address>, Client), Trouble> {
        match &self.way {
            Way::One(server) => server.dial.door.client().await,
            Way::Cluster(cluster) => Ok((None, cluster.any_client()?)),
        }
    }

    pub(super) async fn clear(&self, prefix: &str) -> Result<(), Trouble> {
        let cleared = match &self.way {
            Way::One(server) => server.clear(prefix).await,
            Way::Cluster(cluster) => cluster.clear(prefix).await,
        };
        self.copies.doubt();
        cleared
    }
}
