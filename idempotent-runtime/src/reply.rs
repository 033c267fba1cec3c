//! A reply that is detached from the web framework: status, headers, body.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Status, headers and body of a response.
///
/// Copies are cheap: they share the body and the headers' values.
///
/// # Examples
///
/// ```
/// use idempotent_runtime::Reply;
///
/// let reply = Reply::new(201).header("Location", "/orders/7").body("made");
/// assert_eq!(reply.status(), 201);
/// assert_eq!(reply.value("location"), Some(b"/orders/7".as_slice()));
/// assert_eq!(reply.bytes(), b"made");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    pub(crate) status: u16,
    /// In the order in which they were set; a repeated header is there once per value.
    pub(crate) headers: Vec<(String, Bytes)>,
    /// `None` is no body at all (no `Content-Length`), not an empty one.
    pub(crate) body: Option<Bytes>,
}

impl Reply {
    /// A reply with this status, without headers, and with an empty body; 1xx, 204 and 304 are without any.
    #[must_use]
    pub fn new(status: u16) -> Self {
        // A client waits for the end of a body that has no length until the connection ends.
        let has_body = !matches!(status, 100..=199 | 204 | 304);
        Self {
            status,
            headers: Vec::new(),
            body: has_body.then(Bytes::new),
        }
    }

    /// A reply with this value as JSON and the `Content-Type` that says so.
    ///
    /// ```
    /// use idempotent_runtime::Reply;
    ///
    /// let reply = Reply::json(200, &[1, 2])?;
    /// assert_eq!(reply.bytes(), b"[1,2]");
    /// assert_eq!(reply.value("content-type"), Some(b"application/json".as_slice()));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the value cannot be JSON: its `Serialize` fails, or a map has keys that are no strings.
    pub fn json<T: Serialize + ?Sized>(status: u16, value: &T) -> Result<Self, serde_json::Error> {
        let body = serde_json::to_vec(value)?;
        let reply = Self::new(status).header("Content-Type", "application/json");
        Ok(reply.body(body))
    }

    /// 201 for what is now at this address.
    ///
    /// ```
    /// use idempotent_runtime::Reply;
    ///
    /// let reply = Reply::created("/orders/7");
    /// assert_eq!((reply.status(), reply.value("location")), (201, Some(b"/orders/7".as_slice())));
    /// ```
    #[must_use]
    pub fn created(location: impl Into<Bytes>) -> Self {
        Self::new(201).header("Location", location)
    }

    /// 204, without a body.
    #[must_use]
    pub fn no_content() -> Self {
        Self::new(204)
    }

    /// Adds a header. Those of the same name that are there already stay.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// All headers, repeated ones once per value.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let headers = self.headers.iter();
        headers.map(|(name, value)| (name.as_str(), value.as_ref()))
    }

    /// The first value of this header, whatever the case of its name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        let mut headers = self.headers();
        headers.find_map(|(own, value)| own.eq_ignore_ascii_case(name).then_some(value))
    }

    /// The body; empty if there is none.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.body.as_deref().unwrap_or_default()
    }

    /// Whether it sets a cookie, which belongs to one client and one moment.
    pub(crate) fn sets_cookie(&self) -> bool {
        self.headers.iter().any(|(name, _)| is_cookie(name))
    }

    /// The same without its cookies.
    pub(crate) fn without_cookies(&self) -> Self {
        let mut reply = self.clone();
        reply.headers.retain(|(name, _)| !is_cookie(name));
        reply
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn size(&self) -> usize {
        // Beside its text, a header takes its place in the list and what the allocator adds to two blocks.
        let sizes = self
            .headers()
            .map(|(name, value)| name.len() + value.len() + 96);
        sizes.sum::<usize>() + self.bytes().len() + 128
    }
}

fn is_cookie(name: &str) -> bool {
    name.eq_ignore_ascii_case("set-cookie")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn a_repeated_header_is_there_once_per_value_in_order() {
        let reply = Reply::new(200)
            .header("Vary", "Accept")
            .header("vary", "Cookie");
        let headers: Vec<_> = reply.headers().collect();
        assert_eq!(
            headers,
            [("Vary", b"Accept".as_slice()), ("vary", b"Cookie")]
        );
        assert_eq!(reply.value("VARY"), Some(b"Accept".as_slice()));
    }

    #[test]
    fn no_body_is_not_an_empty_body() {
        assert_eq!(Reply::new(204).bytes(), b"");
        assert_ne!(Reply::new(204), Reply::new(204).body(""));
        assert_eq!(Reply::new(201), Reply::new(201).body(""));
    }

    #[test]
    fn what_cannot_be_json_is_an_error_and_not_a_panic() {
        let map = HashMap::from([((1, 2), "a key that is no string")]);
        assert!(Reply::json(200, &map).is_err());
    }

    #[test]
    fn a_copy_shares_the_body() {
        let reply = Reply::new(200).body(vec![b'x'; 1000]);
        assert_eq!(reply.bytes().as_ptr(), reply.clone().bytes().as_ptr());
    }

    #[test]
    fn a_larger_reply_has_a_larger_size() {
        let small = Reply::new(200);
        let large = small.clone().header("A", "b").body(vec![0; 5000]);
        assert!(large.size() > small.size() + 5000);
    }
}
