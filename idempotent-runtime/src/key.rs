//! A request -> its request id; pure.
//!
//! An id is `application:handler:rest`. The rest is a SHA-256 digest of the fields that say which requests are the
//! same, each with its name and length in front, or, without a checksum, those fields as readable text.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::sync::Arc;

use actix_web::HttpRequest;
use bytes::Bytes;
use ipnet::IpNet;
use once_cell::sync::Lazy;
use percent_encoding::percent_encode;
use serde::{Deserialize, Serialize};

mod address;
mod chosen;
mod client;
mod credentials;
mod dimensions;
mod error;
mod fields;
mod multipart;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use chosen::{Dimension, Key, KeyFunction};
pub(crate) use dimensions::DEFAULT;
pub(crate) use error::KeyError;

use fields::{Digest, Fields, HANDLER, PART, Readable};

/// The digest of a client's payload, which tells another payload under the same key apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fingerprint(#[serde(with = "serde_bytes")] [u8; 32]);

impl Fingerprint {
    #[cfg(any(test, feature = "redis"))]
    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(…)")
    }
}

/// Says which requests are "the same".
///
/// A `key = function` makes one with [`new`](Self::new) or [`of`](Self::of). The names of the application and of the
/// handler are put in front of it afterwards, so two handlers never share an id. The principal is not: a function
/// whose replies are one user's own names that user among the parts.
///
/// ```
/// use idempotent_runtime::RequestId;
///
/// let id = RequestId::of(["alice", "order 7"]);
/// assert_eq!(id, RequestId::of(["alice", "order 7"]));
/// assert_ne!(id, RequestId::of(["alice order", "7"]));
/// ```
#[derive(Clone)]
pub struct RequestId {
    text: Arc<str>,
    /// Of the text, once: one request asks several maps.
    hash: u64,
}

impl PartialEq for RequestId {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for RequestId {}

impl PartialOrd for RequestId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for RequestId {
    fn cmp(&self, other: &Self) -> Ordering {
        self.text.cmp(&other.text)
    }
}

impl Hash for RequestId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestId").field(&self.text).finish()
    }
}

impl RequestId {
    /// Requests with the same key are the same.
    #[must_use]
    pub fn new(key: impl AsRef<[u8]>) -> Self {
        Self::of([key])
    }

    /// Requests with the same parts, in the same order, are the same. `["ab", "c"]` and `["a", "bc"]` are not.
    #[must_use]
    pub fn of<I>(parts: I) -> Self
    where
        I: IntoIterator,
        I::Item: AsRef<[u8]>,
    {
        let mut digest = Digest::default();
        digest.field("function");
        parts
            .into_iter()
            .for_each(|part| digest.value(part.as_ref()));
        Self::from_text(&digest.into_hex())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Which of so many places is this one's, in this process.
    pub(crate) fn slot(&self, of: u32) -> usize {
        usize::try_from(self.hash % u64::from(of)).unwrap_or_default()
    }

    /// Takes an id's whole text, as it was stored, for the id.
    pub(crate) fn from_text(text: &str) -> Self {
        // With this process' own keys: clients choose parts of the text.
        static KEYS: Lazy<RandomState> = Lazy::new(RandomState::new);
        Self {
            text: text.into(),
            hash: KEYS.hash_one(text),
        }
    }

    /// What the ids of an application, and of no other, begin with.
    pub(crate) fn prefix(application: &str) -> String {
        let mut text = String::with_capacity(application.len() + 1);
        text.extend(percent_encode(application.as_bytes(), PART));
        text.push(':');
        text
    }

    // The application and the rest hold no bare colon, so the first and the last one in the text are where they end,
    // and the handler can keep those of its path.
    fn full(application: &str, handler: &str, rest: &str) -> Self {
        let mut text = String::with_capacity(application.len() + handler.len() + rest.len() + 2);
        text.extend(percent_encode(application.as_bytes(), PART));
        text.push(':');
        text.extend(percent_encode(handler.as_bytes(), HANDLER));
        text.push(':');
        text.push_str(rest);
        Self::from_text(&text)
    }
}

/// Who asks, where a reply is one user's own.
#[non_exhaustive]
#[derive(Clone, Default)]
pub enum Principal {
    /// All credentials of the request together: `Authorization`, `Proxy-Authorization`, `X-Api-Key` and `Cookie` (of
    /// which only the session cookies, if the application names those); the client's address if there are none.
    #[default]
    Default,
    /// Whoever this function names. Where it names nobody, [`Principal::Default`] holds.
    Function(PrincipalFunction),
    /// All clients are one.
    Anonymous,
}

/// A function of the application's that names who asks, a user id as a rule.
pub type PrincipalFunction = Arc<dyn Fn(&HttpRequest) -> Option<String> + Send + Sync>;

impl<F> From<F> for Principal
where
    F: Fn(&HttpRequest) -> Option<String> + Send + Sync + 'static,
{
    fn from(function: F) -> Self {
        Self::Function(Arc::new(function))
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Default => "Default",
            Self::Function(_) => "Function(…)",
            Self::Anonymous => "Anonymous",
        })
    }
}

