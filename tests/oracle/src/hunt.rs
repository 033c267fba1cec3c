//! Case after case, until enough statements were run or something was missed.

use diesel::QueryResult;

use crate::compare::Totals;
use crate::database::Database;
use crate::generate::{Case, Focus};
use crate::recorder::Deafness;
use crate::remarks::Remarks;
use crate::run::run;
use crate::show::show;
use crate::shrink::{shrink, up_to};

/// How many statements share a schema.
const PER_SCHEMA: usize = 50;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Hunt {
    /// At least so many statements.
    pub statements: usize,
    /// Where chance begins.
    pub seed: u64,
    /// What to make more of.
    pub focus: Focus,
    /// What is not to be heard.
    pub deaf: Option<Deafness>,
    /// Whether it ends with the first case that misses something.
    pub stops: bool,
    /// Whether that case is made small.
    pub shrinks: bool,
    /// Whether there is more to say than the sums.
    pub verbose: bool,
}

impl Default for Hunt {
    fn default() -> Self {
        Self {
            statements: 2_000,
            seed: 1,
            focus: Focus::Any,
            deaf: None,
            stops: false,
            shrinks: true,
            verbose: false,
        }
    }
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Found {
    /// The sums.
    pub totals: Totals,
    /// The first case that missed something, as small as it got.
    pub failure: Option<Failure>,
    /// What else there is to say.
    pub remarks: Remarks,
}

/// A case that missed something.
#[derive(Debug)]
pub struct Failure {
    /// Its seed.
    pub seed: u64,
    /// The case.
    pub case: Case,
    /// What it missed.
    pub missed: Vec<String>,
}

/// Runs cases.
///
/// # Errors
///
/// If a case is wrong in itself.
pub fn hunt<D: Database>(database: &mut D, hunt: Hunt) -> QueryResult<Found> {
    let mut found = Found::default();
    let mut seed = hunt.seed;
    while found.totals.statements < hunt.statements {
        let left = hunt.statements - found.totals.statements;
        let case = Case::new(D::KIND, seed, left.min(PER_SCHEMA), hunt.focus);
        let outcome = run(database, &case, hunt.deaf)?;
        found.totals += outcome.totals;
        if hunt.verbose {
            found.remarks.add(&case, &outcome);
        }
        let last = outcome
            .verdicts
            .iter()
            .find(|(_, verdict)| !verdict.missed.is_empty());
        if let (Some((last, _)), None) = (last, &found.failure) {
            found.failure = Some(smallest(database, up_to(&case, *last), hunt, seed));
        }
        if hunt.stops && found.failure.is_some() {
            break;
        }
        seed += 1;
    }
    Ok(found)
}

fn smallest<D: Database>(database: &mut D, case: Case, hunt: Hunt, seed: u64) -> Failure {
    let mut missed = |case: &Case| -> Vec<String> {
        let outcome = run(database, case, hunt.deaf).unwrap_or_default();
        let verdicts = outcome.verdicts.into_iter();
        verdicts.flat_map(|(_, verdict)| verdict.missed).collect()
    };
    let case = match hunt.shrinks {
        true => shrink(case, |case| !missed(case).is_empty()),
        false => case,
    };
    let missed = missed(&case);
    Failure { seed, case, missed }
}

impl Failure {
    /// To be read.
    #[must_use]
    pub fn show(&self, name: &str) -> String {
        format!(
            "-- {name}, seed {}: missed {:?}\n{}",
            self.seed,
            self.missed,
            show(&self.case)
        )
    }
}
