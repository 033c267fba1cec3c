//! Every case that the other databases have and MariaDB has, too; and MariaDB's own.
#![allow(clippy::duplicate_mod, reason = "each case runs on every database")]

/// The connection that the cases use.
pub type C = diesel::MysqlConnection;

/// A change of rows that nobody can tell: who asks twice may get others.
const UNKNOWN_ROWS: &str = "UPDATE users SET name = 'x' WHERE rand() < 2";

/// What a migration is known to change that changes all of the users, and then the schema.
const MIGRATED: [&str; 3] = ["users:1", "users:2", "users:3"];

/// A name that is quoted.
const QUOTED: &str = "`S`";

/// Other words for the beginning and the end of a transaction.
const LONG_FORMS: (&str, &str) = ("START TRANSACTION", "COMMIT WORK");

/// What turns foreign keys on.
const FOREIGN_KEYS: &str = "SELECT 1";

#[path = "both/attribution.rs"]
mod attribution;
#[path = "both/commits.rs"]
mod commits;
#[path = "both/exact.rs"]
mod exact;
#[path = "both/keys.rs"]
mod keys;
#[path = "both/once.rs"]
mod once;
#[path = "both/once_deadlocks.rs"]
mod once_deadlocks;
#[path = "both/pools.rs"]
mod pools;
#[path = "both/proof.rs"]
mod proof;
#[path = "both/stale.rs"]
mod stale;
#[path = "both/transactions.rs"]
mod transactions;

mod conflicts;
mod crossing;
mod found;
mod own;
mod own_transactions;
mod reading;
mod sessions;
