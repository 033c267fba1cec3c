//! One error for what this crate does for a handler.

use std::error::Error as StdError;
use std::fmt;

/// What went wrong between a handler and its database.
///
/// As a response it is 404 where a row was not found; everything else is a 500 without details, which are logged.
pub struct Error(Kind);

/// Kept private, so that the crates behind it can change.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Kind {
    #[error(transparent)]
    Database(diesel::result::Error),
    #[error("no connection could be had from the pool: {0}")]
    Pool(#[source] diesel::r2d2::PoolError),
    #[error("{0}")]
    Setup(String),
    #[error("a body could not be made as JSON: {0}")]
    Json(#[source] serde_json::Error),
    #[error("the blocking work did not end: it panicked, or the server is shutting down")]
    Canceled,
}

impl Error {
    pub(crate) fn setup(message: impl Into<String>) -> Self {
        Self(Kind::Setup(message.into()))
    }

    pub(crate) fn pool(error: diesel::r2d2::PoolError) -> Self {
        Self(Kind::Pool(error))
    }

    pub(crate) fn canceled() -> Self {
        Self(Kind::Canceled)
    }

    /// No row was found.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self.0, Kind::Database(diesel::result::Error::NotFound))
    }

    /// A unique key or an exclusion constraint was in the way.
    #[must_use]
    pub fn is_unique_violation(&self) -> bool {
        matches!(
            self.0,
            Kind::Database(diesel::result::Error::DatabaseError(
                diesel::result::DatabaseErrorKind::UniqueViolation,
                _
            ))
        )
    }

    /// The pool had no connection in time.
    #[must_use]
    pub fn is_pool(&self) -> bool {
        matches!(self.0, Kind::Pool(_))
    }

    /// Diesel's own error, where it is one.
    #[must_use]
    pub fn database(&self) -> Option<&diesel::result::Error> {
        match &self.0 {
            Kind::Database(error) => Some(error),
            _ => None,
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self(Kind::Json(error))
    }
}

impl From<diesel::result::Error> for Error {
    fn from(error: diesel::result::Error) -> Self {
        Self(Kind::Database(error))
    }
}
