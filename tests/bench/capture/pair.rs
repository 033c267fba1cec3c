//! A bare connection and a tracked one, in turns, so that whatever slows the machine down meets both.

use std::time::Instant;

use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::prelude::*;
use idempotent_runtime::{Idempotent, TrackedConnection};

use crate::database::{Case, Database};
use crate::spread::Spread;

/// How many seconds a call took either connection.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Round {
    pub(crate) calls: u64,
    pub(crate) bare: f64,
    pub(crate) tracked: f64,
}

impl Round {
    pub(crate) fn ratio(&self) -> f64 {
        self.tracked / self.bare
    }
}

/// Seconds a call, turn by turn.
#[derive(Default)]
struct Turns {
    calls: u64,
    bare: Vec<f64>,
    tracked: Vec<f64>,
}

impl From<Turns> for Round {
    /// The median turn counts: one that another process has interrupted took several times as long.
    fn from(turns: Turns) -> Self {
        Self {
            calls: turns.calls,
            bare: Spread::of(turns.bare).median,
            tracked: Spread::of(turns.tracked).median,
        }
    }
}

/// Each has a database of its own, so that neither waits for the other's locks.
pub(crate) struct Pair<C> {
    bare: C,
    tracked: TrackedConnection<C>,
    /// Of the next call.
    n: i32,
    tracked_first: bool,
}

impl<C: Database> Pair<C> {
    pub(crate) fn new(home: &C::Home, idempotent: &Idempotent) -> Self {
        let mut tracked = TrackedConnection::new(C::fresh(home));
        tracked.attach(idempotent);
        Self {
            bare: C::fresh(home),
            tracked,
            n: 0,
            tracked_first: false,
        }
    }

    pub(crate) fn version(&mut self) -> String {
        self.bare.version().expect("the database tells its version")
    }

    /// Calls both so often.
    pub(crate) fn round(&mut self, case: &Case<C>, calls: u64) -> QueryResult<Round> {
        let mut turns = Turns::default();
        while turns.calls < calls {
            let left = i32::try_from(calls - turns.calls).unwrap_or(i32::MAX);
            match case.per_transaction {
                Some(most) => self.in_transaction(case, left.min(most), &mut turns)?,
                None => self.turn(case, left.min(case.per_turn), &mut turns)?,
            }
        }
        self.bare.tidy()?;
        self.tracked.untracked().tidy()?;
        Ok(turns.into())
    }

    fn in_transaction(&mut self, case: &Case<C>, calls: i32, turns: &mut Turns) -> QueryResult<()> {
        AnsiTransactionManager::begin_transaction(&mut self.bare)?;
        AnsiTransactionManager::begin_transaction(&mut self.tracked)?;
        let mut left = calls;
        while left > 0 {
            let turn = left.min(case.per_turn);
            self.turn(case, turn, turns)?;
            left -= turn;
        }
        AnsiTransactionManager::rollback_transaction(&mut self.bare)?;
        AnsiTransactionManager::rollback_transaction(&mut self.tracked)
    }

    /// One after the other; who is first changes.
    fn turn(&mut self, case: &Case<C>, calls: i32, turns: &mut Turns) -> QueryResult<()> {
        let from = self.n;
        self.n = from.wrapping_add(calls) & i32::MAX;
        let turn = from..from.saturating_add(calls);
        self.tracked_first = !self.tracked_first;
        if !self.tracked_first {
            turns
                .bare
                .push(timed(&mut self.bare, case.work.bare, turn.clone())?);
            turns
                .tracked
                .push(timed(&mut self.tracked, case.work.tracked, turn)?);
        } else {
            turns
                .tracked
                .push(timed(&mut self.tracked, case.work.tracked, turn.clone())?);
            turns
                .bare
                .push(timed(&mut self.bare, case.work.bare, turn)?);
        }
        turns.calls += u64::from(calls.unsigned_abs());
        Ok(())
    }
}

fn timed<Conn>(
    conn: &mut Conn,
    work: fn(&mut Conn, i32) -> QueryResult<usize>,
    calls: std::ops::Range<i32>,
) -> QueryResult<f64> {
    let count = calls.len();
    let begun = Instant::now();
    for n in calls {
        std::hint::black_box(work(conn, n)?);
    }
    Ok(begun.elapsed().as_secs_f64() / count as f64)
}
