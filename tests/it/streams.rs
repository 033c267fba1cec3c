//! Bodies that are large, endless, broken or no bodies at all, in both directions.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use actix_web::web::{Bytes, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use futures_util::{StreamExt, stream};
use idempotent_runtime::{Idempotent, idempotent};
use support::http::{Connection, Response, request};

use crate::app::{Gate, ONE_WORKER, Served, cache_status, is_replay, serve_gated};

fn chunk(size: usize) -> Result<Bytes, Infallible> {
    Ok(Bytes::from("x".repeat(size)))
}

#[get("/short")]
#[idempotent(cache = 15)]
async fn short(gate: web::Data<Gate>) -> HttpResponse {
    let run = gate.pass().await;
    let words = ["run ".to_owned(), run.to_string()].map(|word| Ok::<_, Infallible>(word.into()));
    HttpResponse::Ok().streaming(stream::iter(words))
}

#[get("/endless")]
#[idempotent(cache = 15)]
async fn endless(gate: web::Data<Gate>) -> HttpResponse {
    let run = gate.pass().await;
    let first = stream::once(async move { Ok::<_, Infallible>(format!("run {run}.").into()) });
    HttpResponse::Ok().streaming(first.chain(stream::pending()))
}

#[get("/large-stream")]
#[idempotent(cache = 15)]
async fn large_stream(gate: web::Data<Gate>) -> HttpResponse {
    gate.pass().await;
    HttpResponse::Ok().streaming(stream::iter([chunk(700), chunk(700), chunk(700)]))
}

#[get("/large")]
#[idempotent(cache = 15)]
async fn large(gate: web::Data<Gate>) -> String {
    gate.pass().await;
    "x".repeat(2100)
}

#[get("/breaks")]
#[idempotent(cache = 15)]
async fn breaks(gate: web::Data<Gate>) -> HttpResponse {
    let run = gate.pass().await;
    let half = Ok(Bytes::from(format!("half of run {run}")));
    let error = async {
        tokio::task::yield_now().await;
        Err(std::io::Error::other("on purpose"))
    };
    HttpResponse::Ok().streaming(stream::iter([half]).chain(stream::once(error)))
}

#[post("/whole")]
#[idempotent(cache = 15)]
async fn whole(body: Bytes, gate: web::Data<Gate>) -> String {
    format!("{} bytes in run {}", body.len(), gate.pass().await)
}

#[post("/upload")]
#[idempotent(cache = 15)]
async fn upload(mut body: web::Payload, gate: web::Data<Gate>) -> String {
    let mut size = 0;
    while let Some(Ok(chunk)) = body.next().await {
        size += chunk.len();
    }
    format!("{size} bytes in run {}", gate.pass().await)
}

/// An upgrade to a protocol that says everything twice.
#[get("/twice")]
#[idempotent(cache = 15)]
async fn twice(request: HttpRequest, body: web::Payload) -> HttpResponse {
    if !request.headers().contains_key("upgrade") {
        return HttpResponse::UpgradeRequired().finish();
    }
    let said = body.map(|word| word.map(|word| Bytes::from([&word[..], &word[..]].concat())));
    HttpResponse::SwitchingProtocols()
        .upgrade("websocket")
        .streaming(said)
}

#[post("/locked")]
#[idempotent(lock = 30, wait = 0, key(path))]
async fn locked(gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

fn services(config: &mut ServiceConfig) {
    config
        .service((short, endless, large_stream, large, breaks))
        .service((whole, upload, twice, locked));
}

const LIMIT: usize = 1000;

fn fixture() -> Served {
    with_gate(&Gate::open())
}

fn with_gate(gate: &Gate) -> Served {
    let idempotent = Idempotent::builder("it")
        .body_limit(LIMIT)
        .reply_limit(1500)
        .patience(Duration::from_millis(50))
        .build();
    serve_gated(ONE_WORKER, &idempotent, gate, services)
}

/// A stream to the server, after a GET.
fn get(served: &Served, target: &str, headers: &[(&str, &str)]) -> TcpStream {
    let mut stream = TcpStream::connect(served.address).unwrap();
    stream.set_read_timeout(Some(support::DEADLINE)).unwrap();
    stream
        .write_all(&request("GET", target, headers, b""))
        .unwrap();
    stream
}

/// What the server says up to and including `end`.
fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let (mut said, mut byte) = (Vec::new(), [0]);
    while !said.ends_with(end.as_bytes()) {
        stream.read_exact(&mut byte).unwrap();
        said.push(byte[0]);
    }
    String::from_utf8(said).unwrap()
}

#[test]
fn a_short_stream_is_kept() {
    let served = fixture();
    assert_eq!(served.get("/short").text(), "run 1");
    let replay = served.get("/short");
    assert!(is_replay(&replay));
    assert_eq!(replay.text(), "run 1");
}

