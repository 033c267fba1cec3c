//! What SQLite replaces: by the indexes, their collations, the rowid, and what takes the place of a NULL.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{Nullable, Text};

use super::C;
use super::proof::{changes, covers};
use crate::bench::Bench as AnyBench;

type Bench = AnyBench<C>;

/// The table without its unique index, and another one in its place.
fn indexed(index: &str) -> String {
    format!(
        "CREATE TABLE other (id INTEGER PRIMARY KEY, email TEXT COLLATE BINARY, name TEXT NOT NULL); \
         INSERT INTO other SELECT * FROM users; DROP TABLE users; ALTER TABLE other RENAME TO users; {index}"
    )
}

/// Indexes in each of which (email, 'Bob') is in the way of the user 2.
const IN_THE_WAY: [(&str, &str); 7] = [
    ("CREATE UNIQUE INDEX i ON users (email)", "b@b.c"),
    ("CREATE UNIQUE INDEX i ON users (name, email)", "b@b.c"),
    ("CREATE UNIQUE INDEX i ON users (name) WHERE id > 1", "new"),
    ("CREATE UNIQUE INDEX i ON users (lower(email))", "B@B.C"),
    (
        "CREATE UNIQUE INDEX i ON users (email COLLATE NOCASE)",
        "B@b.C",
    ),
    (
        "CREATE UNIQUE INDEX i ON users (email COLLATE RTRIM)",
        "b@b.c  ",
    ),
    (
        "ALTER TABLE users ADD low TEXT AS (lower(email)) VIRTUAL; CREATE UNIQUE INDEX i ON users (low)",
        "B@B.C",
    ),
];

#[test]
fn a_replacement_takes_away_the_row_that_is_in_its_way_whatever_the_index() {
    for (index, email) in IN_THE_WAY {
        let schema = indexed(index);
        let row = format!("INTO users (id, email, name) VALUES (4, '{email}', 'Bob')");
        for sql in [
            format!("REPLACE {row}"),
            format!("INSERT OR REPLACE {row}"),
            format!("INSERT OR REPLACE {row} RETURNING name"),
        ] {
            changes(&schema, "", &sql, &[2, 4]);
        }
        let more = format!("REPLACE {row}, (5, 'e', 'e')");
        changes(&schema, "", &more, &[2, 4, 5]);
        let select = format!("REPLACE INTO users (id, email, name) SELECT 4, '{email}', 'Bob'");
        changes(&schema, "", &select, &[2, 4]);
        let update =
            format!("UPDATE OR REPLACE users SET email = '{email}', name = 'Bob' WHERE id = 3");
        changes(&schema, "", &update, &[2, 3]);
        let upsert = format!("INSERT {row} ON CONFLICT DO UPDATE SET name = 'u'");
        changes(&schema, "", &upsert, &[2]);
    }
}

#[test]
fn a_conflict_clause_of_the_table_replaces_as_well() {
    let schema = "DROP TABLE users; CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT UNIQUE ON CONFLICT REPLACE, name TEXT); \
         INSERT INTO users VALUES (1, 'a@b.c', 'Ann'), (2, 'b@b.c', 'Bob'), (3, 'c@b.c', 'Cid')";
    changes(
        schema,
        "",
        "INSERT INTO users VALUES (4, 'b@b.c', 'x')",
        &[2, 4],
    );
    changes(
        schema,
        "",
        "UPDATE users SET email = 'b@b.c' WHERE id = 3",
        &[2, 3],
    );
}

#[test]
fn a_null_that_becomes_a_default_replaces_the_row_that_has_it() {
    for (sql, changed) in [
        (
            "REPLACE INTO users (id, email, name, code) VALUES (4, 'd', 'd', NULL)",
            [2, 4],
        ),
        (
            "REPLACE INTO users (id, email, name) VALUES (4, 'd', 'd')",
            [2, 4],
        ),
        (
            "UPDATE OR REPLACE users SET code = NULL, name = 'n' WHERE id = 3",
            [2, 3],
        ),
    ] {
        let bench = super::proof::bench(
            "ALTER TABLE users ADD code TEXT NOT NULL DEFAULT 'x'; UPDATE users SET code = id; \
             CREATE UNIQUE INDEX i ON users (code)",
        );
        bench.watch_users();
        let mut bare = bench.bare();
        bare.batch_execute("UPDATE users SET code = 'x' WHERE id = 2")
            .unwrap();
        assert_eq!(sql_query(sql).execute(&mut bench.conn()), Ok(1), "{sql}");
        let gone = sql_query("DELETE FROM users WHERE id = 2").execute(&mut bare);
        assert_eq!(gone, Ok(0), "{sql}");
        covers(&bench.ended(), "users", &changed, sql);
    }
}

