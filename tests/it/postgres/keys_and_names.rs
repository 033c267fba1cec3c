//! What PostgreSQL alone has of names and of keys: names that differ by their case, words, enums, folding types.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;

use super::C;
use super::proof::{changes, covers};
use crate::bench::{Bench as AnyBench, Tracked};
use crate::tables::labels;

type Bench = AnyBench<C>;

#[test]
fn tables_that_differ_by_case_alone_are_both_seen() {
    let twin = "CREATE TABLE \"Users\" (\"ID\" int, \"Id\" int PRIMARY KEY, id int, name text); \
                INSERT INTO \"Users\" VALUES (1, 2, 3, 'Ann')";
    for sql in [
        "UPDATE users SET name = 'x' WHERE id = 2",
        "UPDATE Users SET name = 'x' WHERE ID = 2",
        "DELETE FROM \"users\" AS \"U\" WHERE \"U\".id = 2",
        "INSERT INTO users AS \"Users\" (id, email, name) VALUES (2, 'b@b.c', 'x') \
         ON CONFLICT (email) DO UPDATE SET name = 'x'",
    ] {
        changes(twin, "", sql, &[2]);
    }
    changes(twin, "", "UPDATE users SET id = 4 WHERE id = 3", &[3, 4]);
    // It is the other table by the same name.
    for sql in [
        "UPDATE \"Users\" SET name = 'x' WHERE \"Id\" = 2",
        "UPDATE \"Users\" SET id = 4 WHERE id = 3",
        "INSERT INTO \"Users\" (id, \"Id\") VALUES (4, 5)",
    ] {
        let bench = super::proof::bench(twin);
        bench.watch_users();
        assert_eq!(sql_query(sql).execute(&mut bench.conn()), Ok(1), "{sql}");
        assert!(!bench.ended().is_empty(), "{sql}");
    }
}

#[test]
fn columns_that_differ_by_case_alone_are_told_apart() {
    let twin = "ALTER TABLE users ADD \"ID\" int, ADD \"Id\" int DEFAULT 1; UPDATE users SET \"ID\" = 4 - id";
    for (sql, users) in [
        ("UPDATE users SET name = 'x' WHERE \"ID\" = 1", &[3][..]),
        ("UPDATE users SET name = 'x' WHERE ID = 1", &[1]),
        (
            "UPDATE users SET name = 'x' WHERE \"Id\" = 1 AND id = 2",
            &[2],
        ),
        (
            "UPDATE users SET name = 'x' WHERE users.\"ID\" = 1 AND users.\"Id\" = 1",
            &[3],
        ),
        ("DELETE FROM users WHERE \"id\" = 2", &[2]),
        (
            "INSERT INTO users (\"ID\", \"Id\", id, email, name) VALUES (1, 2, 4, 'd', 'd')",
            &[4],
        ),
        (
            "INSERT INTO users (\"id\", \"ID\", email, name) VALUES (4, 2, 'd', 'd'), (5, 3, 'e', 'e')",
            &[4, 5],
        ),
    ] {
        changes(twin, "", sql, users);
    }
    // Nothing that is tracked changes by this name, but the row does.
    let bench = super::proof::bench(twin);
    bench.watch_users();
    let sql = "UPDATE users SET \"ID\" = 9 WHERE \"ID\" = 1";
    assert_eq!(sql_query(sql).execute(&mut bench.conn()), Ok(1));
    covers(&bench.ended(), "users", &[3], sql);
}

