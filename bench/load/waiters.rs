//! What duplicates in flight cost: a thousand of one key, over two processes.

use std::time::{Duration, Instant};

use support::http::{self, Connection};

use crate::Result;
use crate::candidate::{Candidate, counts};
use crate::orders::Orders;
use crate::parts::{Database, Keys, KeysServer, Parts, commands};
use crate::report::{self, Line};
use crate::spread::Spread;

const WAITERS: usize = 1_000;

/// How long all of them have to arrive and to be answered, each.
const PATIENCE: Duration = Duration::from_secs(25);

/// After the last one has arrived, until it surely waits.
const SETTLED: Duration = Duration::from_millis(500);

pub(crate) fn measured() -> Result<Line> {
    let parts = Parts::default();
    let one = Candidate::start("waiters-redis", parts.own(Keys::Redis, Database::None)?)?;
    let (_other, port) = one.sibling()?;
    let ports = [one.port, port];
    let KeysServer::One(redis) = &one.own.keys else {
        return Err("waiters-redis: it has a Redis".into());
    };
    let request = Orders::default().request("the-same", 0, None);
    let before = commands(redis)?;
    let mut connections: Vec<_> = (0..=WAITERS)
        .map(|number| {
            let mut connection = Connection::open(("127.0.0.1", ports[number % 2]));
            connection.send(&request);
            connection
        })
        .collect();
    let end = Instant::now() + PATIENCE;
    let arrivals = || -> u64 { ports.iter().map(|&port| counts(port, "arrivals")).sum() };
    while arrivals() <= WAITERS as u64 {
        if Instant::now() > end {
            return Err("waiters-redis: they do not arrive".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(SETTLED);
    for port in ports {
        let _ = http::send(
            ("127.0.0.1", port),
            "POST",
            "/open",
            &[("Content-Length", "0")],
            b"",
        );
    }
    let replies: Vec<_> = connections.iter_mut().map(Connection::response).collect();
    let per_waiter = (commands(redis)? - before) as f64 / WAITERS as f64;
    let runs: u64 = ports.iter().map(|&port| counts(port, "runs")).sum();
    let differing = replies
        .iter()
        .find(|reply| reply.status != 200 || reply.body != replies[0].body);
    if let Some(reply) = differing {
        let body = String::from_utf8_lossy(&reply.body);
        return Err(format!("waiters-redis: a duplicate got {} {body}", reply.status).into());
    }
    if runs != 1 {
        return Err(format!("waiters-redis: {runs} runs").into());
    }
    let spread = Spread::of([per_waiter]).ok_or("nothing measured")?;
    let goal = ("one execution, < 1 command", 1.0);
    Ok(report::of_number(
        "waiters-redis",
        ("commands_per_waiter", spread),
        Some(per_waiter),
        goal,
    ))
}