#[test]
fn a_null_that_is_bound_or_computed_becomes_a_default_as_well() {
    for value in ["?", "(NULL)", "NULL + 1", "1 / 0", "(?)"] {
        let bench = super::proof::bench(
            "ALTER TABLE users ADD code TEXT NOT NULL DEFAULT 'x'; UPDATE users SET code = id; \
             CREATE UNIQUE INDEX i ON users (code)",
        );
        bench.watch_users();
        let mut bare = bench.bare();
        bare.batch_execute("UPDATE users SET code = 'x' WHERE id = 2")
            .unwrap();
        let sql =
            format!("REPLACE INTO users (id, email, name, code) VALUES (4, 'd', 'd', {value})");
        let replace = sql_query(&sql).into_boxed();
        let replace = match value.contains('?') {
            true => replace.bind::<Nullable<Text>, _>(None::<String>),
            false => replace,
        };
        assert_eq!(replace.execute(&mut bench.conn()), Ok(1), "{sql}");
        let gone = sql_query("DELETE FROM users WHERE id = 2").execute(&mut bare);
        assert_eq!(gone, Ok(0), "{sql}");
        covers(&bench.ended(), "users", &[2, 4], &sql);
    }
}

#[test]
fn the_rowid_is_in_the_way_by_all_of_its_names() {
    for name in ["rowid", "oid", "_rowid_", "ROWID", "\"rowid\""] {
        for sql in [
            format!("REPLACE INTO labels ({name}, name) VALUES (1, 'new')"),
            format!("REPLACE INTO labels ({name}, name) SELECT 1, 'new'"),
            format!("UPDATE OR REPLACE labels SET {name} = 1 WHERE name = 'b'"),
        ] {
            let bench = Bench::with(
                "CREATE TABLE labels (name TEXT PRIMARY KEY, hits INTEGER); INSERT INTO labels (name) VALUES ('a'), ('b')",
            );
            bench.watch_sql("a", "UPDATE labels SET hits = 1 WHERE name = 'a'");
            assert_eq!(sql_query(&sql).execute(&mut bench.conn()), Ok(1));
            covers(&bench.ended(), "labels", &["a"], &sql);
        }
        let set = format!("UPDATE OR REPLACE users SET {name} = 2 WHERE id = 3");
        changes("SELECT 1", "", &set, &[2, 3]);
        let replace = format!("REPLACE INTO users ({name}, email, name) VALUES (3, 'b@b.c', 'x')");
        changes("SELECT 1", "", &replace, &[2, 3]);
    }
}

/// Posts that refer to labels, and go and change with them.
const REFERRING: &str = "
    CREATE TABLE labels (name TEXT NOT NULL COLLATE NOCASE PRIMARY KEY, hits INTEGER);
    CREATE TABLE posts (id INTEGER PRIMARY KEY, user_id INTEGER,
        label TEXT REFERENCES labels (name) ON DELETE CASCADE ON UPDATE CASCADE);
    INSERT INTO labels VALUES ('Ann', 0), ('bob', 0);
    INSERT INTO posts VALUES (1, 0, 'ANN'), (2, 0, 'bob');";

#[test]
fn h11_a_foreign_key_compares_as_its_parent_does() {
    let trimmed = REFERRING
        .replace("NOCASE", "RTRIM")
        .replace("'ANN'", "'Ann  '");
    for schema in [REFERRING, &trimmed] {
        for sql in [
            "DELETE FROM labels WHERE hits = 0 AND name > ' ' AND name = 'Ann'",
            "UPDATE labels SET name = 'Zoe' WHERE name = 'Ann'",
            "REPLACE INTO labels VALUES ('Ann', 7)",
        ] {
            let bench = Bench::with(schema);
            bench.watch_sql("post", "UPDATE posts SET user_id = 1 WHERE id = 1");
            let mut conn = bench.conn();
            conn.batch_execute("PRAGMA foreign_keys = ON").unwrap();
            assert_eq!(sql_query(sql).execute(&mut conn), Ok(1));
            covers(&bench.ended(), "posts", &[1], sql);
        }
    }
}

#[test]
fn h11_a_foreign_key_to_the_rowid_follows_it_by_all_of_its_names() {
    for name in ["rowid", "oid", "_rowid_", "id"] {
        let bench = Bench::with(
            "CREATE TABLE posts (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users (id) ON UPDATE CASCADE);
             INSERT INTO users VALUES (1, 'a', 'a'); INSERT INTO posts VALUES (1, 1)",
        );
        bench.watch_sql("post", "UPDATE posts SET user_id = 1 WHERE id = 1");
        let sql = format!("UPDATE users SET {name} = 7 WHERE id = 1");
        let mut conn = bench.conn();
        conn.batch_execute("PRAGMA foreign_keys = ON").unwrap();
        assert_eq!(sql_query(&sql).execute(&mut conn), Ok(1));
        covers(&bench.ended(), "posts", &[1], &sql);
    }
}

