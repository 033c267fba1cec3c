//! Every case that both databases have, on PostgreSQL; and PostgreSQL's own.
#![allow(clippy::duplicate_mod, reason = "each case runs on both databases")]

/// The connection that the cases use.
pub type C = diesel::PgConnection;

/// The schema of a table without one.
const SCHEMA: &str = "public";

/// A change of rows that nobody can tell.
const UNKNOWN_ROWS: &str = "WITH x AS (UPDATE users SET name = 'x') SELECT 1";

/// What a migration is known to change that changes all of the users, and then the schema.
const MIGRATED: [&str; 3] = ["users:*"; 3];

/// A name that is quoted.
const QUOTED: &str = "\"S\"";

/// Other words for the beginning and the end of a transaction.
const LONG_FORMS: (&str, &str) = ("BEGIN TRANSACTION", "END TRANSACTION");

/// From now on a connection does not wait for the locks of others, and then it does again.
const IMPATIENT: &str = "SET lock_timeout = '1ms'";
const PATIENT: &str = "RESET lock_timeout";

/// Drops the trigger of [`updates_notes`] on audits.
const DROPS_NOTING: &str = "DROP TRIGGER noting ON audits";

/// A trigger that changes notes.
fn updates_notes(when: &str) -> String {
    format!(
        "CREATE FUNCTION noting() RETURNS trigger LANGUAGE plpgsql AS $$ \
         BEGIN UPDATE notes SET body = 'seen' WHERE id = 2; RETURN NULL; END $$; \
         CREATE TRIGGER noting {when} FOR EACH ROW EXECUTE FUNCTION noting()"
    )
}

/// A trigger that lets rows be inserted into a view, and notes it.
fn logs_into_notes(view: &str) -> String {
    format!(
        "CREATE FUNCTION routing() RETURNS trigger LANGUAGE plpgsql AS $$ \
         BEGIN INSERT INTO users VALUES (NEW.id, NEW.email, NEW.name); UPDATE notes SET body = NEW.name; RETURN NEW; END $$; \
         CREATE TRIGGER routing INSTEAD OF INSERT ON {view} FOR EACH ROW EXECUTE FUNCTION routing()"
    )
}

/// What turns foreign keys on.
const FOREIGN_KEYS: &str = "SELECT 1";

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
#[path = "both/once_deadlocks.rs"]
mod once_deadlocks;
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

mod chosen;
mod copying;
mod keys_and_names;
mod own;
mod own_transactions;
mod rights;
mod server;
mod sessions;
