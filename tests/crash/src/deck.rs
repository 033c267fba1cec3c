//! What is killed next, and when. Pure chance, from a seed.

use std::time::Duration;

use fastrand::Rng;
use idempotent_runtime::__private::faults::Point;

/// How something ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// A server, at which of [`Point::ALL`], and at which visit.
    At(usize, u64),
    /// A server, so long after it was started.
    After(Duration),
    /// The database.
    Database,
    /// Redis.
    Redis,
}

/// All kinds of ends, shuffled, again and again.
#[derive(Debug)]
pub struct Deck {
    random: Rng,
    cards: Vec<Fate>,
    left: usize,
}

impl Deck {
    /// With nothing to draw yet.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            random: Rng::with_seed(seed),
            cards: Vec::new(),
            left: 0,
        }
    }

    /// So many more may be drawn.
    pub fn deal(&mut self, more: usize) {
        self.left += more;
    }

    /// The next one, if there is one.
    pub fn draw(&mut self) -> Option<Fate> {
        self.left = self.left.checked_sub(1)?;
        if self.cards.is_empty() {
            self.cards = self.shuffled();
        }
        self.cards.pop()
    }

    fn shuffled(&mut self) -> Vec<Fate> {
        let random = &mut self.random;
        let mut cards = vec![Fate::Database, Fate::Redis];
        cards.extend((0..Point::ALL.len()).map(|point| Fate::At(point, random.u64(1..=12))));
        cards.extend((0..4).map(|_| Fate::After(Duration::from_millis(random.u64(..500)))));
        random.shuffle(&mut cards);
        cards
    }
}
