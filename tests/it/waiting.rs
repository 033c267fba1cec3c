//! Duplicates of a request that is still under way.

use std::sync::Arc;
use std::time::Duration;

use actix_web::cookie::Cookie;
use actix_web::web::ServiceConfig;
use actix_web::{HttpRequest, HttpResponse, get, post, put, web};
use idempotent_runtime::{Idempotent, MemoryStore, idempotent};
use support::http::{Connection, Response, request, send};

use crate::app::{Arrival, Gate, ONE_WORKER, Served, cache_status, is_replay, plain, serve_gated};

#[get("/kept")]
#[idempotent(cache = 15)]
async fn kept(_: Arrival, gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

#[get("/failing")]
#[idempotent(cache = 15)]
async fn failing(_: Arrival, gate: web::Data<Gate>) -> HttpResponse {
    HttpResponse::InternalServerError().body(format!("run {}", gate.pass().await))
}

#[get("/missing")]
#[idempotent(cache = 15, keep = "success")]
async fn missing(_: Arrival, gate: web::Data<Gate>) -> HttpResponse {
    HttpResponse::NotFound().body(format!("run {}", gate.pass().await))
}

#[get("/cookie")]
#[idempotent(cache = 15)]
async fn cookie(_: Arrival, gate: web::Data<Gate>) -> HttpResponse {
    let run = gate.pass().await;
    HttpResponse::Ok()
        .cookie(Cookie::new("run", run.to_string()))
        .body(format!("run {run}"))
}

#[get("/panics-first")]
#[idempotent(cache = 15)]
async fn panics_first(_: Arrival, gate: web::Data<Gate>) -> String {
    let run = gate.pass().await;
    assert!(run > 1, "on purpose");
    format!("run {run}")
}

#[get("/impatient")]
#[idempotent(cache = 15, wait = 0)]
async fn impatient(gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

#[get("/hurried")]
#[idempotent(cache = 15, wait = "50ms")]
async fn hurried(gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

#[post("/keyed")]
#[idempotent(cache = 15, key = header("Idempotency-Key"))]
async fn keyed(gate: web::Data<Gate>, body: String) -> String {
    format!("{body} in run {}", gate.pass().await)
}

#[put("/keyed-and-locked")]
#[idempotent(cache = 15, lock = 30, wait = 0, key = header("Idempotency-Key"))]
async fn keyed_and_locked(gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

/// Answers headers that are no part of the request id.
#[get("/page")]
#[idempotent(cache = 15)]
async fn page(_: Arrival, request: HttpRequest, gate: web::Data<Gate>) -> HttpResponse {
    let run = gate.pass().await;
    let asked = |name| request.headers().contains_key(name);
    let mut response = match (asked("range"), asked("if-none-match")) {
        (true, _) => HttpResponse::PartialContent(),
        (_, true) => HttpResponse::NotModified(),
        _ => HttpResponse::Ok(),
    };
    response.body(format!("run {run}"))
}

fn services(config: &mut ServiceConfig) {
    config
        .service((keyed_and_locked, page))
        .service((kept, failing, missing, cookie, panics_first))
        .service((impatient, hurried, keyed));
}

fn fixture() -> (Served, Gate) {
    let gate = Gate::closed();
    (serve_gated(ONE_WORKER, &plain(), &gate, services), gate)
}

/// Sends them all at once, lets one handler through when all of them are there, and gives the replies.
fn at_once(target: &str, requests: usize) -> (Vec<Response>, Gate) {
    let (served, gate) = fixture();
    let all: Vec<_> = (0..requests)
        .map(|_| served.in_background("GET", target, ""))
        .collect();
    gate.await_arrivals(requests);
    gate.let_through(1);
    let replies = all.into_iter().map(|one| one.join().unwrap()).collect();
    (replies, gate)
}

#[test]
fn duplicates_in_flight_get_the_first_ones_reply() {
    let (replies, gate) = at_once("/kept", 5);
    assert_eq!(gate.runs(), 1);
    assert!(replies.iter().all(|reply| reply.text() == "run 1"));
    let replays: Vec<_> = replies.iter().filter(|reply| is_replay(reply)).collect();
    assert_eq!(replays.len(), 4);
    assert!(
        replays
            .iter()
            .all(|reply| cache_status(reply).contains("fwd=uri-miss; collapsed")),
        "{replays:?}"
    );
}

#[test]
fn duplicates_in_flight_get_an_error_that_is_not_kept() {
    for (target, status) in [("/failing", 500), ("/missing", 404)] {
        let (replies, gate) = at_once(target, 5);
        assert_eq!(gate.runs(), 1, "{target}");
        assert!(
            replies
                .iter()
                .all(|reply| (reply.status, reply.text()) == (status, "run 1")),
            "{replies:?}"
        );
    }
}

#[test]
fn an_error_that_was_shared_is_not_replayed_afterwards() {
    let (served, gate) = fixture();
    gate.let_through(2);
    for target in ["/failing", "/missing"] {
        let first = served.get(target);
        assert!(
            cache_status(&first).contains("not-kept-by-policy"),
            "{first:?}"
        );
    }
    gate.let_through(1);
    assert_eq!(served.get("/missing").text(), "run 3");
}

#[test]
fn hundreds_of_duplicates_get_one_reply() {
    let (replies, gate) = at_once("/kept", 300);
    assert_eq!(gate.runs(), 1);
    assert!(replies.iter().all(|reply| reply.text() == "run 1"));
}

#[test]
fn h44_a_duplicate_does_not_get_the_first_ones_cookie() {
    let (served, gate) = fixture();
    let all: Vec<_> = (0..3)
        .map(|_| served.in_background("GET", "/cookie", ""))
        .collect();
    gate.await_arrivals(3);
    gate.let_through(3);
    let mut cookies: Vec<_> = all
        .into_iter()
        .map(|one| one.join().unwrap().header("set-cookie").unwrap().to_owned())
        .collect();
    cookies.sort();
    assert_eq!(cookies, ["run=1", "run=2", "run=3"]);
}

#[test]
fn a_duplicate_without_the_headers_that_the_first_one_answers_runs() {
    for (header, value, status) in [
        ("range", "bytes=0-2", 206),
        ("if-none-match", "\"v1\"", 304),
    ] {
        let (served, gate) = fixture();
        let mut first = served.ask("GET", "/page", &[(header, value)]);
        gate.await_runs(1);
        let whole = served.in_background("GET", "/page", "");
        gate.await_arrivals(2);
        gate.let_through(2);
        let first = first.response();
        assert_eq!(first.status, status);
        assert!(cache_status(&first).contains("not-kept-by-policy"));
        let whole = whole.join().unwrap();
        assert_eq!((whole.status, whole.text()), (200, "run 2"));
        assert!(!is_replay(&whole));
    }
}

#[test]
fn after_a_panic_the_next_duplicate_runs() {
    let (served, gate) = fixture();
    let all: Vec<_> = (0..5)
        .map(|_| served.in_background("GET", "/panics-first", ""))
        .collect();
    gate.await_arrivals(5);
    gate.let_through(2);
    let mut replies: Vec<_> = all
        .into_iter()
        .map(|one| one.join().unwrap())
        .map(|reply| (reply.status, String::from_utf8(reply.body).unwrap()))
        .collect();
    replies.sort();
    let second = (200, "run 2".to_owned());
    assert_eq!(replies[..4], vec![second; 4]);
    assert_eq!(replies[4].0, 500);
    assert_eq!(gate.runs(), 2);
}

fn assert_in_progress(reply: &Response) {
    assert_eq!(reply.status, 409);
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_eq!(
        reply.header("content-type"),
        Some("application/problem+json")
    );
    assert_eq!(reply.json()["status"], 409);
    assert!(!is_replay(reply));
}

#[test]
fn without_a_wait_a_duplicate_is_told_to_come_again() {
    let (served, gate) = fixture();
    let first = served.in_background("GET", "/impatient", "");
    gate.await_runs(1);
    assert_in_progress(&served.get("/impatient"));
    gate.let_through(1);
    assert_eq!(first.join().unwrap().text(), "run 1");
    assert!(is_replay(&served.get("/impatient")));
}

#[test]
fn a_duplicate_waits_no_longer_than_it_should() {
    let (served, gate) = fixture();
    let first = served.in_background("GET", "/hurried", "");
    gate.await_runs(1);
    let duplicates: Vec<_> = (0..200)
        .map(|_| served.in_background("GET", "/hurried", ""))
        .collect();
    for duplicate in duplicates {
        assert_in_progress(&duplicate.join().unwrap());
    }
    gate.let_through(1);
    assert_eq!(first.join().unwrap().text(), "run 1");
    assert_eq!(gate.runs(), 1);
}

/// Two processes, or two handles of one, where a duplicate waits for ever.
fn patient(store: &Arc<MemoryStore>, gate: &Gate) -> Served {
    let idempotent = Idempotent::builder("it")
        .store(Arc::clone(store))
        .wait(Duration::MAX)
        .build();
    serve_gated(ONE_WORKER, &idempotent, gate, services)
}

#[test]
fn the_longest_wait_is_no_overflow() {
    let (store, gate) = (Arc::default(), Gate::closed());
    let (here, there) = (patient(&store, &gate), patient(&store, &gate));
    let first = here.in_background("GET", "/kept", "");
    gate.await_runs(1);
    let follower = here.in_background("GET", "/kept", "");
    let waiter = there.in_background("GET", "/kept", "");
    gate.await_arrivals(3);
    gate.let_through(1);
    for reply in [first, follower, waiter] {
        let reply = reply.join().unwrap();
        assert_eq!((reply.status, reply.text()), (200, "run 1"));
    }
}

fn post_keyed(served: &Served, body: &str) -> Response {
    let headers = [("idempotency-key", "\"k\"")];
    send(served.address, "POST", "/keyed", &headers, body.as_bytes())
}

#[test]
fn h41_another_payload_is_refused_while_the_first_is_in_progress() {
    let (served, gate) = fixture();
    let mut first = Connection::open(served.address);
    let key = [("idempotency-key", "\"k\"")];
    first.send(request("POST", "/keyed", &key, b"tea"));
    gate.await_runs(1);
    let other = post_keyed(&served, "coffee");
    assert_eq!(other.status, 422);
    assert_eq!(
        other.header("content-type"),
        Some("application/problem+json")
    );
    gate.let_through(1);
    assert_eq!(first.response().text(), "tea in run 1");
    assert!(is_replay(&post_keyed(&served, "tea")));
    assert_eq!(post_keyed(&served, "coffee").status, 422);
}

#[test]
fn h41_another_payload_is_refused_before_the_lock_is_waited_for() {
    let (served, gate) = fixture();
    let send = |body: &[u8]| {
        let key = [("idempotency-key", "k")];
        send(served.address, "PUT", "/keyed-and-locked", &key, body)
    };
    let mut first = Connection::open(served.address);
    let key = [("idempotency-key", "k")];
    first.send(request("PUT", "/keyed-and-locked", &key, b"tea"));
    gate.await_runs(1);
    assert_eq!(send(b"coffee").status, 422);
    assert_in_progress(&send(b"tea"));
    gate.let_through(1);
    assert_eq!(first.response().text(), "run 1");
}
