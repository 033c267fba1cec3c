//! Just these rows, and no others: what a statement changes of users, and of the posts and notes that refer to them.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;

use super::{C, FOREIGN_KEYS};
use crate::bench::Bench as AnyBench;
use crate::tables::CHILDREN;

type Bench = AnyBench<C>;

/// What a statement ends of the replies of the users 1 to 5, the posts and the notes 1 to 3.
#[track_caller]
pub fn ended(schema: &str, sql: &str) -> Vec<String> {
    ended_after(schema, "SELECT 1", sql)
}

/// The same, with this done by someone else just before.
#[track_caller]
pub fn ended_after(schema: &str, before: &str, sql: &str) -> Vec<String> {
    let bench = Bench::with(&format!("{CHILDREN}; {schema}"));
    bench.watch_users();
    for table in ["posts", "notes"] {
        for id in 1..=3 {
            let touch = format!("UPDATE {table} SET id = id WHERE id = {id}");
            bench.watch_sql(&format!("{table}{id}"), &touch);
        }
    }
    bench.bare().batch_execute(before).unwrap();
    let mut conn = bench.conn();
    conn.batch_execute(FOREIGN_KEYS).unwrap();
    let done = sql_query(sql).execute(&mut conn);
    done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    bench.ended()
}

#[test]
fn h11_the_children_of_deleted_rows_are_told_however_those_are_chosen() {
    let chosen = [
        "id = 2",
        "id IN (SELECT user_id FROM notes WHERE id = 2)",
        "email IN (SELECT email FROM users WHERE name = 'Bob')",
    ];
    for condition in chosen {
        let sql = format!("DELETE FROM users WHERE {condition}");
        assert_eq!(
            ended("SELECT 1", &sql),
            ["users:2", "posts:2", "notes:2"],
            "{sql}"
        );
    }
}

#[test]
fn h11_a_tree_is_followed_to_its_leaves_and_no_further() {
    let tree = "ALTER TABLE posts ADD parent INTEGER REFERENCES posts (id) ON DELETE CASCADE";
    let rooted = format!(
        "{tree}; UPDATE posts SET parent = 1 WHERE id = 3; UPDATE posts SET parent = 2 WHERE id = 2"
    );
    assert_eq!(
        ended(&rooted, "DELETE FROM posts WHERE id = 1"),
        ["posts:1", "posts:3"]
    );
    // It refers to itself, again and again.
    assert_eq!(
        ended(&rooted, "DELETE FROM posts WHERE id = 2"),
        ["posts:2"]
    );
}

#[test]
fn the_rows_of_another_query_are_told_where_they_come_to_be() {
    let insert =
        "INSERT INTO users (id, email, name) SELECT user_id + 2, body, 'n' FROM notes WHERE id = 2";
    assert_eq!(ended("SELECT 1", insert), ["users:4"]);
}
