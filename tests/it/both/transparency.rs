//! A tracked connection answers as the connection inside would.

use diesel::connection::{AnsiTransactionManager, SimpleConnection, TransactionManager};
use diesel::prelude::*;
use diesel::sql_query;

use super::C;
use crate::bench::{Bench as AnyBench, Tracked, events};
use crate::database::{User, users};
use crate::tables::{CHILDREN, LABELS, labels};

type Bench = AnyBench<C>;

/// A tracked connection and a bare one, each to a database of its own with the same rows.
fn pair() -> [Bench; 2] {
    [Bench::with(CHILDREN), Bench::with(CHILDREN)]
}

const STATEMENTS: [&str; 22] = [
    "INSERT INTO users (id, email, name) VALUES (4, 'd', 'd')",
    "INSERT INTO users (id, email, name) VALUES (5, 'e', 'e'), (6, 'f', 'f')",
    "INSERT INTO users (id, email, name) VALUES (7, 'd', 'twice')",
    "INSERT INTO users (id, email, name) VALUES (7, NULL, 'g')",
    "INSERT INTO users (id, email, name) VALUES (8, 'h', 'h') ON CONFLICT DO NOTHING",
    "INSERT INTO users (id, email, name) VALUES (8, 'h', 'h') ON CONFLICT DO NOTHING",
    "INSERT INTO posts VALUES (9, 99)",
    "UPDATE users SET name = 'x'",
    "UPDATE users SET name = 'x' WHERE id = 99",
    "UPDATE users SET email = 'd' WHERE id = 1",
    "UPDATE users SET nowhere = 'd' WHERE id = 1",
    "UPDATE users SET name = 'x' WHERE id = 1 RETURNING id",
    "UPDATE users SET",
    "UPDATE nowhere SET name = 'x'",
    "DELETE FROM posts WHERE id < 3",
    "DELETE FROM posts",
    "DELETE FROM posts",
    "DELETE FROM users WHERE id = 4 RETURNING nowhere",
    "INSERT INTO audits (what) VALUES (NULL)",
    "SELECT * FROM users",
    "SELECT * FROM nowhere",
    "nonsense",
];

#[test]
fn counts_and_errors_are_those_of_the_bare_connection() {
    let [tracked, bare] = pair();
    let (mut ours, mut theirs) = (tracked.conn(), bare.bare());
    for sql in STATEMENTS {
        let (got, expected) = (
            sql_query(sql).execute(&mut ours),
            sql_query(sql).execute(&mut theirs),
        );
        assert_eq!(format!("{got:?}"), format!("{expected:?}"), "{sql}");
    }
}

#[test]
fn counts_and_errors_are_the_same_within_transactions() {
    let [tracked, bare] = pair();
    let (mut ours, mut theirs) = (tracked.conn(), bare.bare());
    for sql in STATEMENTS {
        let got = ours.transaction(|conn| sql_query(sql).execute(conn));
        let expected = theirs.transaction(|conn| sql_query(sql).execute(conn));
        assert_eq!(format!("{got:?}"), format!("{expected:?}"), "{sql}");
    }
}

#[test]
fn batches_succeed_and_fail_as_on_the_bare_connection() {
    let [tracked, bare] = pair();
    let (mut ours, mut theirs) = (tracked.conn(), bare.bare());
    for batch in [
        "UPDATE users SET name = 'x'; DELETE FROM posts",
        "DELETE FROM notes; nonsense",
        "DELETE FROM users; INSERT INTO posts VALUES (1, 1)",
        "COMMIT",
        "",
        " ; ",
        "-- nothing",
    ] {
        let (got, expected) = (ours.batch_execute(batch), theirs.batch_execute(batch));
        assert_eq!(format!("{got:?}"), format!("{expected:?}"), "{batch}");
        let rows = |conn: &mut C| users::table.load::<User>(conn).unwrap();
        assert_eq!(rows(&mut tracked.bare()), rows(&mut bare.bare()), "{batch}");
    }
}

#[test]
fn what_a_violated_constraint_says_is_kept() {
    let [tracked, bare] = pair();
    let sql = "INSERT INTO users (id, email, name) VALUES (7, 'a@b.c', 'twice')";
    let told = |error: diesel::result::Error| match error {
        diesel::result::Error::DatabaseError(_, about) => format!(
            "{} {:?} {:?} {:?} {:?} {:?} {:?}",
            about.message(),
            about.details(),
            about.hint(),
            about.table_name(),
            about.column_name(),
            about.constraint_name(),
            about.statement_position()
        ),
        other => other.to_string(),
    };
    let got = sql_query(sql).execute(&mut tracked.conn()).unwrap_err();
    let expected = sql_query(sql).execute(&mut bare.bare()).unwrap_err();
    assert_eq!(told(got), told(expected));
}

