//! Rows that MariaDB does not tell, and that are found all the same.

use super::exact::{ended, ended_after};

#[test]
fn rows_of_a_query_are_found_by_their_numbers() {
    let number = "ALTER TABLE users AUTO_INCREMENT = 4";
    let rows = |sql| ended_after("SELECT 1", number, sql);
    let insert =
        "INSERT INTO users (email, name) SELECT concat('n', id), body FROM notes WHERE id < 3";
    assert_eq!(rows(insert), ["users:4", "users:5"]);
    let zeros = "INSERT INTO users (id, email, name) VALUES (0, 'd', 'd'), (NULL, 'e', 'e')";
    assert_eq!(rows(zeros), ["users:4", "users:5"]);
    let one = "INSERT INTO users (id, email, name) VALUES (0, 'd', 'd')";
    assert_eq!(rows(one), ["users:4"]);
}

#[test]
fn rows_of_a_query_are_found_by_their_keys_and_by_what_they_were_in_conflict_with() {
    let from = "SELECT id + 1, concat('n', id), body FROM notes WHERE id < 3";
    let upsert =
        format!("INSERT INTO users (id, email, name) {from} ON DUPLICATE KEY UPDATE name = 'x'");
    let free = "ALTER TABLE users DROP INDEX email";
    assert_eq!(ended(free, &upsert), ["users:2", "users:3"]);
    let ignore = "INSERT IGNORE INTO users (id, email, name) SELECT id + 2, 'n', 'n' FROM notes";
    assert_eq!(ended(free, ignore), ["users:4", "users:5"]);
    // By its email a row may be in conflict with any.
    assert!(ended("SELECT 1", &upsert).contains(&"users:*".to_owned()));
}

#[test]
fn rows_of_a_query_that_reads_what_is_written_are_all_rows() {
    let insert = "INSERT INTO users (id, email, name) SELECT id + 2, concat('n', id), name FROM users WHERE id > 1";
    assert!(
        ended("SELECT 1", insert)
            .iter()
            .all(|name| name == "users:*")
    );
}

#[test]
fn an_upsert_by_its_key_is_found_whatever_else_it_sets() {
    let upsert = "INSERT INTO users (id, email, name) VALUES (2, 'n', 'n'), (4, 'm', 'm') ON DUPLICATE KEY UPDATE email = 'e'";
    assert_eq!(ended("SELECT 1", upsert), ["users:2", "users:4"]);
    // It is in conflict by its email with another one.
    let other = "INSERT INTO users (id, email, name) VALUES (4, 'b@b.c', 'n') ON DUPLICATE KEY UPDATE email = 'e'";
    assert!(ended("SELECT 1", other).contains(&"users:*".to_owned()));
}

#[test]
fn h11_a_limit_by_the_key_leaves_the_children_of_other_rows_alone() {
    let delete = "DELETE FROM users WHERE id > 1 ORDER BY id LIMIT 1";
    assert_eq!(ended("SELECT 1", delete), ["users:2", "posts:2", "notes:2"]);
}

#[test]
fn a_key_that_is_computed_is_found() {
    let free = "DELETE FROM posts; DELETE FROM notes";
    assert_eq!(
        ended(
            free,
            "UPDATE users SET name = 'x', id = id + 1 WHERE id = 3"
        ),
        ["users:3", "users:4"]
    );
    // Nothing but a column and a number is computed.
    let after = "UPDATE users SET name = 'x', id = 1 + id WHERE id = 3";
    assert!(ended(free, after).contains(&"users:*".to_owned()));
}

#[test]
fn a_statement_that_fails_ends_nothing() {
    use diesel::prelude::*;
    use diesel::sql_query;

    let bench = crate::bench::Bench::<super::C>::with(crate::tables::CHILDREN);
    bench.watch_users();
    let failed = bench.conn().transaction(|conn| {
        let insert = "INSERT INTO users () VALUES ()";
        assert!(sql_query(insert).execute(conn).is_err());
        Ok::<_, diesel::result::Error>(())
    });
    assert_eq!(failed, Ok(()));
    assert!(bench.ended().is_empty());
}