/// What an application decides about its request ids.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// The application's name.
    pub(crate) application: String,
    /// The key of handlers that name none.
    pub(crate) key: Key,
    pub(crate) principal: Principal,
    /// The only cookies that say who asks; if empty, all do.
    pub(crate) session_cookies: Vec<String>,
    /// Whose `X-Forwarded-For` is believed.
    pub(crate) proxies: Vec<IpNet>,
    /// `false` makes ids readable, for debugging.
    pub(crate) checksum: bool,
    /// How long a client's own key may be, in characters.
    pub(crate) client_key_limit: usize,
}

impl Rules {
    /// The rules of an application that has decided nothing.
    pub(crate) fn new(application: impl Into<String>) -> Self {
        Self {
            application: application.into(),
            key: Key::Dimensions(DEFAULT),
            principal: Principal::Default,
            session_cookies: Vec::new(),
            proxies: Vec::new(),
            checksum: true,
            client_key_limit: 255,
        }
    }

    fn encode(&self, write: impl FnOnce(&mut dyn Fields)) -> String {
        if self.checksum {
            let mut digest = Digest::default();
            write(&mut digest);
            digest.into_hex()
        } else {
            let mut text = Readable::default();
            write(&mut text);
            text.into_text()
        }
    }
}

/// Which request it is.
#[derive(Clone, Debug)]
pub(crate) struct Identified {
    pub(crate) id: RequestId,
    /// The payload, where the id itself does not tell payloads apart.
    pub(crate) fingerprint: Option<Fingerprint>,
}

/// What the id needs to know of the handler.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Handler {
    pub(crate) name: &'static str,
    pub(crate) key: Option<Key>,
    /// Its replies are kept, so that who asks always counts.
    pub(crate) cached: bool,
}

/// Says which request this is, by the handler's key or else the application's.
///
/// # Errors
///
/// If the client's own key is asked for and is not right, or the application's function fails.
pub(crate) fn identify(
    rules: &Rules,
    handler: &Handler,
    request: &HttpRequest,
    body: &Bytes,
) -> Result<Identified, KeyError> {
    let asked = Asked {
        rules,
        request,
        body,
    };
    let full = |rest: &str| RequestId::full(&rules.application, handler.name, rest);
    let (id, fingerprint) = match handler.key.unwrap_or(rules.key) {
        Key::Dimensions(listed) => (full(&asked.by_dimensions(listed, handler.cached)), None),
        Key::Header(name) => (full(&asked.by_client_key(name)?), Some(asked.fingerprint())),
        Key::Function(function) => {
            let own = function(request, body).map_err(KeyError::Function)?;
            (full(own.as_str()), None)
        }
    };
    Ok(Identified { id, fingerprint })
}

/// Whether who asks is the same at every try, or does not matter: credentials change between two (tokens are
/// refreshed, signatures differ).
pub(crate) fn is_stable(rules: &Rules, key: Option<Key>, request: &HttpRequest) -> bool {
    match (key.unwrap_or(rules.key), &rules.principal) {
        (Key::Function(_), _) | (_, Principal::Anonymous) => true,
        (Key::Dimensions(listed), _) if listed.contains(&Dimension::Shared) => true,
        (_, Principal::Function(function)) => function(request).is_some(),
        (_, Principal::Default) => false,
    }
}

/// One request under one application's rules.
struct Asked<'a> {
    rules: &'a Rules,
    request: &'a HttpRequest,
    body: &'a [u8],
}
