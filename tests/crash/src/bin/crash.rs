//! Kills servers and says what became of their promises; the arguments are in `scripts/crash`.

use std::path::Path;
use std::process::ExitCode;

use crash::kind::Kind;
use crash::run::{Asked, Found, run};
use crash::serve::{Life, serve};
use diesel::{MysqlConnection, PgConnection, SqliteConnection};

const USAGE: &str =
    "usage: crash [--kills N] [--seed S] [--database sqlite|postgres|mariadb] [--verbose]";

struct Arguments {
    kills: usize,
    seed: u64,
    database: Option<String>,
    verbose: bool,
}

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args().skip(1).collect();
    if let [word, life] = words.as_slice()
        && word == "serve"
    {
        return served(life);
    }
    let program = std::env::current_exe();
    let (Some(arguments), Ok(program)) = (Arguments::read(words.into_iter()), program) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let good = [
        one::<SqliteConnection>(&arguments, &program),
        one::<PgConnection>(&arguments, &program),
        one::<MysqlConnection>(&arguments, &program),
    ];
    match good.iter().all(|good| *good) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// One of the servers that are killed.
fn served(life: &str) -> ExitCode {
    let life = serde_json::from_str::<Life>(life);
    match life.map_err(Into::into).and_then(|life| serve(&life)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

impl Arguments {
    fn read(mut words: impl Iterator<Item = String>) -> Option<Self> {
        let mut arguments = Self {
            kills: 30,
            seed: 1,
            database: None,
            verbose: false,
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--kills" => arguments.kills = words.next()?.parse().ok()?,
                "--seed" => arguments.seed = words.next()?.parse().ok()?,
                "--database" => arguments.database = Some(words.next()?),
                "--verbose" => arguments.verbose = true,
                _ => return None,
            }
        }
        let all = [
            SqliteConnection::NAME,
            PgConnection::NAME,
            MysqlConnection::NAME,
        ];
        let known = |name: &String| all.contains(&name.as_str());
        arguments
            .database
            .as_ref()
            .is_none_or(known)
            .then_some(arguments)
    }
}

/// Whether every promise was kept.
fn one<C: Kind>(arguments: &Arguments, program: &Path) -> bool {
    if arguments
        .database
        .as_ref()
        .is_some_and(|name| name != C::NAME)
    {
        return true;
    }
    let asked = Asked {
        kills: arguments.kills,
        seed: arguments.seed,
        program: program.to_path_buf(),
        fault: None,
    };
    let found = std::panic::catch_unwind(|| run::<C>(&asked));
    let clean = found.as_ref().is_ok_and(|found| found.verdict.is_clean());
    if let Ok(found) = &found {
        told(found, arguments.verbose || !clean);
    }
    if !clean {
        println!(
            "again: scripts/crash --database {} --kills {} --seed {}",
            C::NAME,
            arguments.kills,
            arguments.seed
        );
    }
    clean
}

fn told(found: &Found, verbose: bool) {
    if verbose {
        println!(
            "answers {:?}; deaths at each point {:?}",
            found.statuses, found.reached
        );
        println!("{:#?}", found.verdict);
    }
    println!("{found}");
}