#[test]
fn columns_named_like_words_are_no_constants() {
    for word in [
        "x",
        "date",
        "time",
        "key",
        "value",
        "\"user\"",
        "\"order\"",
        "\"true\"",
    ] {
        let add = format!("ALTER TABLE users ADD {word} int DEFAULT 4");
        let update = format!("UPDATE users SET id = {word}, {word} = 0 WHERE id = 3");
        changes(&add, "", &update, &[3, 4]);
        let condition = format!("DELETE FROM users WHERE {word} = 4 AND id < {word} - 1");
        changes(&add, "", &condition, &[1, 2]);
        let equal = format!("UPDATE users SET name = 'x' WHERE id = {word} - 1 AND {word} = 4");
        changes(&add, "", &equal, &[3]);
        let upsert = format!(
            "INSERT INTO users ({word}, id, email, name) VALUES (9, 4, 'b@b.c', 'n') \
             ON CONFLICT (email) DO UPDATE SET name = 'u' WHERE users.{word} = 4"
        );
        changes(&add, "", &upsert, &[2]);
    }
}

#[test]
fn an_upsert_changes_the_row_that_is_in_its_way_whatever_the_index() {
    for (index, arbiter, email) in [
        ("(name, email)", "(email, name)", "b@b.c"),
        ("(email) WHERE id > 1", "(email) WHERE id > 1", "b@b.c"),
        ("(lower(email))", "(lower(email))", "B@B.C"),
    ] {
        let schema = format!(
            "ALTER TABLE users DROP CONSTRAINT users_email_key; CREATE UNIQUE INDEX i ON users {index}"
        );
        let insert = format!("INSERT INTO users (id, email, name) VALUES (4, '{email}', 'Bob')");
        for sets in [
            "name = 'u'",
            "email = 'moved', name = excluded.name || 'x'",
            "id = 5",
        ] {
            let sql = format!("{insert} ON CONFLICT {arbiter} DO UPDATE SET {sets}");
            let users: &[i32] = if sets == "id = 5" { &[2, 5] } else { &[2] };
            changes(&schema, "", &sql, users);
        }
        let nothing = format!("{insert}, (5, 'e', 'e') ON CONFLICT DO NOTHING");
        changes(&schema, "", &nothing, &[5]);
    }
}

/// A label of this type, by one name and by another; whether a change by the second ends what depends on the first.
fn ends(kind: &str, made: &str, one: &str, other: &str) -> bool {
    let bench = Bench::with(&format!(
        "{made}; CREATE TABLE labels (name {kind} PRIMARY KEY, hits int DEFAULT 0); INSERT INTO labels VALUES ('{one}')"
    ));
    let update = format!("UPDATE labels SET hits = hits + 1 WHERE name = '{one}'");
    bench.watch_sql("label", &update);
    let mut conn = bench.conn();
    let delete = format!("DELETE FROM labels WHERE name = '{one}'");
    assert_eq!(sql_query(delete).execute(&mut bench.bare()), Ok(1));
    let insert = format!("INSERT INTO labels VALUES ('{other}')");
    assert_eq!(sql_query(insert).execute(&mut conn), Ok(1));
    !bench.ended().is_empty()
}

#[test]
fn h09_spellings_of_one_key_are_one_key_whatever_its_type() {
    let citext = "CREATE EXTENSION citext";
    assert!(ends("citext", citext, "Ann", "aNN"));
    assert!(!ends("citext", citext, "Ann", "Anna"));
    assert!(ends("citext COLLATE \"C\"", citext, "Ann", "aNN"));
    let domain = format!("{citext}; CREATE DOMAIN folded AS citext");
    assert!(ends("folded", &domain, "Ann", "aNN"));
    let mood = "CREATE TYPE mood AS ENUM ('sad', 'Sad')";
    assert!(ends("mood", mood, "sad", "sad"));
    assert!(!ends("mood", mood, "sad", "Sad"));
    assert!(ends("char(5)", "", "a", "a  "));
    assert!(!ends("char(5)", "", "a", "A"));
    assert!(ends("varchar(5)", "", "a", "a"));
    assert!(!ends("varchar(5)", "", "a", "a "));
}

