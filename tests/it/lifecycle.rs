//! From a handler's start to its end, however that comes.

use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::ServiceConfig;
use actix_web::{get, rt, web};
use futures_util::FutureExt;
use idempotent_runtime::{Idempotent, idempotent};
use tracing::Instrument;

use crate::app::{Arrival, Gate, ONE_WORKER, Options, is_replay, plain, serve_gated};
use crate::logs;
use crate::unsteady::Unsteady;

#[get("/slow")]
#[idempotent(cache = 15)]
async fn slow(_: Arrival, gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

#[get("/blocking")]
#[idempotent(cache = 15)]
async fn blocking(_: Arrival, gate: web::Data<Gate>) -> actix_web::Result<String> {
    let run = web::block(move || gate.pass_blocking()).await?;
    Ok(format!("run {run}"))
}

#[get("/synchronous")]
#[idempotent(cache = 15)]
async fn synchronous(gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass_blocking())
}

#[get("/panics-first")]
#[idempotent(cache = 15)]
async fn panics_first(gate: web::Data<Gate>) -> String {
    let run = gate.pass().await;
    assert!(run > 1, "on purpose, in the handler");
    format!("run {run}")
}

#[get("/closure-panics-first")]
#[idempotent(cache = 15)]
async fn closure_panics_first(gate: web::Data<Gate>) -> actix_web::Result<String> {
    let run = gate.pass().await;
    web::block(move || assert!(run > 1, "on purpose, in a closure")).await?;
    Ok(format!("run {run}"))
}

#[get("/logs")]
#[idempotent(cache = 15)]
async fn logs_a_line() -> &'static str {
    tracing::warn!("lifecycle::logs_a_line");
    "logged"
}

