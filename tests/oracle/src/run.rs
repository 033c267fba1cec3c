//! A case, run against a real database.

use diesel::QueryResult;
use diesel::connection::{
    AnsiTransactionManager, Connection, SimpleConnection, TransactionManager,
};
use diesel::result::Error;
use idempotent_runtime::{Idempotent, TrackedConnection};

use crate::compare::{Totals, Verdict};
use crate::database::Database;
use crate::dialect;
use crate::generate::Case;
use crate::knowable::unknowable;
use crate::recorder::{Deafness, Recorder};
use crate::schema::{Kind, Schema};
use crate::sql::{plain, written};
use crate::statement::{Block, Body, End, Opening, Statement, Step, Way};
use crate::truth::Truth;

/// What came of a case.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The sums.
    pub totals: Totals,
    /// Each outermost step with something to say about it, by its place.
    pub verdicts: Vec<(usize, Verdict)>,
    /// What the database said of statements that it refused.
    pub refusals: Vec<String>,
}

/// Runs a case on a fresh schema.
///
/// # Errors
///
/// If the schema cannot be made or the truth not be read: then the case itself is wrong.
pub fn run<D: Database>(
    database: &mut D,
    case: &Case,
    deaf: Option<Deafness>,
) -> QueryResult<Outcome> {
    let url = database.fresh();
    let mut bare = bare::<D>(&url)?;
    make::<D>(&mut bare, case)?;
    let recorder = Recorder::new(deaf);
    let mut runner = Runner::<D> {
        schema: &case.schema,
        connection: connect::<D>(&url, &recorder)?,
        url,
        truth: Truth::new::<D>(&case.schema, &mut bare)?,
        bare,
        recorder,
        outcome: Outcome::default(),
    };
    for (at, step) in case.program.0.iter().enumerate() {
        runner.outermost(at, step)?;
    }
    Ok(runner.outcome)
}

fn bare<D: Database>(url: &str) -> QueryResult<D::Connection> {
    let mut bare = D::Connection::establish(url).map_err(cannot_connect)?;
    D::prepare(&mut bare)?;
    Ok(bare)
}

fn connect<D: Database>(
    url: &str,
    recorder: &std::sync::Arc<Recorder>,
) -> QueryResult<TrackedConnection<D::Connection>> {
    let idempotent = Idempotent::builder("oracle")
        .store(std::sync::Arc::clone(recorder))
        .build();
    let inner = D::Connection::establish(url).map_err(cannot_connect)?;
    let mut connection = TrackedConnection::new(inner);
    connection.attach(&idempotent);
    D::prepare(&mut connection)?;
    Ok(connection)
}

fn cannot_connect(error: diesel::ConnectionError) -> Error {
    Error::QueryBuilderError(Box::new(error))
}

/// Makes the schema, with rows in it before anything follows from them. A row that is refused is left out.
fn make<D: Database>(bare: &mut D::Connection, case: &Case) -> QueryResult<()> {
    for sql in dialect::tables(&case.schema) {
        bare.batch_execute(&sql)
            .map_err(|error| about(error, &sql))?;
    }
    for seed in &case.seeds {
        let _ = bare.batch_execute(&plain(&Body::Insert(seed.clone()), &case.schema));
    }
    for sql in dialect::effects(&case.schema) {
        bare.batch_execute(&sql)
            .map_err(|error| about(error, &sql))?;
    }
    Ok(())
}

fn about(error: Error, sql: &str) -> Error {
    Error::QueryBuilderError(format!("{error}: {sql}").into())
}

struct Runner<'a, D: Database> {
    schema: &'a Schema,
    url: String,
    connection: TrackedConnection<D::Connection>,
    bare: D::Connection,
    recorder: std::sync::Arc<Recorder>,
    truth: Truth,
    outcome: Outcome,
}

