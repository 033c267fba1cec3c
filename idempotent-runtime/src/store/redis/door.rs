//! Where the connections of a line come from.

use std::fmt;

use deadpool_redis::Pool;
use deadpool_redis::redis::Client;

use super::sentinel::Sentinel;
use super::target::Address;
use super::trouble::Trouble;

/// Leads to one server at a time.
pub(super) enum Door {
    /// Always the same.
    One { client: Box<Client>, pool: Pool },
    /// Whichever is the primary.
    Sentinel(Box<Sentinel>),
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // There may be a password in it.
        f.debug_struct("Door").finish_non_exhaustive()
    }
}

impl Door {
    /// The connections to the server; and where it is, if it may be elsewhere later.
    pub(super) async fn pool(&self) -> Result<(Option<Address>, Pool), Trouble> {
        match self {
            Self::One { pool, .. } => Ok((None, pool.clone())),
            Self::Sentinel(sentinel) => {
                let (address, pool) = sentinel.pool().await?;
                Ok((Some(address), pool))
            }
        }
    }

    /// For connections of another kind; and where the server is, if it may be elsewhere later.
    pub(super) async fn client(&self) -> Result<(Option<Address>, Client), Trouble> {
        match self {
            Self::One { client, .. } => Ok((None, Client::clone(client))),
            Self::Sentinel(sentinel) => {
                let (address, client) = sentinel.client().await?;
                Ok((Some(address), client))
            }
        }
    }

    /// Whether it leads elsewhere by now.
    pub(super) async fn has_left(&self, address: Option<&Address>) -> bool {
        match (self, address) {
            (Self::Sentinel(sentinel), Some(address)) => sentinel.has_left(address).await,
            _ => false,
        }
    }
}
