//! `Idempotent-Replayed` and `Cache-Status` (RFC 9211).

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderName, HeaderValue};

use crate::execution::Unkept;
use crate::flow::{Engine, Why};
use crate::key::Identified;
use crate::settings::Settings;
use crate::store::{Miss, Tag};

/// One member of `Cache-Status`.
pub(super) struct Status(String);

/// What most take.
const ROOM: usize = 48;

impl Status {
    fn new(parameters: &str) -> Self {
        let mut text = String::with_capacity(ROOM);
        text.push_str("idempotent; ");
        text.push_str(parameters);
        Self(text)
    }

    fn with_key(mut self, settings: &Settings, identified: &Identified) -> Self {
        if settings.explain {
            self.push_string("key", identified.id.as_str());
        }
        self
    }

    /// As long as it is: what has room for more takes another block when it becomes a header.
    fn exactly(parts: &[&str]) -> Self {
        Self(parts.concat())
    }

    fn with_ttl(mut self, ttl: Duration) -> Self {
        self.0.push_str("; ttl=");
        self.0.push_str(itoa::Buffer::new().format(ttl.as_secs()));
        self
    }

    fn push(&mut self, parameter: &str) {
        self.0.push_str("; ");
        self.0.push_str(parameter);
    }

    /// A structured-field string: printable ASCII, quotes and backslashes escaped.
    fn push_string(&mut self, name: &str, value: &str) {
        self.push(name);
        self.0.push_str("=\"");
        for c in value.chars() {
            match c {
                '"' | '\\' => self.0.extend(['\\', c]),
                ' '..='~' => self.0.push(c),
                _ => self.0.push('?'),
            }
        }
        self.0.push('"');
    }

    /// Appends it: a handler or a cache behind us may have said something of its own.
    pub(super) fn put(self, response: &mut HttpResponse) {
        if let Ok(value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(self.0)) {
            response
                .headers_mut()
                .append(HeaderName::from_static("cache-status"), value);
        }
    }
}

pub(super) fn mark_replayed(response: &mut HttpResponse) {
    response.headers_mut().insert(
        HeaderName::from_static("idempotent-replayed"),
        HeaderValue::from_static("true"),
    );
}

pub(super) fn hit(settings: &Settings, identified: &Identified, ttl: Duration) -> Status {
    // In full seconds, as RFC 9211 wants it; a record in its last second is not stale.
    let mut seconds = itoa::Buffer::new();
    Status::exactly(&["idempotent; hit; ttl=", seconds.format(ttl.as_secs())])
        .with_key(settings, identified)
}

pub(super) fn collapsed(settings: &Settings, identified: &Identified) -> Status {
    Status::new("fwd=uri-miss; collapsed").with_key(settings, identified)
}

pub(super) fn bypassed(_: &Settings) -> Status {
    Status::new("fwd=bypass")
}

/// What was done once was done just now, and is known for so long; or nothing was recorded.
pub(super) fn once(
    settings: &Settings,
    identified: &Identified,
    recorded: Option<Duration>,
) -> Status {
    let mut status = Status::new("fwd=uri-miss");
    if let Some(life) = recorded {
        status.push("stored");
        status = status.with_ttl(life);
    }
    let mut status = status.with_key(settings, identified);
    if recorded.is_none() {
        status.push_string("detail", "not-recorded");
    }
    status
}

pub(super) fn changed(engine: &Engine, identified: &Identified, tag: &Tag) -> Status {
    let mut status = Status::new("fwd=stale").with_key(&engine.settings, identified);
    explain(&mut status, engine, None, Some(tag));
    status
}

/// After a run: why it ran, and whether its reply was kept.
pub(super) fn stored(
    engine: &Engine,
    identified: &Identified,
    why: &Why,
    kept: &Result<Duration, Unkept>,
) -> Status {
    let (forwarded, ended_by) = match why {
        Why::Miss(Miss::Absent | Miss::Epoch | Miss::Unreadable) => ("fwd=uri-miss", None),
        Why::Miss(Miss::Changed(tag)) => ("fwd=stale", Some(tag)),
        Why::Uncached | Why::Unprotected => ("fwd=bypass", None),
    };
    let mut status = Status::new(forwarded);
    if kept.is_ok() {
        status.push("stored");
    }
    let mut status = status.with_key(&engine.settings, identified);
    explain(&mut status, engine, kept.as_ref().err(), ended_by);
    status
}

/// Why it was not kept is no secret; which row ended the last one is said only where the application wants it.
fn explain(status: &mut Status, engine: &Engine, unkept: Option<&Unkept>, ended_by: Option<&Tag>) {
    let row = ended_by
        .filter(|_| engine.settings.explain)
        .map(|tag| tag.strip_prefix(engine.prefix.as_str()).unwrap_or(tag));
    let detail: Vec<&str> = row.into_iter().chain(unkept.map(Unkept::as_str)).collect();
    if !detail.is_empty() {
        status.push_string("detail", &detail.join(", "));
    }
}
