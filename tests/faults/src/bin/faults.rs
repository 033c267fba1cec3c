//! Random histories under faults, and what they broke; the arguments are in `scripts/faults`.

use std::process::ExitCode;

use faults::check::{Broken, Verdict, check};
use faults::history::{End, History};
use faults::run::random;
use faults::setup::{Copies, Setup};
use faults::worker;
use faults::world::World;

const USAGE: &str = "usage: faults [--histories N] [--seed S] [--operations N] [--copies COPIES] [--broken RULE] [--verbose]";

struct Arguments {
    histories: u64,
    seed: u64,
    operations: usize,
    copies: Option<Copies>,
    broken: Option<String>,
    verbose: bool,
}

#[derive(Default)]
struct Totals {
    operations: usize,
    replays: usize,
    by_copies: [u64; 2],
    owed: usize,
    unheard: usize,
    lost: usize,
    broken: [usize; 5],
}

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some("worker") {
        return served();
    }
    let Some(arguments) = Arguments::read(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let Ok(program) = std::env::current_exe() else {
        eprintln!("this program does not know where it is");
        return ExitCode::FAILURE;
    };
    let world = World::start(program, arguments.broken.as_deref());
    let mut totals = Totals::default();
    for number in 1..=arguments.histories {
        let seed = arguments.seed + number - 1;
        let setup = Setup::of(seed, arguments.copies);
        let history = random(&world, number, arguments.operations, seed, setup);
        let verdict = check(&history);
        if arguments.verbose || !verdict.offences.is_empty() {
            tell(seed, setup, &history, &verdict);
        }
        totals.add(&history, &verdict);
    }
    totals.tell(arguments.histories);
    match totals.broken {
        [0, 0, 0, 0, 0] => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn served() -> ExitCode {
    match worker::serve() {
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
            histories: 20,
            seed: 1,
            operations: 200,
            copies: None,
            broken: None,
            verbose: false,
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--histories" => arguments.histories = words.next()?.parse().ok()?,
                "--seed" => arguments.seed = words.next()?.parse().ok()?,
                "--operations" => arguments.operations = words.next()?.parse().ok()?,
                "--copies" => arguments.copies = Some(Copies::read(&words.next()?)?),
                "--broken" => arguments.broken = Some(words.next()?),
                "--verbose" => arguments.verbose = true,
                _ => return None,
            }
        }
        let known = |name: &String| worker::fault(name).is_some();
        arguments
            .broken
            .as_ref()
            .is_none_or(known)
            .then_some(arguments)
    }
}

const BROKEN: [Broken; 5] = [
    Broken::Stale,
    Broken::Overlap,
    Broken::Torn,
    Broken::Stuck,
    Broken::Leaked,
];

impl Totals {
    fn add(&mut self, history: &History, verdict: &Verdict) {
        self.operations += history.operations.len();
        self.replays += verdict.replays;
        for (total, more) in self.by_copies.iter_mut().zip(history.by_copies) {
            *total += more;
        }
        self.owed += verdict.owed;
        self.unheard += verdict.unheard;
        self.lost += verdict.lost;
        for (total, broken) in self.broken.iter_mut().zip(BROKEN) {
            *total += verdict.count(broken);
        }
    }

    fn tell(&self, histories: u64) {
        let Self {
            operations,
            replays,
            by_copies: [asked, trusted],
            owed,
            unheard,
            lost,
            broken,
        } = self;
        println!("replays={replays} by copies: strict={asked} trusted={trusted}");
        println!("excused: owed={owed} unheard={unheard} lost={lost}");
        let [stale, overlaps, torn, stuck, leaked] = broken;
        println!(
            "histories={histories} operations={operations} stale={stale} overlaps={overlaps} torn={torn} stuck={stuck} leaked={leaked}"
        );
    }
}

fn tell(seed: u64, setup: Setup, history: &History, verdict: &Verdict) {
    println!(
        "seed {seed}: {setup:?}: {} operations, {} replays, {:?} by copies, {} changes, {} turns, {} losses",
        history.operations.len(),
        verdict.replays,
        history.by_copies,
        history.changes.len(),
        history.turns.len(),
        history.losses.len(),
    );
    let mut ends = std::collections::BTreeMap::<_, usize>::new();
    for operation in &history.operations {
        let end = match &operation.end {
            End::Reply(reply) => format!("{} {:?}", reply.status, reply.way),
            end => format!("{end:?}"),
        };
        *ends.entry(end).or_default() += 1;
    }
    println!("  {ends:?}");
    for offence in &verdict.offences {
        println!("  {offence}");
    }
    if !verdict.offences.is_empty() {
        println!("  again: scripts/faults --histories 1 --seed {seed}");
    }
}
