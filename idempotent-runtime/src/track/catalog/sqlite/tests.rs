#![allow(clippy::unwrap_used)]

use diesel::connection::SimpleConnection;
use diesel::{Connection, RunQueryDsl, SqliteConnection, sql_query};

use crate::track::catalog::{Catalog, Touched};
use crate::track::statement::Dialect;
use crate::track::statement::analyse::analyse;
use crate::track::statement::plan::plan;
use crate::track::{Registry, TrackedTable};

const SCHEMA: &str = "
CREATE TABLE users (ID INTEGER PRIMARY KEY, name TEXT, email TEXT UNIQUE, boss INTEGER REFERENCES users);
CREATE TABLE \"Orders\" (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users ON DELETE CASCADE ON UPDATE CASCADE);
CREATE TABLE lines (order_id INTEGER REFERENCES orders (id) ON DELETE SET NULL, note TEXT);
CREATE TABLE notes (order_id INTEGER REFERENCES orders (id), note TEXT);
CREATE TABLE codes (code TEXT PRIMARY KEY, region TEXT, UNIQUE (code, region));
CREATE TABLE uses (id INTEGER PRIMARY KEY, c TEXT, r TEXT, FOREIGN KEY (c, r) REFERENCES codes (code, region) ON UPDATE SET NULL);
CREATE TABLE tree (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES tree ON DELETE CASCADE);
CREATE TABLE counted (id INTEGER PRIMARY KEY);
CREATE TABLE counts (name TEXT PRIMARY KEY, n INTEGER) WITHOUT ROWID;
CREATE TABLE audit (line TEXT);
CREATE TABLE slots (id INTEGER PRIMARY KEY, at TEXT UNIQUE ON CONFLICT REPLACE);
CREATE TABLE bookings (slot INTEGER REFERENCES slots ON DELETE CASCADE);
CREATE TRIGGER counts_them AFTER INSERT ON counted WHEN (SELECT 1 FROM users) IS NULL BEGIN
  UPDATE \"counts\" SET n = n + CASE WHEN 1 THEN 1 END; INSERT INTO audit VALUES (NEW.id); END;
CREATE TRIGGER audits AFTER INSERT ON audit BEGIN DELETE FROM notes; END;
CREATE VIEW named AS SELECT id, name FROM users;
CREATE VIEW renamed AS SELECT * FROM named;
CREATE TRIGGER named_insert INSTEAD OF INSERT ON named BEGIN INSERT INTO users (name) VALUES (NEW.name); END;
CREATE TRIGGER named_delete INSTEAD OF DELETE ON named BEGIN DELETE FROM users WHERE id = OLD.id; END;
CREATE VIRTUAL TABLE boxes USING rtree (id, low, high);
CREATE TABLE members (id INTEGER PRIMARY KEY);
CREATE TRIGGER members_are_users AFTER INSERT ON members BEGIN INSERT INTO users (id) VALUES (NEW.id); END;
CREATE TEMP TABLE drafts (id INTEGER PRIMARY KEY);
CREATE TEMP TRIGGER drafted AFTER DELETE ON counted BEGIN DELETE FROM drafts; END;
";

fn database() -> SqliteConnection {
    let mut conn = SqliteConnection::establish(":memory:").unwrap();
    conn.batch_execute(SCHEMA).unwrap();
    conn
}

fn catalog() -> Catalog {
    Catalog::load_sqlite(&mut database()).unwrap()
}

#[track_caller]
fn touches(sql: &str, expected: &[&str]) {
    let analysis = analyse(sql, Dialect::Sqlite).unwrap();
    let target = &analysis.targets[0];
    let touched = catalog().touched(&target.table, &target.change, false);
    let expected = Touched {
        tables: expected.iter().map(|&name| name.into()).collect(),
        every: false,
    };
    assert_eq!(touched, expected, "{sql}");
}

#[test]
fn a_deletion_touches_what_cascades_from_it() {
    touches(
        "DELETE FROM users",
        &["orders", "lines", "named", "renamed"],
    );
    touches("DELETE FROM orders", &["lines"]);
    touches("DELETE FROM lines", &[]);
}

#[test]
fn a_table_that_refers_to_itself_touches_itself() {
    touches("DELETE FROM tree", &["tree"]);
    touches("UPDATE tree SET id = 2", &[]);
}

#[test]
fn an_update_cascades_when_it_sets_the_column_referred_to() {
    touches("UPDATE users SET name = 'a'", &["named", "renamed"]);
    touches("UPDATE users SET id = 2", &["orders", "named", "renamed"]);
    touches(
        "UPDATE users SET _rowid_ = 2",
        &["orders", "named", "renamed"],
    );
    touches("UPDATE codes SET region = 'a'", &["uses"]);
    touches(
        "INSERT INTO codes VALUES (1, 2) ON CONFLICT (code) DO UPDATE SET region = 'a'",
        &["uses"],
    );
}

#[test]
fn a_replacement_cascades_like_a_deletion() {
    touches(
        "REPLACE INTO users (name) VALUES ('a')",
        &["orders", "lines", "named", "renamed"],
    );
}

