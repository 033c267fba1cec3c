//! For each rule a schedule that shows when it is broken: the very one that the rule is there for, on the real servers.
//!
//! With the rule kept, the same schedule breaks nothing.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use idempotent_runtime::__private::faults::Fault;
use support::eventually;

use crate::client::Manner;
use crate::clock::now;
use crate::history::{End, History, Operation, Span};
use crate::request::{Kind, Request};
use crate::run::{ask, begin, end};
use crate::setup::{Copies, STALENESS, Setup};
use crate::world::World;

/// The rules that these histories are about.
pub const RULES: [Fault; 7] = [
    Fault::StampAfterCommit,
    Fault::VersionsOfClient,
    Fault::MissingTagValid,
    Fault::ReleaseWithoutToken,
    Fault::EpochAtKeeping,
    Fault::ContextLost,
    Fault::ChangesUnheard,
];

/// Carries out the schedule for a rule.
#[must_use]
pub fn provoke(world: &World, rule: Fault, number: u64) -> History {
    let copies = match rule {
        Fault::ChangesUnheard => Copies::Tracking,
        _ => Copies::None,
    };
    begin(world, number, Setup::all(copies));
    let play = Play {
        world,
        number,
        done: Mutex::default(),
    };
    let losses = match rule {
        Fault::StampAfterCommit => play.stamps_cross(Duration::from_millis(60)),
        // Two that wait for one row stamp one right after the other.
        Fault::VersionsOfClient => play.stamps_cross(Duration::ZERO),
        Fault::MissingTagValid => play.a_tag_is_lost(),
        Fault::ReleaseWithoutToken => play.a_lock_is_lost(),
        Fault::EpochAtKeeping => play.a_stamp_is_lost(),
        Fault::ChangesUnheard => play.a_trusted_copy_is_ended(),
        _ => play.a_row_is_changed(),
    };
    let mut history = History {
        operations: play
            .done
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner),
        losses,
        ..History::default()
    };
    end(world, number, &mut history);
    history
}

/// A schedule under way.
struct Play<'a> {
    world: &'a World,
    number: u64,
    done: Mutex<Vec<Operation>>,
}

/// How long the transaction takes of one that another is to wait for, and the handler that is to outlive what happens
/// meanwhile.
const LONG: Manner = Manner {
    inside: 300_000,
    after: 0,
    patience: None,
};
const OUTLIVES: Manner = Manner {
    inside: 0,
    after: 2_500,
    patience: None,
};

impl Play<'_> {
    fn ask(&self, worker: usize, kind: Kind, manner: Manner) {
        let request = Request {
            kind,
            history: self.number,
            name: 0,
        };
        let operation = ask(self.world, worker, request, manner).expect("the worker lives");
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        done.push(operation);
    }

    /// Asks until the store is there again.
    fn ask_until_answered(&self, worker: usize, kind: Kind) {
        eventually("an answer but 503", || {
            self.ask(worker, kind, Manner::default());
            let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
            matches!(done.last().map(|last| &last.end), Some(End::Reply(reply)) if reply.status != 503)
        });
    }

    fn await_row(&self, what: &str, sql: &str) {
        eventually(what, || self.world.sql(sql).trim() == "t");
    }

    /// Kept, changed by another, asked for again.
    fn a_row_is_changed(&self) -> Vec<Span> {
        self.ask(0, Kind::Cached, Manner::default());
        self.ask(1, Kind::Plain, Manner::default());
        self.ask(2, Kind::Cached, Manner::default());
        Vec::new()
    }

    /// The same, and the row's tag is evicted before it is changed.
    fn a_tag_is_lost(&self) -> Vec<Span> {
        self.ask(0, Kind::Cached, Manner::default());
        let redis = self.world.redis();
        for tag in redis.ask(&["KEYS", "idempotent:*:tag:*"]) {
            redis.ask(&["DEL", &tag]);
        }
        drop(redis);
        self.ask(1, Kind::Plain, Manner::default());
        self.ask(2, Kind::Cached, Manner::default());
        Vec::new()
    }

    /// Replayed without a question until another changes the row, and asked for again when that must have been heard of.
    fn a_trusted_copy_is_ended(&self) -> Vec<Span> {
        eventually("a copy answers by itself", || {
            self.ask(0, Kind::Cached, Manner::default());
            self.world.by_copies(0)[1] > 0
        });
        self.ask(1, Kind::Plain, Manner::default());
        thread::sleep(Duration::from_micros(STALENESS));
        self.ask(0, Kind::Cached, Manner::default());
        Vec::new()
    }

    /// One changes a row, and another waits for that row. What the first then says to the store is late by this.
    fn stamps_cross(&self, late: Duration) -> Vec<Span> {
        thread::scope(|scope| {
            scope.spawn(|| self.ask(0, Kind::Cached, LONG));
            self.await_row(
                "it has changed the row",
                "SELECT count(*) > 0 FROM pg_stat_activity WHERE state = 'idle in transaction' AND query LIKE '%INSERT INTO \"changes\"%'",
            );
            self.world.proxy(0).delay(late);
            self.ask(1, Kind::Plain, Manner::default());
        });
        self.world.proxy(0).delay(Duration::ZERO);
        self.ask(2, Kind::Cached, Manner::default());
        Vec::new()
    }

    /// The store forgets who holds the lock, another takes it, and the first one ends.
    fn a_lock_is_lost(&self) -> Vec<Span> {
        let holders = |number: usize| {
            let of_this = self.number;
            self.await_row(
                "it has the lock",
                &format!("SELECT count(*) = {number} FROM turns WHERE history = {of_this}"),
            );
        };
        let mut loss = Span { from: 0, to: 0 };
        thread::scope(|scope| {
            let first = scope.spawn(|| {
                self.ask(
                    0,
                    Kind::Locked,
                    Manner {
                        after: 800,
                        ..OUTLIVES
                    },
                )
            });
            holders(1);
            loss.from = now();
            self.world.redis().ask(&["FLUSHALL"]);
            loss.to = now();
            scope.spawn(|| self.ask(1, Kind::Locked, OUTLIVES));
            holders(2);
            first.join().expect("a client does not panic");
            self.ask(2, Kind::Locked, Manner::default());
        });
        vec![loss]
    }

    /// Redis comes back as it was before a row was changed, while the reply that this ended is not kept yet.
    fn a_stamp_is_lost(&self) -> Vec<Span> {
        let mut loss = Span { from: 0, to: 0 };
        thread::scope(|scope| {
            scope.spawn(|| self.ask(0, Kind::Cached, OUTLIVES));
            let of_this = self.number;
            self.await_row(
                "it has changed the row",
                &format!("SELECT count(*) = 1 FROM changes WHERE history = {of_this}"),
            );
            loss.from = now();
            self.world.redis().ask(&["SAVE"]);
            self.ask(1, Kind::Plain, Manner::default());
            loss.to = self.world.restart_redis(|| ()).to;
            self.world.forget_saved();
        });
        self.ask_until_answered(1, Kind::Cached);
        vec![loss]
    }
}
