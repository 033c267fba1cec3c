//! What PostgreSQL does by itself: procedures that commit, roles, limits, and catalogs that cannot be read.

use diesel::connection::{InstrumentationEvent, SimpleConnection};
use diesel::prelude::*;
use diesel::sql_query;

use super::C;
use super::rights::role;
use super::schema;
use crate::bench::{ALL_USERS, Bench as AnyBench, Tracked, sent};
use crate::database::users;
use crate::tables::CHILDREN;

type Bench = AnyBench<C>;

const RENAME: &str = "UPDATE users SET name = 'x' WHERE id = 2";

fn names(bench: &Bench) -> Vec<String> {
    let names = users::table.order(users::id).select(users::name);
    names.load(&mut bench.bare()).unwrap()
}

#[test]
fn h51_a_table_made_from_deleted_rows_ends_their_replies() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let sql = "CREATE TABLE archive AS WITH gone AS (DELETE FROM users WHERE id = 1 RETURNING *) SELECT * FROM gone";
        sql_query(sql).execute(conn).unwrap();
    });
    assert_eq!(ended, ALL_USERS);
    assert_eq!(names(&bench), ["Bob", "Cid"]);
}

const COMMITS: &str = "BEGIN UPDATE users SET name = 'x' WHERE id = 1; COMMIT; UPDATE users SET name = 'x' WHERE id = 2; END";

#[test]
fn h51_what_commits_by_itself_runs_and_ends_replies() {
    let procedure = format!("CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ {COMMITS} $$");
    for sql in ["CALL commits()".to_owned(), format!("DO $$ {COMMITS} $$")] {
        let bench = Bench::with_users_and(&procedure);
        let ended = bench.ended_users(|conn| {
            sql_query(&sql)
                .execute(conn)
                .unwrap_or_else(|error| panic!("{sql}: {error}"));
        });
        assert_eq!(ended, ALL_USERS, "{sql}");
        assert_eq!(names(&bench), ["x", "x", "Cid"], "{sql}");
    }
}

#[test]
fn h51_what_has_committed_before_it_failed_ends_replies() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let sql =
            "DO $$ BEGIN UPDATE users SET name = 'x' WHERE id = 1; COMMIT; RAISE 'no'; END $$";
        assert_eq!(sql_query(sql).execute(conn).unwrap_err().to_string(), "no");
    });
    assert_eq!(ended, ALL_USERS);
    assert_eq!(names(&bench), ["x", "Bob", "Cid"]);
}

#[test]
fn a_catalog_that_may_not_be_read_dooms_no_transaction() {
    let rights = "GRANT ALL ON users TO clerk; REVOKE SELECT ON pg_catalog.pg_proc FROM PUBLIC";
    let bench = Bench::with_users_and(&role(rights));
    let ended = bench.ended_users(|conn| {
        conn.batch_execute("SET ROLE clerk").unwrap();
        let changed = conn.transaction(|conn| sql_query(RENAME).execute(conn));
        assert_eq!(changed, Ok(1));
        conn.batch_execute("RESET ROLE").unwrap();
    });
    assert_eq!(ended, ALL_USERS);
    assert_eq!(names(&bench), ["Ann", "x", "Cid"]);
}

#[test]
fn a_catalog_that_takes_too_long_dooms_no_transaction() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.batch_execute("SET search_path = public").unwrap();
        let mut other = bench.bare();
        let lock = "BEGIN; LOCK TABLE pg_catalog.pg_trigger IN ACCESS EXCLUSIVE MODE";
        other.batch_execute(lock).unwrap();
        let changed = conn.transaction(|conn| {
            // Now it knows nothing of what its siblings know.
            conn.batch_execute(
                "SET LOCAL statement_timeout = '200ms'; CREATE TEMP TABLE mine (id int)",
            )?;
            sql_query(RENAME).execute(conn)
        });
        assert_eq!(changed, Ok(1));
        other.batch_execute("ROLLBACK").unwrap();
    });
    assert_eq!(ended, ALL_USERS);
    assert_eq!(names(&bench), ["Ann", "x", "Cid"]);
}

#[test]
fn h11_a_trigger_made_in_another_role_is_seen() {
    let bench = schema::bench();
    let rights = "GRANT CREATE ON SCHEMA public TO clerk; GRANT ALL ON audits TO clerk";
    bench.bare().batch_execute(&role(rights)).unwrap();
    let (mut clerk, mut sibling) = (bench.conn(), bench.conn());
    schema::planned(&bench, &mut sibling);
    clerk.batch_execute("SET ROLE clerk").unwrap();
    let trigger = super::updates_notes("AFTER UPDATE ON audits");
    clerk.batch_execute(&trigger).unwrap();
    clerk.batch_execute("RESET ROLE").unwrap();
    assert_eq!(schema::ended_by_audit(&bench, &mut sibling), ["notes:*"]);
    assert_eq!(schema::ended_by_audit(&bench, &mut clerk), ["notes:*"]);
}

#[test]
fn h11_a_batch_may_enable_a_trigger_and_set_it_off() {
    let bench = schema::bench();
    let trigger = super::updates_notes("AFTER UPDATE ON audits");
    let disabled = format!("{trigger}; ALTER TABLE audits DISABLE TRIGGER noting");
    bench.bare().batch_execute(&disabled).unwrap();
    bench.watch_sql("note", "UPDATE notes SET body = body WHERE id = 2");
    let batch = format!(
        "ALTER TABLE audits ENABLE TRIGGER noting; {}",
        schema::AUDIT
    );
    let mut conn = bench.conn();
    conn.transaction(|conn| conn.batch_execute(&batch)).unwrap();
    assert_eq!(bench.ended(), ["notes:*"]);
}

