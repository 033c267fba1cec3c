//! As many rounds as the kills take.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use idempotent_runtime::__private::faults::{Fault, Point};
use support::Redis;

use crate::checker::{Verdict, check};
use crate::deck::Deck;
use crate::kind::Kind;
use crate::round::{World, lock, round};

/// The most kills of a round: all keys are asked once more at its end.
const KILLS: usize = 50;

/// The same where something is broken, which may be seen soon.
const KILLS_WITH_FAULT: usize = 14;

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Asked {
    /// How much is killed.
    pub kills: usize,
    /// What chance is made of.
    pub seed: u64,
    /// The servers' program.
    pub program: PathBuf,
    /// What the servers break: then it ends with the first round in which that is seen.
    pub fault: Option<Fault>,
}

/// What has come of it.
#[derive(Debug)]
pub struct Found {
    /// Of which database.
    pub name: &'static str,
    /// How much was killed.
    pub kills: usize,
    /// How many keys there were.
    pub keys: usize,
    /// Keys by the status of their answer.
    pub statuses: BTreeMap<u16, usize>,
    /// How often a server has died at each of [`Point::ALL`].
    pub reached: Vec<usize>,
    /// The keys whose promise was broken.
    pub verdict: Verdict,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = &self.verdict;
        write!(
            f,
            "{} kills={} keys={} doubled={} lost={} differing={} stuck={}",
            self.name,
            self.kills,
            self.keys,
            verdict.doubled.len(),
            verdict.lost.len() + verdict.money.len(),
            verdict.differing.len(),
            verdict.stuck.len()
        )
    }
}

/// Kills as much as was asked for, in rounds with Redis and without, and checks each.
///
/// # Panics
///
/// When a server or a database does not do as it should.
pub fn run<C: Kind>(asked: &Asked) -> Found {
    let fault = asked
        .fault
        .and_then(|fault| Fault::ALL.iter().position(|other| *other == fault));
    let world = World::<C> {
        database: Mutex::new(Some(C::start())),
        redis: Mutex::new(Some(Redis::start())),
        deck: Mutex::new(Deck::new(asked.seed)),
        reached: [const { AtomicUsize::new(0) }; Point::ALL.len()],
        kills: AtomicUsize::new(0),
    };
    let mut found = Found {
        name: C::NAME,
        kills: 0,
        keys: 0,
        statuses: BTreeMap::new(),
        reached: Vec::new(),
        verdict: Verdict::default(),
    };
    let most = fault.map_or(KILLS, |_| KILLS_WITH_FAULT);
    let rounds = asked.kills.div_ceil(most).max(2);
    for number in 0..rounds {
        // What is left, in equal parts.
        lock(&world.deck).deal((asked.kills - found.kills).div_ceil(rounds - number));
        let seed = asked
            .seed
            .wrapping_mul(0x1_0000)
            .wrapping_add(number as u64);
        let evidence = round(&world, &asked.program, seed, number % 2 == 0, fault);
        found.kills = world.kills.load(Ordering::SeqCst);
        found.keys += evidence.keys.len();
        for told in evidence.keys.values() {
            if let Some(answer) = told.answers.first() {
                *found.statuses.entry(answer.status).or_default() += 1;
            }
        }
        found.verdict.add(check(&evidence));
        if fault.is_some() && !found.verdict.is_clean() {
            break;
        }
    }
    let reached = world.reached.iter();
    found.reached = reached.map(|count| count.load(Ordering::SeqCst)).collect();
    found
}
