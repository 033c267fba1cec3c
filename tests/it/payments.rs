//! The example `payments`: wherever one of its processes is killed, the provider has charged once.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use support::http::{Response, send};
use support::{Proxy, Server, eventually, free_port};

use crate::app::is_replay;

/// The example's program, and what its processes share.
struct Place {
    program: PathBuf,
    port: u16,
    provider_port: u16,
    /// Between the worker and the provider.
    proxy: Proxy,
    data: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let provider_port = free_port();
        Self {
            program: Server::example("payments").get_program().into(),
            port: free_port(),
            provider_port,
            proxy: Proxy::start(provider_port),
            data: tempfile::tempdir().unwrap(),
        }
    }

    fn server(&self) -> Server {
        self.start("server", self.proxy.port())
    }

    fn provider(&self) -> Server {
        self.start("provider", self.provider_port)
    }

    fn start(&self, role: &str, provider_port: u16) -> Server {
        let server = Server::start(
            Command::new(&self.program)
                .arg(role)
                .env("DATA", self.data.path())
                .env("PORT", self.port.to_string())
                .env("PROVIDER_PORT", provider_port.to_string()),
        );
        server.await_line("listening on");
        server
    }

    fn pay(&self, key: &str, amount: i32) -> Response {
        let headers = [
            ("Content-Type", "application/json"),
            ("Idempotency-Key", key),
        ];
        let body = json!({ "amount": amount }).to_string();
        send(
            at(self.port),
            "POST",
            "/payments",
            &headers,
            body.as_bytes(),
        )
    }

    /// As a client that retries until it has an answer.
    fn pay_until_answered(&self, key: &str, amount: i32) -> Response {
        let mut answer = None;
        eventually("an answer", || {
            // Where the server is killed there is no response, at which it panics.
            answer = catch_unwind(|| self.pay(key, amount)).ok();
            answer.is_some()
        });
        answer.unwrap()
    }

    fn payment(&self, id: &Value) -> Value {
        send(at(self.port), "GET", &format!("/payments/{id}"), &[], b"").json()
    }

    /// What the provider has charged.
    fn ledger(&self) -> Vec<Value> {
        let list = send(at(self.provider_port), "GET", "/v1/charges", &[], b"").json();
        list["data"].as_array().unwrap().clone()
    }

    #[track_caller]
    fn is_charged_once(&self, id: &Value) {
        eventually("it is charged", || self.payment(id)["status"] == "charged");
        let ledger = self.ledger();
        assert_eq!(ledger.len(), 1, "{ledger:?}");
        assert_eq!(self.payment(id)["charge"], ledger[0]["id"]);
    }
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn random(below: u64) -> u64 {
    RandomState::new().hash_one(()) % below
}

#[test]
fn h39_killed_after_the_commit_and_before_sending_it_charges_once() {
    let place = Place::new();
    let _provider = place.provider();
    let server = place.server();
    place.proxy.refuse(true);
    let first = place.pay("k", 500);
    assert_eq!((first.status, place.ledger().len()), (202, 0), "{first:?}");
    server.kill();

    place.proxy.refuse(false);
    let _server = place.server();
    place.is_charged_once(&first.json()["id"]);
    let retry = place.pay("k", 500);
    assert!(is_replay(&retry) && retry.body == first.body, "{retry:?}");
}

#[test]
fn h39_killed_after_sending_and_before_marking_it_charges_once() {
    let place = Place::new();
    let _provider = place.provider();
    let server = place.server();
    place.proxy.swallow_answers(u64::MAX);
    let id = place.pay("k", 500).json()["id"].clone();
    eventually("it is sent", || place.proxy.swallowed() > 0);
    assert_eq!(place.payment(&id)["status"], "pending");
    server.kill();
    assert_eq!(place.ledger().len(), 1);

    place.proxy.swallow_answers(0);
    let _server = place.server();
    place.is_charged_once(&id);
}

#[test]
fn h39_answers_that_are_lost_are_asked_for_again_and_charge_once() {
    let place = Place::new();
    let (_provider, _server) = (place.provider(), place.server());
    place.proxy.swallow_answers(3);
    let id = place.pay("k", 500).json()["id"].clone();
    place.is_charged_once(&id);
    assert_eq!(place.proxy.swallowed(), 3);
}

#[test]
fn h39_killed_at_any_moment_it_charges_once() {
    const CLIENTS: i32 = 4;
    const KILLS: usize = 24;
    let place = Place::new();
    let killed_enough = AtomicBool::new(false);
    let mut processes = [place.provider(), place.server()];
    let answers: HashMap<i32, Response> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (place, enough) = (&place, &killed_enough);
                scope.spawn(move || pay_until(place, enough, client, CLIENTS))
            })
            .collect();
        for kill in 0..KILLS {
            std::thread::sleep(Duration::from_micros(random(40_000)));
            processes[kill % 2].kill();
            processes[kill % 2] = match kill % 2 {
                0 => place.provider(),
                _ => place.server(),
            };
        }
        killed_enough.store(true, Ordering::SeqCst);
        let answers = clients.into_iter().map(|client| client.join().unwrap());
        answers.flatten().collect()
    });
    assert!(answers.len() > KILLS, "{}", answers.len());
    all_are_charged_once(&place, &answers);
}

/// Pays with amounts, and so keys, that are this client's alone.
fn pay_until(place: &Place, enough: &AtomicBool, first: i32, step: i32) -> HashMap<i32, Response> {
    let mut answers = HashMap::new();
    let mut amount = first;
    while !enough.load(Ordering::SeqCst) {
        answers.insert(amount, place.pay_until_answered(&key(amount), amount));
        amount += step;
    }
    answers
}

fn key(amount: i32) -> String {
    format!("k-{amount}")
}

fn all_are_charged_once(place: &Place, answers: &HashMap<i32, Response>) {
    let mut charges = HashSet::new();
    for (&amount, answer) in answers {
        assert_eq!(answer.status, 202, "{answer:?}");
        let id = &answer.json()["id"];
        eventually("it is charged", || place.payment(id)["status"] == "charged");
        let payment = place.payment(id);
        assert_eq!(payment["amount"], amount);
        charges.insert(payment["charge"].to_string());
        assert_eq!(place.pay(&key(amount), amount).body, answer.body);
    }
    let ledger = place.ledger();
    let keys: HashSet<_> = ledger
        .iter()
        .map(|charge| &charge["metadata"]["key"])
        .collect();
    let amounts: HashSet<_> = ledger.iter().map(|charge| &charge["amount"]).collect();
    let expected = answers.len();
    assert_eq!(ledger.len(), expected, "one charge for each payment");
    assert_eq!(
        (keys.len(), amounts.len(), charges.len()),
        (expected, expected, expected)
    );
}
