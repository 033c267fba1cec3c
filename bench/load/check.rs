//! Whether a candidate answers rightly. What does not is not measured.

use support::http::Response;

use crate::Result;
use crate::candidate::Candidate;
use crate::orders::{Orders, post};
use crate::rows::Traffic;
use crate::wrk::new_prefix;

/// Requests whose replies are known, where the same come again.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) requests: Vec<Vec<u8>>,
    replies: Vec<Vec<u8>>,
}

impl Known {
    /// Makes the first request of each key.
    pub(crate) fn first(candidate: &Candidate, orders: &Orders) -> Result<Self> {
        let mut known = Self {
            requests: Vec::new(),
            replies: Vec::new(),
        };
        let prefix = new_prefix();
        for number in 0..orders.keys {
            let session = session(candidate)?;
            let key = format!("{prefix}{number}");
            let first = candidate.send(&orders.request(&key, number, session.as_deref()))?;
            is_receipt(candidate, &first, orders)?;
            let session = cookie(&first).or(session);
            known
                .requests
                .push(orders.request(&key, number, session.as_deref()));
            known.replies.push(first.body);
        }
        Ok(known)
    }

    /// Makes each of them again: byte for byte the first reply, or for a handler that runs each time never it.
    pub(crate) fn again(&self, candidate: &Candidate, traffic: Traffic) -> Result<()> {
        let runs = candidate.runs()?;
        for (request, first) in self.requests.iter().zip(&self.replies) {
            let again = candidate.send(request)?;
            let is_replay = again.body == *first;
            if is_replay != (traffic == Traffic::Replay) {
                return Err(format!(
                    "{}: {traffic:?} is answered by {:?} after {:?}",
                    candidate.name,
                    String::from_utf8_lossy(&again.body),
                    String::from_utf8_lossy(first)
                )
                .into());
            }
        }
        let ran = candidate.runs()? - runs;
        let expected = match traffic {
            Traffic::Replay => 0,
            _ => self.requests.len() as u64,
        };
        equal(candidate, "runs of the handler", ran, expected)
    }
}

/// Three requests with new keys: two of one key, one of another.
pub(crate) fn of_new_keys(candidate: &Candidate, traffic: Traffic, orders: &Orders) -> Result<()> {
    let prefix = new_prefix();
    let ask = |key: &str, number| {
        candidate.send(&orders.request(&format!("{prefix}{key}"), number, None))
    };
    let (first, again, other) = (ask("a", 0)?, ask("a", 0)?, ask("b", 1)?);
    is_receipt(candidate, &first, orders)?;
    is_receipt(candidate, &other, orders)?;
    if first.body == other.body {
        return Err(format!("{}: another key has the same reply", candidate.name).into());
    }
    let is_replayed = u64::from(first.body == again.body);
    let expected = u64::from(traffic == Traffic::Miss);
    equal(candidate, "replays", is_replayed, expected)
}

/// Whether a handler ran as often as it should have while `requests` were answered over so many connections.
pub(crate) fn runs(
    candidate: &Candidate,
    traffic: Traffic,
    ran: u64,
    requests: u64,
    connections: u64,
) -> Result<()> {
    let expected = match traffic {
        Traffic::Replay => 0..=0,
        // When it stops, each may have an answer that is not counted any more, and the next request under way.
        _ => requests..=requests + 2 * connections,
    };
    if expected.contains(&ran) {
        return Ok(());
    }
    Err(format!(
        "{}: its handler ran {ran} times while {requests} requests were answered, which were {traffic:?}",
        candidate.name
    )
    .into())
}

fn is_receipt(candidate: &Candidate, reply: &Response, orders: &Orders) -> Result<()> {
    let json = reply.json();
    let is_right = json["total"] == 3750
        && json["item"] == "tea"
        && json["run"].as_u64() > Some(0)
        && reply.header("content-type") == Some("application/json")
        && reply.body.len() > 280 + orders.size;
    if is_right {
        return Ok(());
    }
    Err(format!("{}: no receipt, but {:?}", candidate.name, reply.text()).into())
}

fn equal(candidate: &Candidate, what: &str, found: u64, expected: u64) -> Result<()> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{}: {found} {what}, not {expected}", candidate.name).into())
}

/// One peer replays only to who has a session already.
fn session(candidate: &Candidate) -> Result<Option<String>> {
    if !candidate.name.starts_with("axum-idempotent") {
        return Ok(None);
    }
    let begun = candidate.send(&post("/session", "none", "", None))?;
    cookie(&begun)
        .map(Some)
        .ok_or_else(|| format!("{}: no session", candidate.name).into())
}

fn cookie(response: &Response) -> Option<String> {
    let cookie = response.header("set-cookie")?.split(';').next()?;
    Some(cookie.to_owned())
}
