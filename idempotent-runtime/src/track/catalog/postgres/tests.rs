#![allow(clippy::unwrap_used)]

use diesel::connection::SimpleConnection;
use diesel::{Connection, PgConnection, RunQueryDsl, sql_query};

use crate::track::catalog::{Catalog, Touched};
use crate::track::statement::Dialect;
use crate::track::statement::analyse::analyse;
use crate::track::statement::plan::plan;
use crate::track::{Registry, TrackedTable};

/// A transaction that is never committed, in a database of its own, with this schema in it.
fn database(schema: &str) -> PgConnection {
    let url = support::postgres().database("catalog");
    let mut conn = PgConnection::establish(&url).unwrap();
    conn.begin_test_transaction().unwrap();
    conn.batch_execute("CREATE SCHEMA shop; SET LOCAL search_path = shop")
        .unwrap();
    conn.batch_execute(schema).unwrap();
    conn
}

fn touched(sql: &str, conn: &mut PgConnection) -> Touched {
    let analysis = analyse(sql, Dialect::Postgres).unwrap();
    let target = &analysis.targets[0];
    let catalog = Catalog::load_postgres(conn).unwrap();
    catalog.touched(&target.table, &target.change, false)
}

#[track_caller]
fn touches(schema: &str, cases: &[(&str, &[&str])]) {
    let mut conn = database(schema);
    for (sql, expected) in cases {
        let expected = Touched {
            tables: expected.iter().map(|&name| name.into()).collect(),
            every: false,
        };
        assert_eq!(touched(sql, &mut conn), expected, "{sql}");
    }
}

/// Runs a statement as planned and gives its number of rows, or none where only the table is known.
fn rows(sql: &str, conn: &mut PgConnection) -> Option<usize> {
    const USERS: TrackedTable = TrackedTable::new(|| "users".into(), &["id"]);
    let catalog = Catalog::load_postgres(conn).unwrap();
    let plan = plan(sql, Dialect::Postgres, &Registry::of(&[USERS]), &catalog);
    let rows = match plan.rows {
        Some(rows) => sql_query(format!("{sql}{}", rows.suffix)).execute(conn),
        None => {
            sql_query(sql).execute(conn).unwrap();
            return None;
        }
    };
    Some(rows.unwrap_or_else(|error| panic!("{sql}: {error}")))
}

const USERS: &str = "CREATE TABLE users (id int PRIMARY KEY, name text, email text UNIQUE);";

