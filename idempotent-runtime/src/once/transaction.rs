//! `Db::once`: the effects and their record in one transaction.

use std::any::TypeId;
use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::connection::Connection;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

use super::promise::{Answer, Promise};
use super::rows::{Claimed, Done};
use crate::db::Db;
use crate::execution::{Execution, Scope};
use crate::faults::{Fault, Point, reach};
use crate::pool::Pool;
use crate::reply::Reply;
use crate::report::{Failed, Report};
use crate::sync::random;
use crate::track::backend::Trackable;
use crate::track::connection::TrackedConnection;
use crate::track::stamper::database_error;

/// How often a transaction begins anew after a serialization failure, a deadlock, or a row that was swept.
const RETRIES: u32 = 8;

/// The longest pause before the first of them; it doubles each time.
const PAUSE: Duration = Duration::from_millis(4);

impl<C: Trackable, M: 'static> Db<C, M> {
    /// Runs a closure in one transaction, on the blocking pool, and gives its reply. After a serialization failure or a
    /// deadlock it begins anew, up to eight times.
    ///
    /// In a handler with `once` the reply is recorded in the same transaction: either all that the closure has done is
    /// committed, and every later request under the same key gets this very reply, or nothing is. If another process was
    /// first, the closure is not run, and this is what that one has replied.
    ///
    /// In other handlers, and without the attribute, it is a transaction and no more.
    ///
    /// The isolation level is the connection's. Another one is set for a pool, by
    /// [`with`](crate::PoolBuilder::with) a customizer that sends `SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL …` to
    /// PostgreSQL, and `SET SESSION TRANSACTION ISOLATION LEVEL …` to the MySQL family. SQLite is always serializable.
    ///
    /// In the closure, `conn.transaction(…)` is a savepoint. What begins, ends or may commit a transaction is refused there:
    /// `COMMIT`, and in the MySQL family changes of the schema and CALL.
    ///
    /// # Errors
    ///
    /// The closure's, after a rollback, and those of the transaction: then nothing is recorded. In a handler with `once`
    /// also if it is the second one, or on another database than [`once_on`](crate::Idempotent::once_on) says, or if the reply sets a
    /// cookie or cannot be sent; and if another process is at it longer than `wait`, or was with another payload: the client then gets
    /// 409 or 422, whatever the handler makes of the error.
    ///
    /// # Cancellation
    ///
    /// Dropping the future does not stop the closure; the request counts as running until it ends.
    pub async fn once<E, F>(&self, work: F) -> Result<Reply, E::Reported>
    where
        F: FnMut(&mut TrackedConnection<C>) -> Result<Reply, E> + Send + 'static,
        E: Report,
    {
        match self.scope() {
            Some(Scope::Execution(execution)) if execution.promise().is_some() => {
                let turn = Turn::begin(execution, TypeId::of::<Pool<C, M>>());
                let turn = turn.map_err(E::from_ours)?;
                self.run(move |connection| turn.run(connection, work)).await
            }
            _ => self.transaction_retrying(RETRIES, work).await,
        }
    }
}

/// The one `db.once` of an execution. Dropped, it has come to nothing unless it was said otherwise.
struct Turn {
    execution: Arc<Execution>,
    answer: Option<Answer>,
}

impl Turn {
    fn begin(execution: Arc<Execution>, pool: TypeId) -> Result<Self, crate::error::Error> {
        if let Some(promise) = execution.promise() {
            promise.begin(pool)?;
        }
        Ok(Self {
            execution,
            answer: None,
        })
    }

    fn run<C, E, F>(
        mut self,
        connection: &mut TrackedConnection<C>,
        mut work: F,
    ) -> Result<Reply, Failed<E>>
    where
        C: Trackable,
        E: Report,
        F: FnMut(&mut TrackedConnection<C>) -> Result<Reply, E>,
    {
        let execution = Arc::clone(&self.execution);
        let Some(promise) = execution.promise() else {
            return Err(failed("no promise was made"));
        };
        let mut again = 0;
        loop {
            connection.met_another();
            let end = connection.once(|connection| attempt(connection, promise, &mut work));
            // An application's own error does not tell, nor does what comes after an error that was swallowed.
            let met = connection.met_another();
            match end {
                Err(Stop::Failed(error)) if again < RETRIES && (met || error.is_transient()) => {}
                Err(Stop::Gone) if again < RETRIES => {}
                end => return self.end(promise, end),
            }
            std::thread::sleep(pause(again));
            again += 1;
        }
    }

    fn end<E: Report>(
        &mut self,
        promise: &Promise,
        end: Result<Reply, Stop<E>>,
    ) -> Result<Reply, Failed<E>> {
        let (answer, result) = match end {
            Ok(reply) => {
                let answer = Answer::Recorded(Arc::new(reply.clone()), promise.life());
                (Some(answer), Ok(reply))
            }
            Err(Stop::Failed(error)) => (None, Err(error)),
            Err(Stop::Gone) => (None, Err(failed("its record is swept again and again"))),
            Err(Stop::Rival(error)) => {
                tracing::info!(%error, "another one is at the same request");
                (
                    Some(Answer::InProgress),
                    Err(failed("another one is at the same request")),
                )
            }
            Err(Stop::Done(done)) => found(promise, done),
        };
        self.answer = answer;
        result
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(promise) = self.execution.promise() {
            promise.end(self.answer.take());
        }
    }
}

