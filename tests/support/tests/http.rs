use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;

use support::http::{Connection, request, send};

#[test]
fn headers_keep_their_order_their_case_and_their_repetitions() {
    let (address, _) = says(
        "HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nx-B: 1\r\nset-cookie: b\r\nContent-Length: 2\r\n\r\nhi",
    );
    let response = send(address, "GET", "/", &[], b"");
    let names: Vec<_> = response.headers.iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["Set-Cookie", "x-B", "set-cookie", "Content-Length"]);
    assert_eq!(response.all("SET-COOKIE"), ["a", "b"]);
    assert_eq!((response.status, response.text()), (200, "hi"));
}

#[test]
fn a_chunked_body_is_put_together() {
    let (address, _) = says(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n",
    );
    assert_eq!(send(address, "GET", "/", &[], b"").text(), "abc0123456789");
}

#[test]
fn a_body_without_a_length_ends_with_the_connection() {
    let (address, _) = says("HTTP/1.1 200 OK\r\n\r\nall of it");
    assert_eq!(send(address, "GET", "/", &[], b"").text(), "all of it");
}

#[test]
fn a_response_to_head_has_a_length_and_no_body() {
    let (address, _) = says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    let response = send(address, "HEAD", "/", &[], b"");
    assert_eq!(response.header("content-length"), Some("5"));
    assert!(response.body.is_empty());
}

#[test]
fn two_responses_on_one_connection_are_told_apart() {
    let (address, _) =
        says("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\n!");
    let mut connection = Connection::open(address);
    connection.send(request("GET", "/", &[], b""));
    assert_eq!(connection.response().status, 204);
    assert_eq!(connection.response().text(), "!");
    assert!(connection.is_closed());
}

#[test]
#[should_panic(expected = "a whole body")]
fn a_body_that_is_cut_is_no_response() {
    let (address, _) = says("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc");
    let _ = send(address, "GET", "/", &[], b"");
}

#[test]
fn the_bytes_sent_are_the_bytes_given() {
    let (address, server) = says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let _ = send(
        address,
        "PUT",
        "/users?a=1",
        &[("X-Tenant", "7")],
        b"name=x",
    );
    assert_eq!(
        server.join().expect("a server's account"),
        "PUT /users?a=1 HTTP/1.1\r\nHost: localhost\r\nX-Tenant: 7\r\nContent-Length: 6\r\n\r\nname=x"
    );
}

#[test]
fn a_reset_is_seen_as_one_by_the_server() {
    let (address, ending) = tells_the_ending();
    Connection::open(address).reset();
    let ending = ending.join().expect("a server's account");
    assert_eq!(ending, Err(ErrorKind::ConnectionReset));
}

#[test]
fn a_drop_is_an_orderly_end() {
    let (address, ending) = tells_the_ending();
    drop(Connection::open(address));
    assert_eq!(ending.join().expect("a server's account"), Ok(0));
}

#[test]
fn after_a_half_close_the_response_is_still_read() {
    let (address, ending) = tells_the_ending();
    let mut connection = Connection::open(address);
    connection.half_close();
    assert!(connection.is_closed());
    assert_eq!(ending.join().expect("a server's account"), Ok(0));
}

/// A server that reads one request, says this, and closes. It gives what it read.
fn says(response: &'static str) -> (SocketAddr, JoinHandle<String>) {
    serve(|mut stream| {
        let mut bytes = [0; 4096];
        let read = stream.read(&mut bytes).expect("a request");
        stream.write_all(response.as_bytes()).expect("a client");
        String::from_utf8_lossy(&bytes[..read]).into_owned()
    })
}

fn tells_the_ending() -> (SocketAddr, JoinHandle<Result<usize, ErrorKind>>) {
    serve(|mut stream| stream.read(&mut [0; 1]).map_err(|error| error.kind()))
}

fn serve<T: Send + 'static>(
    story: impl FnOnce(TcpStream) -> T + Send + 'static,
) -> (SocketAddr, JoinHandle<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = std::thread::spawn(move || story(listener.accept().expect("a client").0));
    (address, server)
}
