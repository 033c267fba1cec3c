//! Statements as text: by `sql_query` and by `batch_execute`, however they are written.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;

use super::{C, SCHEMA};
use crate::bench::{ALL_USERS, Bench as AnyBench, is_stored};
use crate::database::{User, users};

type Bench = AnyBench<C>;

/// Runs a statement, which changes one row, and tells what it ended.
fn ended_by(bench: &Bench, sql: &str) -> Vec<String> {
    bench.ended_users(|conn| assert_eq!(sql_query(sql).execute(conn), Ok(1), "{sql}"))
}

#[test]
fn h11_raw_sql_ends_the_replies_of_its_rows_however_it_is_written() {
    let bench = Bench::with_users();
    for sql in [
        "UPDATE users SET name = 'x' WHERE id = 1",
        "update USERS set NAME = 'x' where ID = 1",
        "UPDATE \"users\" SET \"name\" = 'x' WHERE \"id\" = 1",
        "UPDATE users AS u SET name = 'x' WHERE u.id = 1",
        "UPDATE users AS \"U u\" SET name = 'x' WHERE \"U u\".id = 1",
        "\n /* a */ UPDATE users SET name = 'x' /* WHERE id = 2; */ WHERE id = 1 ",
        "UPDATE users SET name = 'RETURNING; --' WHERE id = 1 RETURNING id, name",
        "UPDATE users SET name = 'x' WHERE id = 1 RETURNING email AS id",
        "WITH found AS (SELECT id FROM users WHERE id = 1) UPDATE users SET name = 'x' WHERE id IN (SELECT id FROM found)",
        "DELETE FROM users WHERE id = 1 RETURNING *",
    ] {
        assert_eq!(ended_by(&bench, sql), ["users:1"], "{sql}");
    }
}

#[test]
fn h52_a_trailing_comment_is_in_nobodys_way() {
    let bench = Bench::with_users();
    for sql in [
        "UPDATE users SET name = 'x' WHERE id = 1 -- the first",
        "UPDATE users SET name = 'x' WHERE id = 1 -- the first\n",
        "UPDATE users SET name = 'x' WHERE id = 1 /* the first */",
        "UPDATE users SET name = 'x' WHERE id = 1 RETURNING id -- the first",
    ] {
        assert_eq!(ended_by(&bench, sql), ["users:1"], "{sql}");
    }
}

#[test]
fn a_statement_that_nothing_can_follow_ends_the_replies_of_its_rows() {
    let bench = Bench::with_users();
    for sql in [
        "UPDATE users SET name = 'x' WHERE id = 1;",
        "UPDATE users SET name = 'x' WHERE id = 1; -- the first",
    ] {
        assert_eq!(ended_by(&bench, sql), ["users:1"], "{sql}");
    }
}

#[test]
fn h52_names_that_a_join_makes_ambiguous_are_told_apart() {
    let bench = Bench::with_users();
    for sql in [
        "UPDATE users SET name = other.name FROM users AS other WHERE users.id = 1 AND other.id = 2",
        "UPDATE users AS u SET name = other.name FROM users AS other WHERE u.id = 1 AND other.id = 2",
    ] {
        assert_eq!(ended_by(&bench, sql), ["users:1"], "{sql}");
    }
}

#[test]
fn a_table_in_its_schema_is_the_same_table() {
    let bench = Bench::with_users();
    let update = format!("UPDATE {SCHEMA}.users SET name = 'x' WHERE id = 1");
    assert_eq!(ended_by(&bench, &update), ["users:1"]);
    let insert = format!("INSERT INTO {SCHEMA}.users (id, email, name) VALUES (4, 'd', 'd')");
    assert_eq!(ended_by(&bench, &insert), ["users:4"]);
}

#[test]
fn rows_of_raw_sql_come_back_without_further_columns() {
    #[derive(Debug, PartialEq, QueryableByName)]
    #[diesel(table_name = users)]
    struct Named {
        id: i32,
        name: String,
    }
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let rows = sql_query("UPDATE users SET name = 'x' WHERE id = 2 RETURNING name, id")
            .load::<Named>(conn);
        let name = "x".to_owned();
        assert_eq!(rows, Ok(vec![Named { id: 2, name }]));
    });
    assert_eq!(ended, ["users:2"]);
}

