//! Clients: one request on a connection of its own, which may end in any way.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use crate::clock::{Micros, now};
use crate::history::{End, Reply, Way};
use crate::request::{Kind, Request};

/// What any request may take, whatever happens.
pub const BOUND: Duration = Duration::from_secs(15);

/// How a request is to be handled, which is no part of what it asks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// How long its transactions take, in microseconds.
    pub inside: u32,
    /// How long its handler goes on after them, in milliseconds.
    pub after: u32,
    /// After how many milliseconds the client goes away.
    pub patience: Option<u32>,
}

/// When a request was sent and when it ended, and how. Nothing if it was not sent, since nobody listens there.
#[must_use]
pub fn ask(port: u16, request: Request, manner: Manner) -> Option<(Micros, Micros, End)> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    let patience = manner.patience.map(|ms| Duration::from_millis(ms.into()));
    stream
        .set_read_timeout(Some(patience.unwrap_or(BOUND)))
        .ok()?;
    stream.set_nodelay(true).ok()?;
    let method = match request.kind {
        Kind::Read => "GET",
        _ => "PUT",
    };
    let sent = now();
    let target = format!(
        "/{request}?sent={sent}&inside={}&after={}",
        manner.inside, manner.after
    );
    let end = match exchange(&mut stream, method, &target) {
        Ok(answer) => parse(&answer).map_or(End::Cut, End::Reply),
        Err(ErrorKind::WouldBlock | ErrorKind::TimedOut) if patience.is_some() => End::Left,
        Err(ErrorKind::WouldBlock | ErrorKind::TimedOut) => End::Never,
        Err(_) => End::Cut,
    };
    Some((sent, now(), end))
}

/// Asks for something beside a history, such as `POST /die/3/1`.
pub fn command(port: u16, method: &str, target: &str) -> Option<Reply> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(BOUND)).ok()?;
    parse(&exchange(&mut stream, method, target).ok()?)
}

fn exchange(stream: &mut TcpStream, method: &str, target: &str) -> Result<Vec<u8>, ErrorKind> {
    let head = format!("{method} {target} HTTP/1.1\r\nHost: faults\r\nConnection: close\r\n\r\n");
    stream
        .write_all(head.as_bytes())
        .map_err(|error| error.kind())?;
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .map_err(|error| error.kind())?;
    Ok(answer)
}

/// `None` if it is not whole.
fn parse(answer: &[u8]) -> Option<Reply> {
    let text = std::str::from_utf8(answer).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    let header = |name: &str| {
        head.lines().skip(1).find_map(|line| {
            let (other, value) = line.split_once(':')?;
            other.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    };
    if header("content-length")?.parse() != Ok(body.len()) {
        return None;
    }
    let way = match (header("idempotent-replayed"), header("cache-status")) {
        (None, _) => Way::Own,
        (_, Some(status)) if status.contains("collapsed") => Way::Collapsed,
        _ => Way::Hit,
    };
    Some(Reply {
        status: head.split(' ').nth(1)?.parse().ok()?,
        way,
        run: header("x-run").unwrap_or_default().to_owned(),
        body: body.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_reply_is_none() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Run: a\r\n\r\nbody";
        assert_eq!(parse(whole).map(|reply| reply.run), Some("a".to_owned()));
        assert_eq!(parse(&whole[..whole.len() - 1]), None);
        assert_eq!(parse(b""), None);
    }

    #[test]
    fn replays_are_told_apart() {
        let way = |headers: &str| {
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{headers}\r\n");
            parse(answer.as_bytes()).map(|reply| reply.way)
        };
        assert_eq!(
            way("Cache-Status: idempotent; fwd=uri-miss; stored\r\n"),
            Some(Way::Own)
        );
        let replayed = "idempotent-replayed: true\r\ncache-status: idempotent;";
        assert_eq!(way(&format!("{replayed} hit; ttl=1\r\n")), Some(Way::Hit));
        assert_eq!(
            way(&format!("{replayed} fwd=uri-miss; collapsed\r\n")),
            Some(Way::Collapsed)
        );
    }
}
