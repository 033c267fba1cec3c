//! Runs random statements and says what was missed; the arguments are in `scripts/oracle`.

use std::process::ExitCode;

use oracle::compare::Sought;
use oracle::database::{Database, Mariadb, Postgres, Sqlite};
use oracle::hunt::{Found, Hunt, hunt};

const USAGE: &str = "usage: oracle [--statements N] [--seed S] [--database sqlite|postgres|mariadb] [--show missed|extra|coarse] [--most N] [--verbose]";

struct Arguments {
    statements: usize,
    seed: u64,
    database: Option<String>,
    sought: Sought,
    most: usize,
    verbose: bool,
}

fn main() -> ExitCode {
    let Some(arguments) = Arguments::read(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let good = [
        one::<Sqlite>(&arguments),
        one::<Postgres>(&arguments),
        one::<Mariadb>(&arguments),
    ];
    match good.iter().all(|good| *good) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

impl Arguments {
    fn read(mut words: impl Iterator<Item = String>) -> Option<Self> {
        let mut arguments = Self {
            statements: 2_000,
            seed: 1,
            database: None,
            sought: Sought::Missed,
            most: 8,
            verbose: false,
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--statements" => arguments.statements = words.next()?.parse().ok()?,
                "--seed" => arguments.seed = words.next()?.parse().ok()?,
                "--database" => arguments.database = Some(words.next()?),
                "--show" => arguments.sought = sought(&words.next()?)?,
                "--most" => arguments.most = words.next()?.parse().ok()?,
                "--verbose" => arguments.verbose = true,
                _ => return None,
            }
        }
        let known =
            |name: &String| [Sqlite::NAME, Postgres::NAME, Mariadb::NAME].contains(&name.as_str());
        arguments
            .database
            .as_ref()
            .is_none_or(known)
            .then_some(arguments)
    }
}

fn sought(word: &str) -> Option<Sought> {
    match word {
        "missed" => Some(Sought::Missed),
        "extra" => Some(Sought::Extra),
        "coarse" => Some(Sought::Coarse),
        _ => None,
    }
}

/// Whether nothing was missed.
fn one<D: Database>(arguments: &Arguments) -> bool {
    if arguments
        .database
        .as_ref()
        .is_some_and(|name| name != D::NAME)
    {
        return true;
    }
    let asked = Hunt {
        statements: arguments.statements,
        seed: arguments.seed,
        sought: arguments.sought,
        most: if arguments.sought == Sought::Missed {
            1
        } else {
            arguments.most
        },
        verbose: arguments.verbose,
        ..Hunt::default()
    };
    match hunt(&mut D::start(), asked) {
        Ok(found) => told(D::NAME, &found, arguments.verbose),
        Err(error) => {
            eprintln!("{}: {error}", D::NAME);
            false
        }
    }
}

fn told(name: &str, found: &Found, verbose: bool) -> bool {
    let totals = found.totals;
    if verbose {
        println!("{}{totals:?}", found.remarks);
    }
    for example in &found.cases {
        println!("{}", example.show(name));
        let seed = example.case.seed;
        println!("-- again: scripts/oracle --database {name} --seed {seed} --statements 50");
    }
    println!(
        "{name} statements={} commits={} missed={} extra={} coarse={}",
        totals.statements, totals.commits, totals.missed, totals.extra, totals.coarse
    );
    totals.missed == 0
}
