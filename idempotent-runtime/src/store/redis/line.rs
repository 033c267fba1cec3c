//! Connections: one per runtime, kept by a task of that runtime.
//!
//! A connection's driver lives on the runtime that made it, and an actix worker is a runtime of its own. So each has
//! one connection, taken from the pool once, on which all of its requests are sent one behind the other.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{self, RedisError};
use deadpool_redis::{Connection, PoolError, Timeouts};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use super::door::Door;
use super::scripts;
use super::target::Address;
use super::together::Together;
use super::trouble::Trouble;
use super::wire::Wire;
use super::within::within;
use crate::sync::random;

/// How often a connection is asked whom it talks to.
pub(super) const CHECK: Duration = Duration::from_secs(1);

/// How soon the first and how late any further try to connect follows one that failed.
const SOONEST: Duration = Duration::from_millis(10);
const LATEST: Duration = Duration::from_secs(1);

/// A pool that is empty stays so: connections are taken for good.
const AT_ONCE: Timeouts = Timeouts {
    wait: Some(Duration::ZERO),
    create: None,
    recycle: None,
};

/// How connections are made.
#[derive(Debug)]
pub(super) struct Dial {
    pub(super) door: Door,
    pub(super) deadline: Duration,
    /// Whether the server is to be one of a cluster, or one by itself.
    pub(super) in_cluster: bool,
}

/// A connection that is ready.
#[derive(Clone)]
pub(super) struct Link {
    connection: MultiplexedConnection,
    /// Of the server at its other end, which is one and the same as long as the connection lives.
    pub(super) epoch: u64,
    /// Where that is, if another may take its place elsewhere.
    address: Option<Address>,
    pub(super) runtime: Handle,
    broken: Arc<AtomicBool>,
    breaks: Arc<Notify>,
    asking: bool,
}

impl Link {
    /// Where a command is sent.
    pub(super) fn connection(&self) -> Wire {
        Wire::new(self.connection.clone(), self.asking)
    }

    /// The same, for what is in a slot of a cluster that is being moved to this server.
    pub(super) fn asking(&self) -> Self {
        Self {
            asking: true,
            ..self.clone()
        }
    }

    /// It is of no use any more; another takes its place.
    pub(super) fn give_up(&self) {
        self.broken.store(true, Ordering::Release);
        self.breaks.notify_one();
    }

    fn is_good(&self) -> bool {
        !self.broken.load(Ordering::Acquire)
    }
}

/// How a line stands.
enum State {
    Dialling,
    Ready(Arc<Link>),
    Failed(Trouble),
}

/// The connection of one runtime, or the attempts to have one. Its task ends when this is dropped.
pub(super) struct Line {
    state: watch::Receiver<State>,
    /// Whatever is spawned on its runtime is behind what is ready there, and never on another thread.
    pub(super) has_one_thread: bool,
    /// What its runtime asks in its next turn.
    pub(super) together: Together,
}

impl Line {
    /// Has the current runtime keep a connection. `at_end` is dropped with the runtime's task, if not before.
    pub(super) fn open(runtime: &Handle, dial: Arc<Dial>, at_end: impl Send + 'static) -> Self {
        let (sender, receiver) = watch::channel(State::Dialling);
        let task = tend(runtime.clone(), dial, sender);
        runtime.spawn(async move {
            let _at_end = at_end;
            task.await;
        });
        Self {
            state: receiver,
            has_one_thread: runtime.runtime_flavor() == RuntimeFlavor::CurrentThread,
            together: Together::default(),
        }
    }

    /// Whether there is a connection.
    pub(super) fn is_ready(&self) -> bool {
        matches!(&*self.state.borrow(), State::Ready(link) if link.is_good())
    }

    /// Whether the runtime has ended, so that there will be none any more.
    pub(super) fn is_over(&self) -> bool {
        self.state.has_changed().is_err()
    }

    /// The connection, as soon as there is one.
    ///
    /// # Errors
    ///
    /// If the last attempt to connect failed.
    pub(super) async fn link(&self) -> Result<Arc<Link>, Trouble> {
        if let State::Ready(link) = &*self.state.borrow()
            && link.is_good()
        {
            return Ok(Arc::clone(link));
        }
        let mut state = self.state.clone();
        loop {
            match &*state.borrow_and_update() {
                State::Ready(link) if link.is_good() => return Ok(Arc::clone(link)),
                State::Failed(trouble) => return Err(trouble.clone()),
                State::Ready(_) | State::Dialling => {}
            }
            if state.changed().await.is_err() {
                return Err(Trouble::NoRuntime);
            }
        }
    }
}

/// Keeps a connection until nobody wants it any more.
async fn tend(runtime: Handle, dial: Arc<Dial>, state: watch::Sender<State>) {
    let mut pause = SOONEST;
    // An outage is told once, and not by each try.
    let mut told = false;
    loop {
        let dialled = tokio::select! {
            () = state.closed() => return,
            dialled = dial.dial(&runtime) => dialled,
        };
        match dialled {
            Ok((pooled, link)) => {
                state.send_replace(State::Ready(Arc::clone(&link)));
                told = false;
                let trouble = tokio::select! {
                    () = state.closed() => return drop(Connection::take(pooled)),
                    trouble = dial.watch(&link) => trouble,
                };
                tracing::warn!(%trouble, "a connection to Redis is given up");
                link.give_up();
                state.send_replace(State::Dialling);
                drop(Connection::take(pooled));
                pause = SOONEST;
            }
            Err(trouble) => {
                if !told {
                    tracing::warn!(%trouble, "could not connect to Redis; trying until it can be done");
                    told = true;
                }
                state.send_replace(State::Failed(trouble));
            }
        }
        tokio::select! {
            () = state.closed() => return,
            () = sleep(jittered(pause)) => {}
        }
        pause = (pause * 2).min(LATEST);
    }
}

