//! Where the connections of a line come from.

use std::fmt;

use deadpool_redis::Pool;
use deadpool_redis::redis::Client;

use super::trouble::Trouble;

/// Leads to one server at a time.
pub(super) enum Door {
    /// Always the same.
    One { client: Client, pool: Pool },
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // There may be a password in it.
        f.debug_struct("Door").finish_non_exhaustive()
    }
}

impl Door {
    /// The connections to the server.
    pub(super) async fn pool(&self) -> Result<Pool, Trouble> {
        match self {
            Self::One { pool, .. } => Ok(pool.clone()),
        }
    }

    /// For connections of another kind.
    pub(super) async fn client(&self) -> Result<Client, Trouble> {
        match self {
            Self::One { client, .. } => Ok(client.clone()),
        }
    }
}
