//! A reply that is detached from the web framework: status, headers, body.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Status, headers and body of a response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    pub(crate) status: u16,
    /// In the order in which they were set; a repeated header is there once per value.
    pub(crate) headers: Vec<(String, Bytes)>,
    /// `None` is no body at all (no `Content-Length`), not an empty one.
    pub(crate) body: Option<Bytes>,
}

impl Reply {
    /// A reply with this status, without headers and without a body.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: None }
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// All headers, repeated ones once per value.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_str(), value.as_ref()))
    }

    /// The body; empty if there is none.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.body.as_deref().unwrap_or_default()
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 64).sum();
        headers + self.body.as_ref().map_or(0, Bytes::len) + 128
    }
}
