//! Every case that both databases have, on SQLite; and SQLite's own.
#![allow(clippy::duplicate_mod, reason = "each case runs on both databases")]

/// The connection that the cases use.
pub type C = diesel::SqliteConnection;

/// The schema of a table without one.
const SCHEMA: &str = "main";

/// A change of rows that nobody can tell.
const UNKNOWN_ROWS: &str = "UPDATE OR FAIL users SET name = 'x'";

/// What a migration is known to change that changes all of the users, and then the schema.
const MIGRATED: [&str; 3] = ["users:*"; 3];

/// A name that is quoted.
const QUOTED: &str = "\"S\"";

/// Other words for the beginning and the end of a transaction.
const LONG_FORMS: (&str, &str) = ("BEGIN TRANSACTION", "END TRANSACTION");

/// From now on a connection does not wait for the locks of others, and then it does again.
const IMPATIENT: &str = "PRAGMA busy_timeout = 0";
const PATIENT: &str = "PRAGMA busy_timeout = 5000";

/// Drops the trigger of [`updates_notes`].
const DROPS_NOTING: &str = "DROP TRIGGER noting";

/// A trigger that changes notes.
fn updates_notes(when: &str) -> String {
    format!("CREATE TRIGGER noting {when} BEGIN UPDATE notes SET body = 'seen' WHERE id = 2; END")
}

/// A trigger that lets rows be inserted into a view, and notes it.
fn logs_into_notes(view: &str) -> String {
    format!(
        "CREATE TRIGGER routing INSTEAD OF INSERT ON {view} BEGIN \
         INSERT INTO users VALUES (NEW.id, NEW.email, NEW.name); UPDATE notes SET body = NEW.name; END"
    )
}

/// What turns foreign keys on.
const FOREIGN_KEYS: &str = "PRAGMA foreign_keys = ON";

#[path = "both/attribution.rs"]
mod attribution;
#[path = "both/capture.rs"]
mod capture;
#[path = "both/commits.rs"]
mod commits;
#[path = "both/effects.rs"]
mod effects;
#[path = "both/exact.rs"]
mod exact;
#[path = "both/keys.rs"]
mod keys;
#[path = "both/once.rs"]
mod once;
#[path = "both/pools.rs"]
mod pools;
#[path = "both/proof.rs"]
mod proof;
#[path = "both/schema.rs"]
mod schema;
#[path = "both/sql.rs"]
mod sql;
#[path = "both/stale.rs"]
mod stale;
#[path = "both/transactions.rs"]
mod transactions;
#[path = "both/transparency.rs"]
mod transparency;

mod conflicts;
mod lost;
mod own;
mod own_transactions;
mod private;
mod taken;
