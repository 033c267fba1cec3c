//! What was measured, as JSON and as a table.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::Result;
use crate::arguments::Arguments;
use crate::growth::Growth;
use crate::rounds::{Measured, by_name};
use crate::spread::Spread;
use crate::table::table;

pub(crate) struct Report {
    file: PathBuf,
    rounds: usize,
    rows: Vec<Line>,
    growth: Value,
}

/// A row of the table, and the object for it.
#[derive(Debug)]
pub(crate) struct Line {
    cells: Vec<String>,
    json: Value,
}

const HEAD: [&str; 10] = [
    "row",
    "requests/s to bare",
    "CPU to bare",
    "added latency, µs",
    "Redis commands",
    "Redis CPU, µs",
    "goal",
    "measured",
    "reached",
    "of its limit",
];

impl Report {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        Self {
            file: arguments.report.clone(),
            rounds: arguments.rounds(),
            rows: Vec::new(),
            growth: Value::Null,
        }
    }

    pub(crate) fn rows(&mut self, rows: &[Measured]) {
        self.rows.extend(bare(rows));
        let names = by_name(rows);
        self.rows.extend(rows.iter().map(|measured| {
            let ratios: Vec<_> = measured
                .row
                .goals
                .iter()
                .map(|goal| {
                    let ratio = match names.get(goal.of) {
                        Some(other) => measured.ratio_to(other),
                        None => measured.spread(|pair| pair.requests_ratio()),
                    };
                    (goal, ratio)
                })
                .collect();
            let limit = measured.row.limit.and_then(|limit| names.get(limit));
            let of_limit = limit.and_then(|limit| measured.ratio_to(limit));
            line(measured, &ratios, of_limit)
        }));
    }

    pub(crate) fn row(&mut self, line: Line) {
        self.rows.push(line);
    }

    pub(crate) fn growth(&mut self, growth: &Growth) {
        self.growth = growth.json();
    }

    pub(crate) fn write(&self) -> Result<()> {
        let rows: Vec<_> = self.rows.iter().map(|line| &line.json).collect();
        let report = json!({
            "machine": machine(),
            "rounds": self.rounds,
            "rows": rows,
            "growth": self.growth,
        });
        if let Some(directory) = self.file.parent() {
            std::fs::create_dir_all(directory)?;
        }
        Ok(std::fs::write(
            &self.file,
            serde_json::to_string_pretty(&report)? + "\n",
        )?)
    }

    pub(crate) fn table(&self) -> String {
        let cells = self.rows.iter().map(|line| line.cells.clone());
        format!(
            "{}; {} rounds, medians (least–most).\n\n{}",
            machine(),
            self.rounds,
            table(&HEAD, cells)
        )
    }
}

/// The handler itself, to which all ratios are.
fn bare(rows: &[Measured]) -> Option<Line> {
    let all = || rows.iter().flat_map(|row| &row.pairs).map(|pair| pair.bare);
    let per_second = Spread::of(all().map(|bare| bare.per_second))?;
    let cpu = Spread::of(all().map(|bare| bare.cpu))?;
    let latency = Spread::of(all().map(|bare| bare.latency))?;
    let absolute = format!(
        "{}/s, CPU {} µs, latency {} µs",
        per_second.text(0),
        cpu.text(1),
        latency.text(0)
    );
    let mut cells: Vec<String> = ["bare", "1", "1", "0", "0", "0", "–"]
        .map(String::from)
        .into();
    cells.extend([absolute, "–".to_owned(), "–".to_owned()]);
    let json = json!({
        "name": "bare",
        "requests_ratio": 1.0,
        "cpu_ratio": 1.0,
        "latency_added_us": 0.0,
        "redis_commands": 0.0,
        "redis_cpu_us": 0.0,
        "goal": null,
        "reached": null,
        "requests_per_second": per_second.median,
        "cpu_us": cpu.median,
        "latency_us": latency.median,
    });
    Some(Line { cells, json })
}