#[test]
fn a_statement_that_binds_values_is_tracked() {
    use diesel::sql_types::{Integer, Text};
    let bench = Bench::with_users();
    let sql = bench.ended_users(|conn| {
        let text = match SCHEMA {
            "main" => "UPDATE users SET name = ? WHERE id = ?",
            _ => "UPDATE users SET name = $1 WHERE id = $2",
        };
        let update = sql_query(text).bind::<Text, _>("x").bind::<Integer, _>(3);
        assert_eq!(update.execute(conn), Ok(1));
    });
    assert_eq!(sql, ["users:3"]);
}

#[test]
fn a_batch_ends_the_replies_of_its_rows() {
    let bench = Bench::with_users();
    for batch in [
        "UPDATE users SET name = 'x' WHERE id = 1",
        "SELECT 1; UPDATE users SET name = 'x' WHERE id = 1; SELECT 2;",
        "-- first\nDELETE FROM audits; /* then; */ UPDATE users SET name = 'y' WHERE id = 1;\n-- end",
    ] {
        let ended = bench.ended_users(|conn| conn.batch_execute(batch).unwrap());
        assert_eq!(ended, ["users:1"], "{batch}");
    }
    let many = "UPDATE users SET name = 'x' WHERE id = 1;".repeat(1_000);
    let ended = bench.ended_users(|conn| conn.batch_execute(&many).unwrap());
    assert!(ended == ["users:1"] || ended == ALL_USERS, "{ended:?}");
    let ended = bench.ended_users(|conn| conn.batch_execute("DELETE FROM audits; SELECT 1"));
    assert!(ended.is_empty(), "{ended:?}");
}

#[test]
fn thousands_of_rows_are_the_table() {
    let bench = Bench::with_users();
    let insert = |last| {
        format!(
            "WITH RECURSIVE n(i) AS (SELECT 101 UNION ALL SELECT i + 1 FROM n WHERE i < {last}) \
             INSERT INTO users (id, email, name) SELECT i, 'e' || i, 'n' FROM n"
        )
    };
    let ended = bench.ended_users(|conn| sql_query(insert(100 + 4_096)).execute(conn).unwrap());
    assert!(ended.is_empty(), "{ended:?}");
    sql_query("DELETE FROM users WHERE id > 100")
        .execute(&mut bench.conn())
        .unwrap();
    let ended = bench.ended_users(|conn| {
        assert_eq!(sql_query(insert(100 + 4_097)).execute(conn), Ok(4_097));
    });
    assert_eq!(ended, ALL_USERS);
}

#[test]
fn a_reply_that_depends_on_too_many_rows_depends_on_the_table() {
    let bench = Bench::built(crate::bench::USERS, |builder| builder.rows_limit(2));
    bench.execute("INSERT INTO users (id, email, name) VALUES (4, 'd', 'd'), (5, 'e', 'e')");
    bench.watch_sql("two", "UPDATE users SET name = name WHERE id > 3");
    bench.watch_sql("three", "UPDATE users SET name = name WHERE id < 4");
    let insert = "INSERT INTO users (id, email, name) VALUES (9, 'i', 'i')";
    sql_query(insert).execute(&mut bench.conn()).unwrap();
    assert_eq!(bench.ended(), ["users:any"]);
}

#[test]
fn a_reply_depends_on_what_its_own_run_inserted() {
    let bench = Bench::with_users();
    bench.watch_sql("own", "INSERT INTO users (email, name) VALUES ('d', 'd')");
    sql_query("UPDATE users SET name = 'x' WHERE id = 1")
        .execute(&mut bench.conn())
        .unwrap();
    assert!(bench.ended().is_empty());
    bench.watch_sql("own", "INSERT INTO users (email, name) VALUES ('e', 'e')");
    sql_query("DELETE FROM users WHERE id = 5")
        .execute(&mut bench.conn())
        .unwrap();
    assert_eq!(bench.ended(), ["users:5"]);
}

#[test]
fn rows_that_were_only_read_end_nothing() {
    let bench = Bench::with_users();
    bench.handler_on_db("reads", |conn| users::table.load::<User>(conn));
    assert!(is_stored(&bench.get("reads")));
    bench.execute("DELETE FROM users");
    assert_eq!(bench.ended_by("reads"), None);
}
