//! Which requests are the same, through real handlers.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use actix_session::storage::CookieSessionStore;
use actix_session::{Session, SessionMiddleware};
use actix_web::cookie::Key;
use actix_web::dev::Payload;
use actix_web::error::ErrorUnauthorized;
use actix_web::web::{Bytes, ServiceConfig};
use actix_web::{FromRequest, HttpRequest, get, post, web};
use idempotent_runtime::{Idempotent, RequestId, idempotent};
use support::http::Response;

use crate::app::{
    Gate, ONE_WORKER, Served, cache_status, is_replay, plain, serve_gated, serve_with,
};

#[post("/default")]
#[idempotent(cache = 15)]
async fn default(gate: web::Data<Gate>, _body: String) -> String {
    format!("run {}", gate.pass().await)
}

#[post("/keyed")]
#[idempotent(cache = 15, key = header("Idempotency-Key"))]
async fn keyed(gate: web::Data<Gate>, _body: String) -> String {
    format!("run {}", gate.pass().await)
}

#[post("/by-path/{id}")]
#[idempotent(cache = 15, key(path))]
async fn by_path(gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

#[post("/by-tenant")]
#[idempotent(cache = 15, key(headers("X-Tenant")))]
async fn by_tenant(gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

#[post("/shared")]
#[idempotent(cache = 15, key(path, shared))]
async fn shared(gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

fn first_word(_: &HttpRequest, body: &Bytes) -> Result<RequestId, actix_web::Error> {
    let word = body.split(|byte| *byte == b' ').next();
    match word {
        None | Some(b"") => Err(actix_web::error::ErrorUnprocessableEntity("say something")),
        Some(word) => Ok(RequestId::new(word)),
    }
}

#[post("/function")]
#[idempotent(cache = 15, key = first_word)]
async fn function(gate: web::Data<Gate>, _body: String) -> String {
    format!("run {}", gate.pass().await)
}

#[post("/by-session")]
#[idempotent(cache = 15, key(path, session, shared))]
async fn by_session(gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

#[get("/log-in/{user}")]
async fn log_in(user: web::Path<String>, session: Session) -> &'static str {
    session.insert("user", user.as_str()).unwrap();
    ""
}

/// Those who may come in; an extractor that looks here is a login.
#[derive(Clone, Default)]
struct Users(Arc<Mutex<HashSet<String>>>);

struct LoggedIn;

impl FromRequest for LoggedIn {
    type Error = actix_web::Error;
    type Future = std::future::Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let users = request.app_data::<Users>().unwrap();
        let token = request.headers().get("authorization");
        let known = token
            .and_then(|token| token.to_str().ok())
            .is_some_and(|token| users.0.lock().unwrap().contains(token));
        std::future::ready(known.then_some(Self).ok_or_else(|| ErrorUnauthorized("no")))
    }
}

#[post("/guarded")]
#[idempotent(cache = 15)]
async fn guarded(_: LoggedIn, gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

fn services(config: &mut ServiceConfig) {
    config
        .service((default, keyed, by_path, by_tenant, shared, function))
        .service((by_session, log_in, guarded));
}

fn with(idempotent: &Idempotent) -> Served {
    serve_gated(ONE_WORKER, idempotent, &Gate::open(), services)
}

fn fixture() -> Served {
    with(&plain())
}

type Headers<'a> = &'a [(&'a str, &'a str)];

/// Whether the second request gets the reply of the first, on a fresh server.
fn same(one: (&str, Headers<'_>, &str), other: (&str, Headers<'_>, &str)) -> bool {
    same_on(&fixture(), one, other)
}

fn same_on(
    served: &Served,
    one: (&str, Headers<'_>, &str),
    other: (&str, Headers<'_>, &str),
) -> bool {
    let send = |(target, headers, body)| served.send("POST", target, headers, body);
    let (first, second) = (send(one), send(other));
    assert_eq!((first.status, second.status), (200, 200), "{second:?}");
    is_replay(&second)
}

fn post_with_key(served: &Served, keys: &[&str]) -> Response {
    let headers: Vec<_> = keys.iter().map(|key| ("idempotency-key", *key)).collect();
    served.send("POST", "/keyed", &headers, "tea")
}

#[test]
fn h41_a_client_key_must_be_one_that_is_valid() {
    let long = "k".repeat(256);
    let wrong: [&[&str]; 6] = [&[], &["a", "b"], &[""], &["\"\""], &["\"a"], &[&long]];
    let served = fixture();
    for keys in wrong {
        let reply = post_with_key(&served, keys);
        assert_eq!(reply.status, 400, "{keys:?}");
        assert_eq!(
            reply.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(reply.json()["status"], 400);
    }
    assert_eq!(post_with_key(&served, &["a"]).text(), "run 1");
}

#[test]
fn a_quoted_client_key_is_the_bare_one() {
    let served = fixture();
    assert_eq!(post_with_key(&served, &["\"a-1\""]).text(), "run 1");
    assert!(is_replay(&post_with_key(&served, &["a-1"])));
    assert_eq!(post_with_key(&served, &["a-2"]).text(), "run 2");
}

#[test]
fn h41_a_client_key_with_another_payload_is_refused() {
    let served = fixture();
    let key: Headers<'_> = &[("idempotency-key", "a")];
    assert_eq!(served.send("POST", "/keyed", key, "tea").text(), "run 1");
    for (target, body) in [("/keyed", "coffee"), ("/keyed?x", "tea")] {
        let other = served.send("POST", target, key, body);
        assert_eq!(other.status, 422);
        assert_eq!(
            other.header("content-type"),
            Some("application/problem+json")
        );
    }
    assert!(is_replay(&served.send("POST", "/keyed", key, "tea")));
}

#[test]
fn h42_a_client_key_is_its_users_own() {
    let served = fixture();
    let ann: Headers<'_> = &[("idempotency-key", "a"), ("authorization", "Bearer ann")];
    let bob: Headers<'_> = &[("idempotency-key", "a"), ("authorization", "Bearer bob")];
    assert_eq!(served.send("POST", "/keyed", ann, "tea").text(), "run 1");
    assert_eq!(served.send("POST", "/keyed", bob, "tea").text(), "run 2");
}

#[test]
fn h10_another_body_query_or_content_type_is_another_request() {
    let form: Headers<'_> = &[("content-type", "application/x-www-form-urlencoded")];
    let text: Headers<'_> = &[("content-type", "text/plain")];
    let amount = ("/default", form, "amount=10");
    assert!(same(amount, amount));
    assert!(!same(amount, ("/default", form, "amount=99")));
    assert!(!same(amount, ("/default?x=1", form, "amount=10")));
    assert!(!same(amount, ("/default", text, "amount=10")));
}

#[test]
fn headers_that_say_nothing_about_the_request_do_not_matter() {
    let traced = |id| {
        [
            ("traceparent", id),
            ("user-agent", id),
            ("x-request-id", id),
        ]
    };
    assert!(same(
        ("/default", &traced("1"), "x"),
        ("/default", &traced("2"), "x")
    ));
}

#[test]
fn h42_two_users_never_share_a_reply() {
    let users = [
        ("authorization", "Bearer ann", "Bearer bob"),
        ("cookie", "sid=ann", "sid=bob"),
        ("x-api-key", "ann", "bob"),
    ];
    for (header, ann, bob) in users {
        for target in ["/default", "/by-path/1"] {
            let of = |user| [(header, user)];
            assert!(same((target, &of(ann), ""), (target, &of(ann), "")));
            assert!(!same((target, &of(ann), ""), (target, &of(bob), "")));
            assert!(!same((target, &of(ann), ""), (target, &[], "")));
        }
    }
}

#[test]
fn a_shared_reply_is_for_all_users() {
    let of = |user| [("authorization", user)];
    assert!(same(
        ("/shared", &of("ann"), ""),
        ("/shared", &of("bob"), "")
    ));
}

#[test]
fn a_named_dimension_is_the_only_one_that_counts() {
    assert!(same(("/by-path/1", &[], "a"), ("/by-path/1?q", &[], "b")));
    assert!(!same(("/by-path/1", &[], ""), ("/by-path/2", &[], "")));
    let of = |tenant| [("x-tenant", tenant)];
    assert!(same(
        ("/by-tenant", &of("a"), "1"),
        ("/by-tenant", &of("a"), "2")
    ));
    assert!(!same(
        ("/by-tenant", &of("a"), ""),
        ("/by-tenant", &of("b"), "")
    ));
}

#[test]
fn a_path_that_is_written_in_another_way_is_the_same() {
    let post = |target| (target, [].as_slice(), "");
    assert!(same(post("/by-path/1"), post("/by-path/%31")));
    assert!(same(post("/default?q"), post("/%64efault?q")));
    assert!(!same(post("/by-path/a%2Fb"), post("/by-path/a%252Fb")));
}

#[test]
fn a_function_can_say_which_requests_are_the_same() {
    assert!(same(("/function", &[], "a 1"), ("/function", &[], "a 2")));
    assert!(!same(("/function", &[], "a 1"), ("/function", &[], "b 1")));
    let refused = fixture().send("POST", "/function", &[], "");
    assert_eq!((refused.status, refused.text()), (422, "say something"));
}

#[test]
fn the_applications_principal_takes_the_place_of_credentials() {
    let idempotent = Idempotent::builder("it")
        .principal(|request: &actix_web::HttpRequest| {
            let user = request.headers().get("x-user")?;
            Some(user.to_str().ok()?.to_owned())
        })
        .build();
    let of = |user, token| [("x-user", user), ("authorization", token)];
    let (old, new, bob) = (of("ann", "1"), of("ann", "2"), of("bob", "1"));
    assert!(same_on(
        &with(&idempotent),
        ("/default", &old, ""),
        ("/default", &new, "")
    ));
    assert!(!same_on(
        &with(&idempotent),
        ("/default", &old, "x"),
        ("/default", &bob, "x")
    ));
}

#[test]
fn h42_a_login_comes_before_every_replay() {
    let (idempotent, gate, users) = (plain(), Gate::open(), Users::default());
    users.0.lock().unwrap().insert("Bearer ann".into());
    let (app, data, known) = (idempotent, web::Data::new(gate.clone()), users.clone());
    let served = serve_with(ONE_WORKER, move |config| {
        config
            .app_data(app.clone())
            .app_data(data.clone())
            .app_data(known.clone())
            .configure(services);
    });
    let ask = || served.send("POST", "/guarded", &[("authorization", "Bearer ann")], "");
    assert_eq!(ask().text(), "run 1");
    assert!(is_replay(&ask()));
    users.0.lock().unwrap().clear();
    let revoked = ask();
    assert_eq!(revoked.status, 401);
    assert!(!is_replay(&revoked));
    users.0.lock().unwrap().insert("Bearer ann".into());
    assert!(is_replay(&ask()));
    assert_eq!(gate.runs(), 1);
}

#[test]
fn h43_a_forwarded_address_counts_only_behind_a_named_proxy() {
    let of = |address| [("x-forwarded-for", address)];
    let (one, other) = (of("198.51.100.1"), of("198.51.100.2"));
    assert!(same(("/default", &one, ""), ("/default", &other, "")));
    let behind = Idempotent::builder("it")
        .proxies(["127.0.0.0/8".parse().unwrap()])
        .build();
    assert!(!same_on(
        &with(&behind),
        ("/default", &one, ""),
        ("/default", &other, "")
    ));
}

#[test]
fn without_a_checksum_requests_are_told_apart_and_named() {
    let idempotent = Idempotent::builder("it")
        .checksum(false)
        .explain(true)
        .build();
    let served = with(&idempotent);
    let first = served.send("POST", "/by-path/1", &[], "");
    assert!(
        cache_status(&first).contains("ids::by_path") && cache_status(&first).contains("by-path/1"),
        "{first:?}"
    );
    assert!(is_replay(&served.send("POST", "/by-path/1", &[], "")));
    assert!(!is_replay(&served.send("POST", "/by-path/2", &[], "")));
}

/// The cookie of a fresh login.
fn session_of(served: &Served, user: &str) -> String {
    let reply = served.get(&format!("/log-in/{user}"));
    let cookie = reply.header("set-cookie").unwrap();
    cookie.split(';').next().unwrap().to_owned()
}

#[test]
fn h42_what_the_session_holds_tells_users_apart() {
    let (idempotent, data) = (plain(), web::Data::new(Gate::open()));
    let key = Key::generate();
    let served = serve_with(ONE_WORKER, move |config| {
        let sessions = SessionMiddleware::new(CookieSessionStore::default(), key.clone());
        config
            .app_data(idempotent.clone())
            .app_data(data.clone())
            .service(web::scope("").wrap(sessions).configure(services));
    });
    let ann = [session_of(&served, "ann"), session_of(&served, "ann")];
    let bob = session_of(&served, "bob");
    assert_ne!(ann[0], ann[1]);
    let ask = |cookie: &str| served.send("POST", "/by-session", &[("cookie", cookie)], "");
    assert_eq!(ask(&ann[0]).text(), "run 1");
    assert!(is_replay(&ask(&ann[1])));
    assert_eq!(ask(&bob).text(), "run 2");
}
