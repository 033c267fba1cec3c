//! Errors that a connection remembers, whatever its callers make of them.

use std::sync::atomic::{AtomicBool, Ordering};

use diesel::result::{DatabaseErrorKind, Error};

/// What has failed on a connection since it was asked last.
#[derive(Debug, Default)]
pub struct Failures {
    /// A row that was read has failed to come.
    pub(super) row: AtomicBool,
    /// A statement has failed because another transaction was in its way.
    pub(super) met_another: AtomicBool,
}

impl Failures {
    pub(super) fn note(&self, error: &Error) {
        if is_transient(error) {
            self.met_another.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn note_of_row(&self, error: &Error) {
        self.row.store(true, Ordering::Relaxed);
        self.note(error);
    }
}

/// Whether the whole transaction may succeed when it begins anew: a serialization failure, or a deadlock.
pub(crate) fn is_transient(error: &Error) -> bool {
    // Diesel has a kind for PostgreSQL's 40001, and for a deadlock of the MySQL family in a prepared statement. The others are
    // known by their texts. (The last one is MariaDB's, by `innodb_snapshot_isolation`.)
    const WORDS: [&str; 3] = [
        "deadlock detected",
        "Deadlock found",
        "Record has changed since last read",
    ];
    match error {
        Error::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => true,
        Error::DatabaseError(_, information) => WORDS
            .iter()
            .any(|words| information.message().contains(words)),
        _ => false,
    }
}
