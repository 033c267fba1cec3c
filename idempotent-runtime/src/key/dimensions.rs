//! Which requests are the same by what they hold.

use actix_web::http::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName};

use super::Asked;
use super::address::client_address;
use super::credentials::is_secret;
use super::fields::Fields;
use super::multipart::Multipart;
use crate::key::Dimension;

/// The key of a handler that names none, in an application that names none. The body is last, so that a readable id
/// shows the others even if that is long.
pub(crate) const DEFAULT: &[Dimension] = &[
    Dimension::Endpoint,
    Dimension::Method,
    Dimension::Host,
    Dimension::Path,
    Dimension::Query,
    Dimension::ContentType,
    Dimension::Accept,
    Dimension::Principal,
    Dimension::Body,
];

impl Asked<'_> {
    pub(super) fn by_dimensions(&self, listed: &[Dimension], cached: bool) -> String {
        let lists = |dimension| listed.contains(&dimension);
        // A kept reply is one user's own unless the handler says otherwise. A lock has no reply to give away.
        let owned = cached && !lists(Dimension::Shared) && !lists(Dimension::Principal);
        self.rules.encode(|fields| {
            if owned {
                self.principal(fields);
            }
            for dimension in listed {
                self.dimension(*dimension, fields);
            }
        })
    }

    fn dimension(&self, dimension: Dimension, fields: &mut dyn Fields) {
        match dimension {
            Dimension::Endpoint => self.endpoint(fields),
            Dimension::Method => self.method(fields),
            Dimension::Host => self.host(fields),
            Dimension::Path => self.path(fields),
            Dimension::Query => self.query(fields),
            Dimension::Body => self.body(fields),
            Dimension::Headers(names) => self.headers(names, fields),
            Dimension::ContentType => self.content_type(fields),
            Dimension::ContentLength => self.content_length(fields),
            Dimension::Accept => self.header("accept", &ACCEPT, fields),
            Dimension::Session => self.session(fields),
            Dimension::RemoteAddress => self.address("remote-address", fields),
            Dimension::Principal => self.principal(fields),
            Dimension::Shared => {}
        }
    }

    fn endpoint(&self, fields: &mut dyn Fields) {
        let pattern = self.request.match_pattern();
        fields.optional("endpoint", pattern.as_deref().map(str::as_bytes));
    }

    pub(super) fn method(&self, fields: &mut dyn Fields) {
        fields.single("method", self.request.method().as_str().as_bytes());
    }

    // Not `ConnectionInfo::host`, which believes anyone's forwarded headers. HTTP/2 sends an authority and no `Host`;
    // where HTTP/1 sends both, the authority counts (RFC 9112).
    fn host(&self, fields: &mut dyn Fields) {
        match self.request.uri().authority() {
            Some(authority) => fields.single("host", authority.as_str().as_bytes()),
            None => self.header("host", &HOST, fields),
        }
    }

    pub(super) fn path(&self, fields: &mut dyn Fields) {
        // As the router reads it: `/users/1` and `/users/%31` are one user, and one lock.
        fields.single("path", self.request.match_info().as_str().as_bytes());
    }

    pub(super) fn query(&self, fields: &mut dyn Fields) {
        fields.optional("query", self.request.uri().query().map(str::as_bytes));
    }

    pub(super) fn body(&self, fields: &mut dyn Fields) {
        match Multipart::of(self.request) {
            Some(multipart) => multipart.put_body(self.body, fields),
            None => fields.single("body", self.body),
        }
    }

    /// As the client wrote it: a retry is written by the same client.
    pub(super) fn content_type(&self, fields: &mut dyn Fields) {
        match Multipart::of(self.request) {
            Some(multipart) => multipart.put_media_type(fields),
            None => self.header("content-type", &CONTENT_TYPE, fields),
        }
    }

    fn content_length(&self, fields: &mut dyn Fields) {
        fields.single("content-length", self.body.len().to_string().as_bytes());
    }

    fn header(&self, field: &'static str, name: &HeaderName, fields: &mut dyn Fields) {
        fields.field(field);
        for value in self.request.headers().get_all(name) {
            fields.value(value.as_bytes());
        }
    }

    fn headers(&self, names: &[&str], fields: &mut dyn Fields) {
        let mut names: Vec<_> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        names.sort_unstable();
        names.dedup();
        for name in &names {
            fields.single("header", name.as_bytes());
            for value in self.request.headers().get_all(name.as_str()) {
                if is_secret(name) {
                    fields.secret(value.as_bytes());
                } else {
                    fields.value(value.as_bytes());
                }
            }
        }
    }

    pub(super) fn address(&self, field: &'static str, fields: &mut dyn Fields) {
        match client_address(self.request, &self.rules.proxies) {
            Some(address) => fields.address(field, address),
            None => fields.field(field),
        }
    }
}
