//! What a session or a partition of PostgreSQL's has of its own: triggers, roles, and how strings are read.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;

use super::C;
use super::proof::{changes, covers};
use super::rights::role;
use crate::bench::{ALL_USERS, Bench as AnyBench};
use crate::tables::CHILDREN;

type Bench = AnyBench<C>;

/// Labels by parts, with this on the part of 'a'.
fn parted(trigger: &str) -> String {
    format!(
        "{CHILDREN}; CREATE TABLE labels (name text PRIMARY KEY, hits int DEFAULT 0) PARTITION BY RANGE (name);
         CREATE TABLE labels_a PARTITION OF labels FOR VALUES FROM ('a') TO ('b');
         CREATE TABLE labels_b PARTITION OF labels FOR VALUES FROM ('b') TO ('z');
         INSERT INTO labels VALUES ('a'), ('b'); {trigger}"
    )
}

#[test]
fn h11_a_trigger_that_sits_on_a_partition_is_seen_from_its_table() {
    for (when, sql) in [
        (
            "AFTER UPDATE",
            "UPDATE labels SET hits = 1 WHERE name = 'a'",
        ),
        ("BEFORE DELETE", "DELETE FROM labels WHERE name = 'a'"),
        ("AFTER INSERT", "INSERT INTO labels VALUES ('ab')"),
        (
            "AFTER UPDATE",
            "INSERT INTO labels VALUES ('a') ON CONFLICT (name) DO UPDATE SET hits = 1",
        ),
    ] {
        let bench = Bench::with(&parted(&super::updates_notes(&format!(
            "{when} ON labels_a"
        ))));
        bench.watch_sql("note", "UPDATE notes SET body = body WHERE id = 2");
        sql_query(sql).execute(&mut bench.conn()).unwrap();
        assert_eq!(bench.ended(), ["notes:*"], "{sql}");
    }
}

#[test]
fn h52_a_trigger_on_a_partition_that_gives_another_key_is_believed() {
    let bench = Bench::with(&parted(
        "CREATE FUNCTION rekey() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name = 'ax'; RETURN NEW; END $$;
         CREATE TRIGGER rekey BEFORE INSERT ON labels_a FOR EACH ROW WHEN (NEW.name = 'ay') EXECUTE FUNCTION rekey()",
    ));
    bench.watch("ax", |conn| {
        conn.transaction(|conn| {
            sql_query("INSERT INTO labels VALUES ('ax')").execute(conn)?;
            sql_query("DELETE FROM labels WHERE name = 'ax'").execute(conn)
        })
    });
    let insert = diesel::insert_into(crate::tables::labels::table).values((
        crate::tables::labels::name.eq("ay"),
        crate::tables::labels::hits.eq(1),
    ));
    assert_eq!(insert.execute(&mut bench.conn()), Ok(1));
    covers(
        &bench.ended(),
        "labels",
        &["ax"],
        "an insert that a trigger rekeys",
    );
}

#[test]
fn h52_row_level_security_of_another_role_hides_no_change() {
    // The clerk changes what it cannot see afterwards, and sees not all that it asks for.
    let secured = role(
        "GRANT ALL ON users TO clerk; ALTER TABLE users ENABLE ROW LEVEL SECURITY;
         CREATE POLICY sees ON users FOR SELECT TO clerk USING (id <> 3);
         CREATE POLICY changes ON users FOR UPDATE TO clerk USING (true) WITH CHECK (true);
         CREATE POLICY takes ON users FOR DELETE TO clerk USING (id > 1)",
    );
    for (sql, users) in [
        ("UPDATE users SET name = 'x' WHERE id > 1", &[2][..]),
        ("UPDATE users SET name = 'x'", &[1, 2, 3]),
        ("DELETE FROM users WHERE name > ''", &[2]),
        ("UPDATE users SET id = 4 WHERE id = 2", &[2, 4]),
    ] {
        let bench = Bench::with_users_and(&secured);
        let mut bare = bench.bare();
        bare.batch_execute("BEGIN; SET ROLE clerk").unwrap();
        let expected = sql_query(sql).execute(&mut bare);
        bare.batch_execute("ROLLBACK").unwrap();
        let ended = bench.ended_users(|conn| {
            // With all rights first, which is planned otherwise.
            conn.batch_execute("BEGIN").unwrap();
            sql_query(sql).execute(conn).unwrap();
            conn.batch_execute("ROLLBACK; SET ROLE clerk").unwrap();
            assert_eq!(sql_query(sql).execute(conn), expected, "{sql}");
            conn.batch_execute("RESET ROLE").unwrap();
        });
        covers(&ended, "users", users, sql);
    }
}

