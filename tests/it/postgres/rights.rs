//! Where `RETURNING` would fail or lie: the user's statement does what it always did, and the table's replies end.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;

use super::C;
use crate::bench::{ALL_USERS, Bench as AnyBench};

type Bench = AnyBench<C>;

/// A role of the whole server, and what it may do here.
pub fn role(rights: &str) -> String {
    format!(
        "DO $$ BEGIN CREATE ROLE clerk; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$; \
         GRANT USAGE ON SCHEMA public TO clerk; GRANT USAGE ON SEQUENCE users_id_seq TO clerk; {rights}"
    )
}

const INSERT: &str = "INSERT INTO users (email, name) VALUES ('i', 'i')";

/// What the statement does as this role, on a connection that is the application's again afterwards.
fn ended_by_clerk(bench: &Bench, sql: &str) -> Vec<String> {
    bench.ended_users(|conn| {
        conn.batch_execute("SET ROLE clerk").unwrap();
        assert_eq!(sql_query(sql).execute(conn), Ok(1), "{sql}");
        conn.batch_execute("RESET ROLE").unwrap();
    })
}

#[test]
fn h52_who_may_only_insert_may_still_insert() {
    let bench = Bench::with_users_and(&role("GRANT INSERT ON users TO clerk"));
    assert_eq!(ended_by_clerk(&bench, INSERT), ALL_USERS);
}

#[test]
fn h52_who_may_read_the_key_still_names_the_row() {
    let bench = Bench::with_users_and(&role("GRANT INSERT, SELECT (id) ON users TO clerk"));
    assert_eq!(ended_by_clerk(&bench, INSERT), ["users:4"]);
}

#[test]
fn h52_who_may_not_insert_is_told_so_as_ever() {
    let bench = Bench::with_users_and(&role(""));
    let ended = bench.ended_users(|conn| {
        conn.batch_execute("SET ROLE clerk").unwrap();
        let error = sql_query(INSERT).execute(conn).unwrap_err();
        assert_eq!(error.to_string(), "permission denied for table users");
        conn.batch_execute("RESET ROLE").unwrap();
    });
    assert!(ended.is_empty(), "{ended:?}");
}

#[test]
fn h52_row_level_security_hides_no_change() {
    let bench = Bench::with_users_and(&role(
        "GRANT ALL ON users TO clerk; ALTER TABLE users ENABLE ROW LEVEL SECURITY;
         CREATE POLICY adds ON users FOR INSERT TO clerk WITH CHECK (true);
         CREATE POLICY sees ON users FOR SELECT TO clerk USING (id < 0)",
    ));
    assert_eq!(ended_by_clerk(&bench, INSERT), ALL_USERS);
}

#[test]
fn h52_a_view_with_a_rule_ends_the_replies_of_its_table() {
    let bench = Bench::with_users_and(
        "CREATE VIEW members AS SELECT id, email, name FROM users;
         CREATE RULE adds AS ON INSERT TO members DO INSTEAD
             INSERT INTO users (email, name) VALUES (NEW.email, NEW.name)",
    );
    let ended = bench.ended_users(|conn| {
        let insert = "INSERT INTO members (email, name) VALUES ('i', 'i')";
        assert_eq!(sql_query(insert).execute(conn), Ok(1));
    });
    assert_eq!(ended, ALL_USERS);
}

#[test]
fn h52_a_plain_view_ends_the_replies_of_its_table() {
    let bench = Bench::with_users_and("CREATE VIEW members AS SELECT id, email, name FROM users");
    let ended = bench.ended_users(|conn| {
        let update = "UPDATE members SET name = 'x' WHERE id = 1";
        assert_eq!(sql_query(update).execute(conn), Ok(1));
    });
    assert_eq!(ended, ALL_USERS);
}

#[test]
fn h52_a_trigger_that_routes_inserts_elsewhere_does_as_ever() {
    let bench = Bench::with_users_and(
        "CREATE TABLE elsewhere (LIKE users);
         CREATE FUNCTION route() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN INSERT INTO elsewhere VALUES (NEW.*); UPDATE users SET name = 'x' WHERE id = 1; RETURN NULL; END $$;
         CREATE TRIGGER route BEFORE INSERT ON users FOR EACH ROW WHEN (NEW.email = 'i') EXECUTE FUNCTION route()",
    );
    let ended = bench.ended_users(|conn| assert_eq!(sql_query(INSERT).execute(conn), Ok(0)));
    assert_eq!(ended, ALL_USERS);
}

#[test]
fn h52_a_trigger_that_gives_another_key_is_believed() {
    let bench = Bench::with_users_and(
        "CREATE FUNCTION rekey() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.id = 5; RETURN NEW; END $$;
         CREATE TRIGGER rekey BEFORE INSERT ON users FOR EACH ROW WHEN (NEW.email = 'i') EXECUTE FUNCTION rekey()",
    );
    let ended = bench.ended_users(|conn| assert_eq!(sql_query(INSERT).execute(conn), Ok(1)));
    assert!(
        ended.contains(&"users:5".to_owned()) || ended == ALL_USERS,
        "{ended:?}"
    );
}
