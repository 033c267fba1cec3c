//! Whoever kills, pauses, flushes, evicts, cuts and delays.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use idempotent_runtime::__private::faults::Point;
use support::Redis;

use crate::client;
use crate::clock::now;
use crate::history::Span;
use crate::world::{WORKERS, World};

/// What the keys begin with that only fill the memory.
pub const BALLAST: &str = "ballast:";

/// What it does, by weight.
const DEEDS: [(u32, Deed); 15] = [
    (2, Deed::RestartEmpty),
    (3, Deed::RestartSaved),
    (3, Deed::Pause),
    (2, Deed::Flush),
    (2, Deed::Evict),
    (4, Deed::LoseTag),
    (1, Deed::FlushScripts),
    (4, Deed::Cut),
    (3, Deed::Refuse),
    (4, Deed::Delay),
    (3, Deed::Swallow),
    (2, Deed::Kill),
    (4, Deed::Die),
    (1, Deed::CutAll),
    (5, Deed::Nothing),
];

/// One thing that it does.
#[derive(Clone, Copy, Debug)]
enum Deed {
    /// Redis is killed and comes back with nothing.
    RestartEmpty,
    /// Redis saves, is killed after a while, and comes back with what it had saved.
    RestartSaved,
    /// Redis is stopped, and goes on.
    Pause,
    Flush,
    /// Redis evicts about a fifth of its keys.
    Evict,
    /// One tag is gone, as if it had been evicted.
    LoseTag,
    FlushScripts,
    /// A worker's connections to Redis end.
    Cut,
    CutAll,
    /// So do those that it makes anew, for a while.
    Refuse,
    /// What it sends and gets is late.
    Delay,
    /// Redis does what it is asked, and the answer is lost.
    Swallow,
    /// A worker is killed at whatever it does.
    Kill,
    /// A worker dies at a named point.
    Die,
    Nothing,
}

/// Does its worst until it is told to stop, and puts everything right again. Says when the store may have lost what it
/// had.
pub fn rage(world: &World, mut random: fastrand::Rng, over: &AtomicBool) -> Vec<Span> {
    let mut losses = Vec::new();
    while !over.load(Ordering::SeqCst) {
        pause(random.u64(20..200));
        losses.extend(act(world, &mut random));
    }
    losses
}

fn act(world: &World, random: &mut fastrand::Rng) -> Option<Span> {
    let worker = random.usize(..WORKERS);
    let proxy = world.proxy(worker);
    match pick(random) {
        Deed::RestartEmpty => {
            world.forget_saved();
            return Some(world.restart_redis(|| pause(random.u64(..300))));
        }
        Deed::RestartSaved => return restart_saved(world, random),
        Deed::Pause => {
            let redis = world.redis();
            redis.server().pause();
            pause(random.u64(10..400));
            redis.server().resume();
        }
        Deed::Flush => return Some(lossy(&world.redis(), &["FLUSHALL"])),
        Deed::Evict => return evict(&world.redis(), random),
        Deed::LoseTag => lose_tag(&world.redis(), random),
        Deed::FlushScripts => drop(world.redis().try_ask(&["SCRIPT", "FLUSH"])),
        Deed::Cut => proxy.cut(),
        Deed::CutAll => (0..WORKERS).for_each(|worker| world.proxy(worker).cut()),
        Deed::Refuse => {
            proxy.refuse(true);
            proxy.cut();
            pause(random.u64(20..350));
            proxy.refuse(false);
        }
        Deed::Delay => {
            proxy.delay(Duration::from_micros(random.u64(500..40_000)));
            pause(random.u64(50..250));
            proxy.delay(Duration::ZERO);
        }
        Deed::Swallow => proxy.swallow_answers(random.u64(1..4)),
        Deed::Kill => world.restart_worker(worker),
        Deed::Die => {
            let (point, visit) = (random.usize(..Point::ALL.len()), random.u64(1..4));
            let port = world.worker(worker).port;
            let _ = client::command(port, "POST", &format!("/die/{point}/{visit}"));
            pause(random.u64(20..200));
            world.restart_worker(worker);
        }
        Deed::Nothing => {}
    }
    None
}

fn pick(random: &mut fastrand::Rng) -> Deed {
    let total: u32 = DEEDS.iter().map(|(weight, _)| weight).sum();
    let mut at = random.u32(..total);
    for (weight, deed) in DEEDS {
        match at.checked_sub(weight) {
            Some(rest) => at = rest,
            None => return deed,
        }
    }
    Deed::Nothing
}

fn pause(ms: u64) {
    sleep(Duration::from_millis(ms));
}

fn lossy(redis: &Redis, command: &[&str]) -> Span {
    let from = now();
    let _ = redis.try_ask(command);
    Span { from, to: now() }
}

fn restart_saved(world: &World, random: &mut fastrand::Rng) -> Option<Span> {
    let from = now();
    let _ = world.redis().try_ask(&["SAVE"]);
    pause(random.u64(..150));
    let restart = world.restart_redis(|| pause(random.u64(..100)));
    world.forget_saved();
    Some(Span { from, ..restart })
}

/// What is stored is little beside what the server takes for itself, so that all of it would go: it is made more first.
fn evict(redis: &Redis, random: &mut fastrand::Rng) -> Option<Span> {
    let fill = format!(
        "for n = 1, 1000 do redis.call('SET', '{BALLAST}' .. n, string.rep('x', 500), 'PX', 20000) end"
    );
    redis.try_ask(&["EVAL", &fill, "0"]).ok()?;
    let memory = redis.try_ask(&["INFO", "memory"]).ok()?.concat();
    let used = memory
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"))?;
    let used = used.trim().parse::<u64>().ok()?;
    let most = (used - 100_000).to_string();
    let span = lossy(
        redis,
        &[
            "CONFIG",
            "SET",
            "maxmemory-policy",
            "allkeys-random",
            "maxmemory",
            &most,
        ],
    );
    pause(random.u64(..100));
    let end = lossy(redis, &["CONFIG", "SET", "maxmemory", "0"]);
    Some(Span { to: end.to, ..span })
}

fn lose_tag(redis: &Redis, random: &mut fastrand::Rng) {
    let Ok(tags) = redis.try_ask(&["KEYS", "idempotent:*:tag:*"]) else {
        return;
    };
    if let Some(tag) = random.choice(&tags) {
        let _ = redis.try_ask(&["DEL", tag]);
    }
}