#[test]
fn h11_a_foreign_key_to_a_generated_column_follows_what_that_is_made_of() {
    let bench = Bench::with(
        "ALTER TABLE users ADD low TEXT AS (lower(email)); CREATE UNIQUE INDEX lows ON users (low);
         CREATE TABLE posts (id INTEGER PRIMARY KEY, user_id INTEGER, low TEXT REFERENCES users (low) ON UPDATE CASCADE);
         INSERT INTO users VALUES (1, 'a', 'a'); INSERT INTO posts VALUES (1, 1, 'a')",
    );
    bench.watch_sql("post", "UPDATE posts SET user_id = 1 WHERE id = 1");
    let mut conn = bench.conn();
    conn.batch_execute("PRAGMA foreign_keys = ON").unwrap();
    let sql = "UPDATE users SET email = 'B' WHERE id = 1";
    assert_eq!(sql_query(sql).execute(&mut conn), Ok(1));
    let moved = sql_query("DELETE FROM posts WHERE low = 'b'").execute(&mut bench.bare());
    assert_eq!(moved, Ok(1));
    covers(&bench.ended(), "posts", &[1], sql);
}

#[test]
fn a_table_of_the_same_name_in_another_schema_is_told_apart_or_counts() {
    let other = "ATTACH ':memory:' AS other; CREATE TABLE other.users (id INTEGER PRIMARY KEY, email TEXT, name TEXT)";
    // This one hides the table of the file.
    let hiding = "CREATE TEMP TABLE Users (name TEXT, email TEXT, id INTEGER PRIMARY KEY)";
    for (sql, changed) in [
        (
            "REPLACE INTO main.users (id, email, name) VALUES (4, 'b@b.c', 'x')",
            [2, 4],
        ),
        ("REPLACE INTO main.users VALUES (4, 'b@b.c', 'x')", [2, 4]),
        (
            "INSERT INTO main.users VALUES (4, 'd', 'x'), (5, 'e', 'x')",
            [4, 5],
        ),
        ("UPDATE main.users SET id = id + 2 WHERE id = 3", [3, 5]),
        (
            "UPDATE OR REPLACE main.users SET email = 'b@b.c' WHERE id = 3",
            [2, 3],
        ),
        ("DELETE FROM main.users WHERE id > 1", [2, 3]),
    ] {
        changes("SELECT 1", other, sql, &changed);
        changes("SELECT 1", other, &sql.replace("main.", ""), &changed);
        let bench = Bench::with_users();
        bench.watch_users();
        let mut conn = bench.conn();
        conn.batch_execute(hiding).unwrap();
        assert!(sql_query(sql).execute(&mut conn).unwrap() > 0, "{sql}");
        covers(&bench.ended(), "users", &changed, sql);
    }
}

#[test]
fn columns_named_like_words_are_no_constants() {
    for word in ["x", "date", "value", "user", "\"key\"", "`order`", "time"] {
        let add = format!("ALTER TABLE users ADD {word} INTEGER DEFAULT 4");
        let update = format!("UPDATE users SET id = {word}, {word} = 0 WHERE id = 3");
        changes(&add, "", &update, &[3, 4]);
        let condition = format!("DELETE FROM users WHERE {word} = 4 AND id < {word} - 1");
        changes(&add, "", &condition, &[1, 2]);
        let replace =
            format!("REPLACE INTO users ({word}, id, email, name) VALUES (9, 4, 'b@b.c', 'n')");
        changes(&add, "", &replace, &[2, 4]);
    }
}

#[test]
fn a_key_that_has_a_default_replaces_the_row_that_has_it_and_what_refers_to_that() {
    let bench = Bench::with(
        "DROP TABLE users; \
         CREATE TABLE users (id INTEGER PRIMARY KEY DEFAULT 2, email TEXT NOT NULL UNIQUE, name TEXT NOT NULL) WITHOUT ROWID; \
         CREATE TABLE posts (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE); \
         INSERT INTO users VALUES (1, 'a@b.c', 'Ann'), (2, 'b@b.c', 'Bob'); INSERT INTO posts VALUES (1, 1), (2, 2)",
    );
    bench.watch_sql("post", "UPDATE posts SET user_id = 2 WHERE id = 2");
    let mut conn = bench.conn();
    conn.batch_execute("PRAGMA foreign_keys = ON").unwrap();
    let sql = "REPLACE INTO users (email, name) VALUES ('d', 'd')";
    assert_eq!(sql_query(sql).execute(&mut conn), Ok(1));
    let gone = sql_query("DELETE FROM posts WHERE id = 2").execute(&mut bench.bare());
    assert_eq!(gone, Ok(0));
    covers(&bench.ended(), "posts", &[2], sql);
}

#[test]
fn a_value_that_is_kept_as_another_replaces_the_row_that_has_that() {
    let real = "ALTER TABLE users ADD code REAL; UPDATE users SET code = 9007199254740992 WHERE id = 2; \
                CREATE UNIQUE INDEX i ON users (code)";
    let rounds =
        "REPLACE INTO users (id, email, name, code) VALUES (4, 'd', 'd', 9007199254740993)";
    changes(real, "", rounds, &[2, 4]);
    let twice = "INSERT INTO users (id, id, email, name) VALUES (1, 2, 'q', 'x') ON CONFLICT DO UPDATE SET id = 5";
    changes("", "", twice, &[2, 5]);
}
