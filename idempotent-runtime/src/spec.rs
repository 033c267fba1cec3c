//! What one annotated handler asks for.
//!
//! A [`Spec`] is made by `#[idempotent(…)]` as a `const`, so that an expansion shows every choice by its name.

use std::time::Duration;

use crate::key::{Handler, Key};
use crate::reply::Reply;

/// What one annotated handler asks for; made by `#[idempotent(…)]`.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    pub(crate) name: &'static str,
    pub(crate) cache: Option<Duration>,
    pub(crate) lock: Option<Duration>,
    pub(crate) once: Option<Duration>,
    pub(crate) key: Option<Key>,
    pub(crate) wait: Option<Duration>,
    pub(crate) keep: Option<Keep>,
    pub(crate) changed: Changed,
    pub(crate) outage: Option<Outage>,
}

impl Spec {
    /// A handler of this name that asks for nothing yet.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            cache: None,
            lock: None,
            once: None,
            key: None,
            wait: None,
            keep: None,
            changed: Changed::Run,
            outage: None,
        }
    }

    /// What a request id needs to know of it.
    pub(crate) const fn identity(&self) -> Handler {
        Handler {
            name: self.name,
            key: self.key,
            cached: self.cache.is_some() || self.once.is_some(),
        }
    }

    /// How long a reply may be replayed, in milliseconds.
    #[must_use]
    pub const fn cache(mut self, millis: u64) -> Self {
        self.cache = Some(Duration::from_millis(millis));
        self
    }

    /// The lease of the handler's lock, in milliseconds.
    #[must_use]
    pub const fn lock(mut self, millis: u64) -> Self {
        self.lock = Some(Duration::from_millis(millis));
        self
    }

    /// How long what was done and answered once is known, in milliseconds.
    #[must_use]
    pub const fn once(mut self, millis: u64) -> Self {
        self.once = Some(Duration::from_millis(millis));
        self
    }

    /// What makes two requests the same.
    #[must_use]
    pub const fn key(mut self, key: Key) -> Self {
        self.key = Some(key);
        self
    }

    /// How long a duplicate waits for the first one, in milliseconds; 0 means not at all.
    #[must_use]
    pub const fn wait(mut self, millis: u64) -> Self {
        self.wait = Some(Duration::from_millis(millis));
        self
    }

    /// Which replies are kept.
    #[must_use]
    pub const fn keep(mut self, keep: Keep) -> Self {
        self.keep = Some(keep);
        self
    }

    /// What a retry gets after one of the rows was changed by another.
    #[must_use]
    pub const fn changed(mut self, changed: Changed) -> Self {
        self.changed = changed;
        self
    }

    /// What happens when the store is away.
    #[must_use]
    pub const fn outage(mut self, outage: Outage) -> Self {
        self.outage = Some(outage);
        self
    }
}

/// Which replies are kept.
#[non_exhaustive]
#[derive(Clone, Copy, Debug)]
pub enum Keep {
    /// Every final status but 206, 304, 401, 403, 408, 409, 423, 425, 429 and 5xx.
    Final,
    /// 2xx only.
    Success,
    /// Every reply, even an error's, and one that sets cookies (it is replayed without them).
    All,
    /// Those that this function accepts (one that sets cookies is replayed without them).
    Function(fn(&Reply) -> bool),
}

/// What a retry gets after one of the rows that the first run changed was changed by another.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// The handler runs again.
    Run,
    /// 409 until the record's own end.
    Reject,
}

/// What happens to a request when the store does not answer.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outage {
    /// 503 with `Retry-After`.
    Reject,
    /// The handler runs unprotected; its reply is not kept.
    Run,
}
