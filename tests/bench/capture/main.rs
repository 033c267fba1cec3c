//! The tracked connection beside the bare one: `scripts/bench-capture`.
//!
//! criterion runs it and keeps its statistics in `target/criterion`; what it measures is the ratio of both within one
//! round, since the times themselves drift with the machine. The table is printed, and written to the file that
//! `CAPTURE_TABLE` names.
#![allow(clippy::expect_used, reason = "a bench fails by panicking")]

mod database;
mod pair;
mod planning;
mod ratio;
mod spread;
mod table;
mod tables;

use std::cell::RefCell;

use criterion::{Criterion, SamplingMode};
use diesel::prelude::*;
use idempotent_runtime::Idempotent;

use database::Database;
use pair::{Pair, Round};
use ratio::Ratio;
use table::{Line, Table};

fn main() {
    let idempotent = Idempotent::builder("bench").build();
    let mut criterion = Criterion::default()
        .with_measurement(Ratio)
        .configure_from_args();
    let mut table = Table::default();
    measure::<SqliteConnection>(&mut criterion, &idempotent, &mut table);
    measure::<PgConnection>(&mut criterion, &idempotent, &mut table);
    measure::<MysqlConnection>(&mut criterion, &idempotent, &mut table);
    let mut criterion = Criterion::default().configure_from_args();
    table.planning = planning::measured(&mut criterion, &idempotent);
    println!("\n{table}");
    if let Some(path) = std::env::var_os("CAPTURE_TABLE") {
        std::fs::write(path, table.to_string()).expect("the table can be written");
    }
}

fn measure<C: Database>(
    criterion: &mut Criterion<Ratio>,
    idempotent: &Idempotent,
    table: &mut Table,
) {
    let home = C::home();
    let mut pair = Pair::<C>::new(&home, idempotent);
    table.databases.push((C::NAME, pair.version()));
    let mut group = criterion.benchmark_group(C::NAME);
    group.sampling_mode(SamplingMode::Flat);
    for case in C::cases() {
        let rounds = RefCell::new(Vec::new());
        group.bench_function(case.name, |bencher| {
            bencher.iter_custom(|calls| {
                let round = pair.round(&case, calls).expect("the case runs");
                rounds.borrow_mut().push(round);
                round
            });
        });
        table.lines.push(Line {
            database: C::NAME,
            case: case.name,
            goal: case.goal,
            rounds: measured(rounds.into_inner()),
        });
    }
}

/// Those after criterion's warm-up have as many calls as the last.
fn measured(mut rounds: Vec<Round>) -> Vec<Round> {
    let calls = rounds.last().map_or(0, |round| round.calls);
    rounds.retain(|round| round.calls == calls);
    rounds
}
