//! The request's body, buffered as it came over the wire.
//!
//! The extractors decode it; decoding it here as well would break a compressed one.

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::{Method, header};
use actix_web::{HttpRequest, web::Bytes, web::BytesMut};
use futures_util::StreamExt;
use futures_util::stream;

/// The body of an annotated handler's request.
pub(super) enum Body {
    Whole(Bytes),
    /// An upgrade: there is no body, but a conversation.
    Upgrade(Payload),
    /// Larger than the limit: what was read, and the rest. `sized`: the client has said so.
    Larger {
        read: Bytes,
        rest: Payload,
        sized: bool,
    },
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Body")
    }
}

impl Body {
    pub(super) async fn buffer(
        request: &HttpRequest,
        mut payload: Payload,
        limit: usize,
    ) -> Result<Self, PayloadError> {
        if is_conversation(request) {
            return Ok(Self::Upgrade(payload));
        }
        let length = content_length(request);
        if length.is_some_and(|length| length > limit) {
            return Ok(Self::Larger {
                read: Bytes::new(),
                rest: payload,
                sized: true,
            });
        }
        let mut read = Bytes::new();
        while let Some(chunk) = payload.next().await {
            // A small body is one chunk as a rule, and need not be copied.
            read = match read.is_empty() {
                true => chunk?,
                false => appended(read, &chunk?, length.unwrap_or(0)),
            };
            if read.len() > limit {
                return Ok(Self::Larger {
                    read,
                    rest: payload,
                    sized: false,
                });
            }
        }
        Ok(Self::Whole(read))
    }

    /// The whole body, or why there is none.
    pub(super) fn whole<Args>(self) -> Result<Bytes, Unbuffered> {
        match self {
            Self::Whole(body) => Ok(body),
            Self::Upgrade(payload) if takes_a_stream::<Args>() => Err(Unbuffered::Stream(payload)),
            Self::Upgrade(_) => Err(Unbuffered::Conversation),
            Self::Larger {
                read,
                rest,
                sized: false,
            } if takes_a_stream::<Args>() => Err(Unbuffered::Stream(joined(read, rest))),
            Self::Larger { .. } => Err(Unbuffered::TooLarge),
        }
    }
}

fn appended(read: Bytes, chunk: &Bytes, length: usize) -> Bytes {
    let mut all = read.try_into_mut().unwrap_or_else(|read| {
        let mut all = BytesMut::with_capacity(length.max(read.len() + chunk.len()));
        all.extend_from_slice(&read);
        all
    });
    all.extend_from_slice(chunk);
    all.freeze()
}

/// A request whose body is not there as a whole.
pub(super) enum Unbuffered {
    /// The handler takes it as it comes, as if it had no attribute.
    Stream(Payload),
    /// An upgrade that the handler does not expect. To run it would only be a way around its lock.
    Conversation,
    TooLarge,
}

/// What actix reads as a stream without an end. Others who offer an upgrade (`h2c`) send an ordinary body.
fn is_conversation(request: &HttpRequest) -> bool {
    let mut upgrades = request.headers().get_all(header::UPGRADE);
    request.method() == Method::CONNECT
        || upgrades.any(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn content_length(request: &HttpRequest) -> Option<usize> {
    request
        .headers()
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

/// Whether one of the handler's extractors is `web::Payload`. Only its name can tell: the arguments are a tuple of
/// any length, and nothing of them is asked but that they can be extracted.
fn takes_a_stream<Args>() -> bool {
    std::any::type_name::<Args>().contains("actix_web::types::payload::Payload")
}

/// The body as the extractors take it.
pub(super) fn again(body: Bytes) -> Payload {
    match body.is_empty() {
        true => Payload::None,
        false => Payload::Stream {
            payload: Box::pin(stream::once(std::future::ready(Ok(body)))),
        },
    }
}

fn joined(read: Bytes, rest: Payload) -> Payload {
    let stream = stream::once(async { Ok(read) }).chain(rest);
    Payload::Stream {
        payload: Box::pin(stream),
    }
}
