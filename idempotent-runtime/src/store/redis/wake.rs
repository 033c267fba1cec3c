//! Who waits for the end of a claim or a lock, and the one connection on which this process hears of it.
//!
//! A topic is the key of a claim or lock. It is subscribed to while anyone listens, and a second or so longer, as in a
//! queue the next listener comes just after the last. Messages may be lost: whoever listens also looks by itself now
//! and then, and whenever the connection was renewed.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use deadpool_redis::redis::aio::{PubSubSink, PubSubStream};
use deadpool_redis::redis::{Client, RedisResult};
use futures_util::StreamExt;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at};

use super::line::jittered;
use super::target::Address;
use super::trouble::Trouble;
use super::within::within;
use crate::sync::{after, lock};

/// How often the subscriber looks whether its connection lives and which topics nobody listens to.
const CHECK: Duration = Duration::from_secs(1);

/// How many topics one command subscribes to at most.
const BATCH: usize = 1_000;

/// What is known of a topic.
#[derive(Clone, Copy, Debug, Default)]
struct Ring {
    subscribed: bool,
    /// How often it rang.
    count: u64,
}

/// The topics that anyone listens to.
#[derive(Debug, Default)]
pub(super) struct Wake {
    topics: Mutex<Topics>,
    /// A topic is new.
    wanted: Notify,
}

#[derive(Debug, Default)]
struct Topics {
    all: HashMap<Arc<str>, watch::Sender<Ring>>,
    /// Those that are to be subscribed to.
    wanted: Vec<Arc<str>>,
}

/// Hears when a topic rings, from when it was [`ready`](Self::ready) on.
#[derive(Debug)]
pub(super) struct Listener(watch::Receiver<Ring>);

impl Wake {
    /// Begins to listen.
    pub(super) fn listen(&self, key: &str) -> Listener {
        let mut topics = lock(&self.topics);
        if let Some(topic) = topics.all.get(key) {
            return Listener(topic.subscribe());
        }
        let (sender, receiver) = watch::channel(Ring::default());
        let key = Arc::<str>::from(key);
        topics.all.insert(Arc::clone(&key), sender);
        topics.wanted.push(key);
        drop(topics);
        self.wanted.notify_one();
        Listener(receiver)
    }

    fn ring(&self, key: &str) {
        if let Some(topic) = lock(&self.topics).all.get(key) {
            topic.send_modify(|ring| ring.count += 1);
        }
    }

    /// All topics: whatever happened, it was not heard.
    fn lose(&self) {
        let mut topics = lock(&self.topics);
        for topic in topics.all.values() {
            topic.send_modify(|ring| {
                ring.subscribed = false;
                ring.count += 1;
            });
        }
        topics.wanted = topics.all.keys().map(Arc::clone).collect();
    }

    /// Some topics that are not subscribed to yet.
    fn take_wanted(&self) -> Vec<Arc<str>> {
        let mut topics = lock(&self.topics);
        let rest = topics.wanted.len().saturating_sub(BATCH);
        topics.wanted.split_off(rest)
    }

    fn subscribed(&self, keys: &[Arc<str>]) {
        let topics = lock(&self.topics);
        for topic in keys.iter().filter_map(|key| topics.all.get(key)) {
            topic.send_modify(|ring| ring.subscribed = true);
        }
    }

    /// Removes the topics that nobody listens to.
    fn take_idle(&self) -> Vec<Arc<str>> {
        let mut topics = lock(&self.topics);
        let idle: Vec<_> = topics
            .all
            .extract_if(|_, topic| topic.receiver_count() == 0)
            .map(|(key, _)| key)
            .collect();
        if !idle.is_empty() {
            let Topics { all, wanted } = &mut *topics;
            wanted.retain(|key| all.contains_key(key));
        }
        idle
    }