async fn in_a_span(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> actix_web::Result<ServiceResponse<impl MessageBody>> {
    let span = tracing::warn_span!("request", number = 17);
    next.call(request).instrument(span).await
}

fn services(config: &mut ServiceConfig) {
    config
        .service((slow, blocking, synchronous))
        .service((panics_first, closure_panics_first))
        .service(
            web::scope("/in-a-span")
                .wrap(from_fn(in_a_span))
                .service(logs_a_line),
        );
}

const NO_HALF_CLOSE: Options = Options {
    half_closed: false,
    ..ONE_WORKER
};

/// A client asks, leaves, and asks again; the handler goes on only after the server has noticed.
fn a_lost_client_asks_again(target: &str, leave: fn(support::http::Connection)) {
    let gate = Gate::closed();
    let served = serve_gated(NO_HALF_CLOSE, &plain(), &gate, services);
    let client = served.ask("GET", target, &[]);
    gate.await_runs(1);
    leave(client);
    gate.await_departures(1);
    let retry = served.in_background("GET", target, "");
    gate.await_arrivals(2);
    gate.let_through(1);
    assert_eq!(retry.join().unwrap().text(), "run 1");
    assert!(is_replay(&served.get(target)));
    assert_eq!(gate.runs(), 1);
}

#[test]
fn h35_a_client_that_resets_does_not_stop_the_handler() {
    a_lost_client_asks_again("/slow", |client| client.reset());
}

#[test]
fn h35_a_client_that_closes_does_not_stop_the_handler() {
    a_lost_client_asks_again("/slow", drop);
}

#[test]
fn h35_a_client_that_resets_does_not_stop_a_blocking_closure() {
    a_lost_client_asks_again("/blocking", |client| client.reset());
}

#[test]
fn h35_a_client_that_closes_does_not_stop_a_blocking_closure() {
    a_lost_client_asks_again("/blocking", drop);
}

#[test]
fn a_client_that_has_said_all_still_gets_its_reply() {
    let gate = Gate::closed();
    let served = serve_gated(ONE_WORKER, &plain(), &gate, services);
    let mut client = served.ask("GET", "/slow", &[]);
    client.half_close();
    gate.await_runs(1);
    gate.let_through(1);
    assert_eq!(client.response().text(), "run 1");
}

#[test]
fn h55_a_closure_that_outlives_its_server_keeps_the_claim() {
    let (idempotent, gate) = (plain(), Gate::closed());
    let stopped = serve_gated(ONE_WORKER, &idempotent, &gate, services);
    let other = serve_gated(ONE_WORKER, &idempotent, &gate, services);
    let _client = stopped.ask("GET", "/blocking", &[]);
    gate.await_runs(1);
    stopped.stop();
    gate.await_departures(1);
    let retry = other.in_background("GET", "/blocking", "");
    gate.await_arrivals(2);
    // Were the claim free, the retry would run at once.
    assert_eq!(gate.runs(), 1);
    gate.let_through(1);
    gate.await_runs(2);
    assert_eq!(gate.passed(), 1);
    gate.let_through(1);
    assert_eq!(retry.join().unwrap().text(), "run 2");
}

#[test]
fn what_a_handler_logs_is_in_the_span_of_its_request() {
    logs::collect();
    let served = serve_gated(ONE_WORKER, &plain(), &Gate::open(), services);
    assert_eq!(served.get("/in-a-span/logs").text(), "logged");
    assert!(logs::has_line(&[
        "request{number=17}",
        "lifecycle::logs_a_line"
    ]));
}

#[test]
fn a_panic_is_a_logged_500_and_a_retry_runs() {
    logs::collect();
    let gate = Gate::open();
    let served = serve_gated(ONE_WORKER, &plain(), &gate, services);
    assert_eq!(served.get("/panics-first").status, 500);
    assert!(logs::has_line(&[
        "ERROR",
        "lifecycle::panics_first",
        "panicked"
    ]));
    assert_eq!(served.get("/panics-first").text(), "run 2");
    assert!(is_replay(&served.get("/panics-first")));
}

#[test]
fn after_a_panic_in_a_blocking_closure_a_retry_runs() {
    let gate = Gate::open();
    let served = serve_gated(ONE_WORKER, &plain(), &gate, services);
    assert_eq!(served.get("/closure-panics-first").status, 500);
    assert_eq!(served.get("/closure-panics-first").text(), "run 2");
}

/// Two processes with one store: within one, a duplicate follows the first whatever becomes of its claim.
fn is_alone_beyond_its_lease(target: &str) {
    let (store, gate) = (Unsteady::default(), Gate::closed());
    let process = || {
        let idempotent = Idempotent::builder("it")
            .store(store.clone())
            .claim(Duration::from_millis(150), Duration::from_secs(60))
            .build();
        serve_gated(ONE_WORKER, &idempotent, &gate, services)
    };
    let (first, second) = (process(), process());
    let running = first.in_background("GET", target, "");
    gate.await_runs(1);
    std::thread::sleep(Duration::from_millis(250));
    let retry = second.in_background("GET", target, "");
    std::thread::sleep(Duration::from_millis(100));
    gate.let_through(1);
    assert_eq!(running.join().unwrap().text(), "run 1");
    assert_eq!(retry.join().unwrap().text(), "run 1");
    assert_eq!(gate.runs(), 1);
}

#[test]
fn a_handler_slower_than_its_lease_is_alone() {
    is_alone_beyond_its_lease("/slow");
}

#[test]
fn a_handler_that_blocks_its_worker_is_alone_beyond_its_lease() {
    is_alone_beyond_its_lease("/synchronous");
}

#[test]
fn draining_ends_when_the_handlers_have_ended() {
    let (idempotent, gate) = (plain(), Gate::closed());
    let served = serve_gated(ONE_WORKER, &idempotent, &gate, services);
    assert!(idempotent.drain().now_or_never().is_some());
    let client = served.ask("GET", "/slow", &[]);
    gate.await_runs(1);
    client.reset();
    gate.await_departures(1);
    assert!(idempotent.drain().now_or_never().is_none());
    gate.let_through(1);
    rt::System::new().block_on(idempotent.drain());
    assert_eq!(gate.passed(), 1);
    assert!(is_replay(&served.get("/slow")));
}

#[test]
fn h35_a_stop_waits_for_the_handler_of_a_client_that_went_away() {
    let (idempotent, gate) = (plain(), Gate::closed());
    let served = serve_gated(ONE_WORKER, &idempotent, &gate, services);
    let client = served.ask("GET", "/slow", &[]);
    gate.await_runs(1);
    client.reset();
    gate.await_departures(1);
    rt::System::new().block_on(async {
        let mut stopping = std::pin::pin!(idempotent.stop(served.handle()));
        // A stop that does not wait has dropped the handler by then.
        let waits = tokio::time::timeout(Duration::from_millis(200), stopping.as_mut());
        assert!(waits.await.is_err());
        gate.let_through(1);
        stopping.await;
    });
    assert_eq!(gate.passed(), 1);
}