/// What a statement says of conflicts holds for those in the triggers that it sets off, too.
#[test]
fn a_replacement_makes_its_triggers_replace() {
    let inserted = ["users", "named", "renamed"];
    let replaced = ["users", "named", "renamed", "orders", "lines"];
    touches("INSERT INTO members VALUES (1)", &inserted);
    touches("REPLACE INTO members VALUES (1)", &replaced);
    touches("INSERT OR REPLACE INTO members VALUES (1)", &replaced);
}

#[test]
fn a_constraint_that_replaces_cascades_like_a_deletion() {
    touches("INSERT INTO slots (at) VALUES ('noon')", &["bookings"]);
}

#[test]
fn a_trigger_touches_what_its_body_names_and_what_follows() {
    touches(
        "INSERT INTO counted DEFAULT VALUES",
        &["audit", "counts", "notes"],
    );
    touches("DELETE FROM counted", &["drafts"]);
    touches("UPDATE counted SET id = 2", &[]);
}

#[test]
fn a_view_is_changed_by_its_triggers() {
    touches(
        "INSERT INTO named (name) VALUES ('a')",
        &["named", "renamed", "users"],
    );
    touches(
        "DELETE FROM named",
        &["lines", "named", "orders", "renamed", "users"],
    );
}

/// Runs a statement as planned and gives its number of rows, or none where only the table is known.
fn rows(sql: &str, conn: &mut SqliteConnection) -> Option<usize> {
    const TABLES: [TrackedTable; 5] = [
        TrackedTable::new(|| "users".into(), &["id"]),
        TrackedTable::new(|| "slots".into(), &["id"]),
        TrackedTable::new(|| "boxes".into(), &["id"]),
        TrackedTable::new(|| "counts".into(), &["name"]),
        TrackedTable::new(|| "named".into(), &["id"]),
    ];
    let catalog = Catalog::load_sqlite(conn).unwrap();
    let plan = plan(sql, Dialect::Sqlite, &Registry::of(&TABLES), &catalog);
    let suffix = plan.rows?.suffix;
    let rows = sql_query(format!("{sql}{suffix}")).load::<Key>(conn);
    Some(
        rows.unwrap_or_else(|error| panic!("{sql}{suffix}: {error}"))
            .len(),
    )
}

#[derive(diesel::QueryableByName)]
struct Key {
    #[diesel(sql_type = diesel::sql_types::Text)]
    #[allow(dead_code)]
    __idempotent_key_1: String,
}

#[test]
fn what_is_appended_runs_and_tells_the_rows() {
    let mut conn = database();
    let mut run = |sql| rows(sql, &mut conn);
    assert_eq!(
        run("INSERT INTO users (name, email) VALUES ('a', 'a'), ('b', 'b')"),
        Some(2)
    );
    assert_eq!(
        run("INSERT INTO users (name, email) SELECT name, name || email FROM users"),
        Some(2)
    );
    assert_eq!(
        run("INSERT INTO users (name) SELECT u.name FROM users u -- from users"),
        Some(4)
    );
    assert_eq!(
        run(
            "INSERT INTO users (name, email) VALUES ('c', 'a') ON CONFLICT (email) DO UPDATE SET name = excluded.name RETURNING *"
        ),
        Some(1)
    );
    assert_eq!(
        run("INSERT OR IGNORE INTO users (name, email) VALUES ('d', 'a')"),
        Some(0)
    );
    assert_eq!(
        run(
            "UPDATE users AS u SET name = o.name FROM users AS o WHERE o.id = u.id AND o.name = 'b' RETURNING name"
        ),
        Some(4)
    );
    assert_eq!(
        run(
            "WITH a AS (SELECT 1) DELETE FROM main.[users] WHERE users.name IS NOT 'b' AND id IN (SELECT * FROM a)"
        ),
        Some(1)
    );
    assert_eq!(run("INSERT INTO counts VALUES ('a', 1)"), Some(1));
}

#[test]
fn h52_virtual_tables_views_and_replacing_constraints_do_not_tell_their_rows() {
    let mut conn = database();
    let mut run = |sql| rows(sql, &mut conn);
    assert_eq!(run("INSERT INTO boxes VALUES (1, 0, 1)"), None);
    assert_eq!(run("INSERT INTO slots (at) SELECT 'noon'"), None);
    assert_eq!(run("UPDATE slots SET at = 'noon'"), None);
    assert_eq!(run("INSERT INTO slots (at) VALUES ('noon')"), Some(1));
    assert_eq!(run("DELETE FROM slots"), Some(1));
    assert_eq!(run("INSERT INTO named (name) VALUES ('a')"), None);
}

#[test]
fn h52_a_key_that_the_table_lacks_is_not_asked_for() {
    let catalog = catalog();
    let change = analyse("DELETE FROM users", Dialect::Sqlite)
        .unwrap()
        .targets[0]
        .change
        .clone();
    assert!(catalog.tells("users", &change, &["Id", "email"]));
    assert!(!catalog.tells("users", &change, &["uuid"]));
}

#[test]
fn attached_databases_are_read_too() {
    let mut conn = database();
    conn.batch_execute("ATTACH ':memory:' AS \"o'dd \"\"one\"; CREATE TABLE \"o'dd \"\"one\".far (id INTEGER PRIMARY KEY)")
        .unwrap();
    assert!(Catalog::load_sqlite(&mut conn).unwrap().knows("far"));
}
