//! What only PostgreSQL has: its own statements and types of keys.

use diesel::connection::{DefaultLoadingMode, SimpleConnection};
use diesel::pg::PgRowByRowLoadingMode;
use diesel::prelude::*;
use diesel::sql_query;

use super::C;
use super::proof::covers;
use crate::bench::{ALL_USERS, Bench as AnyBench};
use crate::database::{NewUser, User, users};

type Bench = AnyBench<C>;

#[test]
fn h51_what_changes_no_row_passes() {
    let bench = Bench::with_users();
    for sql in [
        "VACUUM users",
        "ANALYZE users",
        "SELECT * FROM users FOR NO KEY UPDATE",
        "EXPLAIN DELETE FROM users",
        "SET TIME ZONE 'UTC'",
        "SHOW time zone",
        "LISTEN news",
        "CREATE TEMP TABLE other (id int)",
        "DROP TABLE other",
        "VALUES (1), (2)",
        "TABLE users",
    ] {
        let ended = bench.ended_users(|conn| {
            conn.batch_execute(sql)
                .unwrap_or_else(|error| panic!("{sql}: {error}"))
        });
        assert!(ended.is_empty(), "{sql}: {ended:?}");
    }
}

#[test]
fn h51_what_hides_its_changes_ends_the_replies_of_all() {
    let bench = Bench::with_users_and(
        "CREATE PROCEDURE clean() LANGUAGE sql AS 'DELETE FROM users WHERE id = 9'",
    );
    for sql in [
        "DO $$ BEGIN DELETE FROM users WHERE id = 9; END $$",
        "CALL clean()",
        "MERGE INTO users USING (SELECT 1 AS id) AS s ON users.id = s.id WHEN MATCHED THEN DO NOTHING",
        "EXPLAIN ANALYZE DELETE FROM users WHERE id = 9",
        "WITH gone AS (DELETE FROM users WHERE id = 9 RETURNING id) SELECT * FROM gone",
        "TRUNCATE users",
    ] {
        let ended = bench.ended_users(|conn| {
            sql_query(sql)
                .execute(conn)
                .unwrap_or_else(|error| panic!("{sql}: {error}"))
        });
        assert_eq!(ended, ALL_USERS, "{sql}");
    }
}

#[test]
fn every_loading_mode_notes_all_rows_even_if_the_cursor_is_dropped_half_way() {
    let bench = Bench::with_users();
    let change = || diesel::update(users::table.filter(users::id.le(2))).set(users::name.eq("x"));
    let ended = bench.ended_users(|conn| {
        let mut rows = change()
            .load_iter::<User, DefaultLoadingMode>(conn)
            .unwrap();
        assert!(rows.next().unwrap().is_ok());
    });
    assert_eq!(ended, ["users:1", "users:2"]);
    let ended = bench.ended_users(|conn| {
        let mut rows = change()
            .load_iter::<User, PgRowByRowLoadingMode>(conn)
            .unwrap();
        assert!(rows.next().unwrap().is_ok());
    });
    assert_eq!(ended, ["users:1", "users:2"]);
    let named = users::table.filter(users::name.eq("x")).count();
    assert_eq!(named.get_result::<i64>(&mut bench.bare()), Ok(2));
}

#[test]
fn a_read_row_by_row_reads_all_rows() {
    let bench = Bench::with_users();
    let mut conn = bench.conn();
    let rows = users::table
        .order(users::id)
        .load_iter::<User, PgRowByRowLoadingMode>(&mut *conn);
    let ids: Vec<_> = rows.unwrap().map(|row| row.unwrap().id).collect();
    assert_eq!(ids, [1, 2, 3]);
}

#[test]
fn keys_of_uuids_bytes_and_dates_name_their_rows() {
    let bench = Bench::with(
        "CREATE TABLE tokens (id uuid PRIMARY KEY, hits int);
         CREATE TABLE blobs (id bytea PRIMARY KEY, hits int);
         CREATE TABLE days (id date PRIMARY KEY, hits int);
         INSERT INTO tokens VALUES ('8e03978e-40d5-43e8-bc93-6894a57f9324', 0), (gen_random_uuid(), 0);
         INSERT INTO blobs VALUES ('\\x0102', 0), ('\\x', 0);
         INSERT INTO days VALUES ('2000-01-02', 0), ('infinity', 0)",
    );
    for (table, id) in [
        ("tokens", "8E03978E-40D5-43E8-BC93-6894A57F9324"),
        ("blobs", "\\x0102"),
        ("blobs", "\\x"),
        ("days", "2000-01-02"),
    ] {
        bench.watch_sql(
            "row",
            &format!("UPDATE {table} SET hits = 1 WHERE id = '{id}'"),
        );
    }
    for table in ["tokens", "blobs", "days"] {
        sql_query(format!("UPDATE {table} SET hits = 2"))
            .execute(&mut bench.conn())
            .unwrap();
    }
    let names = [
        "tokens:8e03978e-40d5-43e8-bc93-6894a57f9324",
        "blobs:0x0102",
        "blobs:0x",
        "days:0x00000001",
    ];
    assert_eq!(bench.ended(), names);
}

