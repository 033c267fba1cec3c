//! What all connections to one database know together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use diesel::result::{DatabaseErrorKind, Error};

use super::super::backend::{Moment, Trackable};
use super::super::catalog::Catalog;
use crate::sync::lock;

/// Counts the changes of any schema by this process. What was read or planned under another number is void.
static SCHEMA: AtomicU64 = AtomicU64::new(0);

/// A schema has changed, or may have.
pub(in crate::track) fn schema_changed() {
    SCHEMA.fetch_add(1, Ordering::AcqRel);
}

/// How many there were until now.
pub(super) fn generation() -> u64 {
    SCHEMA.load(Ordering::Acquire)
}

/// How long a catalog that could not be read is not asked for again.
const UNREADABLE: Duration = Duration::from_secs(60);

/// What all connections to one database know together.
#[derive(Debug, Default)]
pub(crate) struct Database {
    known: Mutex<Known>,
    unrepeatable: bool,
}

#[derive(Debug, Default)]
enum Known {
    #[default]
    Nothing,
    /// As of this number of the schema.
    Catalog(u64, Arc<Catalog>),
    /// It did not answer then.
    Unreadable(Instant),
}

impl Database {
    /// Nothing yet. `unrepeatable`: whatever the server's default says, others' commits come between the statements of
    /// a transaction.
    pub(in crate::track) fn new(unrepeatable: bool) -> Self {
        Self {
            unrepeatable,
            ..Self::default()
        }
    }

    /// Asks the database, once. `None` if it does not answer, as in a failed transaction.
    pub(in crate::track) fn catalog<C: Trackable>(
        &self,
        connection: &mut C,
        moment: Moment,
    ) -> Option<Arc<Catalog>> {
        let mut known = lock(&self.known);
        // Before it is read: what changes meanwhile makes it void.
        let generation = generation();
        match &*known {
            Known::Catalog(of, catalog) if *of == generation => return Some(Arc::clone(catalog)),
            Known::Unreadable(since) if since.elapsed() < UNREADABLE => return None,
            _ => {}
        }
        match connection.read_catalog_safely(moment) {
            Ok(mut catalog) => {
                catalog.unrepeatable |= self.unrepeatable;
                let catalog = Arc::new(catalog);
                *known = Known::Catalog(generation, Arc::clone(&catalog));
                Some(catalog)
            }
            Err(error) => {
                tracing::debug!(%error, "the catalog could not be read; every change counts for all tables meanwhile");
                // Inside a transaction it may be that transaction's fault, and others should ask for themselves.
                if moment == Moment::Outside && is_lasting(&error) {
                    *known = Known::Unreadable(Instant::now());
                }
                None
            }
        }
    }

    /// Whether constraint triggers may be waiting for the COMMIT, as far as is known without asking.
    pub(in crate::track) fn may_defer(&self) -> bool {
        let generation = generation();
        match &*lock(&self.known) {
            Known::Catalog(of, catalog) if *of == generation => catalog.deferred,
            _ => true,
        }
    }
}

/// Not a lost connection or a busy file, which the next one to ask may not meet.
fn is_lasting(error: &Error) -> bool {
    match error {
        Error::DatabaseError(DatabaseErrorKind::Unknown, information) => {
            !information.message().contains("locked")
        }
        _ => false,
    }
}
