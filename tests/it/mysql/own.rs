//! What statements of the MySQL family are known to change.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::{delete, insert_into, insert_or_ignore_into, replace_into, sql_query, update};

use super::C;
use crate::bench::{ALL_USERS, Bench as AnyBench, Tracked};
use crate::database::{NewUser, memberships, users};
use crate::tables::{CHILDREN, LABELS};

type Bench = AnyBench<C>;

fn new_user(name: &str) -> NewUser {
    NewUser {
        email: format!("{name}@new.b.c"),
        name: name.to_owned(),
    }
}

/// What a statement in SQL ends of the users' replies, on a fresh bench, and how many rows it counts.
fn counted(sql: &str) -> (usize, Vec<String>) {
    let bench = Bench::with_users();
    bench.watch_users();
    let counted = sql_query(sql).execute(&mut bench.conn());
    let counted = counted.unwrap_or_else(|error| panic!("{sql}: {error}"));
    (counted, bench.ended())
}

#[test]
fn new_rows_are_found_by_the_numbers_that_they_get() {
    for names in [&["d"][..], &["d", "e"], &["d", "e", "f"]] {
        let bench = Bench::with_users();
        bench.watch_users();
        let numbered = "ALTER TABLE users AUTO_INCREMENT = 4";
        bench.bare().batch_execute(numbered).unwrap();
        let rows: Vec<_> = names.iter().map(|name| new_user(name)).collect();
        let insert = insert_into(users::table).values(&rows);
        assert_eq!(insert.execute(&mut bench.conn()), Ok(names.len()));
        let numbers = ["users:4", "users:5"];
        assert_eq!(bench.ended(), numbers[..names.len().min(2)]);
    }
}

#[test]
fn a_row_of_default_values_is_found() {
    let bench =
        Bench::with("ALTER TABLE users ALTER email SET DEFAULT '', ALTER name SET DEFAULT ''");
    bench.watch("new", |conn| {
        insert_into(users::table).default_values().execute(conn)
    });
    assert_eq!(
        update(users::table)
            .set(users::name.eq("x"))
            .execute(&mut bench.conn()),
        Ok(1)
    );
    assert_eq!(bench.ended(), ["users:1"]);
}

#[test]
fn new_rows_are_found_by_the_keys_that_they_are_given() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let rows = [(4, "d"), (5, "e")].map(|(id, name)| {
            (
                users::id.eq(id),
                users::email.eq(name),
                users::name.eq(name),
            )
        });
        assert_eq!(
            insert_into(users::table).values(&rows[..1]).execute(conn),
            Ok(1)
        );
        let one = (users::id.eq(5), users::email.eq("e"), users::name.eq("e"));
        assert_eq!(insert_into(users::table).values(one).execute(conn), Ok(1));
    });
    assert_eq!(ended, ["users:4", "users:5"]);
}

#[test]
fn an_upsert_changes_the_row_that_is_in_its_way() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let insert = insert_into(users::table)
            .values((users::email.eq("b@b.c"), users::name.eq("new")))
            .on_conflict(diesel::dsl::DuplicatedKeys)
            .do_update()
            .set(users::name.eq("old"));
        assert_eq!(insert.execute(conn), Ok(2));
    });
    assert_eq!(ended, ["users:2"]);
}

#[test]
fn a_replacement_changes_the_row_of_its_key_and_where_others_may_go_the_table() {
    assert_eq!(
        counted("REPLACE INTO users (id, email, name) VALUES (4, 'x@b.c', 'x')"),
        (1, vec!["users:4".to_owned()])
    );
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let row = (
            users::id.eq(4),
            users::email.eq("b@b.c"),
            users::name.eq("x"),
        );
        assert_eq!(replace_into(users::table).values(row).execute(conn), Ok(2));
    });
    assert_eq!(ended, ALL_USERS);
}

#[test]
fn a_row_that_is_ignored_ends_nothing() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let row = (
            users::id.eq(4),
            users::email.eq("b@b.c"),
            users::name.eq("x"),
        );
        assert_eq!(
            insert_or_ignore_into(users::table)
                .values(row)
                .execute(conn),
            Ok(0)
        );
    });
    assert!(ended.is_empty(), "{ended:?}");
    assert_eq!(
        counted(
            "INSERT IGNORE INTO users (id, email, name) VALUES (4, 'x@b.c', 'x'), (2, 'y', 'y')"
        ),
        (1, vec!["users:4".to_owned()])
    );
}

