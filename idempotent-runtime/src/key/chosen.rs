//! What an application chooses to make two requests "the same".

use actix_web::HttpRequest;
use bytes::Bytes;

use super::RequestId;

/// What makes two requests "the same".
#[non_exhaustive]
#[derive(Clone, Copy, Debug)]
pub enum Key {
    /// These parts of the request, all of them equal.
    Dimensions(&'static [Dimension]),
    /// The client's own key in this header, by the rules of the Idempotency-Key draft.
    Header(&'static str),
    /// Whatever this function says.
    Function(KeyFunction),
}

/// A function of the application's that makes the request id from the request and its raw body.
pub type KeyFunction = fn(&HttpRequest, &Bytes) -> Result<RequestId, actix_web::Error>;

/// One part of a request that can be part of its id.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// The pattern of the matched route, as in `/users/{id}`.
    Endpoint,
    /// The method.
    Method,
    /// The host that the client asked for.
    Host,
    /// The path as the router reads it: what need not be percent-encoded is decoded.
    Path,
    /// The query string as the client wrote it.
    Query,
    /// The raw body; of a multipart body everything but its boundary.
    Body,
    /// All values of these headers.
    Headers(&'static [&'static str]),
    /// The `Content-Type`; of a multipart body without its boundary.
    ContentType,
    /// The length of the body in bytes.
    ContentLength,
    /// The `Accept` header.
    Accept,
    /// What actix-session holds for this client.
    Session,
    /// The client's address.
    RemoteAddress,
    /// Who asks, see [`Builder::principal`](crate::Builder::principal).
    Principal,
    /// On `cache`: the principal is *not* part of the id, so that all users share one reply.
    Shared,
}
