//! The attribute on every shape of handler that actix takes.

use std::sync::Arc;

use actix_web::web::{Bytes, Data, Header, Json, Path, Query, ReqData, ServiceConfig};
use actix_web::{
    Either, HttpMessage, HttpRequest, HttpResponse, Responder, get, post, route, routes, web,
};
use idempotent_runtime::{Idempotent, MemoryStore, RequestId, idempotent};
use serde::Deserialize;

use crate::app::{Gate, ONE_WORKER, Served, is_replay, plain, serve_gated};

#[get("/below")]
#[idempotent(cache = 15)]
async fn below(gate: Data<Gate>) -> String {
    gate.pass().await.to_string()
}

#[idempotent(cache = 15)]
#[get("/above")]
async fn above(gate: Data<Gate>) -> String {
    gate.pass().await.to_string()
}

#[idempotent(cache = 15)]
#[actix_web::get("/by-its-path")]
async fn by_its_path(gate: Data<Gate>) -> String {
    gate.pass().await.to_string()
}

#[idempotent(cache = 15)]
#[route("/route", method = "GET", method = "POST")]
async fn by_route(gate: Data<Gate>) -> String {
    gate.pass().await.to_string()
}

#[routes]
#[get("/routes")]
#[get("/routes/")]
#[idempotent(cache = 15)]
async fn by_routes(gate: Data<Gate>) -> String {
    gate.pass().await.to_string()
}

#[idempotent(cache = 15)]
async fn by_web_to(gate: Data<Gate>) -> String {
    gate.pass().await.to_string()
}

#[get("/responder")]
#[idempotent(cache = 15)]
async fn responder(gate: Data<Gate>) -> impl Responder {
    let run = gate.pass().await;
    (run.to_string(), actix_web::http::StatusCode::ACCEPTED)
}

#[get("/result")]
#[idempotent(cache = 15)]
async fn result(gate: Data<Gate>) -> Result<impl Responder, std::io::Error> {
    Ok(HttpResponse::Ok().body(gate.pass().await.to_string()))
}

#[get("/option/{some}")]
#[idempotent(cache = 15)]
async fn option(some: Path<bool>, gate: Data<Gate>) -> Option<String> {
    let run = gate.pass().await;
    some.then(|| run.to_string())
}

#[get("/either")]
#[idempotent(cache = 15)]
async fn either(gate: Data<Gate>) -> Either<&'static str, String> {
    Either::Right(gate.pass().await.to_string())
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[post("/patterns/{id}/{part}")]
#[idempotent(cache = 15)]
async fn patterns(
    Query(Named { name }): Query<Named>,
    Json((first, _)): Json<(u8, u8)>,
    mut path: Path<(u8, String)>,
    _: Data<Gate>,
) -> String {
    path.0 += 1;
    let (id, part) = path.into_inner();
    format!("{name} {first} {id} {part}")
}

#[post("/twelve/{id}")]
#[idempotent(cache = 15)]
#[allow(clippy::too_many_arguments, reason = "as many as actix takes")]
async fn twelve(
    request: HttpRequest,
    _: Path<u8>,
    _: Query<Named>,
    _: Header<actix_web::http::header::Accept>,
    _: Option<ReqData<u8>>,
    _: actix_web::http::Method,
    _: actix_web::http::Uri,
    _: actix_web::dev::ConnectionInfo,
    _: Option<Data<u16>>,
    _: Result<Data<u32>, actix_web::Error>,
    gate: Data<Gate>,
    body: Bytes,
) -> String {
    assert!(request.extensions().get::<u8>().is_none());
    format!("{} bytes, {}", body.len(), gate.pass().await)
}

/// A handler's documentation stays its own,
/// and so do its lints.
#[get("/documented")]
#[idempotent(cache = 15)]
#[allow(non_snake_case)]
pub async fn Documented(gate: Data<Gate>) -> String {
    #![allow(unused_mut)]
    let mut run = gate.pass().await;
    run.to_string()
}

mod one {
    use super::{Data, Gate, get, idempotent};

    #[get("/one")]
    #[idempotent(cache = 15, key(host))]
    pub(super) async fn handler(gate: Data<Gate>) -> String {
        gate.pass().await.to_string()
    }
}

mod other {
    use super::{Data, Gate, get, idempotent};

    #[get("/other")]
    #[idempotent(cache = 15, key(host))]
    pub(super) async fn handler(gate: Data<Gate>) -> String {
        gate.pass().await.to_string()
    }
}

#[get("/old-name")]
#[idempotent(cache = 15, key(host), name = "shop::order")]
async fn old_name(gate: Data<Gate>) -> String {
    gate.pass().await.to_string()
}

