//! What tracking needs of the world above it: something that can stamp.

use std::fmt;

use diesel::result::{DatabaseErrorKind, Error};

use super::changes::Changes;
use crate::execution::Scope;

/// Stamps what a transaction changed, before it commits.
pub(crate) trait Stamper: Send + Sync {
    /// Gives every changed resource a new version.
    ///
    /// # Errors
    ///
    /// If the transaction must not commit.
    fn stamp(
        &self,
        scope: Option<&Scope>,
        changes: &Changes,
    ) -> Result<Box<dyn Receipt>, StampError>;
}

/// What became of a stamped transaction. Dropping it says that the transaction was rolled back.
pub(crate) trait Receipt: Send {
    /// The COMMIT was acknowledged.
    fn committed(self: Box<Self>);
    /// The COMMIT was not acknowledged: it may have happened or not.
    fn unknown(self: Box<Self>);
}

/// A stamp that failed, and with it the transaction.
#[derive(Debug, thiserror::Error)]
#[error("the changed rows could not be announced, so the transaction is not committed: {0}")]
pub(crate) struct StampError(pub(crate) String);

impl From<StampError> for Error {
    fn from(error: StampError) -> Self {
        database_error(error.to_string())
    }
}

/// An error of ours, as the database would report it.
pub(crate) fn database_error(message: String) -> Error {
    Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message))
}

impl fmt::Debug for dyn Stamper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stamper")
    }
}
