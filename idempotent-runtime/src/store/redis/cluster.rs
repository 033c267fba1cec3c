//! A cluster: which of its servers has a key, by the cluster's own word.
//!
//! Each server is asked over the same connections as one that is alone, with a deadline, a breaker and an epoch of its
//! own. This is why the cluster connection of the `redis` crate is not used: it does not say which server has answered,
//! and a tag that was read is only worth something together with the epoch of the server that it was read from.

use std::collections::HashSet;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use deadpool_redis::redis::{Client, ErrorKind, RedisResult, ServerErrorKind, Value, cmd};
use futures_util::{StreamExt, stream};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::breaker::REST;
use super::door::Door;
use super::line::{Dial, Link, jittered};
use super::server::Server;
use super::target::{Address, Target, config};
use super::trouble::Trouble;
use super::within::within;
use crate::store::Version;
use crate::sync::{lock, random};

mod map;
mod records;
mod slots;
mod stamps;

use map::{Map, Node};
use slots::slot;

/// How often the servers are asked who has what, if nothing suggests it sooner; and how soon at the soonest.
const LATEST: Duration = Duration::from_secs(5);
const SOONEST: Duration = Duration::from_millis(100);

/// How many are asked at a time.
const AT_A_TIME: usize = 3;

/// How long a slot in mid-move is left alone before it is asked again.
const PAUSE: Duration = Duration::from_millis(10);

/// How often a call follows redirections without a pause.
const FOLLOWED: usize = 3;

/// Who has which slot, as far as this process knows.
pub(super) struct Cluster {
    target: Target,
    /// Where it is asked first.
    seeds: Vec<Address>,
    deadline: Duration,
    map: RwLock<Map>,
    /// What is known may be wrong.
    doubt: Notify,
    learning: tokio::sync::Mutex<()>,
    /// When a call could not learn it last, and why.
    failed: Mutex<Option<(Instant, Trouble)>>,
}

/// What to do about an answer.
enum Next {
    /// Give it.
    Give,
    /// Ask whoever has the slot now.
    Again,
    /// The same, but not at once.
    Later,
    /// Ask this one, and only this once.
    Ask(Address),
}

impl Cluster {
    pub(super) fn new(target: Target, seeds: Vec<Address>, deadline: Duration) -> Arc<Self> {
        Arc::new(Self {
            target,
            seeds,
            deadline,
            map: RwLock::default(),
            doubt: Notify::new(),
            learning: tokio::sync::Mutex::default(),
            failed: Mutex::default(),
        })
    }

    /// Sees whether each of the servers that have slots may be used.
    pub(super) async fn check(&self) -> Result<(), Trouble> {
        self.learn_if(|_| true).await?;
        let nodes = self.known().nodes();
        let checks = nodes
            .iter()
            .map(|node| node.server.ask(|_| async { Ok(()) }));
        futures_util::future::try_join_all(checks).await?;
        Ok(())
    }