fn line(
    measured: &Measured,
    goals: &[(&crate::goal::Goal, Option<Spread>)],
    of_limit: Option<Spread>,
) -> Line {
    let requests = measured.spread(|pair| pair.requests_ratio());
    let cpu = measured.spread(|pair| pair.own.cpu / pair.bare.cpu);
    let latency = measured.spread(|pair| pair.own.latency - pair.bare.latency);
    let commands = measured.spread(|pair| pair.own.redis_commands);
    let redis_cpu = measured.spread(|pair| pair.own.redis_cpu);
    let goal = joined(goals.iter().map(|(goal, _)| goal.to_string()));
    let ratios = joined(goals.iter().map(|(_, ratio)| text(*ratio, 2)));
    let reached = (!goals.is_empty()).then(|| {
        let is_reached = |(goal, ratio): &(&crate::goal::Goal, Option<Spread>)| {
            ratio.is_some_and(|ratio| ratio.median >= goal.ratio)
        };
        goals.iter().all(is_reached)
    });
    let mut json = json!({
        "name": measured.row.name,
        "requests_ratio": median(requests),
        "requests_ratio_range": range(requests),
        "cpu_ratio": median(cpu),
        "cpu_ratio_range": range(cpu),
        "latency_added_us": median(latency),
        "latency_added_us_range": range(latency),
        "redis_commands": median(commands),
        "redis_cpu_us": median(redis_cpu),
        "goal": (!goals.is_empty()).then_some(&goal),
        "reached": reached,
        "limit": measured.row.limit,
        "of_limit": median(of_limit),
        "disturbed_rounds": measured.disturbed(),
    });
    for (goal, ratio) in goals {
        let name = match goal.of {
            "bare" => continue,
            "limit-one-get" => "limit_ratio",
            "idempotent-miss" => "peer_ratio",
            _ => "bare_row_ratio",
        };
        json[name] = median(*ratio);
    }
    let cells = vec![
        measured.row.name.to_owned(),
        text(requests, 2),
        text(cpu, 2),
        text(latency, 0),
        text(commands, 2),
        text(redis_cpu, 1),
        goal,
        ratios,
        verdict(reached),
        match measured.row.limit {
            Some(limit) => format!("{} of {limit}", text(of_limit, 2)),
            None => "–".to_owned(),
        },
    ];
    Line { cells, json }
}

/// A row of another kind: one number, and how many commands.
pub(crate) fn of_number(
    name: &str,
    (unit, value): (&str, Spread),
    commands: Option<f64>,
    (goal, most): (&str, f64),
) -> Line {
    let reached = value.median < most;
    let mut json = json!({
        "name": name,
        "requests_ratio": null,
        "cpu_ratio": null,
        "latency_added_us": null,
        "redis_commands": commands,
        "redis_cpu_us": null,
        "goal": goal,
        "reached": reached,
    });
    json[unit] = value.median.into();
    json[format!("{unit}_range")] = range(Some(value));
    let mut cells: Vec<String> = [name, "–", "–", "–"].map(String::from).into();
    cells.extend([
        commands.map_or("–".to_owned(), |commands| format!("{commands:.2}")),
        "–".to_owned(),
        goal.to_owned(),
        format!("{} {}", value.text(2), unit.replace('_', " ")),
        verdict(Some(reached)),
        "–".to_owned(),
    ]);
    Line { cells, json }
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    let parts: Vec<_> = parts.collect();
    if parts.is_empty() {
        "–".to_owned()
    } else {
        parts.join(", ")
    }
}

fn text(spread: Option<Spread>, decimals: usize) -> String {
    spread.map_or("–".to_owned(), |spread| spread.text(decimals))
}

fn median(spread: Option<Spread>) -> Value {
    spread.map(|spread| spread.median).into()
}

fn range(spread: Option<Spread>) -> Value {
    spread.map_or(Value::Null, |spread| json!([spread.least, spread.most]))
}

fn verdict(reached: Option<bool>) -> String {
    match reached {
        None => "–",
        Some(true) => "yes",
        Some(false) => "no",
    }
    .to_owned()
}

fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let about = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = about
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("unknown", |(_, model)| model.trim());
    format!("{cores} cores of {model}")
}