#[test]
fn h09_a_moment_is_one_key_in_every_time_zone() {
    let bench = Bench::with(
        "CREATE TABLE moments (id timestamptz PRIMARY KEY, hits int);
         INSERT INTO moments VALUES ('2026-06-01 12:00:00+00', 0), ('2026-06-01 12:00:00.000001+00', 0)",
    );
    let zone = |conn: &mut crate::bench::Tracked<C>, zone: &str, at: &str| {
        sql_query(format!("SET TIME ZONE '{zone}'")).execute(conn)?;
        sql_query(format!(
            "UPDATE moments SET hits = hits + 1 WHERE id = '{at}'"
        ))
        .execute(conn)
    };
    bench.watch("noon", move |conn| zone(conn, "UTC", "2026-06-01 12:00:00"));
    bench.watch("later", move |conn| {
        zone(conn, "UTC", "2026-06-01 12:00:00.000001")
    });
    let changed = zone(&mut bench.conn(), "Asia/Kolkata", "2026-06-01 17:30:00");
    assert_eq!(changed, Ok(1));
    let ended = bench.ended();
    assert_eq!(ended.len(), 1);
    assert!(ended[0].starts_with("moments:0x"), "{ended:?}");
}

#[test]
fn a_batch_that_fails_half_way_has_changed_nothing() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let batch = "UPDATE users SET name = 'x' WHERE id = 1; INSERT INTO nowhere VALUES (1); DELETE FROM users";
        assert!(conn.batch_execute(batch).is_err());
    });
    assert!(ended.is_empty(), "{ended:?}");
}

#[test]
fn rows_of_a_partition_are_rows_of_its_table() {
    let bench = Bench::with(
        "CREATE TABLE labels (name text PRIMARY KEY, hits int) PARTITION BY LIST (name);
         CREATE TABLE labels_a PARTITION OF labels FOR VALUES IN ('a');
         CREATE TABLE labels_b PARTITION OF labels FOR VALUES IN ('b');
         INSERT INTO labels VALUES ('a', 0), ('b', 0)",
    );
    let watch = || {
        for name in ["a", "b"] {
            bench.watch_sql(
                name,
                &format!("UPDATE labels SET hits = 1 WHERE name = '{name}'"),
            );
        }
    };
    watch();
    let change = |sql: &str| sql_query(sql).execute(&mut bench.conn());
    assert_eq!(change("UPDATE labels SET hits = 2 WHERE name = 'a'"), Ok(1));
    assert_eq!(bench.ended(), ["labels:a"]);
    watch();
    assert_eq!(change("UPDATE labels_a SET hits = 3"), Ok(1));
    assert_eq!(bench.ended(), ["labels:*", "labels:*"]);
}

#[test]
fn the_schema_may_change_while_the_server_runs() {
    let bench = Bench::with(crate::tables::CHILDREN);
    let update = "UPDATE notes SET body = body WHERE id = 1";
    bench.execute("UPDATE users SET name = name");
    bench.watch_sql("note", update);
    bench.execute(&super::updates_notes("AFTER UPDATE ON users"));
    sql_query("UPDATE users SET name = 'x' WHERE id = 1")
        .execute(&mut bench.conn())
        .unwrap();
    assert_eq!(bench.ended(), ["notes:*"]);
}

/// On SQLite, Diesel has this for its own connection alone.
#[test]
fn rows_inserted_as_a_batch_come_back_as_from_a_bare_connection() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let user = |name: &str| NewUser {
            email: name.to_owned(),
            name: name.to_owned(),
        };
        let rows = vec![user("d"), user("e")];
        let insert = diesel::insert_into(users::table).values(&rows);
        let names = insert.returning(users::name).get_results::<String>(conn);
        assert_eq!(names.unwrap(), ["d", "e"]);
    });
    assert_eq!(ended, ["users:4", "users:5"]);
}

#[test]
fn h11_rows_behind_written_values_are_not_overlooked() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let insert =
            "INSERT INTO users (id, email, name) VALUES (4, 'd', 'd') UNION ALL SELECT 5, 'e', 'e'";
        assert_eq!(sql_query(insert).execute(conn), Ok(2));
    });
    assert_eq!(ended, ["users:4", "users:5"]);
}

