//! What was reported against what is true.

use std::collections::BTreeSet;
use std::ops::AddAssign;

/// What one outermost step came to.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Rows that changed and were not reported.
    pub missed: BTreeSet<String>,
    /// Rows that were reported and did not change.
    pub extra: BTreeSet<String>,
    /// Tables that were reported as a whole, where their rows were knowable.
    pub coarse: BTreeSet<String>,
    /// How many rows were reported.
    pub reported: usize,
    /// How many names were reported by a step that failed: by a COMMIT that was refused, which is harmless.
    pub void: usize,
    /// Whether anything changed.
    pub changed: bool,
}

impl Verdict {
    /// Compares after a step that worked. `unknowable` are the tables of which no better can be said than `table:*`.
    #[must_use]
    pub fn new(
        changed: &BTreeSet<String>,
        reported: &BTreeSet<String>,
        unknowable: &BTreeSet<String>,
    ) -> Self {
        let covered =
            |name: &&String| !reported.contains(*name) && !reported.contains(&whole_of(name));
        let (wholes, rows): (BTreeSet<_>, BTreeSet<_>) = reported
            .iter()
            .cloned()
            .partition(|name| name.ends_with(":*"));
        Self {
            missed: changed.iter().filter(covered).cloned().collect(),
            extra: rows.difference(changed).cloned().collect(),
            coarse: wholes.difference(unknowable).cloned().collect(),
            reported: rows.len(),
            void: 0,
            changed: !changed.is_empty(),
        }
    }

    /// The same after a step that failed: what it reported came from a COMMIT that was refused, which does no harm.
    #[must_use]
    pub fn of_failure(self) -> Self {
        Self {
            void: self.extra.len() + self.coarse.len(),
            extra: BTreeSet::new(),
            coarse: BTreeSet::new(),
            reported: 0,
            ..self
        }
    }

    /// The same where nobody could tell which rows were written without being made different.
    #[must_use]
    pub fn of_snapshots(self) -> Self {
        Self {
            extra: BTreeSet::new(),
            ..self
        }
    }
}

/// What is looked for in verdicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sought {
    /// Rows that were missed.
    #[default]
    Missed,
    /// Rows that were reported without a change.
    Extra,
    /// Tables that were reported as a whole without need.
    Coarse,
}

impl Verdict {
    /// The names that are looked for.
    #[must_use]
    pub fn names(&self, sought: Sought) -> &BTreeSet<String> {
        match sought {
            Sought::Missed => &self.missed,
            Sought::Extra => &self.extra,
            Sought::Coarse => &self.coarse,
        }
    }
}

/// `t_int:*` for `t_int:1`.
fn whole_of(name: &str) -> String {
    let table = name.split(':').next().unwrap_or(name);
    format!("{table}:*")
}

/// The sums of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Statements that were run.
    pub statements: usize,
    /// Outermost steps that were committed.
    pub commits: usize,
    /// Rows missed.
    pub missed: usize,
    /// Rows reported without a change.
    pub extra: usize,
    /// Tables reported as a whole without need.
    pub coarse: usize,
    /// Rows reported.
    pub reported: usize,
    /// Statements of commits that changed rows.
    pub changing: usize,
    /// Statements that the database refused.
    pub refused: usize,
    /// Names reported by steps that failed.
    pub void: usize,
}

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        self.statements += other.statements;
        self.commits += other.commits;
        self.missed += other.missed;
        self.extra += other.extra;
        self.coarse += other.coarse;
        self.reported += other.reported;
        self.changing += other.changing;
        self.refused += other.refused;
        self.void += other.void;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_row_is_covered_by_its_name_or_by_its_table() {
        let verdict = Verdict::new(
            &set(&["t:1", "t:2", "u:1"]),
            &set(&["t:1", "u:*"]),
            &set(&["u:*"]),
        );
        assert_eq!(verdict.missed, set(&["t:2"]));
        assert!(verdict.extra.is_empty() && verdict.coarse.is_empty());
    }

    #[test]
    fn what_did_not_change_is_extra_and_a_table_without_need_is_coarse() {
        let verdict = Verdict::new(&set(&["t:1"]), &set(&["t:1", "t:2", "u:*"]), &set(&[]));
        assert_eq!(verdict.extra, set(&["t:2"]));
        assert_eq!(verdict.coarse, set(&["u:*"]));
    }
}
