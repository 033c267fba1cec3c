//! What a row is to reach.

/// Requests a second, in proportion to another row's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    pub(crate) ratio: f64,
    /// The other row.
    pub(crate) of: &'static str,
}

impl Goal {
    pub(crate) const fn at_least(ratio: f64, of: &'static str) -> Self {
        Self { ratio, of }
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "≥ {:.2} of {}", self.ratio, self.of)
    }
}
