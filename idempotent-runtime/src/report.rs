//! The errors of a request's database work, and what the client gets of them.

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use diesel::result::Error as DieselError;

use crate::error::Error;
use crate::track::failures::is_transient;

/// What ended a transaction: the closure, or the transaction itself.
pub(crate) enum Failed<E> {
    Work(E),
    Database(DieselError),
}

impl<E> From<DieselError> for Failed<E> {
    fn from(error: DieselError) -> Self {
        Self::Database(error)
    }
}

impl<E: Report> Failed<E> {
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Work(error) => error.database().is_some_and(is_transient),
            Self::Database(error) => is_transient(error),
        }
    }
}

impl<E: Report> Report for Failed<E> {
    type Reported = E::Reported;

    fn report(self) -> Self::Reported {
        match self {
            Self::Work(error) => error.report(),
            Self::Database(error) => E::from_ours(error.into()),
        }
    }

    fn from_ours(error: Error) -> Self::Reported {
        E::from_ours(error)
    }
}

/// The errors that a closure of [`Db::run`](crate::Db::run) may return: Diesel's, which the caller gets as this crate's [`Error`] (so
/// that `?` makes a response of it), and any that is made from [`Error`].
#[diagnostic::on_unimplemented(
    message = "a closure given to `Db` cannot fail with `{Self}`",
    note = "return diesel's or idempotent_runtime's error, or implement `From<idempotent_runtime::Error>` for `{Self}`"
)]
pub trait Report: Send + 'static {
    /// What the caller gets.
    type Reported: Send + 'static;

    /// Makes it from the closure's.
    fn report(self) -> Self::Reported;

    /// Makes it from ours.
    fn from_ours(error: Error) -> Self::Reported;

    /// Diesel's error in it, where that is known.
    #[doc(hidden)]
    fn database(&self) -> Option<&DieselError> {
        None
    }
}

impl Report for DieselError {
    type Reported = Error;

    fn report(self) -> Error {
        self.into()
    }

    fn from_ours(error: Error) -> Error {
        error
    }

    fn database(&self) -> Option<&DieselError> {
        Some(self)
    }
}

impl<E: From<Error> + Send + 'static> Report for E {
    type Reported = E;

    fn database(&self) -> Option<&DieselError> {
        (self as &dyn std::any::Any)
            .downcast_ref::<Error>()
            .and_then(Error::database)
    }

    fn report(self) -> E {
        self
    }

    fn from_ours(error: Error) -> E {
        error.into()
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        if self.is_not_found() {
            StatusCode::NOT_FOUND
        } else {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }

    fn error_response(&self) -> HttpResponse {
        if !self.is_not_found() {
            tracing::error!(error = %self, "answered with 500");
        }
        HttpResponse::new(self.status_code())
    }
}
