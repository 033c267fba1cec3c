//! Deadlocks between two that are done once, as the database sees them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::{HttpRequest, post, web};
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
            .service(cross);
    })
}

#[test]
fn a_deadlock_begins_one_of_them_anew_and_each_is_done_once() {
    let (_home, url) = C::fresh(USERS);
    let meeting = Meeting::default();
    let served = process(&url, &meeting);
    let address = served.address;
    let ask = |path: &'static str, key: &'static str| {
        std::thread::spawn(move || {
            http::send(address, "POST", path, &[("Idempotency-Key", key)], b"{}")
        })
    };
    let both = [ask("/cross/1/2", "k"), ask("/cross/2/1", "l")];
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
