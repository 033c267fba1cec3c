//! The numbers and choices of an application.

use std::time::Duration;

use crate::once::Sealing;
use crate::spec::Outage;

/// What to think of a tracked write that belongs to no request.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unattributed {
    /// It may come from any handler that runs meanwhile and has made no tracked write of its own: such a handler's
    /// reply is not kept.
    #[default]
    Distrust,
    /// It comes from none of them.
    Trust,
}

/// The numbers and choices, with their defaults.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) wait: Duration,
    pub(crate) outage: Outage,
    pub(crate) explain: bool,
    pub(crate) unattributed: Unattributed,
    pub(crate) claim_lease: Duration,
    pub(crate) claim_cap: Duration,
    pub(crate) body: usize,
    pub(crate) reply: usize,
    /// How long a reply of unknown length may take to end.
    pub(crate) patience: Duration,
    /// How many rows of a table a record may depend on.
    pub(crate) rows: usize,
    /// What is made of replies before they are in the table of `once`.
    pub(crate) sealing: Sealing,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(30),
            outage: Outage::Reject,
            explain: false,
            unattributed: Unattributed::Distrust,
            claim_lease: Duration::from_secs(10),
            claim_cap: Duration::from_secs(600),
            body: 1 << 20,
            reply: 1 << 20,
            patience: Duration::from_secs(1),
            rows: 1_000,
            sealing: Sealing::default(),
        }
    }
}

impl Settings {
    pub(crate) fn distrusts(&self) -> bool {
        self.unattributed == Unattributed::Distrust
    }
}