impl Dial {
    async fn dial(&self, runtime: &Handle) -> Result<(Connection, Arc<Link>), Trouble> {
        let dialled = pin!(async {
            let (address, pool) = self.door.pool().await?;
            let pooled = pool
                .timeout_get(&AT_ONCE)
                .await
                .map_err(|error| match error {
                    PoolError::Timeout(_) => Trouble::Full(pool.status().max_size),
                    error => Trouble::Away(error.to_string().into()),
                })?;
            let mut connection = MultiplexedConnection::clone(&pooled);
            match greet(&mut connection, self.in_cluster).await {
                Ok(epoch) => Ok((pooled, connection, epoch, address)),
                Err(trouble) => {
                    drop(Connection::take(pooled));
                    Err(trouble)
                }
            }
        });
        let (pooled, connection, epoch, address) = within(self.deadline, dialled)
            .await
            .ok_or(Trouble::Late(self.deadline))??;
        let link = Link {
            connection,
            epoch,
            address,
            runtime: runtime.clone(),
            broken: Arc::default(),
            breaks: Arc::default(),
            asking: false,
        };
        Ok((pooled, Arc::new(link)))
    }

    /// Returns when a connection is of no use any more.
    async fn watch(&self, link: &Link) -> Trouble {
        let mut connection = link.connection.clone();
        loop {
            tokio::select! {
                () = sleep(CHECK) => {}
                () = link.breaks.notified() => {
                    return Trouble::Away("it was found broken".into());
                }
            }
            let epoch = within(
                self.deadline,
                pin!(ask_epoch(&mut connection, self.in_cluster)),
            )
            .await;
            match epoch.unwrap_or(Err(Trouble::Late(self.deadline))) {
                Ok(epoch) if epoch == link.epoch => {
                    if self.door.has_left(link.address.as_ref()).await {
                        return Trouble::Away("another server is the primary".into());
                    }
                }
                Ok(_) => return Trouble::Away("another server answers".into()),
                Err(trouble) => return trouble,
            }
        }
    }
}

/// Makes the server ready; its epoch.
async fn greet(connection: &mut MultiplexedConnection, in_cluster: bool) -> Result<u64, Trouble> {
    let mut load = redis::pipe();
    scripts::load(&mut load);
    let (epoch, loaded) = futures_util::future::join(
        ask_epoch(&mut connection.clone(), in_cluster),
        load.query_async::<()>(connection),
    )
    .await;
    loaded?;
    epoch
}

/// The epoch of the server that answers, which must be a primary. It is another after a restart, and another after every
/// time that it was a replica meanwhile, which its `run_id` alone would not show.
pub(super) async fn ask_epoch(
    connection: &mut MultiplexedConnection,
    in_cluster: bool,
) -> Result<u64, Trouble> {
    let (server, replication): (String, String) = redis::pipe()
        .cmd("INFO")
        .arg("server")
        .cmd("INFO")
        .arg("replication")
        .query_async(connection)
        .await
        .map_err(|error: RedisError| Trouble::from(error))?;
    if field(&replication, "role:") != Some("master") {
        return Err(Trouble::Away("the server is no primary".into()));
    }
    // Redis' word for it, and Valkey's.
    let is_in_cluster = ["redis_mode:", "server_mode:"]
        .map(|mode| field(&server, mode))
        .contains(&Some("cluster"));
    if is_in_cluster != in_cluster {
        let hint = if is_in_cluster {
            "it is one of a cluster, which takes `RedisStore::cluster`"
        } else {
            "it is in no cluster"
        };
        return Err(Trouble::Away(hint.into()));
    }
    if field(&server, "redis_version:").is_some_and(is_too_old) {
        return Err(Trouble::Away("it must be Redis 7.0 or later".into()));
    }
    let run = number(&server, "run_id:");
    let history = number(&replication, "master_replid:");
    run.zip(history)
        .map(|(run, history)| run ^ history)
        .ok_or_else(|| Trouble::Away("the server does not tell its run_id".into()))
}

/// The beginning of a random number that the server tells.
fn number(info: &str, name: &str) -> Option<u64> {
    u64::from_str_radix(field(info, name)?.get(..16)?, 16).ok()
}

/// Valkey also tells which Redis it is compatible with.
fn is_too_old(version: &str) -> bool {
    let major = version
        .split('.')
        .next()
        .and_then(|major| major.parse().ok());
    major.is_some_and(|major: u32| major < 7)
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines()
        .find_map(|line| line.strip_prefix(name))
        .map(str::trim)
}

/// Between a half and all of it, so that many do not come at once.
pub(super) fn jittered(length: Duration) -> Duration {
    let half = length / 2;
    half + half.mul_f64((random() % 1024) as f64 / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        assert!(is_too_old("6.2.14") && is_too_old("5"));
        assert!(!is_too_old("7.0.15") && !is_too_old("10.1") && !is_too_old("unstable"));
    }
}
