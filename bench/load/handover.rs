//! How long a contended lock takes from a process to another.

use std::thread::JoinHandle;

use support::http;

use crate::Result;
use crate::arguments::Arguments;
use crate::candidate::Candidate;
use crate::parts::{Database, Keys, Parts};
use crate::report::{self, Line};
use crate::spread::Spread;

/// Who had the lock from when to when, in nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Turn {
    process: usize,
    begun: u64,
    ended: u64,
}

pub(crate) fn measured(arguments: &Arguments) -> Result<Line> {
    let parts = Parts::default();
    let one = Candidate::start("handover-redis", parts.own(Keys::Redis, Database::None)?)?;
    let (_other, port) = one.sibling()?;
    let turns = if arguments.quick { 50 } else { 250 };
    let clients = [one.port, port]
        .into_iter()
        .enumerate()
        .map(|(process, port)| std::thread::spawn(move || take(process, port, turns)));
    let clients: Vec<JoinHandle<_>> = clients.collect();
    let mut all = Vec::new();
    for client in clients {
        all.extend(client.join().map_err(|_| "a client of a lock failed")?);
    }
    all.sort_by_key(|turn| turn.begun);
    let pairs = || all.windows(2).map(|pair| (pair[0], pair[1]));
    if pairs().any(|(one, next)| next.begun < one.ended) {
        return Err("handover-redis: two had the lock at once".into());
    }
    let milliseconds = pairs()
        .filter(|(one, next)| one.process != next.process)
        .map(|(one, next)| (next.begun - one.ended) as f64 / 1e6);
    let spread = Spread::of(milliseconds).ok_or("handover-redis: no turn after another's")?;
    Ok(report::of_number(
        "handover-redis",
        ("milliseconds", spread),
        None,
        ("median < 2 ms", 2.0),
    ))
}

/// One turn after the other, as fast as they come.
fn take(process: usize, port: u16, turns: usize) -> Vec<Turn> {
    let mut connection = http::Connection::open(("127.0.0.1", port));
    let mut taken = Vec::with_capacity(turns);
    for _ in 0..turns {
        connection.send(http::request(
            "POST",
            "/turn",
            &[("Content-Length", "0")],
            b"",
        ));
        let told = connection.response().json();
        let time = |at: usize| told[at].as_u64().unwrap_or_default();
        taken.push(Turn {
            process,
            begun: time(0),
            ended: time(1),
        });
    }
    taken
}
