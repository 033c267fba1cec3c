//! Deadlocks between two that are done once, as the database sees them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::{HttpRequest, ResponseError, post, web};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::update;
use idempotent_runtime::{
    Db, Error, Idempotent, Principal, Reply, TrackedConnection, idempotent, once,
};
use support::http;

use super::C;
use crate::app::{Served, serve};
use crate::bench::{Kind, USERS};
use crate::database::users;

/// How many transactions hold their first row.
#[derive(Clone, Default)]
struct Meeting {
    holding: Arc<AtomicUsize>,
    attempts: Arc<AtomicUsize>,
}

fn add_x(conn: &mut TrackedConnection<C>, id: i32) -> QueryResult<usize> {
    update(users::table.find(id))
        .set(users::name.eq(diesel::dsl::sql::<diesel::sql_types::Text>(
            "concat(name, 'x')",
        )))
        .execute(conn)
}

/// The same, as one text that is not prepared, in which a parameter would have no value.
fn add_x_in_text(conn: &mut TrackedConnection<C>, id: i32) -> QueryResult<()> {
    conn.batch_execute(&format!(
        "UPDATE users SET name = concat(name, 'x') WHERE id = {id} /* ? */"
    ))
}

/// An application's own error, which does not tell what is in it.
#[derive(Debug)]
struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a failure: {}", self.0)
    }
}

impl ResponseError for Failure {}

/// What a closure makes of its statements' errors.
fn attempt(
    conn: &mut TrackedConnection<C>,
    how: &str,
    meeting: &Meeting,
    [first, second]: [i32; 2],
) -> Result<Reply, Failure> {
    meeting.attempts.fetch_add(1, Ordering::SeqCst);
    add_x(conn, first).map_err(Error::from)?;
    meeting.holding.fetch_add(1, Ordering::SeqCst);
    support::eventually("both hold a row", || {
        meeting.holding.load(Ordering::SeqCst) >= 2
    });
    match how {
        "own" => drop(add_x(conn, second).map_err(Error::from)?),
        "text" => add_x_in_text(conn, second).map_err(Error::from)?,
        "inner" => conn
            .transaction(|conn| add_x_in_text(conn, second))
            .map_err(Error::from)?,
        _ => drop(add_x(conn, second)),
    }
    Ok(Reply::json(200, &first).map_err(Error::from)?)
}

#[post("/cross/{how}/{first}/{second}")]
#[idempotent(once = 86400, key = header("Idempotency-Key"))]
async fn cross_and_fail_otherwise(
    request: HttpRequest,
    meeting: web::Data<Meeting>,
    db: Db<C>,
) -> actix_web::Result<Reply> {
    let part = |name| request.match_info().query(name).parse::<i32>().unwrap();
    let rows = [part("first"), part("second")];
    let how = request.match_info().query("how").to_owned();
    let reply = db.once(move |conn| attempt(conn, &how, &meeting, rows));
    Ok(reply.await?)
}

#[post("/cross/{first}/{second}")]
#[idempotent(once = 86400, key = header("Idempotency-Key"))]
async fn cross(
    request: HttpRequest,
    meeting: web::Data<Meeting>,
    db: Db<C>,
) -> actix_web::Result<Reply> {
    let part = |name| request.match_info().query(name).parse::<i32>().unwrap();
    let (first, second) = (part("first"), part("second"));
    let reply = db.once(move |conn| {
        meeting.attempts.fetch_add(1, Ordering::SeqCst);
        add_x(conn, first)?;
        meeting.holding.fetch_add(1, Ordering::SeqCst);
        support::eventually("both hold a row", || {
            meeting.holding.load(Ordering::SeqCst) >= 2
        });
        add_x(conn, second)?;
        Ok::<_, Error>(Reply::json(200, &first)?)
    });
    Ok(reply.await?)
}

fn process(url: &str, meeting: &Meeting) -> Served {
    let idempotent = Idempotent::builder("it")
        .principal(Principal::Anonymous)
        .build();
    let pool = idempotent
        .pool_builder::<C>()
        .max_size(4)
        .build(url)
        .unwrap();
    once::migrate(&mut pool.get().unwrap()).unwrap();
    idempotent.once_on(&pool).unwrap();
    let (registered, data) = (idempotent.configure(&pool), web::Data::new(meeting.clone()));
    serve(move |config| {
        config
            .configure(registered.clone())
            .app_data(data.clone())
            .service(cross)
            .service(cross_and_fail_otherwise);
    })
}

/// Two that meet in a deadlock.
fn cross_on(prefix: &str) {
    let (_home, url) = C::fresh(USERS);
    let meeting = Meeting::default();
    let served = process(&url, &meeting);
    let address = served.address;
    let ask = |rows: &str, key: &'static str| {
        let path = format!("{prefix}/{rows}");
        std::thread::spawn(move || {
            http::send(address, "POST", &path, &[("Idempotency-Key", key)], b"{}")
        })
    };
    let both = [ask("1/2", "k"), ask("2/1", "l")];
    for one in both {
        let reply = one.join().unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    assert!(meeting.attempts.load(Ordering::SeqCst) > 2);
    let names: Vec<String> = users::table
        .filter(users::id.le(2))
        .order(users::id)
        .select(users::name)
        .load(&mut C::establish(&url).unwrap())
        .unwrap();
    assert_eq!(names, ["Annxx", "Bobxx"]);
}

#[test]
fn a_deadlock_begins_one_of_them_anew_and_each_is_done_once() {
    cross_on("/cross");
}

#[test]
fn a_deadlock_in_an_error_of_the_application_s_own_does_so_too() {
    cross_on("/cross/own");
}

#[test]
fn a_deadlock_in_a_text_that_is_not_prepared_does_so_too() {
    cross_on("/cross/text");
}

#[test]
fn a_deadlock_in_a_savepoint_does_so_too() {
    cross_on("/cross/inner");
}

#[test]
fn a_deadlock_that_was_swallowed_does_so_too() {
    cross_on("/cross/swallowed");
}