    /// Keeps the subscriptions, for ever.
    pub(super) async fn serve<F>(&self, client: impl Fn() -> F, deadline: Duration)
    where
        F: Future<Output = Result<(Option<Address>, Client), Trouble>>,
    {
        loop {
            let connecting = async {
                let (address, client) = client().await?;
                Ok::<_, Trouble>((address, client.get_async_pubsub().await?))
            };
            match within(deadline, pin!(connecting)).await {
                Some(Ok((address, connection))) => {
                    let (sink, stream) = connection.split();
                    let subscriber = Subscriber {
                        wake: self,
                        sink,
                        deadline,
                    };
                    tokio::select! {
                        () = subscriber.run(stream) => {}
                        () = has_left(address, &client) => {}
                    }
                    self.lose();
                    tracing::warn!("the connection on which Redis wakes those who wait is gone");
                }
                // What is wrong is told by the connections for commands.
                Some(Err(error)) => tracing::debug!(%error, "could not subscribe"),
                None => tracing::debug!("could not subscribe in time"),
            }
            self.take_idle();
            sleep(jittered(CHECK)).await;
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.topics).all.len()
    }
}

/// Returns when the server that passes messages on is not at this address any more.
async fn has_left<F>(address: Option<Address>, client: impl Fn() -> F)
where
    F: Future<Output = Result<(Option<Address>, Client), Trouble>>,
{
    let Some(address) = address else {
        return std::future::pending().await;
    };
    loop {
        sleep(CHECK).await;
        // If nobody can be asked, nothing is known to have changed.
        if matches!(client().await, Ok((Some(now), _)) if now != address) {
            return;
        }
    }
}

struct Subscriber<'a> {
    wake: &'a Wake,
    sink: PubSubSink,
    deadline: Duration,
}

impl Subscriber<'_> {
    /// Returns when the connection is of no use any more.
    async fn run(mut self, mut stream: PubSubStream) {
        let mut check = interval(CHECK);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = stream.next() => match message {
                    Some(message) => self.wake.ring(message.get_channel_name()),
                    None => return,
                },
                () = self.wake.wanted.notified() => {
                    if !self.subscribe().await {
                        return;
                    }
                }
                _ = check.tick() => {
                    if !self.tidy().await || !self.subscribe().await {
                        return;
                    }
                }
            }
        }
    }

    async fn subscribe(&mut self) -> bool {
        loop {
            let keys = self.wake.take_wanted();
            if keys.is_empty() {
                return true;
            }
            let names: Vec<&str> = keys.iter().map(|key| &**key).collect();
            if !done(timeout(self.deadline, self.sink.subscribe(&names)).await) {
                return false;
            }
            self.wake.subscribed(&keys);
        }
    }

    /// Leaves the topics that nobody listens to, and sees whether the server answers.
    async fn tidy(&mut self) -> bool {
        let idle = self.wake.take_idle();
        if idle.is_empty() {
            return done(timeout(self.deadline, self.sink.ping::<()>()).await);
        }
        let names: Vec<&str> = idle.iter().map(|key| &**key).collect();
        done(timeout(self.deadline, self.sink.unsubscribe(&names)).await)
    }
}

fn done(outcome: Result<RedisResult<()>, tokio::time::error::Elapsed>) -> bool {
    match outcome {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(%error, "could not subscribe");
            false
        }
        Err(_) => false,
    }
}

impl Listener {
    /// Returns when what happens from now on will be heard; or after `most`, or at `end`.
    pub(super) async fn ready(&mut self, most: Duration, end: Instant) {
        let until = after(Instant::now(), most).min(end);
        let _ = timeout_at(until, self.0.wait_for(|ring| ring.subscribed)).await;
    }

    /// Returns when it rang since it was asked last, or at this moment.
    pub(super) async fn rung(&mut self, until: Instant) {
        if let Ok(Err(_)) = timeout_at(until, self.0.changed()).await {
            // Nobody serves it any more, which is no reason to ask all the time.
            tokio::time::sleep_until(until).await;
        }
    }
}
