//! Replies and their replays, byte for byte.

use std::io::{Read, Write};

use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::Compress;
use actix_web::web::{Bytes, ServiceConfig};
use actix_web::{HttpResponse, get, post, route, web};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use idempotent_runtime::{Reply, idempotent};
use support::http::Response;

use crate::app::{Gate, ONE_WORKER, Served, is_replay, plain, serve_gated};

#[get("/linked")]
#[idempotent(cache = 15)]
async fn linked() -> HttpResponse {
    HttpResponse::Created()
        .append_header((header::LINK, "</1>; rel=prev"))
        .append_header((header::LINK, "</3>; rel=next"))
        .insert_header((header::LOCATION, "/orders/7"))
        .insert_header((header::ETAG, "\"v1\""))
        .insert_header(("x-bytes", HeaderValue::from_bytes(b"caf\xe9").unwrap()))
        .content_type("application/octet-stream")
        .body((0..=255).collect::<Vec<u8>>())
}

#[route("/page", method = "GET", method = "HEAD")]
#[idempotent(cache = 15)]
async fn page(gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

#[route("/measured", method = "HEAD")]
#[idempotent(cache = 15)]
async fn measured() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_LENGTH, 1234))
        .insert_header(("x-checked", "yes"))
        .message_body(actix_web::body::None::new())
        .unwrap()
        .map_into_boxed_body()
}

#[get("/no-content")]
#[idempotent(cache = 15)]
async fn no_content() -> HttpResponse {
    HttpResponse::NoContent()
        .insert_header(("x-done", "yes"))
        .finish()
}

#[get("/empty")]
#[idempotent(cache = 15)]
async fn nothing() -> HttpResponse {
    HttpResponse::Ok().finish()
}

#[get("/encoded")]
#[idempotent(cache = 15)]
async fn encoded() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CONTENT_ENCODING, "gzip"))
        .body(gzip("handmade"))
}

#[get("/compressible")]
#[idempotent(cache = 15)]
async fn compressible(gate: web::Data<Gate>) -> String {
    format!("run {}, {}", gate.pass().await, "again and ".repeat(100))
}

#[post("/echo")]
#[idempotent(cache = 15)]
async fn echo(body: web::Json<String>, gate: web::Data<Gate>) -> String {
    format!("{body} in run {}", gate.pass().await)
}

#[post("/raw")]
#[idempotent(cache = 15, key = header("Idempotency-Key"))]
async fn keyed(body: web::Json<u8>, gate: web::Data<Gate>) -> String {
    format!("{body} in run {}", gate.pass().await)
}

#[post("/bytes")]
#[idempotent(cache = 15)]
async fn count_bytes(body: Bytes, gate: web::Data<Gate>) -> String {
    format!("{} bytes in run {}", body.len(), gate.pass().await)
}

fn order() -> Reply {
    Reply::new(201)
        .header("Location", "/orders/7")
        .header("Link", "</1>; rel=prev")
        .header("Link", "</3>; rel=next")
        .body("made")
}

#[get("/ordinary/order")]
async fn ordinary_order() -> Reply {
    order()
}

#[get("/annotated/order")]
#[idempotent(cache = 15)]
async fn annotated_order() -> Result<Reply, actix_web::Error> {
    Ok(order())
}

#[get("/ordinary/json")]
async fn ordinary_json() -> actix_web::Result<Reply> {
    Ok(Reply::json(200, &[1, 2])?)
}

#[get("/ordinary/nothing")]
async fn ordinary_nothing() -> Reply {
    Reply::new(204)
}

fn services(config: &mut ServiceConfig) {
    config
        .service((linked, page, measured, no_content, nothing, encoded))
        .service((echo, keyed, count_bytes))
        .service((ordinary_order, annotated_order, ordinary_json))
        .service(ordinary_nothing)
        .service(
            web::scope("/compressed")
                .wrap(Compress::default())
                .service((compressible, encoded)),
        );
}

fn fixture() -> Served {
    serve_gated(ONE_WORKER, &plain(), &Gate::open(), services)
}

pub fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn gunzip(bytes: &[u8]) -> String {
    let mut text = String::new();
    GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
    text
}

/// All headers but those that a replay has of its own, in any order.
fn own_headers(reply: &Response) -> Vec<(String, String)> {
    let others = ["date", "cache-status", "idempotent-replayed"];
    let mut headers: Vec<_> = reply
        .headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
        .filter(|(name, _)| !others.contains(&name.as_str()))
        .collect();
    headers.sort();
    headers
}

/// Asks twice; the second reply is a replay and the same. Gives the first.
fn replayed(served: &Served, method: &str, target: &str, headers: &[(&str, &str)]) -> Response {
    let first = served.send(method, target, headers, "");
    let retry = served.send(method, target, headers, "");
    assert!(!is_replay(&first) && is_replay(&retry), "{retry:?}");
    assert_eq!(own_headers(&first), own_headers(&retry));
    assert_eq!(
        (first.status, &first.reason, &first.body),
        (retry.status, &retry.reason, &retry.body)
    );
    assert_eq!(retry.all("date").len(), 1);
    first
}

