//! Which replies are kept, and for how long.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::ServiceConfig;
use actix_web::{HttpResponse, get, put, web};
use diesel::prelude::*;
use idempotent_runtime::{Db, Idempotent, MemoryStore, Reply, idempotent};

use crate::app::{
    Arrival, Gate, ONE_WORKER, Served, cache_status, is_replay, plain, serve, serve_gated,
};
use crate::database::{NewUser, Sqlite, User, users};
use crate::unsteady::Unsteady;

fn with_status(status: u16) -> HttpResponse {
    HttpResponse::build(StatusCode::from_u16(status).unwrap()).finish()
}

#[get("/default/{status}")]
#[idempotent(cache = 15)]
async fn default(status: web::Path<u16>) -> HttpResponse {
    with_status(*status)
}

#[get("/success/{status}")]
#[idempotent(cache = 15, keep = "success")]
async fn success(status: web::Path<u16>) -> HttpResponse {
    with_status(*status)
}

#[get("/all/{status}")]
#[idempotent(cache = 15, keep = "all")]
async fn all(status: web::Path<u16>) -> HttpResponse {
    with_status(*status)
}

fn only_teapots(reply: &Reply) -> bool {
    reply.status() == 418
}

#[get("/function/{status}")]
#[idempotent(cache = 15, keep = only_teapots)]
async fn function(status: web::Path<u16>) -> HttpResponse {
    with_status(*status)
}

#[get("/error/{status}")]
#[idempotent(cache = 15)]
async fn error(status: web::Path<u16>, gate: web::Data<Gate>) -> actix_web::Result<String> {
    let run = gate.pass().await;
    let status = StatusCode::from_u16(*status).unwrap();
    Err(actix_web::error::InternalError::new(format!("run {run}"), status).into())
}

