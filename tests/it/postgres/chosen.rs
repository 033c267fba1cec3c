//! Rows that other tables' rows, rules or keys of their own choose.

use diesel::prelude::*;
use diesel::sql_query;

use super::C;
use super::exact::ended;
use crate::bench::Bench as AnyBench;
use crate::tables::CHILDREN;

type Bench = AnyBench<C>;

/// Users that nobody tracks, and posts that refer to them.
const AUTHORS: &str = "CREATE TABLE authors (id int PRIMARY KEY, name text); INSERT INTO authors SELECT id, name FROM users; \
    ALTER TABLE posts DROP CONSTRAINT posts_user_id_fkey, ADD FOREIGN KEY (user_id) REFERENCES authors (id) ON DELETE CASCADE";

#[test]
fn h11_the_children_of_untracked_rows_are_told_whatever_chooses_those() {
    for delete in [
        "DELETE FROM authors WHERE id IN (SELECT id FROM users WHERE name = 'Bob')",
        "DELETE FROM authors USING users u WHERE u.id = authors.id AND u.name = 'Bob'",
        "DELETE FROM authors AS a USING users u WHERE u.id = a.id AND u.name = 'Bob' RETURNING a.name",
        "DELETE FROM authors WHERE id = 2",
    ] {
        assert_eq!(ended(AUTHORS, delete), ["posts:2"], "{delete}");
    }
}

#[test]
fn an_upsert_that_sets_its_key_ends_the_replies_of_both() {
    let insert = "INSERT INTO users (id, email, name) VALUES (3, 'c@b.c', 'c')";
    let free = "DELETE FROM posts; DELETE FROM notes";
    let upsert = format!("{insert} ON CONFLICT (id) DO UPDATE SET id = 4");
    assert_eq!(ended(free, &upsert), ["users:3", "users:4"]);
    let same = format!("{insert} ON CONFLICT (id) DO UPDATE SET id = users.id, name = 'x'");
    assert_eq!(ended(free, &same), ["users:3"]);
}

#[test]
fn h52_a_rule_hides_the_rows_of_its_own_event_alone() {
    let rule =
        "CREATE RULE also AS ON INSERT TO users DO ALSO INSERT INTO audits (what) VALUES ('x')";
    let rows = |sql: &str| {
        let bench = Bench::with(&format!("{CHILDREN}; {rule}"));
        for id in 1..=3 {
            let touch = format!("UPDATE users SET name = name WHERE id = {id}");
            bench.watch_sql(&format!("user{id}"), &touch);
        }
        sql_query(sql).execute(&mut bench.conn()).unwrap();
        bench.ended()
    };
    assert_eq!(
        rows("UPDATE users SET name = 'x' WHERE id = 2"),
        ["users:2"]
    );
    let insert = "INSERT INTO users (id, email, name) VALUES (4, 'd', 'd')";
    assert_eq!(rows(insert), ["users:*"; 3]);
}

#[test]
fn a_with_that_chooses_nothing_does_not_hide_the_old_key() {
    let free = "DELETE FROM posts; DELETE FROM notes";
    let update = "WITH seen AS (SELECT count(*) FROM notes) UPDATE users SET id = 4 WHERE id = 3";
    assert_eq!(ended(free, update), ["users:3", "users:4"]);
}

#[test]
fn h11_what_refers_to_a_parent_is_not_touched_by_its_heirs() {
    let heirs = "CREATE TABLE heirs () INHERITS (users); INSERT INTO heirs VALUES (1, 'z', 'z')";
    let delete = "DELETE FROM heirs";
    assert!(
        !ended(heirs, delete)
            .iter()
            .any(|name| name.starts_with("posts"))
    );
}
