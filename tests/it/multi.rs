//! One connection for several databases: Diesel's `MultiConnection` over tracked connections.

use diesel::prelude::*;
use diesel::r2d2::R2D2Connection;
use diesel::result::Error;
use idempotent_runtime::TrackedConnection;

use crate::bench::{Bench, Kind};
use crate::database::{NewUser, User, users};

// The derive writes `Sqlite::establish(…)`, so each variant's type must be a path without arguments.
type Sqlite = TrackedConnection<SqliteConnection>;
type Pg = TrackedConnection<PgConnection>;

#[derive(diesel::MultiConnection)]
pub enum AnyConnection {
    Pg(Pg),
    Sqlite(Sqlite),
}

fn rename(conn: &mut AnyConnection, id: i32, name: &str) -> QueryResult<usize> {
    diesel::update(users::table.find(id))
        .set(users::name.eq(name))
        .execute(conn)
}

fn names(conn: &mut AnyConnection) -> Vec<String> {
    let names = users::table.order(users::id).select(users::name);
    names.load(conn).unwrap()
}

/// Attached by hand, then given to the enum.
fn conn<C: Kind>(
    bench: &Bench<C>,
    any: fn(TrackedConnection<C>) -> AnyConnection,
) -> AnyConnection {
    let mut conn = TrackedConnection::new(bench.bare());
    conn.attach(&bench.idempotent);
    any(conn)
}

fn selects_and_changes<C: Kind>(any: fn(TrackedConnection<C>) -> AnyConnection) {
    let bench = Bench::<C>::with_users();
    let mut conn = conn(&bench, any);
    bench.watch_users();
    assert_eq!(rename(&mut conn, 1, "x"), Ok(1));
    let new = NewUser {
        email: "d@b.c".to_owned(),
        name: "Dan".to_owned(),
    };
    let inserted = diesel::insert_into(users::table).values(&new);
    assert_eq!(inserted.execute(&mut conn), Ok(1));
    assert_eq!(
        diesel::delete(users::table.find(3)).execute(&mut conn),
        Ok(1)
    );
    assert_eq!(names(&mut conn), ["x", "Bob", "Dan"]);
    let user = users::table.find(4).select(User::as_select());
    assert_eq!(user.first(&mut conn).unwrap().email, "d@b.c");
    assert_eq!(bench.ended(), ["users:1", "users:3", "users:4"]);
}

fn nests_transactions<C: Kind>(any: fn(TrackedConnection<C>) -> AnyConnection) {
    let bench = Bench::<C>::with_users();
    let mut conn = conn(&bench, any);
    bench.watch_users();
    conn.transaction(|conn| {
        rename(conn, 1, "x")?;
        let undone = conn.transaction(|conn| {
            rename(conn, 2, "x")?;
            Err::<(), _>(Error::RollbackTransaction)
        });
        assert_eq!(undone, Err(Error::RollbackTransaction));
        rename(conn, 3, "x")
    })
    .unwrap();
    assert_eq!(names(&mut conn), ["x", "Bob", "x"]);
    assert_eq!(bench.ended(), ["users:1", "users:3"]);
}

fn reports_errors<C: Kind>(any: fn(TrackedConnection<C>) -> AnyConnection) {
    let bench = Bench::<C>::with_users();
    let mut conn = conn(&bench, any);
    let twice = diesel::update(users::table.find(1)).set(users::email.eq("b@b.c"));
    assert!(matches!(
        twice.execute(&mut conn),
        Err(Error::DatabaseError(
            diesel::result::DatabaseErrorKind::UniqueViolation,
            _
        ))
    ));
    let nobody = users::table.find(9).select(users::name);
    assert_eq!(nobody.first::<String>(&mut conn), Err(Error::NotFound));
    assert_eq!(conn.ping(), Ok(()));
    assert!(!conn.is_broken());
}

#[test]
fn an_enum_of_tracked_connections_selects_and_changes_on_sqlite() {
    selects_and_changes(AnyConnection::Sqlite);
}

#[test]
fn an_enum_of_tracked_connections_selects_and_changes_on_postgres() {
    selects_and_changes(AnyConnection::Pg);
}

#[test]
fn an_enum_of_tracked_connections_nests_transactions_on_sqlite() {
    nests_transactions(AnyConnection::Sqlite);
}

#[test]
fn an_enum_of_tracked_connections_nests_transactions_on_postgres() {
    nests_transactions(AnyConnection::Pg);
}

#[test]
fn an_enum_of_tracked_connections_reports_errors_on_sqlite() {
    reports_errors(AnyConnection::Sqlite);
}

#[test]
fn an_enum_of_tracked_connections_reports_errors_on_postgres() {
    reports_errors(AnyConnection::Pg);
}

#[test]
fn an_enum_of_tracked_connections_is_established_by_url() {
    let bench = Bench::<PgConnection>::with_users();
    let conn = AnyConnection::establish(&bench.url);
    assert!(conn.is_ok_and(|mut conn| names(&mut conn) == ["Ann", "Bob", "Cid"]));
}