impl<D: Database> Runner<'_, D> {
    fn outermost(&mut self, at: usize, step: &Step) -> QueryResult<()> {
        let result = self.step(step, 0);
        self.recover(result.is_err())?;
        let changed = self.truth.changed::<D>(&mut self.bare)?;
        let reported = self.recorder.heard();
        let mut excused = std::collections::BTreeSet::new();
        step.each(&mut |statement| excused.extend(unknowable(statement, self.schema)));
        let mut verdict = Verdict::new(&changed, &reported, &excused);
        if result.is_err() {
            verdict = verdict.of_failure();
        }
        if !self.schema.logged {
            verdict = verdict.of_snapshots();
        }
        self.count(step, result.is_ok(), &verdict);
        if !(verdict.missed.is_empty() && verdict.extra.is_empty() && verdict.coarse.is_empty()) {
            self.outcome.verdicts.push((at, verdict));
        }
        Ok(())
    }

    fn count(&mut self, step: &Step, committed: bool, verdict: &Verdict) {
        let statements = step.statements();
        self.outcome.totals += Totals {
            statements,
            commits: usize::from(committed),
            missed: verdict.missed.len(),
            extra: verdict.extra.len(),
            coarse: verdict.coarse.len(),
            reported: verdict.reported,
            changing: if verdict.changed { statements } else { 0 },
            refused: 0,
            void: verdict.void,
        };
    }

    /// The next step begins outside a transaction, whatever this one left.
    fn recover(&mut self, failed: bool) -> QueryResult<()> {
        let clean = matches!(
            AnsiTransactionManager::transaction_manager_status_mut(&mut self.connection)
                .transaction_depth(),
            Ok(None)
        );
        if failed || !clean {
            let _ = self.connection.batch_execute("ROLLBACK");
        }
        if !clean {
            self.connection = connect::<D>(&self.url, &self.recorder)?;
        }
        Ok(())
    }

    fn step(&mut self, step: &Step, depth: u32) -> QueryResult<()> {
        match step {
            Step::Statement(statement) => {
                let result = send::<D>(&mut self.connection, statement, self.schema);
                if let Err(error) = &result {
                    self.outcome.totals.refused += 1;
                    self.outcome.refusals.push(error.to_string());
                }
                result
            }
            Step::Block(block) => match block.opening {
                Opening::Diesel => self.diesel(block, depth),
                Opening::Sql | Opening::Other => self.sql(block, depth),
            },
        }
    }

    fn steps(&mut self, block: &Block, depth: u32) -> QueryResult<()> {
        for step in &block.steps {
            match self.step(step, depth + 1) {
                // Meant to be undone: what comes after it goes on.
                Ok(()) | Err(Error::RollbackTransaction) => {}
                Err(_) if block.swallows => {}
                Err(error) => return Err(error),
            }
        }
        match block.end {
            End::Commit => Ok(()),
            End::Rollback => Err(Error::RollbackTransaction),
        }
    }

    fn diesel(&mut self, block: &Block, depth: u32) -> QueryResult<()> {
        AnsiTransactionManager::begin_transaction(&mut self.connection)?;
        match self.steps(block, depth) {
            Ok(()) => AnsiTransactionManager::commit_transaction(&mut self.connection),
            Err(error) => {
                match AnsiTransactionManager::rollback_transaction(&mut self.connection) {
                    Ok(()) | Err(Error::BrokenTransactionManager) => Err(error),
                    Err(rollback) => Err(rollback),
                }
            }
        }
    }

    fn sql(&mut self, block: &Block, depth: u32) -> QueryResult<()> {
        let [open, commit, rollback] = words(D::KIND, block.opening, depth);
        self.connection.batch_execute(&open)?;
        let result = self.steps(block, depth);
        let close = if result.is_ok() { commit } else { rollback };
        D::query(&mut self.connection, &close, &[])?;
        result
    }
}

/// What opens a block, what ends it, and what undoes it.
fn words(kind: Kind, opening: Opening, depth: u32) -> [String; 3] {
    let name = match opening {
        Opening::Other => "\"Same\"".to_owned(),
        _ => format!("s{depth}"),
    };
    match (opening, kind) {
        (Opening::Other, Kind::Postgres) if depth == 0 => [
            "START TRANSACTION ISOLATION LEVEL REPEATABLE READ",
            "END",
            "ABORT",
        ]
        .map(str::to_owned),
        (Opening::Other, Kind::Mariadb) if depth == 0 => {
            ["START TRANSACTION", "COMMIT WORK", "ROLLBACK WORK"].map(str::to_owned)
        }
        // A savepoint is a transaction of its own there, if there is none.
        (Opening::Other, Kind::Sqlite) if depth == 0 => [
            "SAVEPOINT outer_one".to_owned(),
            "RELEASE outer_one".to_owned(),
            "ROLLBACK".to_owned(),
        ],
        _ if depth == 0 => ["BEGIN", "COMMIT", "ROLLBACK"].map(str::to_owned),
        (_, Kind::Mariadb) => saved(&name.replace('"', "`")),
        _ => saved(&name),
    }
}

fn saved(name: &str) -> [String; 3] {
    ["SAVEPOINT", "RELEASE SAVEPOINT", "ROLLBACK TO SAVEPOINT"].map(|word| format!("{word} {name}"))
}

/// Sends a statement the way that it says.
fn send<D: Database>(
    connection: &mut TrackedConnection<D::Connection>,
    statement: &Statement,
    schema: &Schema,
) -> QueryResult<()> {
    let text = |binds| written(statement, schema, binds);
    match statement.way {
        Way::Batch => connection.batch_execute(&text(false).0),
        Way::Query { binds } => {
            let (sql, binds) = text(binds);
            D::query(connection, &sql, &binds).map(|_| ())
        }
        Way::Load { whole } => D::load(connection, &text(false).0, whole),
        Way::Builder => match D::build(connection, &statement.body, schema) {
            Some(result) => result,
            None => D::query(connection, &text(false).0, &[]).map(|_| ()),
        },
    }
}