    /// Asks the server that has the key, wherever it is now.
    pub(super) async fn ask<T, F>(
        &self,
        key: &str,
        ask: impl Fn(Arc<Link>) -> F,
    ) -> Result<T, Trouble>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let (slot, end) = (slot(key), Instant::now() + self.deadline);
        let mut told: Option<Arc<Node>> = None;
        for tries in 0_usize.. {
            let asking = told.is_some();
            let node = match told.take() {
                Some(node) => node,
                None => self.owner(slot, end).await?,
            };
            let left = end.saturating_duration_since(Instant::now());
            let asked = node.server.ask_within(left, |link| {
                ask(if asking {
                    Arc::new(link.asking())
                } else {
                    link
                })
            });
            let answer = asked.await;
            let Err(trouble) = &answer else {
                return answer;
            };
            let next = self.next(slot, &node, trouble);
            if matches!(next, Next::Give) || Instant::now() + PAUSE >= end {
                return answer;
            }
            if matches!(next, Next::Later) || tries >= FOLLOWED {
                sleep(jittered(PAUSE)).await;
            }
            if let Next::Ask(address) = next {
                told = Some(self.node(&address)?);
            }
        }
        Err(Trouble::Senseless)
    }

    fn next(&self, slot: u16, asked: &Node, trouble: &Trouble) -> Next {
        let Trouble::Failed(error) = trouble else {
            // Perhaps another has taken its place.
            self.doubt.notify_one();
            return Next::Give;
        };
        let told = || Address::told(error.redirect_node()?.0, &asked.address);
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::Moved) => {
                self.doubt.notify_one();
                match told().map(|address| self.moved(slot, &address)) {
                    Some(Ok(())) => Next::Again,
                    _ => Next::Give,
                }
            }
            ErrorKind::Server(ServerErrorKind::Ask) => told().map_or(Next::Give, Next::Ask),
            // Some of the keys are here and some are there.
            ErrorKind::Server(ServerErrorKind::TryAgain) => Next::Later,
            ErrorKind::Server(ServerErrorKind::ClusterDown | ServerErrorKind::ReadOnly) => {
                self.doubt.notify_one();
                Next::Give
            }
            _ => {
                if trouble.is_away() {
                    self.doubt.notify_one();
                }
                Next::Give
            }
        }
    }

    /// Who has a slot. Servers that do not tell are not asked for a while, as by the breaker.
    async fn owner(&self, slot: u16, end: Instant) -> Result<Arc<Node>, Trouble> {
        if let Some(node) = self.known().owner(slot) {
            return Ok(node);
        }
        if self.failure().is_none() {
            let left = end.saturating_duration_since(Instant::now());
            let learning =
                self.learn_if(|map| map.owner(slot).is_none() && self.failure().is_none());
            let learnt = within(left, pin!(learning)).await;
            if let Err(trouble) = learnt.unwrap_or(Err(Trouble::Late(self.deadline))) {
                *lock(&self.failed) = Some((Instant::now(), trouble));
                self.doubt.notify_one();
            }
        }
        let owner = self.known().owner(slot);
        owner.ok_or_else(|| {
            let nobody = || Trouble::Away(format!("nobody has slot {slot}").into());
            self.failure().unwrap_or_else(nobody)
        })
    }

    /// Why it could not be learnt, if that was lately.
    fn failure(&self) -> Option<Trouble> {
        let failed = lock(&self.failed);
        let (when, trouble) = failed.as_ref()?;
        (when.elapsed() < REST).then(|| trouble.clone())
    }

    fn known(&self) -> std::sync::RwLockReadGuard<'_, Map> {
        self.map.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_mut(&self) -> std::sync::RwLockWriteGuard<'_, Map> {
        self.map.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn moved(&self, slot: u16, to: &Address) -> Result<(), Trouble> {
        let node = self.node(to)?;
        self.known_mut().assign(slot, slot, &node);
        Ok(())
    }

    /// The server at an address, known or new.
    fn node(&self, address: &Address) -> Result<Arc<Node>, Trouble> {
        if let Some(node) = self.known().node(address) {
            return Ok(node);
        }
        let client = self.target.client(address)?;
        let (pool, client) = (self.target.pool(&client)?, Box::new(client));
        let dial = Dial {
            door: Door::One { client, pool },
            deadline: self.deadline,
            in_cluster: true,
        };
        let node = Node {
            address: address.clone(),
            server: Server::new(dial),
        };
        Ok(self.known_mut().insert(Arc::new(node)))
    }

    /// Keeps what is known from growing old, for ever.
    pub(super) async fn tend(&self) {
        loop {
            let _ = timeout(LATEST, self.doubt.notified()).await;
            if let Err(error) = self.learn_if(|_| true).await {
                tracing::debug!(%error, "could not learn who has what in the Redis cluster");
            }
            sleep(jittered(SOONEST)).await;
        }
    }

    /// Asks who has what, if it still needs to be known after whoever else has asked.
    async fn learn_if(&self, wanted: impl FnOnce(&Map) -> bool) -> Result<(), Trouble> {
        let _alone = self.learning.lock().await;
        if !wanted(&self.known()) {
            return Ok(());
        }
        let mut trouble = Trouble::Away("no server of the cluster is known".into());
        let mut answers = stream::iter(self.all_known())
            .map(|address| async move { self.ask_slots(&address).await })
            .buffer_unordered(AT_A_TIME);
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(ranges) => return self.adopt(&ranges),
                Err(other) => trouble = other,
            }
        }
        Err(trouble)
    }

    fn adopt(&self, ranges: &[map::Range]) -> Result<(), Trouble> {
        let mut map = Map::default();
        for range in ranges {
            let node = map.insert(self.node(&range.primary)?);
            map.assign(range.first, range.last, &node);
            map.replicas.extend(range.replicas.iter().cloned());
        }
        *self.known_mut() = map;
        Ok(())
    }

    /// Everyone who may know, in any order.
    fn all_known(&self) -> Vec<Address> {
        let mut addresses: HashSet<Address> = self.seeds.iter().cloned().collect();
        let map = self.known();
        addresses.extend(map.nodes().iter().map(|node| node.address.clone()));
        addresses.extend(map.replicas.iter().cloned());
        addresses.into_iter().collect()
    }

    /// On a connection for this alone, since replicas may answer, too.
    async fn ask_slots(&self, address: &Address) -> Result<Vec<map::Range>, Trouble> {
        let client = self.target.client(address)?;
        let (config, ask) = (config(), cmd("CLUSTER").arg("SLOTS").take());
        let asked = pin!(async {
            let mut connection = client
                .get_multiplexed_async_connection_with_config(&config)
                .await?;
            ask.query_async::<Value>(&mut connection).await
        });
        let answer = within(self.deadline, asked)
            .await
            .ok_or(Trouble::Late(self.deadline))??;
        let ranges = map::read(&answer, address).ok_or(Trouble::Senseless)?;
        if ranges.is_empty() {
            return Err(Trouble::Away(format!("{address} is in no cluster").into()));
        }
        Ok(ranges)
    }

    /// A client of any server.
    pub(super) fn any_client(&self) -> Result<Client, Trouble> {
        let addresses = self.all_known();
        let place = usize::try_from(random() % addresses.len().max(1) as u64).unwrap_or_default();
        let address = addresses.get(place);
        self.target
            .client(address.ok_or_else(|| Trouble::Away("no server is known".into()))?)
    }

    pub(super) async fn clear(&self, prefix: &str) -> Result<(), Trouble> {
        self.learn_if(|_| true).await?;
        let nodes = self.known().nodes();
        for node in nodes {
            node.server.clear(prefix).await?;
        }
        Ok(())
    }
}

/// A version together with the epoch of the server that has it: equal if both are. Done twice, it is undone.
fn of_epoch(version: Version, epoch: u64) -> Version {
    Version {
        count: version.count ^ epoch,
        ..version
    }
}
