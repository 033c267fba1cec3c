//! Which replies are kept; pure.

use crate::execution::Unkept;
use crate::reply::Reply;
use crate::spec::Keep;

/// The reply as it is kept, or why it is not.
pub(crate) fn kept_form(keep: Keep, reply: &Reply) -> Result<Reply, Unkept> {
    let wanted = match keep {
        Keep::Final => is_final(reply.status()),
        Keep::Success => (200..300).contains(&reply.status()),
        Keep::All => true,
        Keep::Function(wants) => wants(reply),
    };
    match keep {
        _ if !wanted || is_of_its_headers(reply.status()) => Err(Unkept::Policy),
        Keep::Final | Keep::Success if reply.sets_cookie() => Err(Unkept::Cookie),
        _ => Ok(reply.without_cookies()),
    }
}

/// It answers headers (`Range`, `If-None-Match`, …) that are no part of the request id: it is nobody else's reply.
pub(crate) fn is_of_its_headers(status: u16) -> bool {
    matches!(status, 206 | 304)
}

/// 401 and 403 end when the client logs in, 408, 409, 423, 425 and 429 when it tries again later, and 5xx when the
/// server is well again.
fn is_final(status: u16) -> bool {
    (200..500).contains(&status) && !matches!(status, 401 | 403 | 408 | 409 | 423 | 425 | 429)
}
