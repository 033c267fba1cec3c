//! What a database is to the bench, and each of them.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use idempotent_runtime::{Trackable, TrackedConnection};

mod mariadb;
mod postgres;
mod sqlite;

/// Times the bare connection's, within which a read must stay.
const READ: f64 = 1.03;

/// A connection of Diesel's with its cases.
pub(crate) trait Database: Trackable {
    /// As a heading.
    const NAME: &'static str;

    /// Whatever must live as long as its databases.
    type Home;

    fn home() -> Self::Home;

    /// A connection to a new database with the table of [`crate::tables`].
    fn fresh(home: &Self::Home) -> Self;

    /// The server's version, or the library's.
    fn version(&mut self) -> QueryResult<String>;

    fn cases() -> Vec<Case<Self>>;

    /// Removes what rolled back transactions have left.
    fn tidy(&mut self) -> QueryResult<()>;
}

/// The same work for both connections. `n` tells one call from the next.
pub(crate) struct Work<C> {
    pub(crate) bare: fn(&mut C, n: i32) -> QueryResult<usize>,
    pub(crate) tracked: fn(&mut TrackedConnection<C>, n: i32) -> QueryResult<usize>,
}

/// One line of the table.
pub(crate) struct Case<C> {
    pub(crate) name: &'static str,
    pub(crate) work: Work<C>,
    /// Times the bare connection's. `None`: it is reported beside the others.
    pub(crate) goal: Option<f64>,
    /// How many calls one open transaction is measured for, which is then rolled back. `None`: there is no open one.
    pub(crate) per_transaction: Option<i32>,
    /// How many calls before it is the other connection's turn.
    pub(crate) per_turn: i32,
}

impl<C> Case<C> {
    fn read(name: &'static str, per_turn: i32, work: Work<C>) -> Self {
        Self {
            name,
            work,
            goal: Some(READ),
            per_transaction: None,
            per_turn,
        }
    }

    fn change(name: &'static str, goal: f64, per_transaction: i32, work: Work<C>) -> Self {
        Self {
            name,
            work,
            goal: Some(goal),
            per_transaction: Some(per_transaction),
            per_turn: 5,
        }
    }

    fn floor(name: &'static str, per_transaction: i32, work: Work<C>) -> Self {
        Self {
            goal: None,
            ..Self::change(name, 0.0, per_transaction, work)
        }
    }

    fn beside(name: &'static str, work: Work<C>) -> Self {
        Self {
            name,
            work,
            goal: None,
            per_transaction: None,
            per_turn: 5,
        }
    }
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = diesel::sql_types::Text)]
    version: String,
}

fn established<C: Connection + SimpleConnection>(url: &str, schema: &str) -> C {
    let mut conn = C::establish(url).expect("the database is there");
    conn.batch_execute(schema).expect("the schema is right");
    conn
}