#[test]
fn h52_a_role_set_by_a_function_may_do_what_it_may() {
    let bench = Bench::with_users_and(&role("GRANT INSERT ON users TO clerk"));
    let insert = "INSERT INTO users (email, name) VALUES ('i', 'i')";
    let ended = bench.ended_users(|conn| {
        // With all rights, it is planned with the key that it returns.
        let undone = conn.transaction(|conn| {
            sql_query(insert).execute(conn)?;
            QueryResult::<()>::Err(diesel::result::Error::RollbackTransaction)
        });
        assert!(undone.is_err());
        let inserted = conn.transaction(|conn| {
            sql_query("SELECT set_config('role', 'clerk', true)").execute(conn)?;
            sql_query(insert).execute(conn)
        });
        assert_eq!(inserted, Ok(1));
    });
    assert_eq!(ended, ALL_USERS);
}

#[test]
fn h16_a_commit_by_hand_of_a_failed_transaction_leaves_the_connection_usable() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        for _ in 0..2 {
            conn.batch_execute("BEGIN").unwrap();
            sql_query(RENAME).execute(conn).unwrap();
            assert!(sql_query("SELECT 1 / 0").execute(conn).is_err());
            assert!(conn.batch_execute("COMMIT").is_err(), "it has not happened");
        }
        let again = conn.transaction(|conn| {
            sql_query("UPDATE users SET name = 'x' WHERE id = 3").execute(conn)
        });
        assert_eq!(again, Ok(1));
    });
    // What was not committed was announced, or was not: either is safe.
    assert!(ended.contains(&"users:3".to_owned()), "{ended:?}");
    assert!(!ended.contains(&"users:1".to_owned()), "{ended:?}");
    assert_eq!(names(&bench), ["Ann", "Bob", "x"]);
}

/// Notes change when whatever inserts a user commits.
const LATE: &str = "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN UPDATE notes SET body = 'late'; RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER late AFTER INSERT ON users DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION late()";

/// This work commits only after its deferred triggers have run.
fn is_late(conn: &mut Tracked<C>, work: impl FnOnce(&mut Tracked<C>)) {
    let order = sent(conn, work);
    let at = |text| order.iter().position(|sql| sql.contains(text));
    let (immediate, commit) = (at("SET CONSTRAINTS ALL IMMEDIATE"), at("COMMIT"));
    assert!(immediate.is_some() && immediate < commit, "{order:?}");
}

#[test]
fn h15_deferred_triggers_run_before_the_announcement_though_the_catalog_was_forgotten() {
    let bench = Bench::with(&format!("{CHILDREN}; {LATE}"));
    bench.watch_sql("note", "UPDATE notes SET body = body WHERE id = 1");
    is_late(&mut bench.conn(), |conn| {
        conn.batch_execute("BEGIN").unwrap();
        let insert = "INSERT INTO users (id, email, name) VALUES (9, 'i', 'i')";
        sql_query(insert).execute(conn).unwrap();
        conn.batch_execute("CREATE TEMP TABLE mine (id int)")
            .unwrap();
        conn.batch_execute("COMMIT").unwrap();
    });
    assert_eq!(bench.ended(), ["notes:*"]);
}

#[test]
fn h15_deferred_triggers_run_before_the_announcement_though_the_catalog_is_old() {
    let bench = Bench::with(&format!(
        "{CHILDREN}; CREATE PROCEDURE adds() LANGUAGE sql AS $$ INSERT INTO users VALUES (9, 'i', 'i') $$"
    ));
    // The catalog is read now, without deferred triggers; no CALL reads it anew.
    bench.execute("UPDATE users SET name = name");
    bench.execute(LATE);
    is_late(&mut bench.conn(), |conn| {
        conn.transaction(|conn| sql_query("CALL adds()").execute(conn))
            .unwrap();
    });
}

#[test]
fn rows_that_another_foreign_key_refers_to_by_nulls_are_told_apart() {
    let bench = Bench::with(
        "INSERT INTO users VALUES (1, 'a', 'Ann'), (2, 'b', 'Bob'); INSERT INTO audits VALUES (1, 'Ann'), (2, 'Bob'); \
         ALTER TABLE audits ADD code int UNIQUE; \
         CREATE TABLE codes (code int REFERENCES audits (code) ON DELETE CASCADE); \
         CREATE TABLE notes (id int PRIMARY KEY, body text DEFAULT '', user_id int REFERENCES audits (id) ON DELETE CASCADE); \
         INSERT INTO notes VALUES (1, '', 1), (2, '', 2)",
    );
    bench.watch_sql("note", "UPDATE notes SET body = '' WHERE id = 2");
    let mut conn = bench.conn();
    let mut other = Some(bench.bare());
    conn.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event
            && query.to_string().starts_with("DELETE")
            && let Some(mut other) = other.take()
        {
            let crosses = "UPDATE users SET email = 'b' || id WHERE id = 1; UPDATE users SET email = 'a' WHERE id = 2";
            other.batch_execute(crosses).unwrap();
        }
    });
    let sql = "DELETE FROM audits USING users WHERE audits.what = users.name AND users.email = 'a'";
    assert_eq!(sql_query(sql).execute(&mut conn), Ok(1));
    let gone = sql_query("DELETE FROM notes WHERE id = 2").execute(&mut bench.bare());
    assert_eq!(gone, Ok(0));
    assert_eq!(bench.ended(), ["notes:*"]);
}
