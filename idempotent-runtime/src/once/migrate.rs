//! The migration that makes the table.

use std::fmt;
use std::time::Duration;

use diesel::backend::Backend;
use diesel::connection::BoxableConnection;
use diesel::migration::{
    Migration, MigrationMetadata, MigrationName, MigrationSource, MigrationVersion, Result,
};

use sha2::{Digest, Sha256};

use super::table::Table;
use crate::error::Error;
use crate::sync::random;
use crate::track::backend::Trackable;
use crate::track::connection::TrackedConnection;

/// How often it is tried again.
const AGAIN: u32 = 5;

/// How long Diesel's table lets a version be.
const LONGEST_VERSION: usize = 50;

/// Makes the table of the records, if it is not there yet, by `diesel_migrations`.
///
/// ```no_run
/// # #[cfg(feature = "sqlite")] fn main() -> Result<(), idempotent_runtime::Error> {
/// use diesel::SqliteConnection;
/// use idempotent_runtime::{Idempotent, once};
///
/// let idempotent = Idempotent::builder("shop").build();
/// let pool = idempotent.pool::<SqliteConnection>("shop.db")?;
/// let mut conn = pool.get()?;
/// once::migrate(&mut conn)?;
/// # Ok(()) }
/// # #[cfg(not(feature = "sqlite"))] fn main() {}
/// ```
///
/// It is noted in `__diesel_schema_migrations` under a version that is older than any of the application's, so that
/// `diesel migration revert` does not come to it first. Processes that start together may all call it. [`Table::sql`] is the same for migrations of one's own.
///
/// # Errors
///
/// If the migration fails.
pub fn migrate<C: Trackable>(
    connection: &mut TrackedConnection<C>,
) -> std::result::Result<(), Error> {
    Table::default().migrate(connection)
}

impl Table {
    /// [`migrate`] for a table of another name.
    ///
    /// # Errors
    ///
    /// If the migration fails.
    pub fn migrate<C: Trackable>(
        &self,
        connection: &mut TrackedConnection<C>,
    ) -> std::result::Result<(), Error> {
        let mut again = 0;
        loop {
            // Nobody tracks this table.
            let made = connection.untracked().migrate(Making::new::<C>(self));
            match made {
                // Diesel's migrations do not wait for those of another process; who comes second fails, and then finds it done.
                Err(_) if again < AGAIN => again += 1,
                made => {
                    return made.map_err(|error| {
                        Error::setup(format!("the table {self} could not be made: {error}"))
                    });
                }
            }
            std::thread::sleep(Duration::from_millis(random() % 50));
        }
    }
}

/// The only migration of a table.
#[derive(Clone)]
pub(super) struct Making {
    sql: String,
    drop: String,
    name: Name,
}

/// A version of digits, for the version of Diesel's own first migration is fourteen zeros and an application's is a date; and the
/// table, for there may be several.
#[derive(Clone)]
struct Name {
    version: String,
    text: String,
}

impl Making {
    fn new<C: Trackable>(table: &Table) -> Self {
        let mut version = "000000000000001".to_owned();
        if *table != Table::default() {
            let name = table.to_string();
            match version.len() + name.len() <= LONGEST_VERSION {
                true => version.push_str(&name),
                false => version.push_str(&super::hex(&Sha256::digest(name)[..16])),
            }
        }
        Self {
            sql: table.sql::<C>(),
            drop: format!("DROP TABLE {}", table.quoted(C::DIALECT)),
            name: Name {
                text: format!("{version}_{table}"),
                version,
            },
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl MigrationName for Name {
    fn version(&self) -> MigrationVersion<'_> {
        MigrationVersion::from(&self.version)
    }
}

impl MigrationMetadata for Name {}

impl<DB: Backend> MigrationSource<DB> for Making {
    fn migrations(&self) -> Result<Vec<Box<dyn Migration<DB>>>> {
        Ok(vec![Box::new(self.clone())])
    }
}

impl<DB: Backend> Migration<DB> for Making {
    fn run(&self, conn: &mut dyn BoxableConnection<DB>) -> Result<()> {
        Ok(conn.batch_execute(&self.sql)?)
    }

    fn revert(&self, conn: &mut dyn BoxableConnection<DB>) -> Result<()> {
        Ok(conn.batch_execute(&self.drop)?)
    }

    fn metadata(&self) -> &dyn MigrationMetadata {
        &self.name
    }

    fn name(&self) -> &dyn MigrationName {
        &self.name
    }
}