#[test]
fn rows_that_a_condition_chooses_are_known_however_it_is_written() {
    for sql in [
        "UPDATE users SET name = 'x' WHERE id = 2",
        "update `users` as u set u.name = 'x' where u.id = 2;",
        "UPDATE users SET name = 'x' ORDER BY name LIMIT 1",
        "UPDATE users SET name = 'x' WHERE id > 1 ORDER BY users.id ASC LIMIT 1",
        "UPDATE users SET name = 'x' WHERE id = (SELECT m FROM (SELECT MAX(id) - 1 AS m FROM users) AS q)",
        "UPDATE users u JOIN memberships m ON m.team = u.id SET u.name = 'x'",
        "DELETE FROM users WHERE name = 'Bob' -- Bob",
        "DELETE u FROM users u JOIN memberships m ON m.team = u.id",
        "DELETE FROM u USING users AS u JOIN memberships m ON m.team = u.id WHERE u.id > 0",
    ] {
        let bench = Bench::with_users_and("INSERT INTO memberships VALUES (2, 'a', 'r')");
        bench.watch_users();
        let counted = sql_query(sql).execute(&mut bench.conn());
        assert_eq!(counted, Ok(1), "{sql}");
        // Which rows LIMIT takes is not settled by the condition alone.
        let expected: &[&str] = match sql.contains("ORDER BY name") {
            true => &ALL_USERS,
            false => &["users:2"],
        };
        assert_eq!(bench.ended(), expected, "{sql}");
    }
}

#[test]
fn a_key_that_is_set_to_a_constant_ends_the_replies_of_both_keys() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        let target = users::table.find(3);
        assert_eq!(update(target).set(users::id.eq(4)).execute(conn), Ok(1));
    });
    assert_eq!(ended, ["users:3", "users:4"]);
}

#[test]
fn a_key_that_is_added_to_ends_the_replies_of_both_keys() {
    let ended = |sql| ended_users_of(sql);
    assert_eq!(
        ended("UPDATE users SET id = id + 1 ORDER BY id DESC"),
        ["users:1", "users:2", "users:3", "users:4"]
    );
    assert_eq!(
        ended("UPDATE users SET id = users.id + 1 WHERE id = 3"),
        ["users:3", "users:4"]
    );
    // Its new key is what the query says.
    assert_eq!(
        ended("UPDATE users SET id = (SELECT 4) WHERE id = 3"),
        ALL_USERS
    );
}

fn ended_users_of(sql: &str) -> Vec<String> {
    counted(sql).1
}

#[test]
fn h11_a_cascade_ends_the_replies_of_the_children() {
    let bench = Bench::with(CHILDREN);
    for table in ["posts", "notes"] {
        for id in 1..=3 {
            let sql = format!("UPDATE {table} SET id = id WHERE id = {id}");
            bench.watch_sql(table, &sql);
        }
    }
    delete(users::table.find(2))
        .execute(&mut bench.conn())
        .unwrap();
    assert_eq!(bench.ended(), ["posts:2", "notes:2"]);
}

#[test]
fn h11_a_trigger_ends_the_replies_of_the_tables_that_it_changes() {
    let bench = Bench::with(&format!(
        "{CHILDREN}; CREATE TRIGGER noting AFTER INSERT ON audits FOR EACH ROW UPDATE notes SET body = 'seen' WHERE id = 2"
    ));
    bench.watch_sql("note", "UPDATE notes SET body = body WHERE id = 1");
    bench.watch_sql("user", "UPDATE users SET name = name WHERE id = 1");
    sql_query("INSERT INTO audits (what) VALUES ('x')")
        .execute(&mut bench.conn())
        .unwrap();
    assert_eq!(bench.ended(), ["notes:*"]);
}

#[test]
fn h09_two_spellings_of_one_key_are_one_key() {
    let bench = Bench::with(
        "ALTER TABLE memberships MODIFY member VARCHAR(191) COLLATE utf8mb4_unicode_ci NOT NULL",
    );
    sql_query("INSERT INTO memberships VALUES (1, 'Zo\u{eb}', 'guest'), (1, 'zoa', 'guest')")
        .execute(&mut bench.conn())
        .unwrap();
    let remove = |conn: &mut Tracked<C>, member: &str| {
        let target = memberships::table.filter(memberships::member.eq(member.to_owned()));
        delete(target).execute(conn)
    };
    bench.watch("other", move |conn| remove(conn, "zoa"));
    bench.watch("removed", move |conn| remove(conn, "ZOE"));
    let insert = "INSERT INTO memberships VALUES (1, 'zO\u{e9} ', 'guest')";
    sql_query(insert).execute(&mut bench.conn()).unwrap();
    assert_eq!(bench.ended().len(), 1);
}

#[test]
fn keys_of_time_do_not_depend_on_the_sessions_time_zone() {
    use crate::tables::moments;
    let bench = Bench::with(
        "CREATE TABLE moments (id TIMESTAMP(3) NOT NULL PRIMARY KEY, hits INTEGER NOT NULL)",
    );
    let insert =
        "INSERT INTO moments VALUES ('2026-01-02 03:04:05.678', 0), ('2026-01-02 04:04:05.678', 0)";
    sql_query(insert).execute(&mut bench.conn()).unwrap();
    let update = "UPDATE moments SET hits = hits + 1 WHERE id = '2026-01-02 03:04:05.678'";
    bench.watch_sql("moment", update);
    let mut conn = bench.conn();
    conn.batch_execute("SET time_zone = '+01:00'").unwrap();
    assert_eq!(moments::table.count().get_result(&mut conn), Ok(2_i64));
    assert_eq!(sql_query(update).execute(&mut conn), Ok(0));
    let shifted = "UPDATE moments SET hits = 9 WHERE id = '2026-01-02 04:04:05.678'";
    assert_eq!(sql_query(shifted).execute(&mut conn), Ok(1));
    assert_eq!(bench.ended().len(), 1);
}

