//! `Cache-Status` by the grammar of RFC 9211.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::rt::System;
use actix_web::web::ServiceConfig;
use actix_web::{HttpResponse, get, put, web};
use diesel::prelude::*;
use idempotent_runtime::{Db, Idempotent, MemoryStore, idempotent};
use sfv::{BareItem, List, ListEntry, Parser};
use support::http::Response;

use crate::app::{Arrival, Gate, ONE_WORKER, Served, is_replay, plain, serve_gated, serve_with};
use crate::database::{Sqlite, users};

#[get("/count")]
#[idempotent(cache = 15)]
async fn count(_: Arrival, gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

#[get("/private")]
#[idempotent(cache = 15, keep = "success")]
async fn private() -> HttpResponse {
    HttpResponse::NotFound().finish()
}

#[get("/conversation")]
#[idempotent(cache = 15)]
async fn conversation(_stream: web::Payload) -> HttpResponse {
    HttpResponse::Ok().finish()
}

#[get("/behind-a-cache")]
#[idempotent(cache = 15)]
async fn behind_a_cache() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("cache-status", "ExampleCache; hit"))
        .finish()
}

#[put("/rename/{name}")]
#[idempotent(cache = 15)]
async fn rename(name: web::Path<String>, db: Db<SqliteConnection>) -> actix_web::Result<String> {
    let changed = db
        .run(move |conn| {
            diesel::update(users::table.find(1))
                .set(users::name.eq(name.into_inner()))
                .execute(conn)
        })
        .await?;
    Ok(changed.to_string())
}

fn services(config: &mut ServiceConfig) {
    config.service((count, private, conversation, behind_a_cache, rename));
}

fn fixture(explain: bool, gate: &Gate) -> (Served, Sqlite) {
    let sqlite = Sqlite::new();
    sqlite.execute("INSERT INTO users (email, name) VALUES ('a', 'Ann')");
    let idempotent = Idempotent::builder("it").explain(explain).build();
    let pool = idempotent.pool::<SqliteConnection>(sqlite.url()).unwrap();
    let data = web::Data::new(gate.clone());
    let served = serve_with(ONE_WORKER, move |config| {
        config
            .configure(idempotent.configure(&pool))
            .app_data(data.clone())
            .configure(services);
    });
    (served, sqlite)
}

type Parameters = BTreeMap<String, String>;

/// The caches that spoke, and what each said; a flag says `true`.
fn members(reply: &Response) -> Vec<(String, Parameters)> {
    let text = reply.all("cache-status").join(", ");
    let list: List = Parser::new(&text).parse().unwrap();
    list.iter().map(member).collect()
}

fn member(entry: &ListEntry) -> (String, Parameters) {
    let ListEntry::Item(item) = entry else {
        panic!("an inner list in {entry:?}")
    };
    let parameters = item.params.iter();
    let parameters = parameters.map(|(name, value)| (name.as_str().to_owned(), text(value)));
    (text(&item.bare_item), parameters.collect())
}

fn text(item: &BareItem) -> String {
    match item {
        BareItem::Boolean(flag) => flag.to_string(),
        BareItem::Integer(number) => i64::from(*number).to_string(),
        BareItem::String(text) => text.as_str().to_owned(),
        BareItem::Token(text) => text.as_str().to_owned(),
        other => panic!("{other:?} has no place in Cache-Status"),
    }
}

/// What this library said.
fn ours(reply: &Response) -> Parameters {
    let mut members = members(reply);
    assert_eq!(members.len(), 1, "{reply:?}");
    let (cache, parameters) = members.remove(0);
    assert_eq!(cache, "idempotent");
    parameters
}

