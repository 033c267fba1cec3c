//! What a change brings about in other tables: cascades, triggers, views.

use diesel::prelude::*;
use diesel::sql_query;

use super::{C, logs_into_notes, updates_notes};
use crate::bench::Bench as AnyBench;
use crate::tables::CHILDREN;

type Bench = AnyBench<C>;

/// A bench with a reply for each row of posts, of notes and of users, and this besides.
fn bench(schema: &str) -> Bench {
    let bench = Bench::with(&format!("{CHILDREN}; {schema}"));
    for (table, column) in [("users", "name"), ("posts", "user_id"), ("notes", "body")] {
        for id in 1..=3 {
            bench.watch_sql(
                table,
                &format!("UPDATE {table} SET {column} = {column} WHERE id = {id}"),
            );
        }
    }
    bench
}

fn ended(bench: &Bench, sql: &str) -> Vec<String> {
    sql_query(sql).execute(&mut bench.conn()).unwrap();
    bench.ended()
}

#[test]
fn h11_a_cascade_ends_the_replies_of_the_children() {
    let bench = bench("");
    let ended = ended(&bench, "DELETE FROM users WHERE id = 2");
    assert_eq!(ended, ["users:2", "posts:2", "notes:2"]);
}

#[test]
fn h11_an_update_that_no_foreign_key_passes_on_leaves_the_children_alone() {
    let bench = bench("");
    assert_eq!(
        ended(&bench, "UPDATE users SET name = 'x' WHERE id = 2"),
        ["users:2"]
    );
}

#[test]
fn h11_a_childs_own_change_leaves_its_parent_alone() {
    let bench = bench("");
    assert_eq!(ended(&bench, "DELETE FROM posts WHERE id = 2"), ["posts:2"]);
}

#[test]
fn h11_a_trigger_ends_the_replies_of_the_tables_that_it_changes() {
    let bench = bench(&updates_notes("AFTER INSERT ON users"));
    let ended = ended(
        &bench,
        "INSERT INTO users (id, email, name) VALUES (9, 'i', 'i')",
    );
    assert_eq!(ended, ["notes:*", "notes:*", "notes:*"]);
}

#[test]
fn h11_a_trigger_on_an_untracked_table_ends_replies() {
    let bench = bench(&updates_notes("AFTER INSERT ON audits"));
    let ended = ended(&bench, "INSERT INTO audits (what) VALUES ('x')");
    assert_eq!(ended, ["notes:*", "notes:*", "notes:*"]);
}

#[test]
fn h11_a_trigger_that_does_not_run_ends_nothing() {
    let bench = bench(&updates_notes("AFTER DELETE ON users"));
    assert_eq!(
        ended(&bench, "UPDATE users SET name = 'x' WHERE id = 1"),
        ["users:1"]
    );
}

#[test]
fn h11_triggers_and_cascades_are_followed_through_tables() {
    let bench = bench(&updates_notes("AFTER DELETE ON posts"));
    let ended = ended(&bench, "DELETE FROM users WHERE id = 1");
    let all = ["users:1", "posts:1", "notes:*", "notes:*", "notes:*"];
    assert_eq!(ended, all);
}

#[test]
fn h11_a_change_through_a_view_ends_the_replies_of_the_table() {
    let bench = bench(&format!(
        "CREATE VIEW members AS SELECT * FROM users; {}",
        logs_into_notes("members")
    ));
    let ended = ended(
        &bench,
        "INSERT INTO members (id, email, name) VALUES (7, 'g', 'g')",
    );
    assert!(ended.contains(&"notes:*".to_owned()), "{ended:?}");
}