#[test]
fn h11_a_trigger_that_returns_another_row_is_believed() {
    let bench = Bench::with_users_and(
        "CREATE FUNCTION other() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN ROW(5, NEW.email, NEW.name); END $$;
         CREATE TRIGGER other BEFORE INSERT ON users FOR EACH ROW WHEN (NEW.email = 'd') EXECUTE FUNCTION other()",
    );
    let ended = bench.ended_users(|conn| {
        let insert = "INSERT INTO users (id, email, name) VALUES (4, 'd', 'd')";
        assert_eq!(sql_query(insert).execute(conn), Ok(1));
    });
    assert!(
        ended.contains(&"users:5".to_owned()) || ended == ALL_USERS,
        "{ended:?}"
    );
}

#[test]
fn h11_a_grandchild_that_comes_between_is_not_overlooked() {
    use crate::tables::CHILDREN;
    use diesel::connection::InstrumentationEvent;
    let bench = Bench::with(&format!(
        "{CHILDREN}; ALTER TABLE notes ADD post_id INTEGER REFERENCES posts (id) ON DELETE CASCADE"
    ));
    bench.watch_sql("note", "UPDATE notes SET body = body WHERE id = 3");
    let mut conn = bench.conn();
    let url = bench.url.clone();
    let (joins, joined) = std::sync::mpsc::channel();
    conn.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event
            && query.to_string().starts_with("DELETE")
        {
            let url = url.clone();
            let comes = std::thread::spawn(move || {
                let mut other = C::establish(&url).unwrap();
                let refer = "SET lock_timeout = '1s'; UPDATE notes SET post_id = 1 WHERE id = 3";
                other.batch_execute(refer)
            });
            // It ends now if nothing is in its way, and else when the rows that it refers to are gone.
            std::thread::sleep(std::time::Duration::from_millis(200));
            joins.send(comes).unwrap();
        }
    });
    sql_query("DELETE FROM users WHERE id = 1")
        .execute(&mut conn)
        .unwrap();
    let came = joined.recv().unwrap().join().unwrap();
    let gone = sql_query("SELECT 1 FROM notes WHERE id = 3").execute(&mut bench.bare());
    assert!(came.is_err() && gone == Ok(1), "{came:?} {gone:?}");
    assert!(bench.ended().is_empty());
}

/// Users in two parts.
const PARTS: &str = "DROP TABLE users; \
    CREATE TABLE users (id int, email text, name text, part int DEFAULT 1, PRIMARY KEY (id, part)) PARTITION BY LIST (part); \
    CREATE TABLE users_1 PARTITION OF users FOR VALUES IN (1); \
    CREATE TABLE users_2 PARTITION OF users FOR VALUES IN (2); \
    INSERT INTO users VALUES (1, 'a', 'Ann'), (2, 'b', 'Bob'), (3, 'c', 'Cid'); \
    CREATE TABLE notes (id int PRIMARY KEY, body text DEFAULT '', user_id int); INSERT INTO notes VALUES (1), (2)";

#[test]
fn a_row_that_is_moved_to_another_part_is_deleted_and_inserted_for_triggers() {
    for (when, on) in [
        ("AFTER DELETE", "users"),
        ("AFTER INSERT", "users"),
        ("BEFORE DELETE", "users_1"),
        ("BEFORE INSERT", "users_2"),
    ] {
        let bench = Bench::with(&format!(
            "{PARTS}; CREATE FUNCTION noting() RETURNS trigger LANGUAGE plpgsql AS $$ \
             BEGIN UPDATE notes SET body = 'seen' WHERE id = 2; RETURN coalesce(NEW, OLD); END $$; \
             CREATE TRIGGER noting {when} ON {on} FOR EACH ROW EXECUTE FUNCTION noting()"
        ));
        bench.watch_sql("note", "UPDATE notes SET user_id = 1 WHERE id = 2");
        let moves = "UPDATE users SET part = 2 WHERE id = 1";
        assert_eq!(sql_query(moves).execute(&mut bench.conn()), Ok(1));
        assert_eq!(bench.ended(), ["notes:*"], "{when} ON {on}");
    }
}

#[test]
fn a_row_that_is_moved_to_another_part_may_get_another_key_from_a_trigger_there() {
    for condition in ["id = 1", "name = 'Ann'"] {
        let bench = Bench::with(&format!(
            "{PARTS}; CREATE FUNCTION rekeying() RETURNS trigger LANGUAGE plpgsql AS $$ \
             BEGIN NEW.id = NEW.id + 3; RETURN NEW; END $$; \
             CREATE TRIGGER rekeying BEFORE INSERT ON users_2 FOR EACH ROW EXECUTE FUNCTION rekeying()"
        ));
        bench.watch_users();
        let moves = format!("UPDATE users SET part = 2 WHERE {condition}");
        assert_eq!(sql_query(&moves).execute(&mut bench.conn()), Ok(1));
        covers(&bench.ended(), "users", &[1, 4], &moves);
    }
}
