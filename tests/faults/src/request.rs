//! What the clients ask of the workers, and what it changes.

use std::fmt;

/// Which handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// With `cache`.
    Cached,
    /// With `lock`.
    Locked,
    /// With both.
    Both,
    /// A writer without the attribute.
    Plain,
    /// A reader.
    Read,
}

impl Kind {
    /// As it stands in paths.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cached => "cached",
            Self::Locked => "locked",
            Self::Both => "both",
            Self::Plain => "plain",
            Self::Read => "read",
        }
    }

    /// Whether an execution of it that has committed has surely stamped: without the store it fails.
    #[must_use]
    pub fn stamps_or_fails(self) -> bool {
        matches!(self, Self::Cached | Self::Locked | Self::Both)
    }
}

/// What makes two requests the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// Which handler.
    pub kind: Kind,
    /// Which history it belongs to; each has rows of its own.
    pub history: u64,
    /// Which of the handler's requests.
    pub name: u32,
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind.as_str(), self.history, self.name)
    }
}

/// How many rows a history has.
pub const ROWS: u32 = 5;

/// The rows that each of a request's transactions changes, in their order.
#[must_use]
pub fn transactions(request: Request) -> Vec<Vec<i64>> {
    let rows: &[&[u32]] = match (request.kind, request.name % 6) {
        (Kind::Read, _) => &[],
        (Kind::Locked, _) => &[&[1]],
        (Kind::Plain, name) => return vec![vec![row(request.history, name % ROWS)]],
        (Kind::Both, name) if name % 2 == 0 => &[&[0]],
        (Kind::Both, _) => &[&[4]],
        (Kind::Cached, 0) => &[&[0]],
        (Kind::Cached, 1) => &[&[1]],
        (Kind::Cached, 2) => &[&[0, 1]],
        (Kind::Cached, 3) => &[&[2], &[3]],
        (Kind::Cached, 4) => &[&[2], &[2]],
        (Kind::Cached, _) => &[&[3, 4]],
    };
    let of_one = |rows: &&[u32]| rows.iter().map(|one| row(request.history, *one)).collect();
    rows.iter().map(of_one).collect()
}

/// One of a history's rows.
#[must_use]
pub fn row(history: u64, number: u32) -> i64 {
    i64::try_from(history).unwrap_or_default() * 10 + i64::from(number)
}