#[test]
fn a_row_that_is_not_there_is_not_found() {
    let bench = Bench::with_users();
    let mut conn = bench.conn();
    let update = diesel::update(users::table.find(9)).set(users::name.eq("x"));
    let updated = update.returning(users::id).get_result::<i32>(&mut conn);
    assert_eq!(updated, Err(diesel::result::Error::NotFound));
    assert_eq!(
        users::table.find(9).first::<User>(&mut conn).optional(),
        Ok(None)
    );
}

#[test]
fn a_row_has_the_columns_that_were_asked_for() {
    let bench = Bench::with_users();
    let mut conn = bench.conn();
    let update = diesel::update(users::table.find(1)).set(users::name.eq("x"));
    let row = update
        .returning((users::name, users::email))
        .get_result::<(String, String)>(&mut conn);
    assert_eq!(row, Ok(("x".to_owned(), "a@b.c".to_owned())));
    let counted = diesel::delete(users::table.find(2)).returning(users::email.eq("b@b.c"));
    assert_eq!(counted.get_results::<bool>(&mut conn), Ok(vec![true]));
}

fn depth<C>(conn: &mut C) -> Option<u32>
where
    C: Connection<TransactionManager = AnsiTransactionManager>,
{
    let status = AnsiTransactionManager::transaction_manager_status_mut(conn);
    status
        .transaction_depth()
        .unwrap()
        .map(std::num::NonZeroU32::get)
}

/// The depths seen in nested transactions with changes in them, and after one that failed.
fn depths<C: Connection<TransactionManager = AnsiTransactionManager>>(
    conn: &mut C,
    change: impl Fn(&mut C, &str) -> QueryResult<usize>,
) -> Vec<Option<u32>> {
    let mut seen = vec![depth(conn)];
    change(conn, "UPDATE users SET name = 'x' WHERE id = 1").unwrap();
    seen.push(depth(conn));
    let _ = conn.transaction(|conn| {
        change(conn, "UPDATE users SET name = 'x' WHERE id = 1")?;
        seen.push(depth(conn));
        let _ = conn.transaction(|conn| {
            seen.push(depth(conn));
            change(conn, "UPDATE users SET nowhere = 1")
        });
        seen.push(depth(conn));
        Err::<(), _>(diesel::result::Error::RollbackTransaction)
    });
    let _ = change(conn, "UPDATE users SET nowhere = 1");
    seen.push(depth(conn));
    seen
}

#[test]
fn the_depth_of_transactions_is_that_of_the_bare_connection() {
    let [tracked, bare] = pair();
    let ours = depths::<Tracked<C>>(&mut tracked.conn(), |conn, sql| {
        sql_query(sql).execute(conn)
    });
    let theirs = depths::<C>(&mut bare.bare(), |conn, sql| sql_query(sql).execute(conn));
    assert_eq!(ours, theirs);
    assert_eq!(ours, [None, None, Some(1), Some(2), Some(1), None]);
}

#[test]
fn instrumentation_sees_statements_and_transactions() {
    let bench = Bench::with_users();
    let seen = events(&mut *bench.conn(), |conn| {
        conn.transaction(|conn| diesel::delete(users::table.find(1)).execute(conn))
            .unwrap();
    });
    let has = |text: &str| seen.iter().any(|event| event.starts_with(text));
    assert!(
        has("begin 1") && has("commit 1") && has("start DELETE FROM"),
        "{seen:?}"
    );
}

#[test]
fn prepared_statements_are_made_as_often_as_on_the_bare_connection() {
    /// For both connections, which have no trait in common that Diesel's queries would take.
    macro_rules! prepared {
        ($conn:expr) => {
            events($conn, |conn| {
                for id in [1, 2, 3] {
                    let insert = diesel::insert_into(labels::table)
                        .values((labels::name.eq(id.to_string()), labels::hits.eq(id)));
                    insert.execute(conn).unwrap();
                    labels::table
                        .select(labels::hits)
                        .filter(labels::hits.eq(id))
                        .first::<i32>(conn)
                        .unwrap();
                    diesel::delete(labels::table.filter(labels::hits.eq(id)))
                        .execute(conn)
                        .unwrap();
                }
            })
        };
    }
    let [tracked, bare] = [Bench::with(LABELS), Bench::with(LABELS)];
    let mut conn = tracked.conn();
    sql_query("DELETE FROM labels").execute(&mut conn).unwrap();
    let made = |events: Vec<String>| {
        events
            .iter()
            .filter(|event| event.starts_with("cache "))
            .count()
    };
    let (ours, theirs) = (
        made(prepared!(&mut *conn)),
        made(prepared!(&mut bare.bare())),
    );
    assert_eq!(ours, theirs);
    assert_eq!(made(prepared!(&mut *conn)), 0);
}
