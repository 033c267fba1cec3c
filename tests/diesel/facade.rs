//! Diesel by its own name, but that every connection in it is a tracked one: what is written for Diesel is compiled
//! against this without a change.

pub use diesel::*;

/// As Diesel's.
pub type SqliteConnection = idempotent_runtime::TrackedConnection<diesel::SqliteConnection>;
/// As Diesel's.
pub type PgConnection = idempotent_runtime::TrackedConnection<diesel::PgConnection>;

/// As Diesel's.
pub type MysqlConnection = idempotent_runtime::TrackedConnection<diesel::MysqlConnection>;

/// As Diesel's.
pub mod prelude {
    pub use super::{Attached, MysqlConnection, PgConnection, SqliteConnection};
    pub use diesel::prelude::*;
}

/// As Diesel's.
pub mod sqlite {
    pub use super::SqliteConnection;
    pub use diesel::sqlite::*;
}

/// As Diesel's.
pub mod pg {
    pub use super::PgConnection;
    pub use diesel::pg::*;
}

/// As Diesel's.
pub mod mysql {
    pub use super::MysqlConnection;
    pub use diesel::mysql::*;
}

/// What the set-up of the examples calls in the place of `establish`, so that their changes are announced.
pub trait Attached: Connection {
    /// Establishes a connection of an application that all examples share.
    ///
    /// # Errors
    ///
    /// As [`Connection::establish`].
    fn attached(url: &str) -> ConnectionResult<Self>;
}

impl<C: idempotent_runtime::Trackable> Attached for idempotent_runtime::TrackedConnection<C> {
    fn attached(url: &str) -> ConnectionResult<Self> {
        let mut connection = Self::establish(url)?;
        connection.attach(application());
        Ok(connection)
    }
}

fn application() -> &'static idempotent_runtime::Idempotent {
    static SHARED: std::sync::LazyLock<idempotent_runtime::Idempotent> =
        std::sync::LazyLock::new(|| idempotent_runtime::Idempotent::builder("examples").build());
    &SHARED
}