#[test]
fn a_replay_has_every_byte_and_every_header_of_the_first_reply() {
    let reply = replayed(&fixture(), "GET", "/linked", &[]);
    assert_eq!(reply.status, 201);
    assert_eq!(reply.all("link"), ["</1>; rel=prev", "</3>; rel=next"]);
    assert_eq!(reply.header("location"), Some("/orders/7"));
    assert_eq!(reply.header("x-bytes"), Some("café"));
    assert_eq!(reply.body, (0..=255).collect::<Vec<u8>>());
}

#[test]
fn a_replay_keeps_the_order_of_repeated_headers() {
    let served = fixture();
    served.get("/linked");
    let replay = served.get("/linked");
    assert_eq!(replay.all("link"), ["</1>; rel=prev", "</3>; rel=next"]);
}

#[test]
fn head_is_replayed_with_its_length_and_without_a_body() {
    let served = fixture();
    let head = replayed(&served, "HEAD", "/page", &[]);
    assert_eq!(head.header("content-length"), Some("5"));
    // Another method is another request.
    assert_eq!(served.get("/page").text(), "run 2");
}

#[test]
fn what_a_head_handler_says_itself_is_replayed() {
    let head = replayed(&fixture(), "HEAD", "/measured", &[]);
    assert_eq!(head.header("x-checked"), Some("yes"));
}

#[test]
fn no_content_has_no_length_and_an_empty_reply_has_one() {
    let served = fixture();
    let none = replayed(&served, "GET", "/no-content", &[]);
    assert_eq!(none.header("content-length"), None);
    assert_eq!(none.header("x-done"), Some("yes"));
    let empty = replayed(&served, "GET", "/empty", &[]);
    assert_eq!(empty.header("content-length"), Some("0"));
}

#[test]
fn what_the_handler_compressed_stays_as_it_is() {
    for target in ["/encoded", "/compressed/encoded"] {
        let accepts = [("accept-encoding", "gzip")];
        let reply = replayed(&fixture(), "GET", target, &accepts);
        assert_eq!(reply.header("content-encoding"), Some("gzip"));
        assert_eq!(gunzip(&reply.body), "handmade");
    }
}

#[test]
fn a_middleware_outside_compresses_replays_as_each_client_wants_it() {
    let served = fixture();
    let target = "/compressed/compressible";
    let reply = replayed(&served, "GET", target, &[("accept-encoding", "gzip")]);
    assert_eq!(reply.header("content-encoding"), Some("gzip"));
    assert!(gunzip(&reply.body).starts_with("run 1"));
    let identity = served.get(target);
    assert!(is_replay(&identity));
    assert_eq!(identity.header("content-encoding"), None);
    assert_eq!(identity.text(), gunzip(&reply.body));
}

#[test]
fn a_compressed_request_is_decoded_once() {
    let served = fixture();
    let body = gzip("\"tea\"");
    let headers = [
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
    ];
    let send = || support::http::send(served.address, "POST", "/echo", &headers, &body);
    assert_eq!(send().text(), "tea in run 1");
    assert!(is_replay(&send()));
}

#[test]
fn a_request_that_does_not_parse_is_refused_and_not_recorded() {
    let served = fixture();
    let headers = [
        ("content-type", "application/json"),
        ("idempotency-key", "a"),
    ];
    for _ in 0..2 {
        let broken = served.send("POST", "/raw", &headers, "{");
        assert_eq!(broken.status, 400);
        assert!(!is_replay(&broken) && broken.header("cache-status").is_none());
    }
    // Had the broken one been recorded, this one would be another payload.
    assert_eq!(
        served.send("POST", "/raw", &headers, "7").text(),
        "7 in run 1"
    );
}

#[test]
fn a_body_that_comes_in_chunks_is_the_same_request() {
    let served = fixture();
    assert_eq!(
        served.send("POST", "/bytes", &[], "abcdef").text(),
        "6 bytes in run 1"
    );
    let mut connection = support::http::Connection::open(served.address);
    connection
        .send("POST /bytes HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    connection.send("2\r\nab\r\n4\r\ncdef\r\n0\r\n\r\n");
    assert!(is_replay(&connection.response()));
}

#[test]
fn a_reply_is_what_any_handler_may_respond_with() {
    let served = fixture();
    let order = served.get("/ordinary/order");
    assert_eq!((order.status, order.text()), (201, "made"));
    assert_eq!(order.header("location"), Some("/orders/7"));
    assert_eq!(order.all("link"), ["</1>; rel=prev", "</3>; rel=next"]);
    let annotated = replayed(&served, "GET", "/annotated/order", &[]);
    assert_eq!(own_headers(&annotated), own_headers(&order));
    assert_eq!((annotated.status, annotated.text()), (201, "made"));
}

#[test]
fn a_reply_may_be_json_or_nothing() {
    let served = fixture();
    let json = served.get("/ordinary/json");
    assert_eq!(json.header("content-type"), Some("application/json"));
    assert_eq!(json.text(), "[1,2]");
    let none = served.get("/ordinary/nothing");
    assert_eq!((none.status, none.text()), (204, ""));
    assert_eq!(none.header("content-length"), None);
}
