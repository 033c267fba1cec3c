//! The README's first command, driven as its welcome text says.

use std::net::SocketAddr;

use serde_json::{Value, json};
use support::http::{Connection, Response, request, send};
use support::{Server, eventually, free_port};

use crate::app::{cache_status, is_replay};

struct Quickstart {
    address: SocketAddr,
    _server: Server,
}

fn example(name: &str) -> Quickstart {
    let port = free_port();
    let server = Server::start(Server::example(name).env("PORT", port.to_string()));
    server.await_line("Listening on");
    Quickstart {
        address: SocketAddr::from(([127, 0, 0, 1], port)),
        _server: server,
    }
}

impl Quickstart {
    fn send(&self, method: &str, target: &str, body: &Value) -> Response {
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        send(self.address, method, target, &JSON, &body)
    }

    fn put(&self, name: &str) -> Response {
        self.send("PUT", "/users", &ann(name))
    }

    fn order(&self, key: &str, item: &str) -> Response {
        let body = json!({ "item": item }).to_string();
        let headers = [JSON[0], ("Idempotency-Key", key)];
        send(self.address, "POST", "/orders", &headers, body.as_bytes())
    }

    /// The same request many times at once.
    fn at_once(&self, times: usize, method: &str, target: &str, body: &Value) -> Vec<Response> {
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..times)
                .map(|_| scope.spawn(|| self.send(method, target, body)))
                .collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        })
    }
}

const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];

fn ann(name: &str) -> Value {
    json!({ "email": "ann@example.org", "name": name })
}

#[test]
fn a_put_is_replayed_until_the_user_is_changed() {
    let quickstart = example("quickstart");
    let first = quickstart.put("Ann");
    let retry = quickstart.put("Ann");
    assert_eq!(
        first.json(),
        json!({ "id": 1, "email": "ann@example.org", "name": "Ann", "revision": 1 })
    );
    assert_eq!(first.body, retry.body);
    assert!(!is_replay(&first) && is_replay(&retry));

    for (revision, target) in [(2, "/users/1"), (3, "/raw/users/1")] {
        assert_eq!(
            quickstart
                .send("PATCH", target, &json!({ "name": "Bob" }))
                .status,
            200
        );
        let again = quickstart.put("Ann");
        assert_eq!(again.json()["revision"], revision);
        assert!(!is_replay(&again));
        assert!(cache_status(&again).contains("fwd=stale"), "{again:?}");
        assert!(
            cache_status(&again).contains("detail=\"users:1\""),
            "{again:?}"
        );
        assert!(is_replay(&quickstart.put("Ann")));
    }
}

#[test]
fn another_name_is_another_request() {
    let quickstart = example("quickstart");
    quickstart.put("Ann");
    let other = quickstart.put("Anna");
    assert_eq!(
        (other.json()["revision"].as_i64(), is_replay(&other)),
        (Some(2), false)
    );
}

#[test]
fn twenty_visits_at_once_all_count() {
    let quickstart = example("quickstart");
    let visits = quickstart.at_once(20, "POST", "/users/1/visits", &Value::Null);
    let mut counts: Vec<_> = visits
        .iter()
        .map(|visit| visit.json()["visits"].as_i64().unwrap())
        .collect();
    counts.sort_unstable();
    assert_eq!(counts, (1..=20).collect::<Vec<_>>());
}

#[test]
fn twenty_puts_at_once_run_the_handler_once() {
    let quickstart = example("quickstart");
    let replies = quickstart.at_once(20, "PUT", "/users", &ann("Ann"));
    assert!(replies.iter().all(|reply| reply.json()["revision"] == 1));
    assert_eq!(replies.iter().filter(|reply| !is_replay(reply)).count(), 1);
}

#[test]
fn without_a_database_a_reply_is_replayed_too() {
    let quickstart = example("quickstart");
    let first = quickstart.send("GET", "/random", &Value::Null);
    assert_eq!(
        first.body,
        quickstart.send("GET", "/random", &Value::Null).body
    );
}

#[test]
fn h41_an_order_follows_the_rules_of_the_clients_key() {
    let quickstart = example("quickstart");
    let first = quickstart.order("\"k-1\"", "tea");
    assert_eq!(
        (first.status, first.header("location")),
        (201, Some("/orders/1"))
    );
    let retry = quickstart.order("k-1", "tea");
    assert_eq!(
        (retry.status, retry.header("location"), is_replay(&retry)),
        (201, Some("/orders/1"), true)
    );
    assert_eq!(quickstart.order("k-1", "coffee").status, 422);
    assert_eq!(quickstart.order("k-2", "tea").json()["id"], 2);
    let missing = quickstart.send("POST", "/orders", &json!({ "item": "tea" }));
    assert_eq!(
        (missing.status, missing.header("content-type")),
        (400, Some("application/problem+json"))
    );
}

#[test]
fn h35_a_client_killed_in_mid_request_finds_its_reply_when_it_retries() {
    let quickstart = example("quickstart");
    let body = ann("Ann").to_string();
    let mut connection = Connection::open(quickstart.address);
    // Only a client that was there tells its address, which is part of the request's id.
    connection.send(request("GET", "/random", &[], b""));
    connection.response();
    connection.send(request("PUT", "/users", &JSON, body.as_bytes()));
    connection.reset();
    // Whether the server had read the request before the reset is up to the network.
    eventually("the first run's reply", || {
        is_replay(&quickstart.put("Ann"))
    });
    assert_eq!(quickstart.put("Ann").json()["revision"], 1);
}

#[test]
fn an_application_in_the_usual_style_only_adds_attributes() {
    let todo = example("todo");
    let tea = json!({ "title": "buy tea" });
    let first = todo.send("POST", "/todos", &tea);
    let retry = todo.send("POST", "/todos", &tea);
    assert_eq!(
        (first.json()["id"].as_i64(), is_replay(&retry)),
        (Some(1), true)
    );
    assert_eq!(todo.send("DELETE", "/todos/1", &Value::Null).status, 200);
    assert!(!is_replay(&todo.send("POST", "/todos", &tea)));
    assert_eq!(
        todo.at_once(5, "POST", "/todos/1/toggle", &Value::Null)
            .len(),
        5
    );
    assert_eq!(
        todo.send("GET", "/todos", &Value::Null).json()[0]["done"],
        true
    );
}