#[get("/brief")]
#[idempotent(cache = "200ms")]
async fn brief(gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

#[get("/slow")]
#[idempotent(cache = 15)]
async fn slow(_: Arrival, gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

fn services(config: &mut ServiceConfig) {
    config
        .service((default, success, all, function))
        .service((error, brief, slow));
}

fn fixture(gate: &Gate) -> Served {
    serve_gated(ONE_WORKER, &plain(), gate, services)
}

/// Those of the statuses that a retry gets again.
fn kept_of(rule: &str, statuses: &[u16]) -> Vec<u16> {
    let served = fixture(&Gate::open());
    let is_kept = |status: &&u16| {
        let target = format!("/{rule}/{status}");
        let first = served.get(&target);
        let retry = served.get(&target);
        assert_eq!((first.status, retry.status), (**status, **status));
        is_replay(&retry)
    };
    statuses.iter().filter(is_kept).copied().collect()
}

const FINAL: [u16; 9] = [200, 201, 204, 303, 400, 404, 410, 418, 422];
const NONE: [u16; 0] = [];
const PASSING: [u16; 13] = [
    206, 304, 401, 403, 408, 409, 423, 425, 429, 500, 502, 503, 504,
];

#[test]
fn h08_by_default_final_statuses_are_kept_and_passing_ones_are_not() {
    assert_eq!(kept_of("default", &FINAL), FINAL);
    assert_eq!(kept_of("default", &PASSING), NONE);
}

#[test]
fn a_handler_can_keep_its_successes_only() {
    assert_eq!(kept_of("success", &FINAL), [200, 201, 204]);
    assert_eq!(kept_of("success", &PASSING), NONE);
}

#[test]
fn a_handler_can_keep_everything() {
    assert_eq!(kept_of("all", &FINAL), FINAL);
    // 206 and 304 answer headers that are no part of the request id.
    assert_eq!(kept_of("all", &PASSING), PASSING[2..]);
}

#[test]
fn a_handlers_own_function_says_what_is_kept() {
    assert_eq!(kept_of("function", &FINAL), [418]);
    assert_eq!(kept_of("function", &PASSING), NONE);
}

#[test]
fn a_handlers_error_is_kept_if_it_is_the_clients_fault() {
    let served = fixture(&Gate::open());
    for status in [400, 404] {
        let target = format!("/error/{status}");
        let first = served.get(&target);
        let retry = served.get(&target);
        assert!(is_replay(&retry));
        assert_eq!((retry.status, retry.body), (status, first.body));
    }
}

#[test]
fn h08_a_handlers_error_is_not_kept_if_it_is_the_servers_fault() {
    let served = fixture(&Gate::open());
    assert_eq!(served.get("/error/500").text(), "run 1");
    assert_eq!(served.get("/error/500").text(), "run 2");
}

#[test]
fn a_reply_is_replayed_within_its_time_and_not_after_it() {
    let served = fixture(&Gate::open());
    assert_eq!(served.get("/brief").text(), "run 1");
    std::thread::sleep(Duration::from_millis(250));
    let after = served.get("/brief");
    assert_eq!(after.text(), "run 2");
    assert!(
        cache_status(&after).contains("fwd=uri-miss; stored"),
        "{after:?}"
    );
}

#[test]
fn beyond_the_claims_cap_another_process_runs_and_the_first_reply_is_not_kept() {
    let (store, lease) = (Unsteady::default(), Duration::from_millis(50));
    let process = || {
        Idempotent::builder("it")
            .store(store.clone())
            .claim(lease, lease)
            .build()
    };
    let (first_gate, second_gate) = (Gate::closed(), Gate::closed());
    let first = serve_gated(ONE_WORKER, &process(), &first_gate, services);
    let second = serve_gated(ONE_WORKER, &process(), &second_gate, services);
    let overtaken = first.in_background("GET", "/slow", "");
    first_gate.await_runs(1);
    let overtaker = second.in_background("GET", "/slow", "");
    second_gate.await_runs(1);
    first_gate.let_through(1);
    let overtaken = overtaken.join().unwrap();
    assert_eq!(overtaken.status, 200);
    assert!(
        cache_status(&overtaken).contains("claim-lost"),
        "{overtaken:?}"
    );
    second_gate.let_through(1);
    assert!(!is_replay(&overtaker.join().unwrap()));
}

#[test]
fn h47_a_reply_that_the_store_cannot_hold_is_not_said_to_be_stored() {
    let idempotent = Idempotent::builder("it")
        .store(MemoryStore::with_capacity(100))
        .build();
    let served = serve_gated(ONE_WORKER, &idempotent, &Gate::open(), services);
    for run in ["run 1", "run 2"] {
        let reply = served.get("/brief");
        assert_eq!((reply.status, reply.text()), (200, run));
        let status = cache_status(&reply);
        assert!(
            status.contains("refused-by-store") && !status.contains("stored"),
            "{reply:?}"
        );
    }
}

#[put("/rejecting")]
#[idempotent(cache = "1h", changed = "reject")]
async fn rejecting(
    form: web::Json<NewUser>,
    db: Db<SqliteConnection>,
) -> actix_web::Result<String> {
    upsert(form, db).await
}

#[put("/rejecting-briefly")]
#[idempotent(cache = "300ms", changed = "reject")]
async fn rejecting_briefly(
    form: web::Json<NewUser>,
    db: Db<SqliteConnection>,
) -> actix_web::Result<String> {
    upsert(form, db).await
}

async fn upsert(form: web::Json<NewUser>, db: Db<SqliteConnection>) -> actix_web::Result<String> {
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
    Ok(user.name)
}

#[put("/name")]
async fn rename(name: String, db: Db<SqliteConnection>) -> actix_web::Result<HttpResponse> {
    db.run(move |conn| {
        diesel::update(users::table)
            .set(users::name.eq(name))
            .execute(conn)
    })
    .await?;
    Ok(HttpResponse::NoContent().finish())
}

#[put("/rejecting-keyed")]
#[idempotent(cache = "1h", changed = "reject", key = header("Idempotency-Key"))]
async fn rejecting_keyed(
    form: web::Json<NewUser>,
    db: Db<SqliteConnection>,
) -> actix_web::Result<String> {
    upsert(form, db).await
}

fn with_database(sqlite: &Sqlite) -> Served {
    let idempotent = plain();
    let pool = idempotent.pool::<SqliteConnection>(sqlite.url()).unwrap();
    serve(move |config| {
        config.configure(idempotent.configure(&pool));
        config.service((rejecting, rejecting_briefly, rejecting_keyed, rename));
    })
}

const ANN: &str = r#"{"email":"a@b.c","name":"Ann"}"#;

#[test]
fn h01_a_retry_after_a_change_is_refused_where_the_handler_wants_it() {
    let sqlite = Sqlite::new();
    let served = with_database(&sqlite);
    assert_eq!(served.put("/rejecting", ANN).text(), "Ann");
    assert!(is_replay(&served.put("/rejecting", ANN)));
    served.put("/name", "Bob");
    for _ in 0..2 {
        let retry = served.put("/rejecting", ANN);
        assert_eq!(retry.status, 409);
        assert!(
            cache_status(&retry).contains("fwd=stale") && cache_status(&retry).contains("users:1"),
            "{retry:?}"
        );
    }
    let name: String = users::table
        .select(users::name)
        .first(&mut sqlite.bare())
        .unwrap();
    assert_eq!(name, "Bob");
}

#[test]
fn a_refusal_after_a_change_ends_with_the_records_time() {
    let sqlite = Sqlite::new();
    let served = with_database(&sqlite);
    served.put("/rejecting-briefly", ANN);
    served.put("/name", "Bob");
    support::eventually("the refusal ends", || {
        let retry = served.put("/rejecting-briefly", ANN);
        assert!(matches!(retry.status, 200 | 409), "{retry:?}");
        retry.status == 200
    });
}

#[test]
fn h41_after_a_change_another_payload_is_refused_as_such() {
    let sqlite = Sqlite::new();
    let served = with_database(&sqlite);
    let put = |user: &str| {
        let headers = [
            ("idempotency-key", "k"),
            ("content-type", "application/json"),
        ];
        served.send("PUT", "/rejecting-keyed", &headers, user)
    };
    let other = ANN.replace("Ann", "Cid");
    assert_eq!(put(ANN).text(), "Ann");
    assert_eq!(put(&other).status, 422);
    served.put("/name", "Bob");
    assert_eq!(put(&other).status, 422);
    assert_eq!(put(ANN).status, 409);
}
