//! One at a time.

use std::sync::Mutex;
use std::time::Duration;

use actix_web::web::ServiceConfig;
use actix_web::{HttpRequest, post, web};
use idempotent_runtime::{Idempotent, Lease, idempotent};
use support::http::Response;

use crate::app::{
    Arrival, Gate, ONE_WORKER, Options, Served, TWO_WORKERS, is_replay, plain, serve_gated,
};
use crate::unsteady::{Ask, Unsteady};

/// The order in which the requests of the one test for it were let in.
static ENTERED: Mutex<Vec<String>> = Mutex::new(Vec::new());

#[post("/locked/{id}")]
#[idempotent(lock = 30, key(path))]
async fn locked(_: Arrival, gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

#[post("/ordered")]
#[idempotent(lock = 30, key(path))]
async fn ordered(_: Arrival, request: HttpRequest, gate: web::Data<Gate>) -> String {
    ENTERED
        .lock()
        .unwrap()
        .push(request.query_string().to_owned());
    format!("run {}", gate.pass().await)
}

#[post("/same")]
#[idempotent(lock = 30)]
async fn same(_: Arrival, gate: web::Data<Gate>, _body: String) -> String {
    format!("run {}", gate.pass().await)
}

#[post("/cached")]
#[idempotent(lock = 30, cache = 15)]
async fn cached(_: Arrival, gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

#[post("/hurried")]
#[idempotent(lock = 30, wait = "50ms")]
async fn hurried(_: Arrival, gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

#[post("/impatient")]
#[idempotent(lock = 30, wait = 0)]
async fn impatient(_: Arrival, gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

#[post("/short")]
#[idempotent(lock = "150ms")]
async fn short(_: Arrival, gate: web::Data<Gate>, lease: Lease) -> String {
    let run = gate.pass().await;
    let lost = if lease.is_lost() { "lost" } else { "held" };
    format!("run {run}, {lost}")
}

#[post("/panics-first")]
#[idempotent(lock = 30)]
async fn panics_first(_: Arrival, gate: web::Data<Gate>) -> String {
    let run = gate.pass().await;
    assert!(run > 1, "on purpose");
    format!("run {run}")
}

#[post("/fails-first")]
#[idempotent(lock = 30)]
async fn fails_first(_: Arrival, gate: web::Data<Gate>) -> actix_web::Result<String> {
    match gate.pass().await {
        1 => Err(actix_web::error::ErrorInternalServerError("on purpose")),
        run => Ok(format!("run {run}")),
    }
}

fn services(config: &mut ServiceConfig) {
    config
        .service((locked, ordered, same, cached, hurried, impatient))
        .service((short, panics_first, fails_first));
}

fn fixture(options: Options) -> (Served, Gate) {
    let gate = Gate::closed();
    (serve_gated(options, &plain(), &gate, services), gate)
}

/// Lets them through one by one, and never sees two inside.
fn one_by_one(gate: &Gate, requests: usize) {
    for run in 1..=requests {
        gate.await_runs(run);
        assert_eq!((gate.runs(), gate.passed()), (run, run - 1));
        gate.let_through(1);
    }
}

#[test]
fn twenty_at_once_run_one_at_a_time_and_all_succeed() {
    let (served, gate) = fixture(TWO_WORKERS);
    let all: Vec<_> = (0..20)
        .map(|_| served.in_background("POST", "/locked/1", ""))
        .collect();
    one_by_one(&gate, 20);
    let mut replies: Vec<_> = all
        .into_iter()
        .map(|one| one.join().unwrap())
        .map(|reply| (reply.status, reply.text().to_owned()))
        .collect();
    replies.sort();
    let mut expected: Vec<_> = (1..=20).map(|run| (200, format!("run {run}"))).collect();
    expected.sort();
    assert_eq!(replies, expected);
}

#[test]
fn without_a_key_the_same_request_runs_one_at_a_time() {
    let (served, gate) = fixture(ONE_WORKER);
    let _first = served.in_background("POST", "/same", "1");
    gate.await_runs(1);
    let _same = served.in_background("POST", "/same", "1");
    gate.await_arrivals(2);
    let _other = served.in_background("POST", "/same", "2");
    gate.await_arrivals(3);
    gate.await_runs(2);
    assert_eq!(gate.runs(), 2);
    gate.let_through(3);
}

#[test]
fn different_keys_do_not_wait_for_each_other() {
    let (served, gate) = fixture(ONE_WORKER);
    let all = [1, 2, 3].map(|id| served.in_background("POST", &format!("/locked/{id}"), ""));
    gate.await_runs(3);
    gate.let_through(3);
    for one in all {
        assert_eq!(one.join().unwrap().status, 200);
    }
}

#[test]
fn a_path_that_is_written_in_another_way_waits_for_the_same_lock() {
    let (served, gate) = fixture(ONE_WORKER);
    let first = served.in_background("POST", "/locked/1", "");
    gate.await_runs(1);
    let encoded = served.in_background("POST", "/locked/%31", "");
    gate.await_arrivals(2);
    assert_eq!(gate.runs(), 1);
    one_by_one(&gate, 2);
    assert_eq!(first.join().unwrap().text(), "run 1");
    assert_eq!(encoded.join().unwrap().text(), "run 2");
}

#[test]
fn the_longest_wait_for_a_lock_is_no_overflow() {
    let gate = Gate::closed();
    let idempotent = Idempotent::builder("it").wait(Duration::MAX).build();
    let served = serve_gated(ONE_WORKER, &idempotent, &gate, services);
    let all = [(); 2].map(|()| served.in_background("POST", "/locked/1", ""));
    gate.await_arrivals(2);
    one_by_one(&gate, 2);
    for one in all {
        assert_eq!(one.join().unwrap().status, 200);
    }
}

#[test]
fn h32_within_a_process_first_come_is_first_served() {
    let (served, gate) = fixture(ONE_WORKER);
    let all: Vec<_> = (1..=10)
        .map(|place| {
            let target = format!("/ordered?{place}");
            let asked = served.in_background("POST", &target, "");
            gate.await_arrivals(place);
            asked
        })
        .collect();
    one_by_one(&gate, 10);
    all.into_iter().for_each(|one| drop(one.join().unwrap()));
    assert_eq!(
        *ENTERED.lock().unwrap(),
        ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]
    );
}

#[test]
fn with_a_cache_the_second_gets_the_firsts_reply() {
    let (served, gate) = fixture(ONE_WORKER);
    let all = [(); 5].map(|()| served.in_background("POST", "/cached", ""));
    gate.await_arrivals(5);
    gate.let_through(1);
    let replies = all.map(|one| one.join().unwrap());
    assert!(replies.iter().all(|reply| reply.text() == "run 1"));
    assert_eq!(replies.iter().filter(|reply| is_replay(reply)).count(), 4);
    assert_eq!(gate.runs(), 1);
}

#[test]
fn a_lock_alone_replays_nothing() {
    let (served, gate) = fixture(ONE_WORKER);
    gate.let_through(2);
    assert_eq!(served.post("/same", "1").text(), "run 1");
    let again = served.post("/same", "1");
    assert_eq!(again.text(), "run 2");
    assert_eq!(again.header("cache-status"), None);
}

#[test]
fn h28_a_lock_outlives_its_lease_while_its_handler_runs() {
    let (served, gate) = fixture(ONE_WORKER);
    let first = served.in_background("POST", "/short", "");
    gate.await_runs(1);
    let second = served.in_background("POST", "/short", "");
    gate.await_arrivals(2);
    std::thread::sleep(Duration::from_millis(250));
    assert_eq!(gate.runs(), 1);
    gate.let_through(1);
    assert_eq!(first.join().unwrap().text(), "run 1, held");
    gate.let_through(1);
    assert_eq!(second.join().unwrap().text(), "run 2, held");
}

#[test]
fn h28_a_handler_can_learn_that_its_lock_was_lost() {
    let (store, gate) = (Unsteady::default(), Gate::closed());
    let idempotent = Idempotent::builder("it").store(store.clone()).build();
    let served = serve_gated(ONE_WORKER, &idempotent, &gate, services);
    store.fail(Ask::RenewLock);
    let first = served.in_background("POST", "/short", "");
    gate.await_runs(1);
    let second = served.in_background("POST", "/short", "");
    gate.await_runs(2);
    // The second one is inside because the lease has lapsed; the renewer sees that at its next try.
    std::thread::sleep(Duration::from_millis(100));
    gate.let_through(1);
    // H33: the loss is reported, and is no error.
    let first = first.join().unwrap();
    assert_eq!((first.status, first.text()), (200, "run 1, lost"));
    gate.let_through(1);
    assert_eq!(second.join().unwrap().status, 200);
}

fn assert_busy(reply: &Response) {
    assert_eq!(reply.status, 409);
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_eq!(
        reply.header("content-type"),
        Some("application/problem+json")
    );
}

#[test]
fn h36_waiting_for_a_lock_is_bounded() {
    for target in ["/hurried", "/impatient"] {
        let (served, gate) = fixture(ONE_WORKER);
        let first = served.in_background("POST", target, "");
        gate.await_runs(1);
        let waiters = [(); 50].map(|()| served.in_background("POST", target, ""));
        for waiter in waiters {
            assert_busy(&waiter.join().unwrap());
        }
        gate.let_through(2);
        assert_eq!(first.join().unwrap().text(), "run 1");
        // Those who gave up hold no place.
        assert_eq!(served.send("POST", target, &[], "").text(), "run 2");
    }
}

#[test]
fn a_waiter_that_goes_away_leaves_no_place_behind() {
    let (served, gate) = fixture(Options {
        half_closed: false,
        ..ONE_WORKER
    });
    let first = served.in_background("POST", "/locked/1", "");
    gate.await_runs(1);
    let leaver = served.ask("POST", "/locked/1", &[]);
    gate.await_arrivals(2);
    let last = served.in_background("POST", "/locked/1", "");
    gate.await_arrivals(3);
    leaver.reset();
    gate.await_departures(1);
    gate.let_through(2);
    assert_eq!(first.join().unwrap().text(), "run 1");
    assert_eq!(last.join().unwrap().text(), "run 2");
    assert_eq!(gate.runs(), 2);
}

#[test]
fn h35_the_lock_of_a_client_that_goes_away_is_held_until_its_handler_ends() {
    let (served, gate) = fixture(ONE_WORKER);
    let client = served.ask("POST", "/locked/1", &[]);
    gate.await_runs(1);
    client.reset();
    gate.await_departures(1);
    let next = served.in_background("POST", "/locked/1", "");
    gate.await_arrivals(2);
    assert_eq!(gate.runs(), 1);
    gate.let_through(1);
    gate.await_runs(2);
    assert_eq!(gate.passed(), 1);
    gate.let_through(1);
    assert_eq!(next.join().unwrap().text(), "run 2");
}

#[test]
fn a_lock_is_freed_after_a_panic_and_after_an_error() {
    for target in ["/panics-first", "/fails-first"] {
        let (served, gate) = fixture(ONE_WORKER);
        let first = served.in_background("POST", target, "");
        gate.await_runs(1);
        let second = served.in_background("POST", target, "");
        gate.await_arrivals(2);
        gate.let_through(2);
        assert_eq!(first.join().unwrap().status, 500);
        assert_eq!(second.join().unwrap().text(), "run 2");
    }
}

#[test]
fn h33_a_lock_that_cannot_be_freed_does_not_spoil_the_reply() {
    for trouble in [Unsteady::fail, Unsteady::hang] {
        let (store, gate) = (Unsteady::default(), Gate::open());
        let idempotent = Idempotent::builder("it").store(store.clone()).build();
        let served = serve_gated(ONE_WORKER, &idempotent, &gate, services);
        trouble(&store, Ask::Unlock);
        let reply = served.send("POST", "/locked/1", &[], "");
        assert_eq!((reply.status, reply.text()), (200, "run 1"));
    }
}
