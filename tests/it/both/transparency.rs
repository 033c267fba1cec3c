//! A tracked connection answers as the connection inside would.

use std::fmt::Debug;

use diesel::connection::{
    AnsiTransactionManager, LoadConnection, SimpleConnection, TransactionManager,
};
use diesel::prelude::*;
use diesel::result::Error;
use diesel::sql_query;

use super::C;
use crate::bench::{Bench as AnyBench, Tracked, events, sent};
use crate::database::{User, audits, users};
use crate::tables::{CHILDREN, LABELS, labels};

type Bench = AnyBench<C>;

type DB = <C as Connection>::Backend;

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
        assert_eq!(told(got), told(expected), "{sql}");
    }
}

#[test]
fn counts_and_errors_are_the_same_within_transactions() {
    let [tracked, bare] = pair();
    let (mut ours, mut theirs) = (tracked.conn(), bare.bare());
    for sql in STATEMENTS {
        let got = ours.transaction(|conn| sql_query(sql).execute(conn));
        let expected = theirs.transaction(|conn| sql_query(sql).execute(conn));
        assert_eq!(told(got), told(expected), "{sql}");
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
        "UPDATE users SET name = 'ä'; UPDATE users SET nowhere = 1",
        "SELECT 'ä'; SELECT nowhere FROM users",
        "COMMIT",
        "",
        " ; ",
        "-- nothing",
    ] {
        let (got, expected) = (ours.batch_execute(batch), theirs.batch_execute(batch));
        assert_eq!(told(got), told(expected), "{batch}");
        let rows = |conn: &mut C| users::table.load::<User>(conn).unwrap();
        assert_eq!(rows(&mut tracked.bare()), rows(&mut bare.bare()), "{batch}");
    }
}

/// Through a connection: rows, counts and errors of what the query builder makes.
fn built<D: LoadConnection<Backend = DB>>(conn: &mut D) -> Vec<String> {
    let (ann, bob) = (users::table.find(1), users::table.find(2));
    let zoe = (users::email.eq("z"), users::name.eq("Zoe"));
    let all = users::table.order(users::id);
    vec![
        told(all.load::<User>(conn)),
        told(all.select(User::as_select()).first(conn).optional()),
        told(
            diesel::insert_into(users::table)
                .values(zoe)
                .returning(users::all_columns)
                .get_result::<User>(conn),
        ),
        told(
            diesel::insert_into(users::table)
                .values(zoe)
                .returning(users::id)
                .get_result::<i32>(conn),
        ),
        told(
            diesel::insert_into(users::table)
                .values(zoe)
                .on_conflict_do_nothing()
                .execute(conn),
        ),
        told(
            diesel::insert_into(users::table)
                .values(zoe)
                .on_conflict(users::email)
                .do_update()
                .set(users::name.eq("y"))
                .execute(conn),
        ),
        told(
            diesel::update(ann)
                .set(users::name.eq("x"))
                .returning((users::name, users::id))
                .get_results::<(String, i32)>(conn),
        ),
        told(
            diesel::update(ann)
                .set(users::email.eq("b@b.c"))
                .execute(conn),
        ),
        told(
            diesel::update(users::table)
                .set(users::name.eq("all"))
                .execute(conn),
        ),
        told(
            diesel::update(users::table.find(99))
                .set(users::name.eq("x"))
                .returning(users::id)
                .get_result::<i32>(conn),
        ),
        told(
            diesel::delete(bob)
                .returning(users::email.eq("b@b.c"))
                .get_result::<bool>(conn),
        ),
        told(diesel::delete(bob).execute(conn)),
        told(
            diesel::insert_into(audits::table)
                .values(audits::what.eq("it"))
                .execute(conn),
        ),
        told(users::table.count().get_result::<i64>(conn)),
        told(all.load::<(i32, String, String)>(conn)),
    ]
}

#[test]
fn the_query_builder_gets_what_it_gets_from_the_bare_connection() {
    let [tracked, bare] = pair();
    assert_eq!(built(&mut *tracked.conn()), built(&mut bare.bare()));
}

/// Diesel's `Debug` of an error leaves out most of what the database told.
fn told<T: Debug>(result: QueryResult<T>) -> String {
    match result {
        Err(Error::DatabaseError(kind, about)) => format!(
            "{kind:?} {} {:?} {:?} {:?} {:?} {:?} {:?}",
            about.message(),
            about.details(),
            about.hint(),
            about.table_name(),
            about.column_name(),
            about.constraint_name(),
            about.statement_position()
        ),
        other => format!("{other:?}"),
    }
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

#[test]
fn a_row_has_no_other_columns() {
    use diesel::connection::{DefaultLoadingMode, LoadConnection};
    use diesel::row::Row;

    let bench = Bench::with_users();
    let mut conn = bench.conn();
    let select = users::table.select((users::id, users::name));
    let rows = LoadConnection::<DefaultLoadingMode>::load(&mut conn, select).unwrap();
    let seen: Vec<_> = rows
        .map(|row| row.unwrap())
        .map(|row| {
            (
                row.field_count(),
                row.get(1).is_some(),
                row.get(2).is_none(),
            )
        })
        .collect();
    assert_eq!(seen, [(2, true, true); 3]);
    let delete = diesel::delete(users::table).returning(users::id);
    let rows = LoadConnection::<DefaultLoadingMode>::load(&mut conn, delete).unwrap();
    let seen: Vec<_> = rows
        .map(|row| row.unwrap())
        .map(|row| {
            (
                row.field_count(),
                row.get(0).is_some(),
                row.get(1).is_none(),
            )
        })
        .collect();
    assert_eq!(seen, [(1, true, true); 3]);
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

/// What the server got, so a change comes with what makes it tell its rows, where that is needed.
#[test]
fn instrumentation_sees_statements_as_they_are_sent() {
    let [tracked, bare] = pair();
    let theirs = sent(&mut bare.bare(), built);
    let ours = sent(&mut *tracked.conn(), built);
    let mut rest = ours.iter();
    let mut told = 0;
    for sql in theirs {
        let same = rest.find(|sent| sent.starts_with(&sql));
        let same = same.unwrap_or_else(|| panic!("{sql}: {ours:?}"));
        told += usize::from(same.contains("__idempotent_key"));
    }
    assert!(told > 0, "{ours:?}");
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
