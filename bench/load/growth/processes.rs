//! Several processes on one Redis, and one on a cluster, beside as many bare ones.

use support::Server;

use crate::Result;
use crate::arguments::Arguments;
use crate::candidate::Candidate;
use crate::check::Known;
use crate::growth::{Curve, Curves, rounds, time};
use crate::orders::Orders;
use crate::parts::{Database, Keys, Parts};
use crate::rows::Traffic;
use crate::spread::Spread;
use crate::wrk;

const MOST: usize = 4;

/// Over all processes.
const CONNECTIONS: usize = 64;

/// Some processes with the same requests.
struct Group {
    first: Candidate,
    siblings: Vec<(Server, u16)>,
    script: String,
}

impl Group {
    fn start(name: &str, keys: Keys, traffic: Traffic, processes: usize) -> Result<Self> {
        let first = Candidate::start(name, Parts::default().own(keys, Database::None)?)?;
        let siblings = (1..processes).map(|_| first.sibling());
        let siblings = siblings.collect::<Result<_>>()?;
        let known = Known::first(&first, &Orders::default())?;
        known.again(&first, traffic)?;
        Ok(Self {
            script: wrk::same(&known.requests),
            first,
            siblings,
        })
    }

    /// Requests a second of the first `processes` together.
    fn per_second(&self, processes: usize, arguments: &Arguments) -> Result<f64> {
        let others = self.siblings.iter().map(|(_, port)| *port);
        let ports = std::iter::once(self.first.port)
            .chain(others)
            .take(processes);
        let loads: Vec<_> = ports
            .map(|port| wrk::start(port, CONNECTIONS / processes, time(arguments), &self.script))
            .collect::<Result<_>>()?;
        let done = loads.into_iter().map(|load| Ok(load.done()?.per_second));
        done.sum()
    }
}

pub(crate) fn measured(arguments: &Arguments) -> Result<Curves> {
    let bare = Group::start("bare", Keys::None, Traffic::Again, MOST)?;
    let redis = Group::start("redis", Keys::Redis, Traffic::Replay, MOST)?;
    let cluster = Group::start("redis-cluster", Keys::Cluster, Traffic::Replay, MOST)?;
    let ran = |group: &Group| group.first.runs();
    let before = (ran(&redis)?, ran(&cluster)?);
    let mut points = [Vec::new(), Vec::new()];
    for processes in 1..=MOST {
        let mut ratios = [Vec::new(), Vec::new()];
        for _ in 0..rounds(arguments) {
            let beside = bare.per_second(processes, arguments)?;
            for (ratios, group) in ratios.iter_mut().zip([&redis, &cluster]) {
                ratios.push(group.per_second(processes, arguments)? / beside);
            }
        }
        for (points, ratios) in points.iter_mut().zip(ratios) {
            points.push((processes as f64, Spread::of(ratios).ok_or("no rounds")?));
        }
    }
    if (ran(&redis)?, ran(&cluster)?) != before {
        return Err("handlers ran while their replies were replayed".into());
    }
    let names = ["replay-redis", "replay-redis, cluster of three"];
    let curves = names.into_iter().zip(points);
    Ok(Curves {
        name: "processes",
        of: "processes",
        what: "requests/s of replays in all processes, to bare in as many",
        curves: curves
            .map(|(name, points)| Curve {
                name: name.to_owned(),
                points,
            })
            .collect(),
    })
}
