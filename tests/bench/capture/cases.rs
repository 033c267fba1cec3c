//! What is measured, in the types of one database: Diesel ties a query to its backend.

use diesel::connection::LoadConnection;
use diesel::prelude::*;
use idempotent_runtime::TrackedConnection;

use super::{Backend, C};
use crate::database::{Case, Work};
use crate::tables::{NewUser, ROWS, TEAMS, User, users};

/// The same function for the bare connection and for the tracked one.
macro_rules! work {
    ($function:ident) => {
        Work {
            bare: $function::<C>,
            tracked: $function::<TrackedConnection<C>>,
        }
    };
}

/// The changes' goal is the database's own; a read's is the same everywhere.
pub(super) fn cases(change: f64) -> Vec<Case<C>> {
    vec![
        Case::read("select of 1 row", 8, work!(select_one)),
        Case::read("select of 1,000 rows", 1, work!(select_thousand)),
        Case::change("insert", change, 200, work!(insert)),
        Case::change("update by key", change, 200, work!(update)),
        Case::change("delete by key", change, 200, work!(delete)),
        Case::change("update of 100 rows", change, TEAMS, work!(update_hundred)),
        Case::beside("update by key, autocommitted", work!(update)),
        Case::beside("BEGIN, update by key, COMMIT", work!(transaction)),
    ]
}

pub(super) fn key(n: i32) -> i32 {
    n % ROWS + 1
}

pub(super) fn newcomer(n: i32) -> NewUser {
    NewUser {
        email: "new@example.org",
        name: "Newcomer",
        team: n % TEAMS,
    }
}

fn select_one<Conn>(conn: &mut Conn, n: i32) -> QueryResult<usize>
where
    Conn: LoadConnection<Backend = Backend>,
{
    let user: User = users::table.find(key(n)).first(conn)?;
    Ok(user.name.len())
}

fn select_thousand<Conn>(conn: &mut Conn, _: i32) -> QueryResult<usize>
where
    Conn: LoadConnection<Backend = Backend>,
{
    let all: Vec<User> = users::table.load(conn)?;
    Ok(all.len())
}

pub(super) fn insert<Conn>(conn: &mut Conn, n: i32) -> QueryResult<usize>
where
    Conn: LoadConnection<Backend = Backend>,
{
    diesel::insert_into(users::table)
        .values(&newcomer(n))
        .execute(conn)
}

pub(super) fn update<Conn>(conn: &mut Conn, n: i32) -> QueryResult<usize>
where
    Conn: LoadConnection<Backend = Backend>,
{
    diesel::update(users::table.find(key(n)))
        .set(users::name.eq("Renamed"))
        .execute(conn)
}

pub(super) fn delete<Conn>(conn: &mut Conn, n: i32) -> QueryResult<usize>
where
    Conn: LoadConnection<Backend = Backend>,
{
    diesel::delete(users::table.find(key(n))).execute(conn)
}

pub(super) fn update_hundred<Conn>(conn: &mut Conn, n: i32) -> QueryResult<usize>
where
    Conn: LoadConnection<Backend = Backend>,
{
    diesel::update(users::table.filter(users::team.eq(n % TEAMS)))
        .set(users::name.eq("Renamed"))
        .execute(conn)
}

fn transaction<Conn>(conn: &mut Conn, n: i32) -> QueryResult<usize>
where
    Conn: LoadConnection<Backend = Backend>,
{
    conn.transaction(|conn| update(conn, n))
}
