//! A response -> a reply that can be kept, and back.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::{Bytes, BytesMut};
use tokio::time::{Instant, timeout_at};

use crate::execution::Unkept;
use crate::flow::Refusal;
use crate::key::KeyError;
use crate::reply::Reply;

/// A response whose body was looked at.
pub(super) enum Taken {
    /// All of it is here.
    Whole(HttpResponse, Reply),
    /// It is larger than the limit, or does not end: it goes on as it came.
    Streaming(HttpResponse, Unkept),
}

/// Takes the body, up to `limit` bytes and for as long as `patience`.
pub(super) async fn take(response: HttpResponse, limit: usize, patience: Duration) -> Taken {
    let (head, body) = response.into_parts();
    match body.size() {
        BodySize::None => {
            let reply = detached(&head, None);
            Taken::Whole(head.set_body(body), reply)
        }
        BodySize::Sized(size) if size > limit as u64 => {
            Taken::Streaming(head.set_body(body), Unkept::TooLarge)
        }
        _ => match body.try_into_bytes() {
            Ok(bytes) => whole(head, bytes),
            Err(body) => match Box::pin(gather(body, limit, patience)).await {
                Ok(bytes) => whole(head, bytes),
                Err((body, why)) => Taken::Streaming(head.set_body(body), why),
            },
        },
    }
}

fn whole(head: HttpResponse<()>, bytes: Bytes) -> Taken {
    let reply = detached(&head, Some(bytes.clone()));
    Taken::Whole(head.set_body(BoxBody::new(bytes)), reply)
}

async fn gather(
    mut rest: BoxBody,
    limit: usize,
    patience: Duration,
) -> Result<Bytes, (BoxBody, Unkept)> {
    let size = rest.size();
    let now = Instant::now();
    let deadline = now.checked_add(patience).unwrap_or(now);
    let mut read = BytesMut::new();
    let (failed, why) = loop {
        let next = std::future::poll_fn(|context| Pin::new(&mut rest).poll_next(context));
        match timeout_at(deadline, next).await {
            Ok(None) => return Ok(read.freeze()),
            Ok(Some(Ok(chunk))) => read.extend_from_slice(&chunk),
            Ok(Some(Err(error))) => break (Some(error), Unkept::Policy),
            Err(_) => break (None, Unkept::Endless),
        }
        if read.len() > limit {
            break (None, Unkept::TooLarge);
        }
    };
    Err((
        BoxBody::new(Resumed {
            read: Some(read.freeze()),
            failed,
            flushed: false,
            rest,
            size,
        }),
        why,
    ))
}

/// A body whose beginning was read already.
struct Resumed {
    read: Option<Bytes>,
    failed: Option<Box<dyn std::error::Error>>,
    /// An error closes the connection, with whatever actix has not sent yet. The client gets what there was before it, as
    /// it would without us, if actix is given a pause to send it.
    flushed: bool,
    rest: BoxBody,
    size: BodySize,
}

impl MessageBody for Resumed {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.size
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if let Some(read) = self.read.take().filter(|read| !read.is_empty()) {
            return Poll::Ready(Some(Ok(read)));
        }
        if self.failed.is_some() && !std::mem::replace(&mut self.flushed, true) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        match self.failed.take() {
            Some(error) => Poll::Ready(Some(Err(error))),
            None => Pin::new(&mut self.rest).poll_next(context),
        }
    }
}

/// `Date` is the server's; the others belong to one connection (RFC 9110, section 7.6.1).
fn belongs_to_the_connection(name: &HeaderName) -> bool {
    const OTHERS: [&str; 3] = ["keep-alive", "proxy-connection", "te"];
    [
        header::DATE,
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::TRAILER,
    ]
    .contains(name)
        || OTHERS.contains(&name.as_str())
}

fn detached<B>(head: &HttpResponse<B>, body: Option<Bytes>) -> Reply {
    // With a body the server counts it; without one a handler of HEAD may have said what GET would send.
    let counted = body.is_some();
    let headers = head
        .headers()
        .iter()
        .filter(|(name, _)| {
            !(belongs_to_the_connection(name) || counted && **name == header::CONTENT_LENGTH)
        })
        .map(|(name, value)| {
            (
                name.as_str().to_owned(),
                Bytes::copy_from_slice(value.as_bytes()),
            )
        })
        .collect();
    Reply {
        status: head.status().as_u16(),
        headers,
        body,
    }
}

/// The response that a reply was.
pub(super) fn rebuilt(reply: &Reply) -> HttpResponse {
    let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = match &reply.body {
        Some(body) => HttpResponse::with_body(status, BoxBody::new(body.clone())),
        None => HttpResponse::with_body(status, BoxBody::new(actix_web::body::None::new())),
    };
    // And for what is added to it.
    response.headers_mut().reserve(reply.headers.len() + 2);
    for (name, value) in &reply.headers {
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_maybe_shared(value.clone()),
        ) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// A problem by RFC 9457.
fn problem(status: StatusCode, title: &str, detail: &str) -> HttpResponse {
    HttpResponse::build(status)
        .content_type("application/problem+json")
        .json(serde_json::json!({ "type": "about:blank", "title": title, "status": status.as_u16(), "detail": detail }))
}

pub(super) fn too_large(limit: usize) -> HttpResponse {
    problem(
        StatusCode::PAYLOAD_TOO_LARGE,
        "Request body too large",
        &format!("The body of this request may have at most {limit} bytes."),
    )
}

pub(super) fn no_conversation() -> HttpResponse {
    problem(
        StatusCode::BAD_REQUEST,
        "No upgrade here",
        "This resource answers requests; it does not hand its connection over.",
    )
}

pub(super) fn no_key(error: KeyError) -> HttpResponse {
    match error {
        KeyError::Function(error) => HttpResponse::from_error(error),
        error => problem(error.status(), error.title(), &error.detail()),
    }
}

pub(super) fn refusal(refusal: &Refusal) -> HttpResponse {
    let retry = |mut response: HttpResponse| {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        response
    };
    match refusal {
        Refusal::InProgress => retry(problem(
            StatusCode::CONFLICT,
            "A request is outstanding for this key",
            "The same request is still being worked on.",
        )),
        Refusal::OtherPayload => problem(
            StatusCode::UNPROCESSABLE_ENTITY,
            "The key is already used",
            "This key came before with another payload.",
        ),
        Refusal::Changed(_) => problem(
            StatusCode::CONFLICT,
            "Changed since",
            "What the first such request did has been changed since, and it is not done again.",
        ),
        Refusal::Stopping => retry(problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "Try again later",
            "This server is stopping.",
        )),
        Refusal::StoreAway => retry(problem(
            StatusCode::SERVICE_UNAVAILABLE,
            "Try again later",
            "It cannot be told now whether this request was made before.",
        )),
    }
}
