//! One candidate under load, once.

use std::time::{Duration, Instant};

use support::http::Connection;

use crate::Result;
use crate::candidate::Candidate;
use crate::check::{self, Known};
use crate::orders::Orders;
use crate::rows::Traffic;
use crate::spread::Spread;
use crate::usage::{self, Machine};
use crate::wrk;

/// What is sent, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) orders: Orders,
    pub(crate) connections: usize,
    pub(crate) time: Duration,
    /// How many requests one connection sends, one after the other; with 0 that latency is not measured.
    pub(crate) singles: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) per_second: f64,
    /// Of the candidate's process, in microseconds a request.
    pub(crate) cpu: f64,
    /// The median with one connection, in microseconds.
    pub(crate) latency: f64,
    /// A request.
    pub(crate) redis_commands: f64,
    /// Of the Redis server, in microseconds a request.
    pub(crate) redis_cpu: f64,
    /// The share of the machine that others took.
    pub(crate) others: f64,
}

pub(crate) fn measured(
    candidate: &Candidate,
    traffic: Traffic,
    known: Option<&Known>,
    load: &Load,
) -> Result<Sample> {
    let script = match known {
        Some(known) => wrk::same(&known.requests),
        None => wrk::new_keys(&load.orders),
    };
    let runs = candidate.runs()?;
    let (machine, commands) = (Machine::now()?, candidate.own.keys.commands()?);
    let (cpu, redis_cpu) = (
        usage::of_process(candidate.server.pid())?,
        candidate.own.keys.cpu()?,
    );
    let begun = Instant::now();
    let done = wrk::start(candidate.port, load.connections, load.time, &script)?.done()?;
    let elapsed = begun.elapsed().as_micros() as f64;
    let requests = done.requests as f64;
    let cpu = (usage::of_process(candidate.server.pid())? - cpu) / requests;
    let redis_cpu = (candidate.own.keys.cpu()? - redis_cpu) / requests;
    let redis_commands = (candidate.own.keys.commands()? - commands) as f64 / requests;
    let cores = std::thread::available_parallelism()?.get() as f64;
    let others = Machine::now()?.others_since(&machine, elapsed, cores);
    let ran = settled(candidate)? - runs;
    check::runs(
        candidate,
        traffic,
        ran,
        done.requests,
        load.connections as u64,
    )?;
    let latency = latency(candidate, known, load)?;
    if traffic.has_new_keys() {
        candidate.own.keys.empty();
    }
    Ok(Sample {
        per_second: done.per_second,
        cpu,
        latency,
        redis_commands,
        redis_cpu,
        others,
    })
}

/// The handler's runs, when those have ended whose client is gone.
fn settled(candidate: &Candidate) -> Result<u64> {
    let mut runs = candidate.runs()?;
    loop {
        std::thread::sleep(Duration::from_millis(10));
        let now = candidate.runs()?;
        if now == runs {
            return Ok(runs);
        }
        runs = now;
    }
}

/// The median of one request after the other.
fn latency(candidate: &Candidate, known: Option<&Known>, load: &Load) -> Result<f64> {
    let prefix = wrk::new_prefix();
    let mut connection = Connection::open(candidate.address());
    let mut took = Vec::with_capacity(load.singles);
    for number in 0..load.singles {
        let request = match known {
            Some(known) => known.requests[number % known.requests.len()].clone(),
            None => load
                .orders
                .request(&format!("{prefix}{number}"), number, None),
        };
        let begun = Instant::now();
        connection.send(request);
        let response = connection.response();
        took.push(begun.elapsed().as_secs_f64() * 1e6);
        if response.status != 200 {
            return Err(format!("{}: {}", candidate.name, response.status).into());
        }
    }
    Ok(Spread::of(took).map_or(0.0, |spread| spread.median))
}
