//! Why a request has no id.

use actix_web::http::StatusCode;

/// A request that cannot be identified. Its text is for the client; it never holds what the client sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeyError {
    #[error(
        "This operation needs the header `{header}` with a key that is the same in every retry."
    )]
    Missing { header: &'static str },
    #[error("The header `{header}` {why}.")]
    Invalid {
        header: &'static str,
        why: &'static str,
    },
    #[error("The key in the header `{header}` is longer than {limit} characters.")]
    TooLong { header: &'static str, limit: usize },
    /// The application's own error, which is answered as it says itself.
    #[error(transparent)]
    Function(actix_web::Error),
}

impl KeyError {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Function(error) => error.as_response_error().status_code(),
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The same for every problem of a kind, as RFC 9457 wants it.
    pub(crate) fn title(&self) -> &'static str {
        match self {
            Self::Missing { .. } => "Idempotency key is missing",
            Self::Invalid { .. } => "Idempotency key is not valid",
            Self::TooLong { .. } => "Idempotency key is too long",
            Self::Function(_) => "Request cannot be identified",
        }
    }

    pub(crate) fn detail(&self) -> String {
        self.to_string()
    }
}
