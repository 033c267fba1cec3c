//! A client: it sends a transfer until it is answered.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::bank::{MISTAKE, Mistake, Order, Told};

/// Longer than a server waits for a rival, and for a database.
const PATIENCE: Duration = Duration::from_secs(20);

/// Headers of a reply that are not recorded: of the moment, or of the connection.
const PASSING: [&str; 4] = ["date", "connection", "cache-status", "idempotent-replayed"];

/// What a server has said, as far as it is recorded.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// In lower case, in any order.
    pub headers: BTreeSet<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Whether it is an answer to the transfer: otherwise it is to be sent again.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(self.status, 409 | 500 | 503)
    }

    /// Whether it says that the transfer was done.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Which run of the handler it is from.
    #[must_use]
    pub fn execution(&self) -> Option<String> {
        let told = serde_json::from_slice::<Told>(&self.body);
        told.ok().map(|told| told.execution)
    }
}

/// Sends a transfer once.
///
/// # Errors
///
/// If no whole answer comes.
pub fn send(port: u16, key: &str, order: &Order, mistake: Option<Mistake>) -> io::Result<Answer> {
    let body = serde_json::to_vec(order)?;
    let mut headers = vec![
        ("Idempotency-Key", key),
        ("Content-Type", "application/json"),
        ("Connection", "close"),
    ];
    headers.extend(mistake.map(|mistake| (MISTAKE, mistake.name())));
    let request = support::http::request("POST", "/transfers", &headers, &body);
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    parse(&answer).ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))
}

/// A whole answer, or nothing: the connection may have ended in its midst.
fn parse(bytes: &[u8]) -> Option<Answer> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let body = bytes[end + 4..].to_vec();
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: BTreeSet<_> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .filter(|(name, _)| !PASSING.contains(&name.as_str()))
        .collect();
    let length = ("content-length".to_owned(), body.len().to_string());
    headers.contains(&length).then_some(Answer {
        status,
        headers,
        body,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const WHOLE: &str =
        "HTTP/1.1 201 Created\r\nContent-Length: 2\r\nLocation: /a\r\nDate: now\r\n\r\nab";

    #[test]
    fn an_answer_is_what_is_recorded_of_it() {
        let answer = parse(WHOLE.as_bytes()).unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (201, &b"ab"[..]));
        let names: Vec<_> = answer
            .headers
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["content-length", "location"]);
    }

    #[test]
    fn an_answer_that_was_cut_is_none() {
        for length in 0..WHOLE.len() {
            assert_eq!(parse(&WHOLE.as_bytes()[..length]), None, "{length}");
        }
    }
}
