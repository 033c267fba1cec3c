//! The pure parts of a replay and of a change, by themselves.
//!
//! Criterion measures their times. With `PART` and `TIMES` in the environment one of them runs so often and nothing is
//! measured: so `scripts/bench --instructions` counts instructions, which do not depend on the machine's mood.
#![allow(missing_docs, reason = "of Diesel's `table!`")]
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use criterion::Criterion;

#[path = "../replay.rs"]
mod replay;

mod envelope;
mod id;
mod plan;
mod service;
mod tags;

/// One part, ready to run again and again.
type Part = Box<dyn FnMut()>;

/// What makes it ready.
type Make = fn() -> Part;

const PARTS: [(&str, Make); 12] = [
    ("request-id-client-key", id::client_key),
    ("request-id-dimensions", id::dimensions),
    ("envelope-write", envelope::write),
    ("envelope-read", envelope::read),
    ("plan-static", plan::static_id),
    ("plan-dynamic", plan::dynamic),
    ("plan-new", plan::never_seen),
    ("tag-check-1", tags::one),
    ("tag-check-10", tags::ten),
    ("tag-check-100", tags::hundred),
    ("bare", service::bare),
    ("replay-memory", service::replayed),
];

fn main() {
    match std::env::var("PART") {
        Ok(part) => run(&part),
        Err(_) => measure(),
    }
}

fn run(name: &str) {
    if name == "list" {
        return PARTS.iter().for_each(|(name, _)| println!("{name}"));
    }
    let times: u64 = std::env::var("TIMES").unwrap().parse().unwrap();
    let (_, make) = PARTS.iter().find(|(part, _)| *part == name).unwrap();
    let mut part = make();
    (0..times).for_each(|_| part());
}

fn measure() {
    let mut criterion = Criterion::default().configure_from_args();
    for (name, make) in PARTS {
        let mut part = make();
        criterion.bench_function(name, |bencher| bencher.iter(&mut part));
    }
    criterion.final_summary();
}
