//! HTTP/1.1 by hand: what is sent are exact bytes, what comes back keeps its order, and a connection can be cut.
//!
//! ```no_run
//! use support::http::Connection;
//!
//! let mut connection = Connection::open("127.0.0.1:8080");
//! connection.send("GET /random HTTP/1.1\r\nHost: shop\r\n\r\n");
//! let first = connection.response();
//! assert_eq!(first.status, 200);
//!
//! connection.send("PUT /users HTTP/1.1\r\nHost: shop\r\nContent-Length: 17\r\n\r\n{\"half a body");
//! connection.reset();
//! ```

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::DEADLINE;

/// One TCP connection. Dropped, it is closed in the usual way (FIN).
#[derive(Debug)]
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    /// Connects; every later read has [`DEADLINE`] to succeed.
    ///
    /// # Panics
    ///
    /// When nobody listens there.
    #[track_caller]
    #[must_use]
    pub fn open(address: impl ToSocketAddrs) -> Self {
        let stream = TcpStream::connect(address).expect("a server that listens");
        stream
            .set_read_timeout(Some(DEADLINE))
            .and_then(|()| stream.set_nodelay(true))
            .expect("options of a connected socket");
        Self(BufReader::new(stream))
    }

    /// Sends these bytes and nothing else.
    ///
    /// # Panics
    ///
    /// When the connection is closed.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0
            .get_mut()
            .write_all(bytes.as_ref())
            .expect("an open connection");
    }

    /// Reads the next response, interim (1xx) ones included.
    ///
    /// # Panics
    ///
    /// When what comes is no whole HTTP/1.1 response.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        let mut response = self.head();
        response.body = self.body(&response);
        response
    }

    /// Reads the next response to a HEAD request, which has no body whatever its headers say.
    ///
    /// # Panics
    ///
    /// As [`response`](Self::response) does.
    #[track_caller]
    pub fn response_to_head(&mut self) -> Response {
        self.head()
    }

    /// Whether the server closed the connection (by FIN or RST) with nothing more to say.
    ///
    /// # Panics
    ///
    /// When it is neither closed nor spoken on within [`DEADLINE`].
    #[track_caller]
    pub fn is_closed(&mut self) -> bool {
        match self.0.fill_buf() {
            Ok(bytes) => bytes.is_empty(),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => true,
            Err(error) => panic!("neither closed nor spoken on: {error}"),
        }
    }

    /// Tells the server that nothing more will be sent (FIN), and still reads.
    ///
    /// # Panics
    ///
    /// When the connection is closed.
    pub fn half_close(&self) {
        self.0
            .get_ref()
            .shutdown(Shutdown::Write)
            .expect("an open connection");
    }

    /// Cuts the connection without a farewell (RST), as a client does that is killed with bytes unread.
    ///
    /// # Panics
    ///
    /// When the system refuses the option for it.
    pub fn reset(self) {
        rustix::net::sockopt::set_socket_linger(self.0.get_ref(), Some(Duration::ZERO))
            .expect("a socket option");
    }

    fn head(&mut self) -> Response {
        let status_line = self.line();
        let mut parts = status_line.splitn(3, ' ');
        assert_eq!(parts.next(), Some("HTTP/1.1"), "{status_line:?}");
        let status = parts.next().and_then(|status| status.parse().ok());
        Response {
            status: status.unwrap_or_else(|| panic!("no status in {status_line:?}")),
            reason: parts.next().unwrap_or_default().to_owned(),
            headers: self.headers(),
            body: Vec::new(),
        }
    }

    fn headers(&mut self) -> Vec<(String, String)> {
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            if line.is_empty() {
                return headers;
            }
            let (name, value) = line.split_once(':').expect("a colon in a header line");
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    fn body(&mut self, head: &Response) -> Vec<u8> {
        if head.has_no_body() {
            Vec::new()
        } else if head.header("transfer-encoding") == Some("chunked") {
            self.chunks()
        } else if let Some(length) = head.header("content-length") {
            self.exactly(length.parse().expect("a length in digits"))
        } else {
            self.rest()
        }
    }

    fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let size = self.line();
            let size = usize::from_str_radix(&size, 16).expect("a chunk's size in hexadecimal");
            body.extend(self.exactly(size));
            assert_eq!(self.line(), "", "after a chunk of {size} bytes");
            if size == 0 {
                return body;
            }
        }
    }

    fn exactly(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).expect("a whole body");
        bytes
    }

    fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes).expect("a body to the end");
        bytes
    }

    /// One line of the head; header values are read as ISO-8859-1, which loses nothing.
    fn line(&mut self) -> String {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line).expect("a line");
        let line = line.strip_suffix(b"\r\n");
        let line = line.expect("a whole line before the connection's end");
        line.iter().copied().map(char::from).collect()
    }
}

/// What the server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// `200`
    pub status: u16,
    /// `OK`
    pub reason: String,
    /// In the order and the letter case they came in, repeated ones too.
    pub headers: Vec<(String, String)>,
    /// Without chunked encoding, with content encoding.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of this name, in whatever case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// All headers of this name, in their order.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect()
    }

    /// The body as text.
    ///
    /// # Panics
    ///
    /// When it is not UTF-8.
    #[track_caller]
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of text")
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// When it is not JSON.
    #[track_caller]
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("a body of JSON")
    }

    fn has_no_body(&self) -> bool {
        matches!(self.status, 100..=199 | 204 | 304)
    }
}

/// The bytes of a request with a `Host`, these headers and, where there is a body, its `Content-Length`.
#[must_use]
pub fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut head = format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if !body.is_empty() {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    [head.as_bytes(), body].concat()
}

/// Sends one [`request`] on a connection of its own and gives the response.
///
/// # Panics
///
/// When there is none.
#[track_caller]
#[must_use]
pub fn send(
    address: impl ToSocketAddrs,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    let mut connection = Connection::open(address);
    connection.send(request(method, target, headers, body));
    match method {
        "HEAD" => connection.response_to_head(),
        _ => connection.response(),
    }
}
