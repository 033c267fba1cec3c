//! What an INSERT, an upsert or a REPLACE is in conflict with: other rows than the one by the key.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;

use super::C;
use super::proof::{bench, changes, covers};
use crate::bench::Bench as AnyBench;
use crate::tables::LABELS;

type Bench = AnyBench<C>;

/// Unique indexes of each kind, in each of which ('b@b.c', 'Bob'), ('B@B.C', 'Bob') or one of them is in the way of the
/// user 2.
const COMPOSITE: &str = "ALTER TABLE users DROP INDEX email, MODIFY name VARCHAR(50) NOT NULL, ADD UNIQUE pair (name, email)";
const PREFIX: &str = "ALTER TABLE users DROP INDEX email, ADD UNIQUE start (email(2))";
const EXPRESSION: &str =
    "ALTER TABLE users ADD low VARCHAR(191) AS (LOWER(email)) VIRTUAL, ADD UNIQUE (low)";
const LONG: &str =
    "ALTER TABLE users DROP INDEX email, MODIFY email TEXT NOT NULL, ADD UNIQUE (email)";
const FOLDING: &str =
    "ALTER TABLE users MODIFY email VARCHAR(191) COLLATE utf8mb4_general_ci NOT NULL";

const IN_THE_WAY: [(&str, &str); 6] = [
    ("SELECT 1", "b@b.c"),
    (COMPOSITE, "b@b.c"),
    (PREFIX, "b@zzz"),
    (EXPRESSION, "B@B.C"),
    (LONG, "b@b.c"),
    (FOLDING, "B@b.C"),
];

#[test]
fn an_upsert_changes_the_row_that_is_in_its_way_whatever_the_index() {
    for (schema, email) in IN_THE_WAY {
        let insert = format!("INSERT INTO users (id, email, name) VALUES (4, '{email}', 'Bob')");
        let sql = format!("{insert} ON DUPLICATE KEY UPDATE name = 'u'");
        changes(schema, "", &sql, &[2]);
        let moves = format!("{insert} ON DUPLICATE KEY UPDATE email = 'moved', name = 'u'");
        changes(schema, "", &moves, &[2]);
        let more = format!("{insert}, (5, 'e', 'e') ON DUPLICATE KEY UPDATE name = 'u'");
        changes(schema, "", &more, &[2, 5]);
    }
}

#[test]
fn a_replacement_takes_away_the_row_that_is_in_its_way_whatever_the_index() {
    for (schema, email) in IN_THE_WAY {
        let row = format!("(4, '{email}', 'Bob')");
        let replace = format!("REPLACE INTO users (id, email, name) VALUES {row}");
        changes(schema, "", &replace, &[2, 4]);
        let more = format!("{replace}, (5, 'e', 'e')");
        changes(schema, "", &more, &[2, 4, 5]);
    }
}

#[test]
fn a_replacement_that_returns_its_row_takes_away_another_all_the_same() {
    let replace = "REPLACE INTO users (id, email, name) VALUES (4, 'b@b.c', 'Bob') RETURNING id";
    changes("SELECT 1", "", replace, &[2, 4]);
    let selects = "INSERT IGNORE INTO users (id, email, name) SELECT id + 2, email, name FROM users RETURNING id";
    changes("ALTER TABLE users DROP INDEX email", "", selects, &[4, 5]);
}

#[test]
fn an_upsert_in_conflict_with_two_rows_changes_the_first() {
    for schema in ["SELECT 1", COMPOSITE] {
        let insert = "INSERT INTO users (id, email, name) VALUES (1, 'b@b.c', 'Bob')";
        let sql = format!("{insert} ON DUPLICATE KEY UPDATE name = 'u'");
        changes(schema, "", &sql, &[1]);
    }
    let replace = "REPLACE INTO users (id, email, name) VALUES (1, 'b@b.c', 'Bob')";
    changes("", "", replace, &[1, 2]);
}

