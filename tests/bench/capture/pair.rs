//! A bare connection and a tracked one, in turns, so that whatever slows the machine down meets both.

use std::time::{Duration, Instant};

use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::prelude::*;
use idempotent_runtime::{Idempotent, TrackedConnection};

use crate::database::{Case, Database};

/// How long both took for the same calls.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Round {
    pub(crate) calls: u64,
    pub(crate) bare: Duration,
    pub(crate) tracked: Duration,
}

impl Round {
    pub(crate) fn ratio(&self) -> f64 {
        self.tracked.as_secs_f64() / self.bare.as_secs_f64()
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
        let mut round = Round::default();
        while round.calls < calls {
            let left = i32::try_from(calls - round.calls).unwrap_or(i32::MAX);
            match case.per_transaction {
                Some(most) => self.in_transaction(case, left.min(most), &mut round)?,
                None => self.turn(case, left.min(case.per_turn), &mut round)?,
            }
        }
        self.bare.tidy()?;
        self.tracked.untracked().tidy()?;
        Ok(round)
    }

    fn in_transaction(&mut self, case: &Case<C>, calls: i32, round: &mut Round) -> QueryResult<()> {
        AnsiTransactionManager::begin_transaction(&mut self.bare)?;
        AnsiTransactionManager::begin_transaction(&mut self.tracked)?;
        let mut left = calls;
        while left > 0 {
            let turn = left.min(case.per_turn);
            self.turn(case, turn, round)?;
            left -= turn;
        }
        AnsiTransactionManager::rollback_transaction(&mut self.bare)?;
        AnsiTransactionManager::rollback_transaction(&mut self.tracked)
    }

    /// One after the other; who is first changes.
    fn turn(&mut self, case: &Case<C>, calls: i32, round: &mut Round) -> QueryResult<()> {
        let from = self.n;
        self.n = from.wrapping_add(calls) & i32::MAX;
        let turn = from..from.saturating_add(calls);
        self.tracked_first = !self.tracked_first;
        if !self.tracked_first {
            round.bare += timed(&mut self.bare, case.work.bare, turn.clone())?;
            round.tracked += timed(&mut self.tracked, case.work.tracked, turn)?;
        } else {
            round.tracked += timed(&mut self.tracked, case.work.tracked, turn.clone())?;
            round.bare += timed(&mut self.bare, case.work.bare, turn)?;
        }
        round.calls += u64::from(calls.unsigned_abs());
        Ok(())
    }
}

fn timed<Conn>(
    conn: &mut Conn,
    work: fn(&mut Conn, i32) -> QueryResult<usize>,
    calls: std::ops::Range<i32>,
) -> QueryResult<Duration> {
    let begun = Instant::now();
    for n in calls {
        std::hint::black_box(work(conn, n)?);
    }
    Ok(begun.elapsed())
}
