//! How the MySQL family reads a text: words that are names, operators that depend on the mode, joins.

use diesel::prelude::*;
use diesel::sql_query;

use super::C;
use super::proof::{changes, covers};
use crate::bench::Bench;

/// Columns whose names are words of SQL, by which the user 3 could get the key 4.
const WORDS: &str = "ALTER TABLE users ADD x INT DEFAULT 4, ADD date INT DEFAULT 4, ADD time INT DEFAULT 4, \
    ADD value INT DEFAULT 4, ADD user INT DEFAULT 4, ADD `key` INT DEFAULT 4, ADD `order` INT DEFAULT 4, \
    ADD `true` INT DEFAULT 4";

#[test]
fn columns_named_like_words_are_no_constants() {
    for word in [
        "x", "date", "time", "value", "user", "`key`", "`order`", "`true`",
    ] {
        let update = format!("UPDATE users SET id = {word}, {word} = 0 WHERE id = 3");
        changes(WORDS, "", &update, &[3, 4]);
        let condition = format!("UPDATE users SET name = 'x' WHERE {word} = 4 AND id < {word} - 1");
        changes(WORDS, "", &condition, &[1, 2]);
        let insert = format!(
            "INSERT INTO users ({word}, id, email, name) VALUES (4, {word}, 'b@b.c', 'x') \
             ON DUPLICATE KEY UPDATE name = 'y', {word} = 0"
        );
        changes(WORDS, "", &insert, &[2]);
    }
}

#[test]
fn what_two_bars_mean_is_up_to_the_mode() {
    let concats = "SET sql_mode = CONCAT(@@sql_mode, ',PIPES_AS_CONCAT')";
    let either = "UPDATE users SET name = 'x' WHERE id = 2 AND 1 || 1";
    changes("", "", either, &[1, 2, 3]);
    changes("", concats, either, &[2]);
    let one = "UPDATE users SET name = 'x' WHERE id = 2 || id = 3";
    changes("", "", one, &[2, 3]);
    changes("", concats, one, &[]);
    let renamed = "UPDATE users SET id = '4' || '' WHERE id = 3";
    changes("", concats, renamed, &[3, 4]);
    let removed = "DELETE FROM users WHERE name = 'Bob' || id = 3";
    changes("", "", removed, &[2, 3]);
}

#[test]
fn h11_joins_on_the_changed_side_are_followed_to_their_rows() {
    const MEMBERS: &str =
        "INSERT INTO memberships VALUES (2, 'a', 'r'), (2, 'b', 'r'), (3, 'a', 'r')";
    for (sql, users) in [
        (
            "UPDATE users u, memberships m SET u.name = 'x', m.role = 'x' WHERE m.team = u.id",
            &[2, 3][..],
        ),
        (
            "UPDATE users u JOIN memberships m ON m.team = u.id SET u.name = 'x', m.role = 'x'",
            &[2, 3],
        ),
        (
            "UPDATE users u JOIN memberships m ON m.team = u.id SET name = 'x' WHERE member = 'b'",
            &[2],
        ),
        (
            "UPDATE users a JOIN users b ON b.id = a.id + 1 SET a.email = CONCAT('p', a.id), b.name = 'q'",
            &[1, 2, 3],
        ),
        (
            "UPDATE users a JOIN users b ON b.id = a.id + 1 SET b.name = 'q'",
            &[2, 3],
        ),
        (
            "UPDATE users u LEFT JOIN memberships m ON m.team = u.id SET u.id = u.id + 3 WHERE m.team IS NULL",
            &[1, 4],
        ),
        (
            "DELETE a FROM users a JOIN users b ON b.id = a.id + 1",
            &[1, 2],
        ),
        (
            "DELETE a, b FROM users a JOIN users b ON b.id = a.id + 1 WHERE a.id = 2",
            &[2, 3],
        ),
        (
            "DELETE users, m FROM users JOIN memberships m ON m.team = users.id",
            &[2, 3],
        ),
        (
            "DELETE FROM users USING users NATURAL JOIN (SELECT 2 AS id) AS two",
            &[2],
        ),
    ] {
        changes(MEMBERS, "", sql, users);
    }
}

#[test]
fn h11_a_foreign_key_to_a_generated_column_follows_what_that_is_made_of() {
    let bench = Bench::<C>::with(
        "ALTER TABLE users ADD low INTEGER AS (CHAR_LENGTH(name)) PERSISTENT, ADD UNIQUE (low);
         CREATE TABLE posts (id INTEGER PRIMARY KEY, user_id INTEGER, low INTEGER, FOREIGN KEY (low) REFERENCES users (low) ON UPDATE CASCADE);
         INSERT INTO users (id, email, name) VALUES (1, 'a', 'a'); INSERT INTO posts VALUES (1, 1, 1)",
    );
    bench.watch_sql("post", "UPDATE posts SET user_id = 1 WHERE id = 1");
    let sql = "UPDATE users SET name = 'bb' WHERE id = 1";
    assert_eq!(sql_query(sql).execute(&mut bench.conn()), Ok(1));
    let moved = sql_query("DELETE FROM posts WHERE low = 2").execute(&mut bench.bare());
    assert_eq!(moved, Ok(1));
    covers(&bench.ended(), "posts", &[1], sql);
}

#[test]
fn an_order_by_another_tables_key_does_not_settle_which_rows_a_limit_takes() {
    let schema = "INSERT INTO audits (what) VALUES ('1')";
    for sql in [
        "UPDATE audits a JOIN users u SET u.name = 'x' ORDER BY a.id LIMIT 1",
        "UPDATE users u JOIN users v ON v.id <> u.id SET u.name = 'x' ORDER BY v.id LIMIT 1",
    ] {
        let bench = Bench::<C>::with_users_and(schema);
        bench.watch_users();
        let turned = "UPDATE users SET email = CONCAT(9 - id, 'x')";
        assert_eq!(sql_query(turned).execute(&mut bench.bare()), Ok(3));
        assert_eq!(sql_query(sql).execute(&mut bench.conn()), Ok(1), "{sql}");
        assert_eq!(bench.ended(), crate::bench::ALL_USERS, "{sql}");
    }
}
