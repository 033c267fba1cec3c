//! What it takes to find out what a statement changes; nothing is sent.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use criterion::Criterion;
use diesel::prelude::*;
use idempotent_runtime::{Idempotent, TrackedConnection};

use crate::database::Database;
use crate::tables::users;

/// One line of the table.
pub(crate) struct Planning {
    pub(crate) name: &'static str,
    /// In nanoseconds.
    pub(crate) goal: Option<f64>,
    /// Nanoseconds a statement, round by round.
    pub(crate) rounds: Vec<f64>,
}

/// Plans one statement so often.
type Plan = fn(&mut TrackedConnection<SqliteConnection>, u64) -> Duration;

const CASES: [(&str, Option<f64>, Plan); 4] = [
    ("static `QueryId`, seen before", Some(200.0), static_id),
    (
        "dynamic SQL of Diesel's DSL, seen before",
        Some(2_000.0),
        dynamic,
    ),
    (
        "dynamic SQL of `sql_query`, seen before",
        Some(2_000.0),
        text,
    ),
    ("SQL never seen before", None, never_seen),
];

pub(crate) fn measured(criterion: &mut Criterion, idempotent: &Idempotent) -> Vec<Planning> {
    let home = SqliteConnection::home();
    let mut conn = TrackedConnection::new(SqliteConnection::fresh(&home));
    conn.attach(idempotent);
    let mut group = criterion.benchmark_group("planning");
    let lines = CASES.map(|(name, goal, plan)| {
        let rounds = RefCell::new(Vec::new());
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|calls| {
                let took = plan(&mut conn, calls);
                rounds.borrow_mut().push((calls, took));
                took
            });
        });
        Planning {
            name,
            goal,
            rounds: in_nanoseconds(&rounds.into_inner()),
        }
    });
    lines.into()
}

/// A round of few calls is one of criterion's warm-up.
fn in_nanoseconds(rounds: &[(u64, Duration)]) -> Vec<f64> {
    let most = rounds.iter().map(|(calls, _)| *calls).max().unwrap_or(0);
    rounds
        .iter()
        .filter(|(calls, _)| *calls > most / 4)
        .map(|(calls, took)| took.as_secs_f64() * 1e9 / *calls as f64)
        .collect()
}

fn static_id(conn: &mut TrackedConnection<SqliteConnection>, calls: u64) -> Duration {
    let statement = diesel::delete(users::table.find(7));
    repeated(calls, || conn.plan_only(&statement))
}

/// Diesel gives an UPDATE no static id, since the columns that it sets may differ.
fn dynamic(conn: &mut TrackedConnection<SqliteConnection>, calls: u64) -> Duration {
    let statement = diesel::update(users::table.find(7)).set(users::name.eq("Renamed"));

    repeated(calls, || conn.plan_only(&statement))
}

fn text(conn: &mut TrackedConnection<SqliteConnection>, calls: u64) -> Duration {
    let statement = diesel::sql_query("UPDATE users SET name = 'Renamed' WHERE id = 7");
    repeated(calls, || conn.plan_only(&statement))
}

fn repeated(calls: u64, plan: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    std::iter::repeat_with(plan)
        .take(calls as usize)
        .for_each(|passes| {
            std::hint::black_box(passes);
        });
    begun.elapsed()
}

fn never_seen(conn: &mut TrackedConnection<SqliteConnection>, calls: u64) -> Duration {
    thread_local!(static NUMBER: RefCell<u64> = const { RefCell::new(0) });
    let statements: Vec<_> = NUMBER.with_borrow_mut(|number| {
        let from = *number;
        *number += calls;
        (from..*number)
            .map(|n| diesel::sql_query(format!("UPDATE users SET name = 'Renamed' WHERE id = {n}")))
            .collect()
    });
    let begun = Instant::now();
    for statement in &statements {
        std::hint::black_box(conn.plan_only(statement));
    }
    begun.elapsed()
}
