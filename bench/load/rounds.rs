//! Round by round, each candidate between two runs of the bare handler.

use std::collections::HashMap;

use crate::Result;
use crate::arguments::Arguments;
use crate::candidate::Candidate;
use crate::check::{self, Known};
use crate::measure::{Load, Sample, measured as sample};
use crate::orders::Orders;
use crate::parts::{Database, Keys, Parts};
use crate::rows::{Row, Traffic};
use crate::spread::Spread;

/// More than this share of the machine for others, and the run counts only if there is no better one.
const DISTURBED: f64 = 0.05;

/// A row's measurements, one of each round, beside those of the bare handler.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) row: Row,
    pub(crate) pairs: Vec<Pair>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Pair {
    pub(crate) own: Sample,
    /// The mean of the runs before and after it.
    pub(crate) bare: Sample,
}

impl Pair {
    pub(crate) fn requests_ratio(&self) -> f64 {
        self.own.per_second / self.bare.per_second
    }

    fn is_disturbed(&self) -> bool {
        self.own.others.max(self.bare.others) > DISTURBED
    }
}

/// A running candidate, with the requests that it knows.
pub(crate) struct Ready {
    pub(crate) candidate: Candidate,
    traffic: Traffic,
    known: Option<Known>,
}

impl Ready {
    pub(crate) fn start(
        name: &str,
        traffic: Traffic,
        (keys, database): (Keys, Database),
        parts: &Parts,
        orders: &Orders,
    ) -> Result<Self> {
        let candidate = Candidate::start(name, parts.own(keys, database)?)?;
        Self::of(candidate, traffic, orders)
    }

    /// Makes sure that it answers rightly.
    pub(crate) fn of(candidate: Candidate, traffic: Traffic, orders: &Orders) -> Result<Self> {
        let mut ready = Self {
            candidate,
            traffic,
            known: None,
        };
        ready.ask_for(traffic, orders)?;
        Ok(ready)
    }

    /// Other requests than before.
    pub(crate) fn ask_for(&mut self, traffic: Traffic, orders: &Orders) -> Result<()> {
        self.traffic = traffic;
        self.known = match traffic.has_new_keys() {
            true => None,
            false => Some(Known::first(&self.candidate, orders)?),
        };
        self.check(orders)
    }

    pub(crate) fn check(&self, orders: &Orders) -> Result<()> {
        match &self.known {
            Some(known) => known.again(&self.candidate, self.traffic),
            None => check::of_new_keys(&self.candidate, self.traffic, orders),
        }
    }

    pub(crate) fn sample(&self, load: &Load) -> Result<Sample> {
        sample(&self.candidate, self.traffic, self.known.as_ref(), load)
    }
}

pub(crate) fn bare(traffic: Traffic, orders: &Orders) -> Result<Ready> {
    let parts = (Keys::None, Database::None);
    Ready::start("bare", traffic.of_bare(), parts, &Parts::default(), orders)
}

pub(crate) fn measured(
    rows: &[Row],
    parts: &Parts,
    arguments: &Arguments,
) -> Result<Vec<Measured>> {
    let load = Load {
        orders: Orders::default(),
        connections: 64,
        time: arguments.load(),
        singles: arguments.singles(),
    };
    let mut measured: Vec<_> = rows
        .iter()
        .map(|&row| Measured {
            row,
            pairs: Vec::new(),
        })
        .collect();
    let (bare_again, bare_fresh) = (
        bare(Traffic::Again, &load.orders)?,
        bare(Traffic::Fresh, &load.orders)?,
    );
    let candidates = rows.iter().map(|row| {
        let parts_of_it = (row.keys, row.database);
        Ready::start(row.candidate, row.traffic, parts_of_it, parts, &load.orders)
    });
    let candidates: Vec<_> = candidates.collect::<Result<_>>()?;
    for round in 1..=arguments.rounds() {
        // The bare run after one row is the one before the next, if its requests are of the same kind.
        let mut before = None;
        for (measured, candidate) in measured.iter_mut().zip(&candidates) {
            let kind = measured.row.traffic.of_bare();
            let bare = match kind {
                Traffic::Again => &bare_again,
                _ => &bare_fresh,
            };
            let first = match before.take() {
                Some((of, sample)) if of == kind => sample,
                _ => bare.sample(&load)?,
            };
            let own = candidate.sample(&load)?;
            let last = bare.sample(&load)?;
            before = Some((kind, last));
            let pair = Pair {
                own,
                bare: mean(first, last),
            };
            eprintln!(
                "round {round}: {:<28} {:>7.0}/s beside {:>7.0}/s: {:.2}",
                measured.row.name,
                own.per_second,
                pair.bare.per_second,
                pair.requests_ratio()
            );
            measured.pairs.push(pair);
        }
    }
    for candidate in candidates.iter().chain([&bare_again, &bare_fresh]) {
        candidate.check(&load.orders)?;
    }
    Ok(measured)
}

pub(crate) fn mean(one: Sample, other: Sample) -> Sample {
    let of = |part: fn(&Sample) -> f64| (part(&one) + part(&other)) / 2.0;
    Sample {
        per_second: of(|sample| sample.per_second),
        cpu: of(|sample| sample.cpu),
        latency: of(|sample| sample.latency),
        redis_commands: 0.0,
        redis_cpu: 0.0,
        others: of(|sample| sample.others),
    }
}

impl Measured {
    /// The rounds that count: those without disturbance, if they are most; else all.
    fn which(&self) -> Vec<usize> {
        let all: Vec<_> = (0..self.pairs.len()).collect();
        let calm: Vec<_> = all
            .iter()
            .copied()
            .filter(|&round| !self.pairs[round].is_disturbed())
            .collect();
        if calm.len() * 2 > all.len() {
            calm
        } else {
            all
        }
    }

    pub(crate) fn disturbed(&self) -> usize {
        self.pairs.iter().filter(|pair| pair.is_disturbed()).count()
    }

    pub(crate) fn spread(&self, of: impl Fn(&Pair) -> f64) -> Option<Spread> {
        Spread::of(self.which().into_iter().map(|round| of(&self.pairs[round])))
    }

    /// Requests a second in proportion to another row's, each to the bare handler beside it.
    pub(crate) fn ratio_to(&self, other: &Self) -> Option<Spread> {
        let rounds = self.which().into_iter();
        Spread::of(
            rounds.map(|round| {
                self.pairs[round].requests_ratio() / other.pairs[round].requests_ratio()
            }),
        )
    }
}

/// By name.
pub(crate) fn by_name(rows: &[Measured]) -> HashMap<&'static str, &Measured> {
    rows.iter()
        .map(|measured| (measured.row.name, measured))
        .collect()
}
