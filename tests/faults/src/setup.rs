//! What the servers of a history are: whose Redis it is, and what its workers have copies of.

use std::time::Duration;

use idempotent_runtime::store::Local;
use support::Flavor;

use crate::clock::Micros;
use crate::world::WORKERS;

/// For how long a worker that tracks may not hear of a change, as it was promised.
pub const STALENESS: Micros = 200_000;

/// What the copies of a worker take at most: enough for some of the replies.
const BYTES: usize = 20_000;

/// The local copies of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copies {
    /// None.
    None,
    /// With [`Local::strict`].
    Strict,
    /// With [`Local::tracking`].
    Tracking,
}

impl Copies {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::None, Self::Strict, Self::Tracking];

    /// As it is written on a command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Strict => "strict",
            Self::Tracking => "tracking",
        }
    }

    /// The one that is written so.
    #[must_use]
    pub fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|copies| copies.as_str() == word)
    }

    /// How long after a change of another process a worker may replay what it has ended.
    #[must_use]
    pub fn staleness(self) -> Micros {
        match self {
            Self::None | Self::Strict => 0,
            Self::Tracking => STALENESS,
        }
    }

    pub(crate) fn local(self) -> Option<Local> {
        match self {
            Self::None => None,
            Self::Strict => Some(Local::strict(BYTES)),
            Self::Tracking => Some(Local::tracking(BYTES, Duration::from_micros(STALENESS))),
        }
    }
}

/// What the servers of a history are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Whose server the Redis is.
    pub flavor: Flavor,
    /// What each worker has.
    pub copies: [Copies; WORKERS],
}

impl Setup {
    /// Redis, and workers that are all alike.
    #[must_use]
    pub fn all(copies: Copies) -> Self {
        Self {
            flavor: Flavor::Redis,
            copies: [copies; WORKERS],
        }
    }

    /// By turns each server, and workers that are all alike or all different; or all have what is said.
    #[must_use]
    pub fn of(seed: u64, copies: Option<Copies>) -> Self {
        let alike = usize::try_from(seed / 2 % 4).unwrap_or_default();
        let copies = copies.or(Copies::ALL.get(alike).copied());
        Self {
            flavor: match seed % 2 {
                0 => Flavor::Valkey,
                _ => Flavor::Redis,
            },
            copies: copies.map_or(Copies::ALL, |copies| [copies; WORKERS]),
        }
    }
}
