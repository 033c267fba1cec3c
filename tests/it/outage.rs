//! A store that does not answer.

use actix_web::web::ServiceConfig;
use actix_web::{get, post, put, web};
use diesel::prelude::*;
use idempotent_runtime::{Db, Idempotent, Outage, idempotent};
use support::http::Response;

use crate::app::{Gate, ONE_WORKER, Served, cache_status, is_replay, serve_gated, serve_with};
use crate::database::{Sqlite, User, users};
use crate::logs;
use crate::unsteady::{Ask, Unsteady};

#[get("/default")]
#[idempotent(cache = 15)]
async fn default(gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

#[get("/reject")]
#[idempotent(cache = 15, outage = "reject")]
async fn reject(gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

#[get("/run")]
#[idempotent(cache = 15, outage = "run")]
async fn run(gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

#[post("/locked")]
#[idempotent(lock = 30)]
async fn locked(gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

#[post("/locked-or-run")]
#[idempotent(lock = 30, outage = "run")]
async fn locked_or_run(gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

/// Renames in an annotated handler.
#[put("/rename/{name}")]
#[idempotent(cache = "1h")]
async fn rename(name: web::Path<String>, db: Db<SqliteConnection>) -> actix_web::Result<String> {
    set_name(name, db).await
}

#[put("/rename-anyway/{name}")]
#[idempotent(cache = "1h", outage = "run")]
async fn rename_anyway(
    name: web::Path<String>,
    db: Db<SqliteConnection>,
) -> actix_web::Result<String> {
    set_name(name, db).await
}

/// Renames in a handler without the attribute.
#[put("/plainly/{name}")]
async fn rename_plainly(
    name: web::Path<String>,
    db: Db<SqliteConnection>,
) -> actix_web::Result<String> {
    set_name(name, db).await
}

async fn set_name(name: web::Path<String>, db: Db<SqliteConnection>) -> actix_web::Result<String> {
    let user = db
        .run(move |conn| {
            diesel::update(users::table.find(1))
                .set(users::name.eq(name.into_inner()))
                .returning(User::as_returning())
                .get_result(conn)
        })
        .await?;
    Ok(user.name)
}

fn services(config: &mut ServiceConfig) {
    config
        .service((default, reject, run, locked, locked_or_run))
        .service((rename, rename_anyway, rename_plainly));
}

struct Fixture {
    store: Unsteady,
    gate: Gate,
    sqlite: Sqlite,
    served: Served,
}

fn fixture(outage: Outage) -> Fixture {
    let (store, gate, sqlite) = (Unsteady::default(), Gate::open(), Sqlite::new());
    sqlite.execute("INSERT INTO users (email, name) VALUES ('a', 'Ann')");
    let idempotent = Idempotent::builder("it")
        .store(store.clone())
        .outage(outage)
        .build();
    let pool = idempotent.pool::<SqliteConnection>(sqlite.url()).unwrap();
    let data = web::Data::new(gate.clone());
    let served = serve_with(ONE_WORKER, move |config| {
        config
            .configure(idempotent.configure(&pool))
            .app_data(data.clone())
            .configure(services);
    });
    Fixture {
        store,
        gate,
        sqlite,
        served,
    }
}

impl Fixture {
    fn put(&self, target: &str) -> Response {
        self.served.send("PUT", target, &[], "")
    }

    fn post(&self, target: &str) -> Response {
        self.served.send("POST", target, &[], "")
    }

    fn name(&self) -> String {
        let name = users::table
            .select(users::name)
            .first(&mut self.sqlite.bare());
        name.unwrap()
    }
}

fn assert_unavailable(reply: &Response) {
    assert_eq!(reply.status, 503);
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_eq!(
        reply.header("content-type"),
        Some("application/problem+json")
    );
}

#[test]
fn while_the_store_is_away_requests_are_rejected() {
    let f = fixture(Outage::Reject);
    f.store.go_away();
    assert_unavailable(&f.served.get("/default"));
    assert_unavailable(&f.served.get("/reject"));
    assert_unavailable(&f.post("/locked"));
    assert_eq!(f.gate.runs(), 0);
    f.store.come_back();
    assert_eq!(f.served.get("/default").text(), "run 1");
    assert!(is_replay(&f.served.get("/default")));
    assert_eq!(f.post("/locked").text(), "run 2");
}

#[test]
fn while_the_store_is_away_a_handler_that_wants_to_runs_unkept() {
    let f = fixture(Outage::Reject);
    f.store.go_away();
    for text in ["run 1", "run 2"] {
        let reply = f.served.get("/run");
        assert_eq!((reply.status, reply.text()), (200, text));
        assert!(
            cache_status(&reply).contains("fwd=bypass")
                && cache_status(&reply).contains("store-away"),
            "{reply:?}"
        );
    }
    assert_eq!(f.post("/locked-or-run").text(), "run 3");
}

#[test]
fn the_application_can_say_that_handlers_run_and_a_handler_that_it_does_not() {
    let f = fixture(Outage::Run);
    f.store.go_away();
    assert_eq!(f.served.get("/default").text(), "run 1");
    assert_eq!(f.post("/locked").text(), "run 2");
    assert_unavailable(&f.served.get("/reject"));
}

#[test]
fn a_reply_that_cannot_be_kept_is_still_given() {
    let f = fixture(Outage::Reject);
    f.store.fail(Ask::Keep);
    let reply = f.served.get("/default");
    assert_eq!((reply.status, reply.text()), (200, "run 1"));
    assert!(cache_status(&reply).contains("store-away"), "{reply:?}");
    f.store.come_back();
    // Its claim was ended all the same.
    assert_eq!(f.served.get("/default").text(), "run 2");
}

#[test]
fn h33_a_claim_that_cannot_be_ended_does_not_spoil_the_reply() {
    logs::collect();
    for trouble in [Unsteady::fail, Unsteady::hang] {
        let f = fixture(Outage::Reject);
        f.store.fail(Ask::Keep);
        trouble(&f.store, Ask::Release);
        let reply = f.served.get("/default");
        assert_eq!((reply.status, reply.text()), (200, "run 1"));
    }
    assert!(logs::has_line(&["WARN", "could not end a claim or a lock"]));
}

#[test]
fn a_client_that_leaves_a_hanging_store_leaves_nothing_behind() {
    for (ask, method, target) in [
        (Ask::Look, "GET", "/default"),
        (Ask::Lock, "POST", "/locked"),
    ] {
        let (store, gate) = (Unsteady::default(), Gate::open());
        let idempotent = Idempotent::builder("it").store(store.clone()).build();
        let served = serve_gated(ONE_WORKER, &idempotent, &gate, services);
        store.hang(ask);
        let client = served.ask(method, target, &[]);
        store.await_hanging();
        client.reset();
        gate.await_departures(1);
        store.come_back();
        assert_eq!(served.send(method, target, &[], "").text(), "run 1");
    }
}

#[test]
fn h21_a_change_that_cannot_be_announced_is_not_committed() {
    let f = fixture(Outage::Reject);
    f.store.fail(Ask::Stamp);
    let reply = f.put("/rename/Bob");
    assert_eq!(reply.status, 500);
    assert_eq!(f.name(), "Ann");
    f.store.come_back();
    assert_eq!(f.put("/rename/Bob").text(), "Bob");
    assert_eq!(f.name(), "Bob");
}

#[test]
fn where_the_handler_runs_anyway_its_change_is_committed_and_its_reply_not_kept() {
    let f = fixture(Outage::Reject);
    f.store.fail(Ask::Stamp);
    let reply = f.put("/rename-anyway/Bob");
    assert_eq!((reply.status, reply.text()), (200, "Bob"));
    assert!(cache_status(&reply).contains("store-away"), "{reply:?}");
    assert_eq!(f.name(), "Bob");
}

#[test]
fn a_plain_writers_stamp_is_owed_and_until_it_is_paid_nothing_is_replayed() {
    let f = fixture(Outage::Reject);
    assert_eq!(f.put("/rename/Bob").text(), "Bob");
    assert!(is_replay(&f.put("/rename/Bob")));
    assert_eq!(f.served.get("/run").text(), "run 1");
    let stamps = f.store.stamps();
    f.store.fail(Ask::Stamp);
    assert_eq!(f.put("/plainly/Cid").text(), "Cid");
    assert_eq!(f.name(), "Cid");
    assert_unavailable(&f.put("/rename/Bob"));
    assert_eq!(f.served.get("/run").text(), "run 2");
    f.store.come_back();
    support::eventually("the stamp is delivered", || f.store.stamps() > stamps);
    support::eventually("replies are given again", || {
        is_replay(&f.served.get("/run"))
    });
    let again = f.put("/rename/Bob");
    assert!(cache_status(&again).contains("fwd=stale"), "{again:?}");
    assert_eq!(f.name(), "Bob");
}