#[test]
fn cascades_are_followed_by_what_is_deleted_or_set() {
    touches(
        "CREATE TABLE users (id int PRIMARY KEY, name text, code text UNIQUE, boss int REFERENCES users ON DELETE SET NULL);
         CREATE TABLE \"Orders\" (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE, code text REFERENCES users (code) ON UPDATE CASCADE);
         CREATE TABLE lines (order_id int REFERENCES \"Orders\" ON DELETE SET DEFAULT);
         CREATE TABLE notes (order_id int REFERENCES \"Orders\");",
        &[
            ("DELETE FROM users", &["users", "orders", "lines"]),
            ("UPDATE users SET name = 'a'", &[]),
            ("UPDATE users SET code = 'a'", &["orders"]),
            ("UPDATE users SET id = 2", &[]),
            ("DELETE FROM \"Orders\"", &["lines"]),
            ("TRUNCATE \"Orders\"", &[]),
            ("TRUNCATE \"Orders\" CASCADE", &["lines", "notes"]),
        ],
    );
}

#[test]
fn triggers_touch_what_their_functions_and_those_called_by_them_name() {
    touches(
        "CREATE TABLE users (id int PRIMARY KEY); CREATE TABLE audit (a int); CREATE TABLE stats (a int); CREATE TABLE deep (a int);
         CREATE FUNCTION parsed() RETURNS void BEGIN ATOMIC DELETE FROM deep; END;
         CREATE FUNCTION bump() RETURNS void LANGUAGE sql AS 'UPDATE stats SET a = a + 1; SELECT parsed()';
         CREATE FUNCTION log() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO Audit VALUES (1); PERFORM bump(); RETURN NULL; END';
         CREATE TRIGGER logs AFTER INSERT OR UPDATE ON users FOR EACH STATEMENT EXECUTE FUNCTION log();
         CREATE TABLE off (id int); CREATE TRIGGER logs AFTER INSERT ON off FOR EACH ROW EXECUTE FUNCTION log();
         ALTER TABLE off DISABLE TRIGGER logs;
         CREATE FUNCTION next_number() RETURNS int LANGUAGE sql AS 'UPDATE stats SET a = a + 1 RETURNING a';
         CREATE TABLE bills (id int DEFAULT next_number());",
        &[
            ("INSERT INTO users VALUES (1)", &["audit", "stats", "deep"]),
            ("INSERT INTO users VALUES (1) ON CONFLICT (id) DO UPDATE SET id = 2", &["audit", "stats", "deep"]),
            ("DELETE FROM users", &[]),
            ("INSERT INTO off VALUES (1)", &[]),
            ("INSERT INTO bills DEFAULT VALUES", &["stats"]),
            ("DELETE FROM bills", &[]),
        ],
    );
}

#[test]
fn a_trigger_that_runs_text_may_touch_everything() {
    let mut conn = database(
        "CREATE TABLE users (id int);
         CREATE FUNCTION run() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN EXECUTE format('DELETE FROM %I', TG_ARGV[0]); RETURN NEW; END$$;
         CREATE TRIGGER runs AFTER DELETE ON users FOR EACH ROW EXECUTE FUNCTION run('a');
         CREATE TRIGGER same BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();",
    );
    assert!(touched("DELETE FROM users", &mut conn).every);
    assert!(!touched("UPDATE users SET id = 1", &mut conn).every);
}

#[test]
fn h15_deferrable_constraint_triggers_are_known() {
    let mut conn = database(
        "CREATE TABLE users (id int PRIMARY KEY); CREATE TABLE late (id int REFERENCES users ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED, UNIQUE (id) DEFERRABLE);
         CREATE FUNCTION noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';",
    );
    assert!(!Catalog::load_postgres(&mut conn).unwrap().deferred);
    conn.batch_execute("CREATE CONSTRAINT TRIGGER late AFTER INSERT ON users DEFERRABLE FOR EACH ROW EXECUTE FUNCTION noop()")
        .unwrap();
    assert!(Catalog::load_postgres(&mut conn).unwrap().deferred);
}

#[test]
fn views_rules_and_heirs_touch_the_tables_behind_them() {
    touches(
        "CREATE TABLE users (id int PRIMARY KEY, name text);
         CREATE VIEW named AS SELECT id AS key, name FROM users; CREATE VIEW renamed AS SELECT * FROM named;
         CREATE TABLE old (id int); CREATE TABLE log (id int);
         CREATE RULE logs AS ON INSERT TO old DO ALSO INSERT INTO log VALUES (NEW.id);
         CREATE TABLE days (day int, n int) PARTITION BY RANGE (day);
         CREATE TABLE days_1 PARTITION OF days FOR VALUES FROM (0) TO (10);
         CREATE TABLE base (id int); CREATE TABLE other (id int); CREATE TABLE heir () INHERITS (base, other);",
        &[
            ("UPDATE named SET name = 'a'", &["users", "named", "renamed"]),
            ("UPDATE renamed SET name = 'a'", &["users", "named", "renamed"]),
            ("UPDATE users SET name = 'a'", &["named", "renamed"]),
            ("INSERT INTO old VALUES (1)", &["log", "old"]),
            ("UPDATE days SET n = 1", &["days_1"]),
            ("UPDATE days_1 SET n = 1", &["days"]),
            ("UPDATE base SET id = 1", &["heir", "other"]),
        ],
    );
}

#[test]
fn what_is_appended_runs_and_tells_the_rows() {
    let mut conn = database(&format!(
        "{USERS} CREATE TABLE teams (id int, user_id int);"
    ));
    let mut run = |sql| rows(sql, &mut conn);
    assert_eq!(
        run("INSERT INTO users VALUES (1, 'a', 'a'), (2, 'b', 'b')"),
        Some(2)
    );
    assert_eq!(
        run(
            "INSERT INTO shop.users AS \"U x\" (id, email) VALUES (3, 'a') ON CONFLICT (email) DO UPDATE SET name = \"U x\".name || 'c' RETURNING name"
        ),
        Some(1)
    );
    assert_eq!(
        run("INSERT INTO users SELECT id + 10, name FROM users -- from users"),
        Some(2)
    );
    assert_eq!(run("INSERT INTO Teams VALUES (1, 1)"), None);
    assert_eq!(
        run("UPDATE users SET name = 'd' FROM teams WHERE teams.user_id = users.id"),
        Some(1)
    );
    assert_eq!(
        run(
            "UPDATE ONLY shop.Users U SET name = 'e' FROM users o, teams WHERE o.id = U.id RETURNING o.*"
        ),
        Some(4)
    );
    assert_eq!(
        run("WITH t AS (SELECT 1 AS id) DELETE FROM users USING t WHERE t.id = users.id"),
        Some(1)
    );
    assert_eq!(run("DELETE FROM users /* all */"), Some(3));
}

#[test]
fn partitioned_tables_tell_their_rows() {
    let mut conn = database(
        "CREATE TABLE users (id int, day int) PARTITION BY RANGE (day);
         CREATE TABLE users_1 PARTITION OF users FOR VALUES FROM (0) TO (10);
         CREATE TABLE users_2 PARTITION OF users FOR VALUES FROM (10) TO (20);",
    );
    assert_eq!(
        rows("INSERT INTO users VALUES (1, 1), (2, 11)", &mut conn),
        Some(2)
    );
    assert_eq!(rows("UPDATE users SET day = 12", &mut conn), Some(2));
    assert_eq!(rows("DELETE FROM users", &mut conn), Some(2));
}

#[test]
fn h52_without_the_privilege_to_read_the_key_a_statement_stays_as_it_is() {
    let mut conn = database(&format!(
        "{USERS} CREATE ROLE idempotent_writer; GRANT USAGE ON SCHEMA shop TO idempotent_writer;
         GRANT INSERT, SELECT (name) ON users TO idempotent_writer; SET LOCAL ROLE idempotent_writer;"
    ));
    assert_eq!(rows("INSERT INTO users VALUES (1)", &mut conn), None);
    conn.batch_execute("RESET ROLE; GRANT SELECT (id) ON users TO idempotent_writer; SET LOCAL ROLE idempotent_writer").unwrap();
    assert_eq!(rows("INSERT INTO users VALUES (2)", &mut conn), Some(1));
}

#[test]
fn h52_row_level_security_leaves_a_statement_as_it_is() {
    let mut conn = database(&format!(
        "{USERS} CREATE ROLE idempotent_writer; GRANT USAGE ON SCHEMA shop TO idempotent_writer; GRANT ALL ON users TO idempotent_writer;
         ALTER TABLE users ENABLE ROW LEVEL SECURITY; CREATE POLICY writes ON users FOR INSERT WITH CHECK (true);"
    ));
    assert_eq!(rows("INSERT INTO users VALUES (1)", &mut conn), Some(1));
    conn.batch_execute("SET LOCAL ROLE idempotent_writer")
        .unwrap();
    assert_eq!(rows("INSERT INTO users VALUES (2)", &mut conn), None);
}

#[test]
fn h52_rules_do_not_tell_their_rows() {
    let mut conn = database(
        "CREATE TABLE store (id int); CREATE VIEW users AS SELECT id FROM store;
         CREATE RULE stores AS ON INSERT TO users DO INSTEAD INSERT INTO store VALUES (NEW.id);",
    );
    assert_eq!(rows("INSERT INTO users VALUES (1)", &mut conn), None);
}

#[test]
fn h52_an_insert_that_a_trigger_routes_does_not_tell_its_rows() {
    let mut conn = database(
        "CREATE TABLE users (id int); CREATE TABLE users_1 () INHERITS (users);
         CREATE FUNCTION route() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO users_1 VALUES (NEW.id); RETURN NULL; END';
         CREATE TRIGGER routes BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION route();",
    );
    assert_eq!(rows("INSERT INTO users VALUES (1)", &mut conn), None);
}

#[test]
fn h52_a_trigger_that_may_set_the_key_makes_updates_untold() {
    let stamps = |body: &str| {
        format!(
            "{USERS} CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN {body} END$$;
             CREATE TRIGGER stamps BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION stamp();
             INSERT INTO users VALUES (1);"
        )
    };
    let update = |body| rows("UPDATE users SET name = 'a'", &mut database(&stamps(body)));
    let harmless = "IF (NEW IS DISTINCT FROM OLD AND NEW.email IS NOT DISTINCT FROM OLD.email) THEN NEW.email := 'now'; END IF; RETURN NEW;";
    assert_eq!(update(harmless), Some(1));
    assert_eq!(update("NEW.id := 2; RETURN NEW;"), None);
    assert_eq!(update("NEW := ROW(2, 'b', 'c')::users; RETURN NEW;"), None);
    assert_eq!(
        update("SELECT 2, 'b'::text, 'c'::text INTO NEW; RETURN NEW;"),
        None
    );
}

#[test]
fn an_ordinary_role_may_read_the_catalog_inside_a_transaction() {
    let mut conn = database(&format!(
        "{USERS} CREATE ROLE idempotent_nobody; SET LOCAL ROLE idempotent_nobody;"
    ));
    assert!(Catalog::load_postgres(&mut conn).unwrap().knows("users"));
    sql_query("SELECT 1").execute(&mut conn).unwrap();
}
