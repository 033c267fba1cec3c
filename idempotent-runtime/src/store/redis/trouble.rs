//! What can go wrong with a server.

use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::store::StoreError;

/// Why there is no answer, or none that makes sense.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("Redis did not answer within {0:?}")]
    Late(Duration),
    #[error("Redis did not answer of late and is not asked now")]
    Resting,
    #[error("no connection to Redis: {0}")]
    Away(Arc<str>),
    #[error("more Tokio runtimes use the Redis store than its pool has connections ({0})")]
    Full(usize),
    #[error("Redis: {0}")]
    Failed(Arc<RedisError>),
    #[error("Redis gave an answer that makes no sense to a script's caller")]
    Senseless,
    #[error("a Redis store needs a Tokio runtime with I/O and time")]
    NoRuntime,
}

impl Trouble {
    /// Whether the server itself may be away, so that asking again costs time.
    pub(super) fn is_away(&self) -> bool {
        match self {
            Self::Late(_) | Self::Away(_) => true,
            Self::Failed(error) => error.is_unrecoverable_error() || error.is_io_error(),
            Self::Resting | Self::Full(_) | Self::Senseless | Self::NoRuntime => false,
        }
    }

    /// Whether the connection is of no use any more: gone, or to a server that is no primary any more.
    pub(super) fn breaks_connection(&self) -> bool {
        match self {
            Self::Failed(error) => {
                error.is_unrecoverable_error()
                    || error.is_io_error()
                    || error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
            }
            _ => false,
        }
    }
}

impl From<RedisError> for Trouble {
    fn from(error: RedisError) -> Self {
        Self::Failed(Arc::new(error))
    }
}

impl From<Trouble> for StoreError {
    fn from(trouble: Trouble) -> Self {
        Self::new(trouble)
    }
}