#[test]
fn a_row_that_is_in_conflict_with_none_is_found_beside_one_with_several() {
    let bench = bench("ALTER TABLE users MODIFY email VARCHAR(191)");
    bench.watch_users();
    let number = "ALTER TABLE users AUTO_INCREMENT = 4";
    bench.bare().batch_execute(number).unwrap();
    let insert = "INSERT INTO users (id, email, name) VALUES (NULL, NULL, 'd'), (3, 'b@b.c', 'b') \
                  ON DUPLICATE KEY UPDATE name = 'u'";
    assert_eq!(sql_query(insert).execute(&mut bench.conn()), Ok(3));
    covers(&bench.ended(), "users", &[3, 4], insert);
}

#[test]
fn rows_that_are_assigned_are_rows() {
    let row = "id = 4, email = 'b@b.c', name = 'x'";
    for (sql, users) in [
        (
            "INSERT INTO users SET id = 4, email = 'd', name = 'd'",
            &[4][..],
        ),
        (&format!("REPLACE INTO users SET {row}"), &[2, 4]),
        (&format!("INSERT IGNORE INTO users SET {row}"), &[]),
        (
            &format!("INSERT INTO users SET {row} ON DUPLICATE KEY UPDATE name = VALUES(name)"),
            &[2],
        ),
        (
            "INSERT users (id, email, name) VALUE (4, 'b@b.c', 'x') ON DUPLICATE KEY UPDATE name = 'y'",
            &[2],
        ),
    ] {
        changes("", "", sql, users);
    }
}

/// Labels, one of which is watched.
fn watched(kind: &str, rows: &str, name: &str) -> Bench {
    let bench = Bench::with(&format!(
        "{LABELS}; ALTER TABLE labels MODIFY name {kind}; INSERT INTO labels VALUES {rows}"
    ));
    bench.watch_sql(
        "label",
        &format!("UPDATE labels SET hits = hits WHERE name = '{name}'"),
    );
    bench
}

#[test]
fn h09_spaces_that_a_column_adds_or_leaves_out_do_not_count() {
    for kind in [
        "CHAR(5)",
        "CHAR(5) COLLATE utf8mb4_general_ci",
        "VARCHAR(5)",
    ] {
        for (sql, changed) in [
            ("UPDATE labels SET hits = 2 WHERE name = 'a  '", 1),
            ("DELETE FROM labels WHERE name IN ('a ', 'b')", 1),
            ("REPLACE INTO labels VALUES ('a   ', 2)", 2),
            (
                "INSERT INTO labels VALUES ('a ', 2) ON DUPLICATE KEY UPDATE hits = 2",
                2,
            ),
            ("UPDATE labels SET name = 'c ' WHERE name = 'a '", 1),
        ] {
            let bench = watched(kind, "('a', 0), ('x', 0)", "a");
            let counted = sql_query(sql).execute(&mut bench.conn());
            assert_eq!(counted, Ok(changed), "{kind}: {sql}");
            assert_eq!(bench.ended().len(), 1, "{kind}: {sql}");
        }
    }
    // What is padded with other bytes is another key.
    let bench = watched("BINARY(3)", "('a', 0)", "a\\0\\0");
    let upsert = "INSERT INTO labels VALUES ('a', 2) ON DUPLICATE KEY UPDATE hits = 2";
    assert_eq!(sql_query(upsert).execute(&mut bench.conn()), Ok(2));
    assert_eq!(bench.ended().len(), 1);
}

/// The watched row is deleted, and its reply depends on that.
fn watched_gone(kind: &str, rows: &str, name: &str) -> Bench {
    let bench = Bench::with(&format!(
        "{LABELS}; ALTER TABLE labels MODIFY name {kind}; INSERT INTO labels VALUES {rows}, ('{name}', 0)"
    ));
    bench.watch_sql(
        "label",
        &format!("DELETE FROM labels WHERE name = '{name}'"),
    );
    bench
}

