//! A retry gets the first reply.

use actix_web::{HttpResponse, Responder, get, put, web};
use diesel::prelude::*;
use idempotent_runtime::{Db, Idempotent, idempotent};

use crate::app::{Gate, Served, cache_status, is_replay, serve};
use crate::database::{NewUser, Sqlite, User, users};

#[get("/count")]
#[idempotent(cache = 15)]
async fn count(gate: web::Data<Gate>) -> impl Responder {
    format!("run {}", gate.pass().await)
}

#[put("/users")]
#[idempotent(cache = "1h")]
async fn put_user(
    form: web::Json<NewUser>,
    gate: web::Data<Gate>,
    db: Db<SqliteConnection>,
) -> actix_web::Result<impl Responder> {
    gate.pass().await;
    let form = form.into_inner();
    let user = db
        .run(move |conn| {
            diesel::insert_into(users::table)
                .values(&form)
                .on_conflict(users::email)
                .do_update()
                .set(users::name.eq(&form.name))
                .returning(User::as_returning())
                .get_result(conn)
        })
        .await?;
    Ok(web::Json(user))
}

#[put("/users/{id}/name")]
async fn rename(
    id: web::Path<i32>,
    name: String,
    db: Db<SqliteConnection>,
) -> actix_web::Result<impl Responder> {
    db.run(move |conn| {
        diesel::update(users::table.find(*id))
            .set(users::name.eq(name))
            .execute(conn)
    })
    .await?;
    Ok(HttpResponse::NoContent())
}

struct Fixture {
    served: Served,
    gate: Gate,
    _sqlite: Sqlite,
}

fn fixture(gate: Gate) -> Fixture {
    let sqlite = Sqlite::new();
    let idempotent = Idempotent::builder("it").explain(true).build();
    let pool = idempotent.pool::<SqliteConnection>(sqlite.url()).unwrap();
    let data = web::Data::new(gate.clone());
    let served = serve(move |config| {
        config
            .configure(idempotent.configure(&pool))
            .app_data(data.clone());
        config.service(count).service(put_user).service(rename);
    });
    Fixture {
        served,
        gate,
        _sqlite: sqlite,
    }
}

const ANN: &str = r#"{"email":"a@b.c","name":"Ann"}"#;

#[test]
fn a_retry_gets_the_first_reply() {
    let f = fixture(Gate::open());
    let first = f.served.get("/count");
    let retry = f.served.get("/count");
    assert_eq!((first.text(), retry.text()), ("run 1", "run 1"));
    assert!(!is_replay(&first) && is_replay(&retry));
}

#[test]
fn another_query_is_another_request() {
    let f = fixture(Gate::open());
    assert_eq!(f.served.get("/count?x=1").text(), "run 1");
    assert_eq!(f.served.get("/count?x=2").text(), "run 2");
}

#[test]
fn a_change_of_the_row_by_another_ends_the_reply() {
    let f = fixture(Gate::open());
    f.served.put("/users", ANN);
    assert!(is_replay(&f.served.put("/users", ANN)));
    assert_eq!(f.served.put("/users/1/name", "Bob").status, 204);
    let again = f.served.put("/users", ANN);
    assert!(!is_replay(&again));
    assert!(
        cache_status(&again).contains("fwd=stale") && cache_status(&again).contains("users:1"),
        "{again:?}"
    );
}

#[test]
fn duplicates_at_once_run_the_handler_once_and_all_get_its_reply() {
    let f = fixture(Gate::closed());
    let all: Vec<_> = (0..20)
        .map(|_| f.served.in_background("PUT", "/users", ANN))
        .collect();
    f.gate.await_runs(1);
    f.gate.let_through(100);
    let replies: Vec<_> = all.into_iter().map(|one| one.join().unwrap()).collect();
    assert_eq!(f.gate.runs(), 1);
    assert!(
        replies
            .iter()
            .all(|reply| reply.body == replies[0].body && reply.status == 200)
    );
}