#[test]
fn h47_an_endless_stream_goes_out_as_it_comes_and_is_not_kept() {
    let served = fixture();
    for run in ["run 1.", "run 2."] {
        // The connection stays open: the stream has not ended.
        let said = read_until(&mut get(&served, "/endless", &[]), run);
        assert!(said.contains("detail=\"endless\""), "{said}");
        assert!(!said.contains("stored"), "{said}");
    }
}

#[test]
fn h47_a_reply_too_large_arrives_whole_and_is_not_kept() {
    for target in ["/large", "/large-stream"] {
        let gate = Gate::open();
        let served = with_gate(&gate);
        for _ in 0..2 {
            let reply = served.get(target);
            assert_eq!(reply.body, "x".repeat(2100).as_bytes());
            assert!(cache_status(&reply).contains("too-large"), "{reply:?}");
        }
        assert_eq!(gate.runs(), 2);
    }
}

#[test]
fn a_body_that_breaks_off_is_not_kept() {
    let served = fixture();
    for run in ["half of run 1", "half of run 2"] {
        let mut said = String::new();
        let mut stream = get(&served, "/breaks", &[]);
        stream.read_to_string(&mut said).unwrap();
        assert!(said.contains(run), "{said}");
        // No last chunk: the client knows that this was not all.
        assert!(!said.ends_with("0\r\n\r\n"), "{said}");
    }
}

fn assert_too_large(reply: &Response) {
    assert_eq!(reply.status, 413);
    assert_eq!(
        reply.header("content-type"),
        Some("application/problem+json")
    );
}

#[test]
fn h47_a_request_too_large_is_refused() {
    let served = fixture();
    let most = served.send("POST", "/whole", &[], &"x".repeat(LIMIT));
    assert_eq!(most.text(), "1000 bytes in run 1");
    let more = "x".repeat(LIMIT + 1);
    assert_too_large(&served.send("POST", "/whole", &[], &more));
    assert_too_large(&served.send("POST", "/upload", &[], &more));
    assert_too_large(&send_chunked(&served, "/whole"));
}

/// Twice 600 bytes, without saying so first.
fn send_chunked(served: &Served, target: &str) -> Response {
    let mut connection = Connection::open(served.address);
    connection.send(request(
        "POST",
        target,
        &[("transfer-encoding", "chunked")],
        b"",
    ));
    let chunk = format!("258\r\n{}\r\n", "x".repeat(600));
    connection.send(format!("{chunk}{chunk}0\r\n\r\n"));
    connection.response()
}

#[test]
fn an_upload_beyond_the_limit_goes_through_unkept() {
    let served = fixture();
    for text in ["1200 bytes in run 1", "1200 bytes in run 2"] {
        let reply = send_chunked(&served, "/upload");
        assert_eq!(reply.text(), text);
        assert_eq!(cache_status(&reply), "idempotent; fwd=bypass");
    }
}

#[test]
fn an_upload_within_the_limit_is_kept() {
    let served = fixture();
    let small = || served.send("POST", "/upload", &[], "tea");
    assert_eq!(small().text(), "3 bytes in run 1");
    assert!(is_replay(&small()));
}

#[test]
fn an_upgrade_is_a_conversation_that_nobody_keeps() {
    let served = fixture();
    let upgrade = [("connection", "upgrade"), ("upgrade", "websocket")];
    for _ in 0..2 {
        let mut stream = get(&served, "/twice", &upgrade);
        let head = read_until(&mut stream, "\r\n\r\n");
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        assert!(head.contains("cache-status: idempotent; fwd=bypass"));
        stream.write_all(b"hello").unwrap();
        read_until(&mut stream, "hellohello");
    }
}

#[test]
fn an_offer_of_another_protocol_does_not_get_past_the_lock() {
    let gate = Gate::closed();
    let served = with_gate(&gate);
    let first = served.in_background("POST", "/locked", "");
    gate.await_runs(1);
    for (protocol, status) in [("h2c", 409), ("websocket", 400)] {
        let offer = [("connection", "upgrade"), ("upgrade", protocol)];
        let mut client = served.ask("POST", "/locked", &offer);
        // To actix the body of a handshake is all that the client ever says.
        client.half_close();
        assert_eq!(client.response().status, status, "{protocol}");
    }
    assert_eq!(gate.runs(), 1);
    gate.let_through(1);
    assert_eq!(first.join().unwrap().text(), "run 1");
}

#[test]
fn an_offer_of_another_protocol_does_not_get_past_the_replay() {
    let served = fixture();
    let offer = [("connection", "upgrade"), ("upgrade", "h2c")];
    let ask = || served.send("POST", "/whole", &offer, "tea");
    assert_eq!(ask().text(), "3 bytes in run 1");
    assert!(is_replay(&ask()));
}