#[test]
fn h09_citext_folds_by_the_databases_collation_and_not_by_the_columns() {
    let name = format!("folding_{}", std::process::id());
    support::postgres().execute(&format!(
        "CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en'"
    ));
    let server = support::postgres().url();
    let url = format!("{}/{name}", server.rsplit_once('/').unwrap().0);
    let bench = Bench::new();
    let pool = bench.idempotent.pool::<C>(url.clone()).unwrap();
    C::establish(&url)
        .unwrap()
        .batch_execute(
            "CREATE EXTENSION citext;
             CREATE TABLE labels (name citext COLLATE \"C\" PRIMARY KEY, hits int DEFAULT 0);
             INSERT INTO labels VALUES ('Zoë')",
        )
        .unwrap();
    let work = pool.clone();
    bench.handler("label", move |_| {
        let mut conn = work.get().unwrap();
        async move {
            let hit = "UPDATE labels SET hits = 1 WHERE name = 'ZOË'";
            assert_eq!(sql_query(hit).execute(&mut conn), Ok(1));
            Ok(String::new())
        }
    });
    bench.get("label");
    assert_eq!(bench.ended_by("label"), None);
    let mut bare = C::establish(&url).unwrap();
    bare.batch_execute("DELETE FROM labels").unwrap();
    let insert = "INSERT INTO labels VALUES ('zOË')";
    pool.get().unwrap().batch_execute(insert).unwrap();
    assert!(bench.ended_by("label").is_some());
}

/// Deletes all labels but for Zoe; its text is built once.
fn delete_others(conn: &mut Tracked<C>) -> QueryResult<usize> {
    diesel::delete(labels::table.filter(labels::name.lt("Z"))).execute(conn)
}

#[test]
fn h09_a_prepared_statement_reads_keys_as_its_collation_is_now() {
    let bench = Bench::with(
        "CREATE COLLATION folding (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
         CREATE TABLE labels (name text PRIMARY KEY, hits int NOT NULL DEFAULT 0)",
    );
    let ann = |bench: &Bench| {
        let insert = "INSERT INTO labels VALUES ('Ann')";
        bench.bare().batch_execute(insert).unwrap();
    };
    let watch = |name: &str| {
        ann(&bench);
        bench.watch_sql(
            "label",
            &format!("UPDATE labels SET hits = 0 WHERE name = '{name}'"),
        );
    };
    let mut conn = bench.conn();
    ann(&bench);
    // It is prepared, with the key as it is.
    assert_eq!(delete_others(&mut conn), Ok(1));
    bench.execute("ALTER TABLE labels ALTER name TYPE text COLLATE folding");
    for _ in 0..2 {
        watch("aNN");
        assert_eq!(delete_others(&mut conn), Ok(1));
        assert_eq!(bench.ended().len(), 1, "the row has changed");
    }
    // So in the transaction that changes it.
    let back = "BEGIN; ALTER TABLE labels ALTER name TYPE text COLLATE \"C\"";
    conn.batch_execute(back).unwrap();
    assert_eq!(delete_others(&mut conn), Ok(0));
    conn.batch_execute("SAVEPOINT s; ALTER TABLE labels ALTER name TYPE varchar")
        .unwrap();
    assert_eq!(delete_others(&mut conn), Ok(0));
    conn.batch_execute("ROLLBACK TO s").unwrap();
    assert_eq!(delete_others(&mut conn), Ok(0));
    conn.batch_execute("COMMIT").unwrap();
    watch("Ann");
    assert_eq!(delete_others(&mut conn), Ok(1));
    assert_eq!(bench.ended(), ["labels:Ann"]);
}

#[test]
fn a_generated_key_changes_with_what_it_is_made_of() {
    let bench = Bench::with(
        "CREATE TABLE labels (raw text, name text GENERATED ALWAYS AS (lower(raw)) STORED PRIMARY KEY, hits int);
         INSERT INTO labels VALUES ('A')",
    );
    bench.watch_sql("label", "UPDATE labels SET hits = 1 WHERE name = 'a'");
    let sql = "UPDATE labels SET raw = 'B'";
    assert_eq!(sql_query(sql).execute(&mut bench.conn()), Ok(1));
    covers(&bench.ended(), "labels", &["a"], sql);
}
