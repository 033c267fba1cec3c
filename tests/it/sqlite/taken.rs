//! What a new row takes the place of, or changes, and what refers to that.

use diesel::prelude::*;
use diesel::sql_query;

use super::C;
use super::exact::ended;
use crate::bench::Bench as AnyBench;
use crate::tables::CHILDREN;

type Bench = AnyBench<C>;

#[test]
fn h11_a_replacement_takes_away_the_children_of_the_row_in_its_place() {
    let replace = "REPLACE INTO users (id, email, name) VALUES (2, 'b@b.c', 'Bea')";
    assert_eq!(
        ended("SELECT 1", replace),
        ["users:2", "posts:2", "notes:2"]
    );
    // By its email it is another one's, too.
    let both = "INSERT OR REPLACE INTO users (id, email, name) VALUES (2, 'c@b.c', 'Bea')";
    assert_eq!(
        ended(
            "CREATE UNIQUE INDEX IF NOT EXISTS by_email ON users (email)",
            both
        ),
        [
            "users:2", "users:3", "posts:2", "posts:3", "notes:2", "notes:3"
        ]
    );
    let new = "REPLACE INTO users (id, email, name) VALUES (4, 'd@b.c', 'Dan')";
    assert_eq!(ended("SELECT 1", new), ["users:4"]);
}

#[test]
fn a_table_that_replaces_tells_its_rows_as_a_statement_that_does() {
    let replaces = "CREATE TABLE other (id INTEGER PRIMARY KEY, email TEXT UNIQUE ON CONFLICT REPLACE, name TEXT NOT NULL); \
                    INSERT INTO other SELECT * FROM users; PRAGMA foreign_keys = OFF; DROP TABLE users; ALTER TABLE other RENAME TO users";
    let insert = "INSERT INTO users (id, email, name) VALUES (4, 'b@b.c', 'Bea')";
    assert_eq!(
        ended(replaces, insert),
        ["users:2", "users:4", "posts:2", "notes:2"]
    );
    assert_eq!(
        ended(replaces, "DELETE FROM users WHERE id = 3"),
        ["users:3", "posts:3", "notes:3"]
    );
    assert_eq!(
        ended(replaces, "UPDATE users SET name = 'x' WHERE id = 3"),
        ["users:3"]
    );
}

#[test]
fn an_upsert_that_sets_its_key_ends_the_replies_of_both() {
    let upsert = "INSERT INTO users (id, email, name) VALUES (3, 'c@b.c', 'c') ON CONFLICT (id) DO UPDATE SET id = 4";
    let free = "DELETE FROM posts; DELETE FROM notes";
    assert_eq!(ended(free, upsert), ["users:3", "users:4"]);
}

#[test]
fn the_collation_of_one_column_is_not_that_of_another() {
    let folded = "ALTER TABLE users ADD nick TEXT COLLATE NOCASE; ALTER TABLE posts ADD title TEXT COLLATE NOCASE";
    let delete = "DELETE FROM users WHERE id = 2";
    assert_eq!(ended(folded, delete), ["users:2", "posts:2", "notes:2"]);
}

#[test]
fn a_trigger_that_leaves_new_rows_out_hides_no_deleted_ones() {
    let trigger = "CREATE TRIGGER refuses BEFORE INSERT ON users WHEN NEW.name = 'no' BEGIN SELECT RAISE(IGNORE); END";
    assert_eq!(
        ended(trigger, "DELETE FROM users WHERE id = 2"),
        ["users:2", "posts:2", "notes:2"]
    );
    let two = "INSERT INTO users (id, email, name) VALUES (4, 'd', 'no'), (5, 'e', 'yes')";
    assert_eq!(ended(trigger, two), ["users:5"]);
}

#[test]
fn h11_a_trigger_that_ends_a_statement_half_way_leaves_nothing_unsaid() {
    let bench = Bench::with(&format!(
        "{CHILDREN}; \
         CREATE TRIGGER logs AFTER UPDATE ON posts BEGIN INSERT INTO audits (what) VALUES (NEW.id); END; \
         CREATE TRIGGER ends BEFORE INSERT ON audits WHEN NEW.what = '2' BEGIN SELECT RAISE(FAIL, 'full'); END"
    ));
    bench.watch_sql("post", "UPDATE posts SET user_id = 1 WHERE id = 1");
    let update = "UPDATE posts SET user_id = 3 WHERE id < 3";
    assert!(sql_query(update).execute(&mut bench.conn()).is_err());
    let moved = "SELECT count(*) AS n FROM posts WHERE id = 1 AND user_id = 3";
    let kept: Count = sql_query(moved).get_result(&mut bench.bare()).unwrap();
    assert_eq!((kept.n, bench.ended()), (1, vec!["posts:*".to_owned()]));
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    n: i64,
}