#[test]
fn a_key_that_is_made_to_fit_is_not_the_given_one() {
    for (kind, given, key) in [
        ("TINYINT", "300", "127"),
        ("INT", "'abc'", "0"),
        ("INT", "'7abc'", "7"),
        ("VARCHAR(3)", "'abcdef'", "abc"),
        ("INT", "1.6", "2"),
        ("DECIMAL(5,1)", "1.26", "1.3"),
    ] {
        // There is one.
        for sql in [
            format!("INSERT INTO labels VALUES ({given}, 5) ON DUPLICATE KEY UPDATE hits = 5"),
            format!("REPLACE INTO labels VALUES ({given}, 5)"),
        ] {
            let bench = watched(kind, &format!("('{key}', 0), ('9', 0)"), key);
            let mut conn = bench.conn();
            conn.batch_execute("SET sql_mode = ''").unwrap();
            assert_eq!(sql_query(&sql).execute(&mut conn), Ok(2), "{sql}");
            assert_eq!(bench.ended().len(), 1, "{kind}: {sql}");
        }
        // There is none, and then there is.
        for (mode, sql) in [
            ("", format!("INSERT INTO labels VALUES ({given}, 5)")),
            (
                "",
                format!("UPDATE labels SET name = {given} WHERE name = '9'"),
            ),
            (
                "STRICT_ALL_TABLES",
                format!("INSERT IGNORE INTO labels VALUES ({given}, 5)"),
            ),
            (
                "STRICT_ALL_TABLES",
                format!("UPDATE IGNORE labels SET name = {given} WHERE name = '9'"),
            ),
        ] {
            let bench = watched_gone(kind, "('9', 0)", key);
            let mut conn = bench.conn();
            let set = format!("SET sql_mode = '{mode}'");
            conn.batch_execute(&set).unwrap();
            assert_eq!(sql_query(&sql).execute(&mut conn), Ok(1), "{sql}");
            assert_eq!(bench.ended().len(), 1, "{kind}: {sql}");
        }
    }
}

#[test]
fn a_zero_that_becomes_a_number_is_not_the_row_that_has_a_zero() {
    let zero = "SET sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO'); INSERT INTO users VALUES (0, 'z', 'z')";
    for (value, email, upsert, changed) in [
        ("?", "d", "", 4),
        ("?", "b@b.c", "ON DUPLICATE KEY UPDATE name = 'x'", 2),
        ("COALESCE(?, 0)", "d", "", 4),
        ("FALSE + ?", "d", "", 4),
        ("? + 0.0", "d", "", 4),
    ] {
        let bench = bench(zero);
        bench.watch_users();
        let number = "ALTER TABLE users AUTO_INCREMENT = 4";
        bench.bare().batch_execute(number).unwrap();
        let sql = format!(
            "INSERT INTO users (id, email, name) VALUES ({value}, '{email}', 'd') {upsert}"
        );
        let insert = sql_query(&sql).bind::<diesel::sql_types::Integer, _>(0);
        assert!(insert.execute(&mut bench.conn()).is_ok(), "{sql}");
        covers(&bench.ended(), "users", &[changed], &sql);
    }
}

#[test]
fn a_view_that_shows_the_changed_table_is_not_asked_once_more() {
    let free = "CREATE VIEW v AS SELECT 7 - COUNT(*) AS id FROM users";
    let insert = "INSERT INTO users (id, email, name) SELECT id, 'd', 'd' FROM v";
    changes(free, "", insert, &[4]);
    let called = "ALTER TABLE users DROP INDEX email; \
        CREATE FUNCTION done() RETURNS INT READS SQL DATA RETURN (SELECT COUNT(*) FROM users WHERE name = 'done'); \
        CREATE VIEW v AS SELECT 1 AS id, done() AS n";
    let upsert = "INSERT INTO users (id, email, name) SELECT v.id, 'q', 'done' FROM v WHERE v.n = 0 \
        ON DUPLICATE KEY UPDATE users.name = 'done'";
    changes(called, "", upsert, &[1]);
}