/// Another process was first.
fn found<E: Report>(promise: &Promise, done: Done) -> (Option<Answer>, Result<Reply, Failed<E>>) {
    if promise.claim.fingerprint.is_some()
        && done.fingerprint.is_some()
        && done.fingerprint != promise.claim.fingerprint
    {
        let error = failed("this key came before with another payload");
        return (Some(Answer::OtherPayload), Err(error));
    }
    match promise.on.read(&promise.claim.id, done.reply) {
        Ok(record) => {
            let left = Duration::from_secs(done.left.max(0).unsigned_abs());
            let answer = Answer::Found(Arc::new(record.reply.clone()), left);
            (Some(answer), Ok(record.reply))
        }
        Err(error) => (
            None,
            Err(failed(&format!(
                "the record {} cannot be read: {error}",
                promise.claim.id
            ))),
        ),
    }
}

/// Why a transaction was not committed.
enum Stop<E> {
    Failed(Failed<E>),
    Done(Done),
    Gone,
    Rival(DieselError),
}

impl<E> From<DieselError> for Stop<E> {
    fn from(error: DieselError) -> Self {
        Self::Failed(Failed::Database(error))
    }
}

fn failed<E>(message: &str) -> Failed<E> {
    Failed::Database(database_error(format!("`db.once`: {message}")))
}

/// One transaction: claim, effects, reply; the stamp and the COMMIT are the connection's.
fn attempt<C, E, F>(
    connection: &mut TrackedConnection<C>,
    promise: &Promise,
    work: &mut F,
) -> Result<Reply, Stop<E>>
where
    C: Trackable,
    E: Report,
    F: FnMut(&mut TrackedConnection<C>) -> Result<Reply, E>,
{
    if !connection.is_between() {
        return Err(Stop::Failed(failed(
            "the transaction before it is still open",
        )));
    }
    let (table, claim) = (&promise.on.table, &promise.claim());
    let mut effects = |connection: &mut TrackedConnection<C>| {
        connection
            .effects(|connection| work(connection))
            .map_err(|error| Stop::Failed(Failed::Work(error)))
    };
    let early = match Fault::ClaimAfterEffects.is_on() {
        true => Some(connection.transaction(&mut effects)?),
        false => None,
    };
    let begun = Instant::now();
    let waited = |error| waited(error, begun, claim.wait);
    connection
        .untracked()
        .before(table, claim)
        .map_err(waited)?;
    let reply = connection.transaction(|connection| {
        reach(Point::Claim);
        let claimed = connection.untracked().claim(table, claim);
        match claimed.map_err(waited)? {
            Claimed::Ours => reach(Point::Claimed),
            Claimed::Done(done) => return Err(Stop::Done(done)),
            Claimed::Gone => return Err(Stop::Gone),
        }
        let reply = early.map_or_else(|| effects(connection), Ok)?;
        reach(Point::Effects);
        if !Fault::ReplyApart.is_on() {
            write(connection, promise, &reply)?;
        }
        reach(Point::Recorded);
        Ok::<_, Stop<E>>(reply)
    })?;
    if Fault::ReplyApart.is_on() {
        connection.transaction(|connection| write(connection, promise, &reply))?;
    }
    Ok(reply)
}

/// Makes the row say "done", after the last of the effects.
fn write<C: Trackable, E>(
    connection: &mut TrackedConnection<C>,
    promise: &Promise,
    reply: &Reply,
) -> Result<(), Stop<E>> {
    if reply.sets_cookie() {
        return Err(Stop::Failed(failed(
            "its reply sets a cookie, which belongs to one moment and cannot be replayed: set it elsewhere",
        )));
    }
    let bytes = promise
        .encode(reply)
        .map_err(|error| Stop::Failed(failed(&format!("its reply cannot be recorded: {error}"))))?;
    connection.refuse_if_doomed()?;
    connection.refuse_if_left_open()?;
    let recorded = connection
        .untracked()
        .record(&promise.on.table, &promise.claim, &bytes);
    if Fault::Unproven.is_on() {
        return Ok(());
    }
    // The claim's token is there for the transaction that has claimed, and for nobody if that was lost.
    match recorded? {
        1 => Ok(()),
        recorded => Err(Stop::Failed(failed(&format!(
            "its record is {recorded} rows instead of one, so nothing is committed"
        )))),
    }
}

/// Whether a claim has failed because a rival had the row for too long. The databases say so in words; where those are
/// of another language, the time tells.
fn waited<E>(error: DieselError, begun: Instant, wait: Duration) -> Stop<E> {
    const WORDS: [&str; 3] = ["lock timeout", "Lock wait timeout", "is locked"];
    match &error {
        DieselError::DatabaseError(DatabaseErrorKind::Unknown, information) => {
            let said = WORDS
                .iter()
                .any(|words| information.message().contains(words));
            let late = !wait.is_zero() && begun.elapsed() >= wait;
            match said || late {
                true => Stop::Rival(error),
                false => error.into(),
            }
        }
        _ => error.into(),
    }
}

/// Random, so that those who were in each other's way are not so again.
fn pause(again: u32) -> Duration {
    let longest = PAUSE.as_micros() << again.min(8);
    let longest = u64::try_from(longest).unwrap_or(u64::MAX).max(1);
    Duration::from_micros(random() % longest)
}
