//! What flask-idempotent2's own tests show of the original, shown of this one.

use std::time::Duration;

use actix_web::web::ServiceConfig;
use actix_web::{get, post, web};
use idempotent_runtime::{Idempotent, idempotent};

use crate::app::{Gate, Served, TWO_WORKERS, is_replay, plain, serve_gated};

#[get("/cached")]
#[idempotent(cache = "300ms")]
async fn cached(gate: web::Data<Gate>) -> String {
    gate.pass().await.to_string()
}

#[post("/locked")]
#[idempotent(lock = 3)]
async fn locked(gate: web::Data<Gate>) -> String {
    gate.pass().await.to_string()
}

/// One handler for each part of a request that can count.
macro_rules! handlers {
    ($($name:ident: key($($part:tt)+);)*) => {
        $(
            #[idempotent(cache = 15, key($($part)+, shared))]
            async fn $name(gate: web::Data<Gate>) -> String {
                gate.pass().await.to_string()
            }
        )*

        fn services(config: &mut ServiceConfig) {
            config.service((cached, locked));
            $(
                config.route(concat!("/", stringify!($name), "/{any}"), web::to($name));
                config.route(concat!("/", stringify!($name), "/{any}/alias"), web::to($name));
            )*
        }

        const PARTS: &[&str] = &[$(stringify!($name)),*];
    };
}

handlers! {
    endpoint: key(endpoint);
    path: key(path);
    method: key(method);
    query: key(query);
    body: key(body);
    headers: key(headers("X-Tenant"));
    content_type: key(content_type);
    content_length: key(content_length);
    host: key(host);
    accept: key(accept);
    remote_address: key(remote_address);
}

fn fixture(gate: &Gate) -> Served {
    serve_gated(TWO_WORKERS, &plain(), gate, services)
}

#[test]
fn a_reply_is_cached_within_the_time_and_not_after_it_without_a_database() {
    let served = fixture(&Gate::open());
    let first = served.get("/cached");
    assert_eq!(served.get("/cached").body, first.body);
    std::thread::sleep(Duration::from_millis(300));
    assert_ne!(served.get("/cached").body, first.body);
}

#[test]
fn five_locked_requests_at_once_all_succeed() {
    let gate = Gate::open();
    let served = fixture(&gate);
    let all = [(); 5].map(|()| served.in_background("POST", "/locked", ""));
    assert!(
        all.map(|one| one.join().unwrap().status)
            .iter()
            .all(|status| *status == 200)
    );
    assert_eq!(gate.runs(), 5);
}

/// A request that differs from the usual one in some parts.
struct Variant {
    differs_in: &'static [&'static str],
    method: &'static str,
    path: &'static str,
    headers: [(&'static str, &'static str); 5],
    body: &'static str,
}

const USUAL: Variant = Variant {
    differs_in: &[],
    method: "POST",
    path: "1?q=1",
    headers: HEADERS,
    body: "aa",
};

const HEADERS: [(&str, &str); 5] = [
    ("x-tenant", "a"),
    ("content-type", "text/plain"),
    ("accept", "text/plain"),
    ("x-forwarded-for", "198.51.100.1"),
    ("connection", "close"),
];

const fn header(part: &'static [&'static str], place: usize, value: &'static str) -> Variant {
    let mut headers = HEADERS;
    headers[place].1 = value;
    Variant {
        differs_in: part,
        headers,
        ..USUAL
    }
}

const VARIANTS: [Variant; 11] = [
    USUAL,
    Variant {
        differs_in: &["path"],
        path: "2?q=1",
        ..USUAL
    },
    Variant {
        differs_in: &["path", "endpoint"],
        path: "1/alias?q=1",
        ..USUAL
    },
    Variant {
        differs_in: &["method"],
        method: "PUT",
        ..USUAL
    },
    Variant {
        differs_in: &["query"],
        path: "1?q=2",
        ..USUAL
    },
    Variant {
        differs_in: &["body"],
        body: "bb",
        ..USUAL
    },
    Variant {
        differs_in: &["body", "content_length"],
        body: "aaa",
        ..USUAL
    },
    header(&["headers"], 0, "b"),
    header(&["content_type"], 1, "text/html"),
    header(&["accept"], 2, "text/html"),
    header(&["remote_address"], 3, "198.51.100.2"),
];

fn behind_a_proxy(gate: &Gate) -> Served {
    let proxies = ["127.0.0.0/8".parse().unwrap()];
    let idempotent = Idempotent::builder("it").proxies(proxies).build();
    serve_gated(TWO_WORKERS, &idempotent, gate, services)
}

#[test]
fn each_part_of_a_request_counts_where_it_is_named_and_nowhere_else() {
    for part in PARTS {
        let served = behind_a_proxy(&Gate::open());
        let send = |variant: &Variant| {
            let target = format!("/{part}/{}", variant.path);
            served.send(variant.method, &target, &variant.headers, variant.body)
        };
        send(&USUAL);
        for variant in &VARIANTS {
            let counts = variant.differs_in.contains(part);
            let reply = send(variant);
            assert_eq!(reply.status, 200);
            assert_eq!(
                is_replay(&reply),
                !counts,
                "{part} by {:?}",
                variant.differs_in
            );
        }
    }
}
