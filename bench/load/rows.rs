//! The rows of the table: which candidate, with which traffic, and what it is to reach.

use crate::Result;
use crate::goal::Goal;
use crate::parts::{Database, Keys};

/// What the requests of a row are, and so what the handler must be seen doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Traffic {
    /// The same keys again and again, and the handler runs for each request.
    Again,
    /// The same keys again and again, each with the first reply.
    Replay,
    /// New keys, each of which would be replayed.
    Miss,
    /// New keys, none of which is replayed.
    Fresh,
}

impl Traffic {
    pub(crate) fn has_new_keys(self) -> bool {
        matches!(self, Self::Miss | Self::Fresh)
    }

    /// The handler with nothing around it gets the same requests.
    pub(crate) fn of_bare(self) -> Self {
        if self.has_new_keys() {
            Self::Fresh
        } else {
            Self::Again
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// The server's name.
    pub(crate) candidate: &'static str,
    pub(crate) traffic: Traffic,
    pub(crate) keys: Keys,
    pub(crate) database: Database,
    pub(crate) goals: &'static [Goal],
    /// The row that does only what must be done for the same promise.
    pub(crate) limit: Option<&'static str>,
}

/// With the same keys, then with new ones, so that a bare run stands between any two of a kind. A row stands beside
/// its limit and those that its goal names.
const ROWS: &[Row] = &[
    row("limit-memory", "limit-memory", Traffic::Replay),
    row("replay-memory", "memory", Traffic::Replay)
        .within("limit-memory")
        .to_reach(&[Goal::at_least(1.0, "bare")]),
    row("limit-one-get", "limit-one-get", Traffic::Again).on(Keys::Redis),
    row("replay-redis", "redis", Traffic::Replay)
        .on(Keys::Redis)
        .within("limit-one-get")
        .to_reach(&[Goal::at_least(0.9, "limit-one-get")]),
    row("replay-redis-row", "sqlite-redis", Traffic::Replay)
        .on(Keys::Redis)
        .with(Database::Sqlite)
        .within("limit-one-get")
        .to_reach(&[Goal::at_least(0.9, "limit-one-get")]),
    row("replay-redis-strict", "redis-strict", Traffic::Replay)
        .on(Keys::Redis)
        .within("limit-one-get")
        .to_reach(&[Goal::at_least(1.0, "limit-one-get")]),
    row(
        "replay-redis-strict-row",
        "sqlite-redis-strict",
        Traffic::Replay,
    )
    .on(Keys::Redis)
    .with(Database::Sqlite)
    .within("limit-one-get")
    .to_reach(&[Goal::at_least(1.0, "limit-one-get")]),
    row("replay-redis-tracking", "redis-tracking", Traffic::Replay)
        .on(Keys::Redis)
        .within("limit-memory")
        .to_reach(&[Goal::at_least(1.0, "bare")]),
    row("once-replay", "once-postgres", Traffic::Replay).with(Database::Postgres),
    row("axum-idempotent", "axum-idempotent", Traffic::Replay).on(Keys::Valkey),
    row(
        "axum-idempotent-memory",
        "axum-idempotent-memory",
        Traffic::Replay,
    ),
    row("idempotent", "idempotent", Traffic::Replay).on(Keys::Redis),
    row("idempotent-memory", "idempotent-memory", Traffic::Replay),
    row("actix-idempotent", "actix-idempotent", Traffic::Replay).on(Keys::Redis),
    row(
        "actix-idempotent-memory",
        "actix-idempotent-memory",
        Traffic::Replay,
    ),
    row("miss-memory", "memory", Traffic::Miss),
    row("idempotent-miss", "idempotent", Traffic::Miss).on(Keys::Redis),
    row("limit-miss", "limit-miss", Traffic::Miss).on(Keys::Redis),
    row("miss-redis", "redis", Traffic::Miss)
        .on(Keys::Redis)
        .within("limit-miss")
        .to_reach(&[
            Goal::at_least(0.35, "bare"),
            Goal::at_least(1.25, "idempotent-miss"),
        ]),
    row("limit-lock", "limit-lock", Traffic::Fresh).on(Keys::Redis),
    row("lock-redis", "lock-redis", Traffic::Fresh)
        .on(Keys::Redis)
        .within("limit-lock")
        .to_reach(&[Goal::at_least(0.55, "bare")]),
    row("limit-sqlite-row", "limit-sqlite", Traffic::Miss).with(Database::Sqlite),
    row("bare-sqlite-row", "sqlite-bare", Traffic::Fresh).with(Database::Sqlite),
    row("miss-sqlite-row", "sqlite", Traffic::Miss)
        .with(Database::Sqlite)
        .within("limit-sqlite-row")
        .to_reach(&[Goal::at_least(0.9, "bare-sqlite-row")]),
    row("limit-postgres-row", "limit-postgres", Traffic::Miss).with(Database::Postgres),
    row("bare-postgres-row", "postgres-bare", Traffic::Fresh).with(Database::Postgres),
    row("miss-postgres-row", "postgres", Traffic::Miss)
        .with(Database::Postgres)
        .within("limit-postgres-row")
        .to_reach(&[Goal::at_least(0.9, "bare-postgres-row")]),
    row("miss-postgres-row-redis", "postgres-redis", Traffic::Miss)
        .on(Keys::Redis)
        .with(Database::Postgres),
    row("once-postgres", "once-postgres", Traffic::Miss).with(Database::Postgres),
];

/// Not loaded by `wrk`, but with a row in the report.
const OTHERS: [&str; 4] = ["bare", "handover-redis", "waiters-redis", "growth"];

pub(crate) const fn row(name: &'static str, candidate: &'static str, traffic: Traffic) -> Row {
    Row {
        name,
        candidate,
        traffic,
        keys: Keys::None,
        database: Database::None,
        goals: &[],
        limit: None,
    }
}

impl Row {
    pub(crate) const fn on(mut self, keys: Keys) -> Self {
        self.keys = keys;
        self
    }

    pub(crate) const fn with(mut self, database: Database) -> Self {
        self.database = database;
        self
    }

    const fn within(mut self, limit: &'static str) -> Self {
        self.limit = Some(limit);
        self
    }

    const fn to_reach(mut self, goals: &'static [Goal]) -> Self {
        self.goals = goals;
        self
    }
}

/// All rows, or one and those that it is compared to.
pub(crate) fn chosen(only: Option<&str>) -> Result<Vec<Row>> {
    let Some(only) = only else {
        return Ok(ROWS.into());
    };
    let Some(row) = ROWS.iter().find(|row| row.name == only) else {
        let other = OTHERS.contains(&only);
        return other.then(Vec::new).ok_or_else(|| no_row(only).into());
    };
    let compared = row.goals.iter().map(|goal| goal.of).chain(row.limit);
    let wanted: Vec<_> = compared.chain([only]).collect();
    let is_wanted = |other: &&Row| wanted.contains(&other.name);
    Ok(ROWS.iter().filter(is_wanted).copied().collect())
}

fn no_row(name: &str) -> String {
    let names: Vec<_> = ROWS.iter().map(|row| row.name).chain(OTHERS).collect();
    format!("no row `{name}`; there are {}", names.join(", "))
}
