//! How cost grows: with rows, bytes, keys, records, writers and processes.

use std::path::Path;

use serde_json::{Value, json};

use crate::Result;
use crate::arguments::Arguments;
use crate::measure::{Load, Sample};
use crate::orders::Orders;
use crate::parts::{Database, Keys, Parts};
use crate::plot;
use crate::rounds::{Ready, bare};
use crate::rows::Traffic;
use crate::spread::Spread;
use crate::table::table;

mod bytes;
mod keys;
mod processes;
mod records;
mod rows;
mod writers;

/// All curves.
pub(crate) struct Growth(Vec<Curves>);

/// Curves in one plot.
pub(crate) struct Curves {
    /// The plot's file name, and its key in the report.
    pub(crate) name: &'static str,
    /// What grows.
    pub(crate) of: &'static str,
    /// What is measured, with its unit.
    pub(crate) what: &'static str,
    pub(crate) curves: Vec<Curve>,
}

pub(crate) struct Curve {
    pub(crate) name: String,
    /// What has grown so far, and what was measured.
    pub(crate) points: Vec<(f64, Spread)>,
}

pub(crate) fn measured(parts: &Parts, arguments: &Arguments) -> Result<Growth> {
    let mut all = vec![rows::measured(parts, arguments)?];
    all.push(bytes::measured(parts, arguments)?);
    all.push(keys::measured(parts, arguments)?);
    all.extend(records::measured(arguments)?);
    all.push(writers::measured(parts, arguments)?);
    all.push(processes::measured(arguments)?);
    Ok(Growth(all))
}

/// A point of a curve is measured so often.
fn rounds(arguments: &Arguments) -> usize {
    if arguments.quick { 1 } else { 3 }
}

/// Whole seconds.
fn time(arguments: &Arguments) -> std::time::Duration {
    std::time::Duration::from_secs(if arguments.quick { 1 } else { 2 })
}

/// Candidates between two runs of the first one: their requests a second, in proportion to it.
fn ratios(ready: &[Ready], load: &Load, arguments: &Arguments) -> Result<Vec<Spread>> {
    let Some((bare, others)) = ready.split_first() else {
        return Err("nothing to compare".into());
    };
    let mut ratios = vec![Vec::new(); others.len()];
    for _ in 0..rounds(arguments) {
        let mut before: Sample = bare.sample(load)?;
        for (of, other) in ratios.iter_mut().zip(others) {
            let own = other.sample(load)?;
            let after = bare.sample(load)?;
            of.push(own.per_second * 2.0 / (before.per_second + after.per_second));
            before = after;
        }
    }
    let spreads = ratios.into_iter().map(Spread::of);
    spreads
        .collect::<Option<_>>()
        .ok_or_else(|| "no rounds".into())
}

/// Replays from memory, from Redis, and from there with strict copies, beside the handler: with other orders at each point.
fn replays(
    [memory, redis, strict]: [&str; 3],
    database: Database,
    points: &[(f64, Orders)],
    parts: &Parts,
    arguments: &Arguments,
) -> Result<Vec<Curve>> {
    let start = |name, keys| {
        let own = (keys, database);
        Ready::start(name, Traffic::Replay, own, parts, &Orders::default())
    };
    let mut ready = [
        bare(Traffic::Again, &Orders::default())?,
        start(memory, Keys::None)?,
        start(redis, Keys::Redis)?,
        start(strict, Keys::Redis)?,
    ];
    let mut measured = Vec::new();
    for (x, orders) in points {
        let load = Load {
            orders: *orders,
            connections: 64,
            time: time(arguments),
            singles: 0,
        };
        let (bare, replaying) = ready.split_at_mut(1);
        bare[0].ask_for(Traffic::Again, orders)?;
        for replaying in replaying {
            replaying.ask_for(Traffic::Replay, orders)?;
        }
        measured.push((*x, ratios(&ready, &load, arguments)?));
    }
    let names = ["replay-memory", "replay-redis", "replay-redis-strict"];
    Ok(curves(&names, &measured))
}

/// One curve for each name, from what was measured point by point.
fn curves(names: &[&str], points: &[(f64, Vec<Spread>)]) -> Vec<Curve> {
    let curve = |(at, name): (usize, &&str)| Curve {
        name: (*name).to_owned(),
        points: points
            .iter()
            .map(|(x, spreads)| (*x, spreads[at]))
            .collect(),
    };
    names.iter().enumerate().map(curve).collect()
}

impl Growth {
    /// A table for each plot: a line for each curve.
    pub(crate) fn table(&self) -> String {
        let tables = self.0.iter().map(|curves| {
            let xs: Vec<_> = curves.curves.first().map_or(Vec::new(), |curve| {
                curve.points.iter().map(|(x, _)| format!("{x}")).collect()
            });
            let mut head = vec![curves.of];
            head.extend(xs.iter().map(String::as_str));
            let rows = curves.curves.iter().map(|curve| {
                let decimals = if curves.what.contains("to bare") {
                    2
                } else {
                    0
                };
                let cells = curve.points.iter().map(|(_, spread)| spread.text(decimals));
                std::iter::once(curve.name.clone()).chain(cells).collect()
            });
            format!(
                "### {}\n\n{}.\n\n{}\n![{}](benchmarks/{}.svg)\n",
                curves.of,
                curves.what,
                table(&head, rows),
                curves.what,
                curves.name
            )
        });
        tables.collect::<Vec<_>>().join("\n")
    }

    pub(crate) fn draw(&self, pages: &Path) -> Result<()> {
        let directory = pages.join("benchmarks");
        std::fs::create_dir_all(&directory)?;
        for curves in &self.0 {
            plot::draw(curves, &directory.join(format!("{}.svg", curves.name)))?;
        }
        Ok(())
    }

    pub(crate) fn json(&self) -> Value {
        let curve = |curve: &Curve| {
            let points = curve.points.iter();
            let points: Vec<_> = points
                .map(|(x, spread)| json!([x, spread.median, spread.least, spread.most]))
                .collect();
            json!({ "name": curve.name, "points": points })
        };
        let plots = self.0.iter().map(|curves| {
            let lines: Vec<_> = curves.curves.iter().map(curve).collect();
            json!({ "name": curves.name, "of": curves.of, "what": curves.what, "curves": lines })
        });
        plots.collect()
    }
}