#[test]
fn h53_a_row_that_comes_between_the_query_and_the_statement_is_not_overlooked() {
    use diesel::connection::InstrumentationEvent;
    let bench = Bench::with_users();
    bench.watch_users();
    let mut conn = bench.conn();
    conn.batch_execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        .unwrap();
    let mut other = bench.bare();
    let mut met = 0;
    conn.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event
            && query.to_string().starts_with("UPDATE")
        {
            let moves = "UPDATE users SET email = 'bob' WHERE id = 1";
            sql_query(moves).execute(&mut other).unwrap();
            met += 1;
            assert_eq!(met, 1);
        }
    });
    let updated =
        sql_query("UPDATE users SET name = 'x' WHERE email IN ('b@b.c', 'bob')").execute(&mut conn);
    assert_eq!(updated, Ok(2));
    assert_eq!(bench.ended(), ALL_USERS);
}

#[test]
fn h11_rows_behind_written_values_and_of_joins_are_not_overlooked() {
    for (sql, expected) in [
        (
            "INSERT INTO users (id, email, name) VALUES (4, 'd', 'd') UNION ALL SELECT 5, 'e', 'e'",
            &ALL_USERS[..],
        ),
        (
            "UPDATE users STRAIGHT_JOIN memberships m SET users.name = 'x' WHERE m.team = 2",
            &["users:1", "users:2", "users:3"],
        ),
        (
            "SET STATEMENT max_statement_time = 60 FOR UPDATE users SET name = 'x'",
            &ALL_USERS[..],
        ),
        (
            "ANALYZE UPDATE users SET name = 'x' WHERE id = 1",
            &ALL_USERS[..],
        ),
        (
            "/*!50000 UPDATE users SET name = 'x' WHERE id = 1 */",
            &ALL_USERS[..],
        ),
        (
            "UPDATE users SET name = 'x' WHERE id = 1 /*M!100000 OR id = 2 */",
            &ALL_USERS[..],
        ),
    ] {
        let bench = Bench::with_users_and("INSERT INTO memberships VALUES (2, 'a', 'r')");
        bench.watch_users();
        sql_query(sql).execute(&mut bench.conn()).unwrap();
        assert_eq!(bench.ended(), expected, "{sql}");
    }
}

#[test]
fn h17_what_was_committed_unseen_ends_replies_though_it_is_rolled_back() {
    let bench = Bench::with_users();
    let ended = bench.ended_users(|conn| {
        conn.batch_execute("BEGIN").unwrap();
        let rename = "UPDATE users SET name = 'x' WHERE id = 1";
        sql_query(rename).execute(conn).unwrap();
        // Nobody has told us of this one.
        conn.untracked()
            .batch_execute("CREATE TABLE made (id INTEGER)")
            .unwrap();
        conn.batch_execute("ROLLBACK").unwrap();
    });
    assert_eq!(ended, ["users:1"]);
}

#[test]
fn a_new_key_that_is_made_of_another_tables_column_is_not_computed_from_ones_own() {
    let sql = "UPDATE users u JOIN users v ON v.id = u.id - 1 SET u.id = v.id + 2 WHERE u.id = 3";
    super::proof::changes("", "", sql, &[3, 4]);
}

#[test]
fn a_computed_key_that_ignore_makes_fit_is_not_taken_for_what_it_was_to_be() {
    for (kind, sql, key) in [
        (
            "TINYINT",
            "UPDATE IGNORE labels SET name = name + 100",
            "127",
        ),
        (
            "TINYINT UNSIGNED",
            "UPDATE IGNORE labels SET name = name + 200",
            "255",
        ),
    ] {
        let bench = Bench::with(&format!(
            "{LABELS}; ALTER TABLE labels MODIFY name {kind}; INSERT INTO labels VALUES (100, 0), ({key}, 0)"
        ));
        let gone = format!("DELETE FROM labels WHERE name = {key}");
        bench.watch_sql("label", &gone);
        assert_eq!(sql_query(sql).execute(&mut bench.conn()), Ok(1), "{sql}");
        assert_eq!(bench.ended(), ["labels:*"], "{sql}");
    }
}

#[test]
fn a_key_that_each_update_sets_to_the_time_is_not_told_by_its_old_value() {
    let kind = "TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP";
    let bench = Bench::with(&format!(
        "{LABELS}; ALTER TABLE labels MODIFY name {kind}; INSERT INTO labels VALUES ('2001-01-01', 0), ('2020-01-01', 0)"
    ));
    bench.watch_sql("label", "DELETE FROM labels WHERE name = '2020-01-01'");
    let mut conn = bench.conn();
    conn.batch_execute("SET timestamp = UNIX_TIMESTAMP('2020-01-01')")
        .unwrap();
    let sql = "UPDATE labels SET hits = 5";
    assert_eq!(sql_query(sql).execute(&mut conn), Ok(1));
    assert_eq!(bench.ended().len(), 1);
}
