//! One history: clients and the nemesis at once, then everything that is known of it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::client::{self, Manner};
use crate::history::{Change, End, History, Operation, Reply, Turn, Way};
use crate::keys;
use crate::nemesis::rage;
use crate::request::{Kind, ROWS, Request, row};
use crate::setup::{Copies, Setup};
use crate::world::{WORKERS, World};

/// How many clients ask at once.
const CLIENTS: usize = 8;

/// How often a client asks on for what it has got already, at most.
const MOST_TIMES: usize = 24;

/// How often a client asks for what.
const KINDS: [(Kind, u8, u32); 5] = [
    (Kind::Cached, 45, 6),
    (Kind::Both, 15, 2),
    (Kind::Locked, 12, 2),
    (Kind::Plain, 13, ROWS),
    (Kind::Read, 15, ROWS),
];

/// Has so many operations done on fresh rows, while the nemesis rages.
#[must_use]
pub fn random(world: &World, number: u64, operations: usize, seed: u64, setup: Setup) -> History {
    begin(world, number, setup);
    let (tickets, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let mut history = History::default();
    let mut seeds = fastrand::Rng::with_seed(seed);
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (random, tickets) = (seeds.fork(), &tickets);
                scope.spawn(move || {
                    let has_more = || tickets.fetch_add(1, Ordering::SeqCst) < operations;
                    ask_at_random(world, number, random, has_more)
                })
            })
            .collect();
        let (random, over) = (seeds.fork(), &over);
        let nemesis = scope.spawn(move || rage(world, random, over));
        for client in clients {
            let done = client.join().expect("a client does not panic");
            history.operations.extend(done);
        }
        over.store(true, Ordering::SeqCst);
        history.losses = nemesis.join().expect("the nemesis does not panic");
    });
    end(world, number, &mut history);
    history
}

/// Fresh rows, an empty Redis, and workers that are ready.
pub fn begin(world: &World, number: u64, setup: Setup) {
    world.set_up(setup);
    let rows: Vec<_> = (0..ROWS)
        .map(|one| format!("({}, 0)", row(number, one)))
        .collect();
    let first = row(0, 0);
    world.sql(&format!(
        "INSERT INTO items VALUES ({first}, 0) ON CONFLICT DO NOTHING; INSERT INTO items VALUES {}",
        rows.join(", ")
    ));
    world.redis().ask(&["FLUSHALL"]);
    world.await_ready();
    // What is counted so far belongs to no history.
    for worker in 0..WORKERS {
        let _ = world.by_copies(worker);
    }
}

/// What the servers say of it.
pub fn end(world: &World, number: u64, history: &mut History) {
    for worker in 0..WORKERS {
        // What was told to go wrong next must go wrong no more.
        world.proxy(worker).swallow_answers(0);
    }
    for worker in 0..WORKERS {
        for (total, more) in history.by_copies.iter_mut().zip(world.by_copies(worker)) {
            *total += more;
        }
    }
    world.await_ready();
    history.leaks = keys::leaks(&world.redis());
    let changes = world.sql(&format!(
        "SELECT run, kind, history, name, process, item, version FROM changes WHERE history = {number} ORDER BY seq"
    ));
    history.changes = changes.lines().filter_map(change).collect();
    let turns = world.sql(&format!(
        "SELECT lock, run, asked, entered, left_at, lost FROM turns WHERE history = {number}"
    ));
    history.turns = turns.lines().filter_map(turn).collect();
}

fn ask_at_random(
    world: &World,
    history: u64,
    mut random: fastrand::Rng,
    has_more: impl Fn() -> bool,
) -> Vec<Operation> {
    let mut done = Vec::new();
    while has_more() {
        let (kind, names) = pick(&mut random);
        let name = random.u32(..names);
        let request = Request {
            kind,
            history,
            name,
        };
        let manner = manner(&mut random);
        let (worker, operation) = loop {
            let worker = random.usize(..WORKERS);
            if let Some(operation) = ask(world, worker, request, manner) {
                break (worker, operation);
            }
        };
        if matches!(&operation.end, End::Reply(Reply { status: 503, .. })) {
            // As a client does that is told to try again later, only sooner.
            thread::sleep(Duration::from_millis(random.u64(20..120)));
        }
        let is_ran = matches!(&operation.end, End::Reply(Reply { status: 200, .. }));
        done.push(operation);
        if kind == Kind::Cached && is_ran && world.worker(worker).copies != Copies::None {
            done.extend(ask_on(world, worker, request, &mut random));
        }
    }
    done
}

/// Asks the same of the same worker for some time, or until there is no replay: only then has a copy of it any use.
/// These operations come on top.
fn ask_on(
    world: &World,
    worker: usize,
    request: Request,
    random: &mut fastrand::Rng,
) -> Vec<Operation> {
    let mut done = Vec::new();
    for _ in 0..random.usize(..MOST_TIMES) {
        let Some(operation) = ask(world, worker, request, Manner::default()) else {
            break;
        };
        let is_replayed =
            matches!(&operation.end, End::Reply(Reply { way, .. }) if *way != Way::Own);
        done.push(operation);
        if !is_replayed {
            break;
        }
        thread::sleep(Duration::from_micros(random.u64(..4_000)));
    }
    done
}

/// Sends a request to a worker; nothing if that is dead just now.
#[must_use]
pub fn ask(world: &World, worker: usize, request: Request, manner: Manner) -> Option<Operation> {
    let (port, process, staleness) = {
        let worker = world.worker(worker);
        (worker.port, worker.process, worker.copies.staleness())
    };
    let (sent, ended, end) = client::ask(port, request, manner)?;
    Some(Operation {
        request,
        process,
        staleness,
        sent,
        ended,
        end,
    })
}

fn pick(random: &mut fastrand::Rng) -> (Kind, u32) {
    let mut at = random.u8(..100);
    for (kind, percent, names) in KINDS {
        match at.checked_sub(percent) {
            Some(rest) => at = rest,
            None => return (kind, names),
        }
    }
    (Kind::Read, ROWS)
}

fn manner(random: &mut fastrand::Rng) -> Manner {
    let often = |random: &mut fastrand::Rng, percent| random.u8(..100) < percent;
    Manner {
        inside: if often(random, 50) {
            random.u32(..4_000)
        } else {
            0
        },
        after: if often(random, 40) {
            random.u32(1..60)
        } else {
            0
        },
        patience: often(random, 4).then(|| random.u32(1..40)),
    }
}

fn change(line: &str) -> Option<Change> {
    let mut words = line.split('|');
    let run = words.next()?.to_owned();
    let kind = words.next()?;
    Some(Change {
        run,
        request: Request {
            kind: KINDS.iter().find(|(one, ..)| one.as_str() == kind)?.0,
            history: words.next()?.parse().ok()?,
            name: words.next()?.parse().ok()?,
        },
        process: words.next()?.parse().ok()?,
        row: words.next()?.parse().ok()?,
        version: words.next()?.parse().ok()?,
    })
}

fn turn(line: &str) -> Option<Turn> {
    let mut words = line.split('|');
    Some(Turn {
        lock: words.next()?.to_owned(),
        run: words.next()?.to_owned(),
        asked: words.next()?.parse().ok()?,
        entered: words.next()?.parse().ok()?,
        left: words.next()?.parse().ok(),
        lost: words.next()? == "t",
    })
}