const OLD_STRINGS: &str = "SET standard_conforming_strings = off; SET escape_string_warning = off";

#[test]
fn h51_strings_are_read_as_the_session_reads_them() {
    for set in [
        OLD_STRINGS,
        "SET SESSION standard_conforming_strings TO off; SET escape_string_warning = off",
        "SELECT set_config('standard_conforming_strings', 'off', false)",
    ] {
        for sql in [
            "UPDATE users SET name = 'it\\'s WHERE id = 1 --' WHERE id = 2",
            "UPDATE users SET name = 'x' WHERE id = 1 AND name <> ' \\' AND id = 2 --' OR id = 2",
        ] {
            super::proof::proven("SELECT 1", set, sql);
        }
    }
}

#[test]
fn h51_a_batch_is_cut_as_the_session_reads_it() {
    let batch = "SELECT 'it\\'s'; UPDATE users SET name = 'it\\'s' WHERE id = 2";
    let harmless = "SELECT 'it\\'s'; SELECT 'it\\'s'";
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.batch_execute(OLD_STRINGS).unwrap();
        conn.batch_execute(batch).unwrap();
    });
    covers(&ended, "users", &[2], batch);
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.batch_execute(OLD_STRINGS).unwrap();
        conn.batch_execute(harmless).unwrap();
    });
    assert!(ended.is_empty(), "{ended:?}");
    // A setting of the whole database's.
    let bench = Bench::with_users_and(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET standard_conforming_strings = off', current_database()); END $$",
    );
    let pool = bench.idempotent.pool::<C>(bench.url.clone()).unwrap();
    bench.watch_users();
    pool.get().unwrap().batch_execute(batch).unwrap();
    assert_eq!(bench.ended().len(), 5, "all tables");
}

#[test]
fn h51_strings_are_read_anew_when_the_setting_is_taken_back() {
    let rename = "UPDATE users SET name = 'x' WHERE id = 2";
    for (taken_back, expected) in [("SELECT 1", &ALL_USERS[..]), ("RESET ALL", &["users:2"])] {
        let bench = Bench::with_users();
        let ended = bench.ended_users(|conn| {
            conn.batch_execute(OLD_STRINGS).unwrap();
            conn.batch_execute(taken_back).unwrap();
            sql_query(rename).execute(conn).unwrap();
        });
        assert_eq!(ended, expected, "{taken_back}");
    }
}

#[test]
fn h11_a_foreign_key_to_a_generated_column_follows_what_that_is_made_of() {
    let bench = Bench::with(
        "ALTER TABLE users ADD low text GENERATED ALWAYS AS (lower(email)) STORED UNIQUE;
         CREATE TABLE posts (id int PRIMARY KEY, user_id int, low text REFERENCES users (low) ON UPDATE CASCADE);
         INSERT INTO users (id, email, name) VALUES (1, 'a', 'a'); INSERT INTO posts VALUES (1, 1, 'a')",
    );
    bench.watch_sql("post", "UPDATE posts SET user_id = 1 WHERE id = 1");
    let sql = "UPDATE users SET email = 'B' WHERE id = 1";
    assert_eq!(sql_query(sql).execute(&mut bench.conn()), Ok(1));
    let moved = sql_query("DELETE FROM posts WHERE low = 'b'").execute(&mut bench.bare());
    assert_eq!(moved, Ok(1));
    covers(&bench.ended(), "posts", &[1], sql);
}

#[test]
fn two_bars_join_texts() {
    changes(
        "",
        "",
        "UPDATE users SET name = 'x' WHERE id = 2 AND 'a' || 'b' = 'ab'",
        &[2],
    );
    changes(
        "",
        "",
        "UPDATE users SET id = ('4' || '')::int WHERE id = 3",
        &[3, 4],
    );
}