#[get("/new-name")]
#[idempotent(cache = 15, key(host), name = "shop::order")]
async fn new_name(gate: Data<Gate>) -> String {
    gate.pass().await.to_string()
}

fn one_for_all(_: &HttpRequest, _: &Bytes) -> Result<RequestId, actix_web::Error> {
    Ok(RequestId::new("all"))
}

struct Teas;

impl Teas {
    #[idempotent(cache = 15, key = one_for_all)]
    async fn list() -> &'static str {
        "tea"
    }
}

struct Coffees;

impl Coffees {
    #[idempotent(cache = 15, key = one_for_all)]
    async fn list() -> &'static str {
        "coffee"
    }
}

fn services(config: &mut ServiceConfig) {
    config
        .service((below, above, by_its_path, by_route, by_routes))
        .service((responder, result, option, either))
        .service((patterns, twelve, Documented))
        .service((one::handler, other::handler))
        .route("/to", web::to(by_web_to))
        .route("/to-get", web::get().to(by_web_to));
}

fn fixture() -> Served {
    serve_gated(ONE_WORKER, &plain(), &Gate::open(), services)
}

#[test]
fn every_shape_of_handler_runs_once_and_is_replayed() {
    let targets = [
        "/below",
        "/above",
        "/by-its-path",
        "/route",
        "/routes",
        "/routes/",
        "/to",
        "/to-get",
        "/responder",
        "/result",
        "/option/true",
        "/either",
        "/documented",
    ];
    let served = fixture();
    for (run, target) in (1..).zip(targets) {
        let (first, retry) = (served.get(target), served.get(target));
        assert_eq!(first.text(), run.to_string(), "{target}");
        assert!(is_replay(&retry) && retry.status == first.status);
        assert_eq!(first.body, retry.body);
    }
}

#[test]
fn a_handler_that_says_nothing_is_not_found_and_is_replayed() {
    let served = fixture();
    assert_eq!(served.get("/option/false").status, 404);
    assert!(is_replay(&served.get("/option/false")));
}

#[test]
fn patterns_take_a_request_apart() {
    let served = fixture();
    let send = || served.post("/patterns/1/a?name=Ann", "[7, 8]");
    assert_eq!(send().text(), "Ann 7 2 a");
    assert!(is_replay(&send()));
}

#[test]
fn twelve_extractors_are_not_too_many() {
    let served = fixture();
    let send = || served.send("POST", "/twelve/1?name=Ann", &[("accept", "*/*")], "tea");
    assert_eq!(send().text(), "3 bytes, 1");
    assert!(is_replay(&send()));
}

#[test]
fn handlers_of_one_name_in_two_modules_are_two() {
    let served = fixture();
    assert_eq!(served.get("/one").text(), "1");
    assert_eq!(served.get("/other").text(), "2");
    assert!(is_replay(&served.get("/one")));
}

#[test]
fn a_handler_with_a_name_keeps_its_replies_when_its_function_is_renamed() {
    let store = Arc::new(MemoryStore::new());
    let release = |services: fn(&mut ServiceConfig)| {
        let idempotent = Idempotent::builder("it").store(Arc::clone(&store)).build();
        serve_gated(ONE_WORKER, &idempotent, &Gate::open(), services)
    };
    let before = release(|config| {
        config.service(old_name);
    });
    let after = release(|config| {
        config.service(new_name);
    });
    assert_eq!(before.get("/old-name").text(), "1");
    assert!(is_replay(&after.get("/new-name")));
}

#[test]
fn two_handlers_of_one_name_do_not_get_each_others_replies() {
    let served = serve_gated(ONE_WORKER, &plain(), &Gate::open(), |config| {
        config.service((old_name, new_name));
    });
    assert_eq!(served.get("/old-name").text(), "1");
    assert_eq!(served.get("/new-name").status, 500);
}

#[test]
fn associated_functions_of_one_name_do_not_get_each_others_replies() {
    crate::logs::collect();
    let served = serve_gated(ONE_WORKER, &plain(), &Gate::open(), |config| {
        config
            .route("/teas", web::get().to(Teas::list))
            .route("/coffees", web::get().to(Coffees::list));
    });
    assert_eq!(served.get("/teas").text(), "tea");
    let other = served.get("/coffees");
    assert_eq!((other.status, other.text()), (500, ""));
    assert!(crate::logs::has_line(&[
        "ERROR", "Teas", "Coffees", "name = "
    ]));
    assert_eq!(served.get("/teas").text(), "tea");
}
