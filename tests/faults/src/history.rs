//! What happened: what was asked and answered, what the database says of it, and what the nemesis did.

use serde::{Deserialize, Serialize};

use crate::clock::Micros;
use crate::request::Request;

/// How long a record lives.
pub const RECORD: Micros = 2_000_000;

/// The lease of a lock.
pub const LOCK: Micros = 1_500_000;

/// The lease of a claim, and the longest that it is renewed.
pub const CLAIM: Micros = 1_500_000;
/// See [`CLAIM`].
pub const CLAIM_CAP: Micros = 10_000_000;

/// One request and what came of it.
#[derive(Clone, Debug)]
pub struct Operation {
    /// What was asked.
    pub request: Request,
    /// Which process was asked; one that was started anew is another one.
    pub process: u64,
    /// How long that may not hear of another's change.
    pub staleness: Micros,
    /// When it was sent: not before this.
    pub sent: Micros,
    /// When its end was seen: not after this.
    pub ended: Micros,
    /// How it ended.
    pub end: End,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With a whole reply.
    Reply(Reply),
    /// With the end of the connection.
    Cut,
    /// The client has gone away.
    Left,
    /// Not within the time that anything may take.
    Never,
}

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Whether a handler ran for it.
    pub way: Way,
    /// The execution, as a header says.
    pub run: String,
    /// The body.
    pub body: String,
}

/// Where a reply is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Its own execution, or none.
    Own,
    /// A record.
    Hit,
    /// The execution that was under way.
    Collapsed,
}

/// What a handler replies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// The execution, by a name that its handler gave it.
    pub run: String,
    /// The request.
    pub request: String,
    /// Row and version, in the order of the changes; of a reader, what it saw.
    pub rows: Vec<(i64, i64)>,
    /// Whether a stamp of it was owed.
    pub owed: bool,
    /// Makes it long enough to be torn.
    filler: String,
}

impl Body {
    /// All of it follows from these.
    #[must_use]
    pub fn new(run: &str, request: &str, rows: Vec<(i64, i64)>, owed: bool) -> Self {
        Self {
            run: run.to_owned(),
            request: request.to_owned(),
            rows,
            owed,
            filler: run.repeat(20),
        }
    }

    /// As it is sent.
    #[must_use]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// A change of a row, as the database has it: written in the transaction that made it. In the order in which they were
/// written, which for any one row is the order of the commits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// By which execution.
    pub run: String,
    /// Of which request.
    pub request: Request,
    /// In which process.
    pub process: u64,
    /// Which row.
    pub row: i64,
    /// Which version it has since.
    pub version: i64,
}

/// The time that an execution spent behind its lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Which lock.
    pub lock: String,
    /// By which execution.
    pub run: String,
    /// When its request was sent.
    pub asked: Micros,
    /// When its handler had begun.
    pub entered: Micros,
    /// When its handler was about to end; none if its process was killed before.
    pub left: Option<Micros>,
    /// Whether it knew by then that it had lost its lease.
    pub lost: bool,
}

/// A time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Not after its beginning.
    pub from: Micros,
    /// Not before its end.
    pub to: Micros,
}

impl Span {
    /// Whether they have an instant in common.
    #[must_use]
    pub fn meets(self, other: Self) -> bool {
        self.from <= other.to && other.from <= self.to
    }
}

/// All that is known of one history.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// In any order.
    pub operations: Vec<Operation>,
    /// In the database's order.
    pub changes: Vec<Change>,
    /// In any order.
    pub turns: Vec<Turn>,
    /// When the store may have lost what it had.
    pub losses: Vec<Span>,
    /// How many replays were made by copies, as far as those who made them were not killed: those that the store was asked
    /// about, and those that it was not.
    pub by_copies: [u64; 2],
    /// What was wrong with the keys that were left.
    pub leaks: Vec<String>,
}
