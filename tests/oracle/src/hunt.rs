//! Case after case, until enough statements were run or something was missed.

use diesel::QueryResult;
use diesel::result::Error;

use crate::compare::{Sought, Totals};
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
    /// What is looked for.
    pub sought: Sought,
    /// In how many cases at most it is looked into.
    pub most: usize,
    /// Whether it ends with as many.
    pub stops: bool,
    /// Whether those cases are made small.
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
            sought: Sought::Missed,
            most: 1,
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
    /// The first cases with what was looked for, as small as they got.
    pub cases: Vec<Example>,
    /// What else there is to say.
    pub remarks: Remarks,
}

/// A case with what was looked for.
#[derive(Debug)]
pub struct Example {
    /// The case.
    pub case: Case,
    /// What it is.
    pub sought: Sought,
    /// The names.
    pub names: Vec<String>,
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
        let outcome = run(database, &case, hunt.deaf).map_err(|error| of_seed(error, seed))?;
        found.totals += outcome.totals;
        if hunt.verbose {
            found.remarks.add(&case, &outcome);
        }
        let mut verdicts = outcome.verdicts.iter();
        let last = verdicts.find(|(_, verdict)| !verdict.names(hunt.sought).is_empty());
        if let Some((last, _)) = last.filter(|_| found.cases.len() < hunt.most) {
            found
                .cases
                .push(smallest(database, up_to(&case, *last), hunt));
        }
        if hunt.stops && found.cases.len() == hunt.most {
            break;
        }
        seed += 1;
    }
    Ok(found)
}

fn of_seed(error: Error, seed: u64) -> Error {
    Error::QueryBuilderError(format!("seed {seed}: {error}").into())
}

fn smallest<D: Database>(database: &mut D, case: Case, hunt: Hunt) -> Example {
    let mut names = |case: &Case| -> Vec<String> {
        let outcome = run(database, case, hunt.deaf).unwrap_or_default();
        let each = outcome.verdicts.iter();
        each.flat_map(|(_, verdict)| verdict.names(hunt.sought).clone())
            .collect()
    };
    let case = match hunt.shrinks {
        true => shrink(case, |case| !names(case).is_empty()),
        false => case,
    };
    Example {
        names: names(&case),
        sought: hunt.sought,
        case,
    }
}

impl Example {
    /// To be read.
    #[must_use]
    pub fn show(&self, name: &str) -> String {
        let Self {
            case,
            sought,
            names,
        } = self;
        let what = format!("{sought:?}").to_lowercase();
        format!(
            "-- {name}, seed {}: {what} {names:?}\n{}",
            case.seed,
            show(case)
        )
    }
}