fn of(parameters: &[(&str, &str)]) -> Parameters {
    parameters
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn a_miss_says_that_it_was_stored_and_a_hit_for_how_long() {
    let (served, _sqlite) = fixture(false, &Gate::open());
    let miss = ours(&served.get("/count"));
    assert_eq!(miss, of(&[("fwd", "uri-miss"), ("stored", "true")]));
    let hit = ours(&served.get("/count"));
    let ttl: i64 = hit["ttl"].parse().unwrap();
    assert!((1..15).contains(&ttl), "{hit:?}");
    assert_eq!(hit, of(&[("hit", "true"), ("ttl", &ttl.to_string())]));
}

#[test]
fn a_reply_that_is_not_kept_says_why() {
    let (served, _sqlite) = fixture(false, &Gate::open());
    let reply = ours(&served.get("/private"));
    assert_eq!(
        reply,
        of(&[("fwd", "uri-miss"), ("detail", "not-kept-by-policy")])
    );
}

#[test]
fn a_duplicate_that_waited_says_so() {
    let gate = Gate::closed();
    let (served, _sqlite) = fixture(false, &gate);
    let first = served.in_background("GET", "/count", "");
    gate.await_runs(1);
    let second = served.in_background("GET", "/count", "");
    gate.await_arrivals(2);
    gate.let_through(1);
    first.join().unwrap();
    let second = ours(&second.join().unwrap());
    assert_eq!(second, of(&[("fwd", "uri-miss"), ("collapsed", "true")]));
}

#[test]
fn a_conversation_says_that_it_went_past() {
    let (served, _sqlite) = fixture(true, &Gate::open());
    let handshake = [("connection", "upgrade"), ("upgrade", "websocket")];
    let reply = served.send("GET", "/conversation", &handshake, "");
    assert_eq!(ours(&reply), of(&[("fwd", "bypass")]));
}

/// Renames to Bob and then to Cid, and gives what a retry of the first says.
fn stale(explain: bool) -> Parameters {
    let (served, _sqlite) = fixture(explain, &Gate::open());
    let put = |target| served.send("PUT", target, &[], "");
    put("/rename/Bob");
    put("/rename/Cid");
    ours(&put("/rename/Bob"))
}

#[test]
fn a_retry_after_a_change_says_that_it_was_stale_and_no_more() {
    assert_eq!(stale(false), of(&[("fwd", "stale"), ("stored", "true")]));
}

#[test]
fn where_it_explains_it_names_the_row_and_the_request() {
    let stale = stale(true);
    assert_eq!(stale["detail"], "users:1");
    assert!(stale["key"].starts_with("it:") && stale["key"].contains("statuses::rename"));
}

#[test]
fn where_it_explains_a_request_and_its_retry_have_one_key() {
    let (served, _sqlite) = fixture(true, &Gate::open());
    let (first, retry) = (ours(&served.get("/count")), ours(&served.get("/count")));
    assert_eq!(first["key"], retry["key"]);
    assert_ne!(first["key"], ours(&served.get("/count?other"))["key"]);
}

#[test]
fn what_a_cache_behind_the_handler_said_comes_first_and_stays() {
    let (served, _sqlite) = fixture(false, &Gate::open());
    for reply in [served.get("/behind-a-cache"), served.get("/behind-a-cache")] {
        let members = members(&reply);
        assert_eq!(members.len(), 2);
        assert_eq!(members[0], ("ExampleCache".into(), of(&[("hit", "true")])));
        assert_eq!(members[1].0, "idempotent");
    }
}

#[test]
fn a_reply_is_forgotten_by_the_key_that_its_request_has() {
    let idempotent = plain();
    let served = serve_gated(ONE_WORKER, &idempotent, &Gate::open(), |config| {
        config.service(count);
    });
    let forget = |key: &str| System::new().block_on(idempotent.forget(key)).unwrap();
    let key = ours(&served.get("/count"))["key"].clone();
    served.get("/count?other");
    assert!(forget(&key));
    assert_eq!(served.get("/count").text(), "run 3");
    assert!(is_replay(&served.get("/count?other")));
    assert!(forget(&key) && !forget(&key));
}

#[test]
fn an_application_forgets_no_other_applications_replies() {
    let store = Arc::new(MemoryStore::new());
    let named = |name: &str| {
        Idempotent::builder(name)
            .store(Arc::clone(&store))
            .explain(true)
            .build()
    };
    let served = serve_gated(ONE_WORKER, &named("it"), &Gate::open(), |config| {
        config.service(count);
    });
    let key = ours(&served.get("/count"))["key"].clone();
    for other in ["other", "i"] {
        let forgotten = System::new().block_on(named(other).forget(&key));
        assert!(!forgotten.unwrap(), "{other}");
    }
    assert!(is_replay(&served.get("/count")));
}
