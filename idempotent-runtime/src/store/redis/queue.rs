//! The local queue for each lock: first come, first served, and only the first one asks the server.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::sync::lock;

/// Who asks for which lock in this process, in the order of arrival.
#[derive(Debug, Default)]
pub(super) struct Queues(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    queues: HashMap<Arc<str>, VecDeque<Arc<Notify>>>,
}

/// A place in a queue; given up on drop.
#[derive(Debug)]
pub(super) struct Place<'a> {
    queues: &'a Queues,
    key: Arc<str>,
    bell: Arc<Notify>,
}

impl Queues {
    /// Takes the last place.
    pub(super) fn join(&self, key: &str) -> Place<'_> {
        let mut state = lock(&self.0);
        let key = match state.queues.get_key_value(key) {
            Some((key, _)) => Arc::clone(key),
            None => key.into(),
        };
        let bell = Arc::<Notify>::default();
        state
            .queues
            .entry(Arc::clone(&key))
            .or_default()
            .push_back(Arc::clone(&bell));
        Place {
            queues: self,
            key,
            bell,
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.0).queues.len()
    }
}

impl Place<'_> {
    pub(super) fn is_first(&self) -> bool {
        lock(&self.queues.0)
            .queues
            .get(&self.key)
            .and_then(VecDeque::front)
            .is_some_and(|first| Arc::ptr_eq(first, &self.bell))
    }

    /// Returns when it is the first.
    pub(super) async fn first(&self) {
        while !self.is_first() {
            // Rung once, by whoever leaves the place before this one; kept if it comes before it is awaited.
            self.bell.notified().await;
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.queues.0);
        let Some(queue) = state.queues.get_mut(&self.key) else {
            return;
        };
        queue.retain(|bell| !Arc::ptr_eq(bell, &self.bell));
        match queue.front() {
            Some(first) => first.notify_one(),
            None => drop(state.queues.remove(&self.key)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::task::{Context, Waker};

    use super::*;

    fn is_ready(future: impl Future<Output = ()>) -> bool {
        tokio::pin!(future);
        future
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    #[test]
    fn places_are_kept_in_order_and_given_up_on_drop() {
        let queues = Queues::default();
        let [a, b, c] = [(); 3].map(|()| queues.join("x"));
        let other = queues.join("y");
        assert!(is_ready(a.first()) && is_ready(other.first()));
        assert!(!is_ready(b.first()) && !is_ready(c.first()));
        drop(b);
        assert!(!is_ready(c.first()));
        drop(a);
        assert!(is_ready(c.first()));
        drop((c, other));
        assert_eq!(queues.len(), 0);
    }
}
