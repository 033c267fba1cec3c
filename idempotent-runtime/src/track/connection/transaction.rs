//! What moves a transaction: BEGIN, savepoints, COMMIT, ROLLBACK, and the errors that end one without a word.
//!
//! # States
//!
//! | state | how it is entered | what it means |
//! | --- | --- | --- |
//! | idle | at first; after COMMIT and ROLLBACK | a change gets a transaction of its own |
//! | open | BEGIN, START TRANSACTION, on SQLite also SAVEPOINT | changes are noted, savepoint by savepoint |
//! | doomed | the database ended the open transaction by itself (SQLite) | everything is refused until ROLLBACK |
//!
//! # Interleavings
//!
//! A commit goes: guard, stamp, COMMIT. Row locks are held until COMMIT is done, so for any one row the order of
//! stamps is the order of commits. A writer that comes between our stamp and our COMMIT must wait for our row lock, so
//! its own stamp comes after ours, and a record that depends on ours is ended by it. If COMMIT fails after the stamp,
//! a record too many was ended, which is safe. If it is not known whether COMMIT has happened, the reply is not kept.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::result::{Error, QueryResult};

use super::{Trackable, TrackedConnection};
use crate::execution::{self, Scope, Unkept};
use crate::faults::{Fault, Point, reach};
use crate::track::Registry;
use crate::track::backend::Moment;
use crate::track::changes::{ChangeLog, Changes};
use crate::track::plans::{Database, Plans, schema_changed};
use crate::track::rules::Rule;
use crate::track::stamper::{Receipt, database_error};
use crate::track::statement::Dialect;
use crate::track::statement::keywords::Control;

impl<C: Trackable> TrackedConnection<C> {
    /// Runs something that may fail, and finds out whether the failure has ended the transaction.
    pub(super) fn watched<R>(
        &mut self,
        run: impl FnOnce(&mut C) -> QueryResult<R>,
    ) -> QueryResult<R> {
        self.refuse_if_doomed()?;
        let known = depth(&mut self.inner);
        let result = run(&mut self.inner);
        if let Err(error) = &result {
            self.failed.note(error);
            self.after_error(known);
        }
        result
    }

    /// `known`: how deep in transactions Diesel was before the error.
    fn after_error(&mut self, known: u32) {
        if Fault::Unproven.is_on() || !self.log.is_open() || !self.inner.lost_transaction() {
            return;
        }
        if known > 0 && depth(&mut self.inner) == 0 {
            // Diesel has noticed and would send no ROLLBACK: what its caller goes on with must not be committed.
            self.inner.abort_own();
            for _ in 0..known {
                let _ = AnsiTransactionManager::begin_transaction(&mut self.inner);
            }
        }
        self.doomed = true;
    }

    /// Finds out what a row that failed to come has done to the transaction.
    fn note_failed(&mut self) {
        if self.failed.row.swap(false, Ordering::Relaxed) {
            let known = depth(&mut self.inner);
            self.after_error(known);
        }
    }

    /// Fails if the open transaction is not the one that was opened any more.
    pub(crate) fn refuse_if_doomed(&mut self) -> QueryResult<()> {
        self.note_failed();
        if self.doomed {
            return Err(database_error(
                "the database has rolled this transaction back after an error; nothing else runs in it until ROLLBACK"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    /// Runs a statement that changes rows: in the open transaction, or else in one of its own. What is known
    /// beforehand of its changes is noted even if it fails, for SQLite's `OR FAIL` keeps what it did before the error.
    pub(super) fn change<R>(
        &mut self,
        known: &Changes,
        run: impl FnOnce(&mut C, &mut Changes) -> QueryResult<R>,
    ) -> QueryResult<R> {
        let mut changes = known.clone();
        if self.stamper.is_none() {
            warn_unattached();
            return self.watched(|inner| run(inner, &mut changes));
        }
        self.refuse_beside_once()?;
        if self.log.is_open() {
            let result = self.watched(|inner| run(inner, &mut changes));
            match &result {
                Ok(_) => self.log.note(changes),
                // Elsewhere a statement that fails has done nothing, unless what it ran is not known.
                Err(_)
                    if (C::KEEPS_BEFORE_ERROR || known.every()) && Rule::BeforeError.applies() =>
                {
                    self.log.note(known.clone());
                }
                Err(_) => {}
            }
            return result;
        }
        self.refuse_if_doomed()?;
        if self.tables_locked {
            let result = self.watched(|inner| run(inner, &mut changes));
            self.announce_late(&changes);
            return result;
        }
        self.inner.open_own()?;
        let result = run(&mut self.inner, &mut changes);
        self.close_own(result, known, &changes)
    }

    /// Ends the transaction around a single statement.
    fn close_own<R>(
        &mut self,
        result: QueryResult<R>,
        known: &Changes,
        changes: &Changes,
    ) -> QueryResult<R> {
        let committed = match &result {
            Ok(_) => self.commit_own(changes),
            Err(_) if C::KEEPS_BEFORE_ERROR && !known.is_empty() && Rule::BeforeError.applies() => {
                self.commit_own(known)
            }
            Err(_) => Err(Error::RollbackTransaction),
        };
        if committed.is_err() {
            self.inner.abort_own();
        }
        result.and_then(|result| committed.map(|()| result))
    }

    fn commit_own(&mut self, changes: &Changes) -> QueryResult<()> {
        self.inner.before_stamp(self.deferred(changes))?;
        let receipt = self.stamp_before(changes)?;
        let committed = self.inner.commit(C::COMMIT, true);
        let receipt = self.stamp_after(receipt, changes)?;
        settle::<C>(receipt, &committed, true);
        committed
    }

    fn deferred(&self, changes: &Changes) -> bool {
        let database = self.private.as_ref().unwrap_or(&self.shared);
        !changes.is_empty() && database.may_defer()
    }

    pub(super) fn stamp(&self, changes: &Changes) -> QueryResult<Option<Box<dyn Receipt>>> {
        let Some(stamper) = self.stamper.as_ref().filter(|_| !changes.is_empty()) else {
            return Ok(None);
        };
        let receipt = stamper.stamp(self.scope().as_ref(), changes)?;
        reach(Point::Stamped);
        Ok(Some(receipt))
    }

    /// The stamp has its place here, before the COMMIT.
    fn stamp_before(&self, changes: &Changes) -> QueryResult<Option<Box<dyn Receipt>>> {
        match Fault::StampAfterCommit.is_on() {
            true => Ok(None),
            false => self.stamp(changes),
        }
    }

    /// And not here.
    fn stamp_after(
        &self,
        receipt: Option<Box<dyn Receipt>>,
        changes: &Changes,
    ) -> QueryResult<Option<Box<dyn Receipt>>> {
        match Fault::StampAfterCommit.is_on() {
            true => self.stamp(changes),
            false => Ok(receipt),
        }
    }

    fn scope(&self) -> Option<Scope> {
        match &self.owner {
            Some(owner) => Some(owner.scope.clone()),
            None => execution::current(),
        }
    }

    /// Stamps what is committed already: no failure can abort it any more, so it is owed then, and the reply of its
    /// handler is not kept in any case.
    pub(super) fn announce_late(&self, changes: &Changes) {
        match self.stamp(changes) {
            Ok(Some(receipt)) => receipt.unknown(),
            Ok(None) => {}
            Err(_) => self.owe(changes),
        }
    }

    fn owe(&self, changes: &Changes) {
        self.spoil(Unkept::StoreAway);
        if let Some(stamper) = &self.stamper {
            // A writer that keeps no record does not fail: what it cannot announce is owed.
            let _ = stamper.stamp(Some(&Scope::Background), changes);
        }
    }

    /// A statement of transaction control: the log follows what it does. `run` sends it as it is.
    pub(super) fn control(
        &mut self,
        control: &Control,
        sql: &str,
        run: impl FnOnce(&mut C) -> QueryResult<()>,
    ) -> QueryResult<()> {
        if control.is_of_the_transaction() {
            self.refuse_in_effects()?;
        }
        match control {
            Control::Begin => self.open(sql, |log| log.begin()),
            Control::Savepoint(name) if self.log.is_open() => {
                self.note_lost();
                self.watched(run)?;
                self.log.savepoint(name);
                Ok(())
            }
            // It is a transaction of its own there.
            Control::Savepoint(_) if C::COMMITS_IMPLICITLY => self.watched(run),
            Control::Savepoint(name) => self.open(sql, |log| log.savepoint(name)),
            Control::Release(name) if self.log.is_outermost(name) => self.commit(sql, End::Commit),
            Control::Release(name) => {
                self.watched(run)?;
                self.log.release(name);
                Ok(())
            }
            Control::RollbackTo(name) => {
                self.note_failed();
                run(&mut self.inner)?;
                self.log.rollback_to(name);
                if self.own_schema {
                    self.keep_private();
                    self.forget_prepared();
                }
                // The guard was set after the savepoint that opened the transaction.
                if self.guarded && self.log.is_outermost(name) {
                    self.inner.set_guard()?;
                }
                Ok(())
            }
            Control::Commit { chain: false } => self.commit(sql, End::Commit),
            Control::Commit { chain: true } => self.commit(sql, End::Chain),
            Control::Prepare => self.commit(sql, End::Prepare),
            Control::Rollback { chain } => self.rollback(*chain, run),
            Control::CommitPrepared => self.commit_prepared(run),
            Control::RollbackPrepared => run(&mut self.inner),
        }
    }

    fn open(&mut self, sql: &str, note: impl FnOnce(&mut ChangeLog)) -> QueryResult<()> {
        if self.log.is_open() && C::COMMITS_IMPLICITLY {
            self.commit(C::COMMIT, End::Commit)?;
            self.log.close();
        }
        if self.log.is_open() {
            self.inner.batch_execute(sql)?;
            // PostgreSQL warns and goes on. On SQLite the transaction was gone, and what came after it is committed.
            if C::DIALECT == Dialect::Sqlite {
                self.announce_late(&self.log.pending());
            }
            return Ok(());
        }
        self.read_ahead();
        self.inner.batch_execute(&C::opening(sql))?;
        self.tables_locked = false;
        note(&mut self.log);
        self.guarded = true;
        Ok(())
    }

    /// On SQLite what would open a transaction works if the open one was lost without a word, and then that could not
    /// be seen any more.
    fn note_lost(&mut self) {
        if C::DIALECT == Dialect::Sqlite && !self.doomed && self.inner.lost_transaction() {
            self.doomed = true;
        }
    }

    /// Reads the catalog before a transaction begins, since reading it inside may come in the way of what the
    /// transaction does.
    fn read_ahead(&mut self) {
        if self.stamper.is_some() && !Registry::global().is_empty() {
            let database = self.private.as_ref().unwrap_or(&self.shared);
            let _ = database.catalog(&mut self.inner, Moment::Outside);
        }
    }

    pub(super) fn moment(&self) -> Moment {
        match self.log.is_open() {
            false => Moment::Outside,
            true if self.own_schema || self.log.has_changes() => Moment::Changed,
            true => Moment::Begun,
        }
    }

    fn commit(&mut self, sql: &str, end: End) -> QueryResult<()> {
        if !self.log.is_open() {
            return self.inner.batch_execute(sql);
        }
        self.refuse_if_doomed()?;
        let changes = self.log.pending();
        let guarded = std::mem::take(&mut self.guarded) && !Fault::Unproven.is_on();
        if guarded && let Err(error) = self.inner.before_stamp(self.deferred(&changes)) {
            self.lost_before_commit(&changes);
            return Err(error);
        }
        let receipt = self.stamp_before(&changes)?;
        let sent = match Fault::Unproven.is_on() {
            true => self.inner.batch_execute(sql),
            false => self.inner.commit(sql, guarded),
        };
        let committed = match sent {
            Err(error) if receipt.is_none() => self.commit_of_nothing(sql, error),
            answered => answered,
        };
        let receipt = self.stamp_after(receipt, &changes)?;
        settle::<C>(receipt, &committed, end != End::Prepare);
        if committed.is_err() && !C::CLOSES_ON_FAILED_COMMIT && self.inner.lost_transaction() {
            self.inner.abort_own();
            self.closed(false);
        }
        if committed.is_ok() || C::CLOSES_ON_FAILED_COMMIT {
            if committed.is_err() {
                // What was sent before the COMMIT may be what failed.
                let _ = self.inner.batch_execute("ROLLBACK");
            }
            self.closed(end == End::Chain && committed.is_ok());
        }
        committed
    }

    /// PostgreSQL answers the COMMIT of a failed transaction with a rollback and no error. Where nothing was announced
    /// for it, that is what the caller gets; but the reply of such a handler is not kept.
    fn commit_of_nothing(&mut self, sql: &str, error: Error) -> QueryResult<()> {
        let has_failed =
            C::DIALECT == Dialect::Postgres && self.inner.batch_execute("SELECT 1").is_err();
        if !has_failed {
            return Err(error);
        }
        self.spoil(Unkept::CommitUnknown);
        self.inner.batch_execute(sql)
    }

    fn spoil(&self, why: Unkept) {
        if let Some(Scope::Execution(execution)) = self.scope() {
            execution.spoil(why);
        }
    }

    /// The transaction ended without a word, and what came after may have been committed statement by statement.
    fn lost_before_commit(&mut self, changes: &Changes) {
        if !self.inner.lost_transaction() {
            return;
        }
        self.announce_late(changes);
        self.inner.abort_own();
        self.closed(false);
    }

    /// Commits a transaction that some connection has prepared earlier. Its rows have been locked since, but what
    /// depends on whole tables has not waited for it.
    fn commit_prepared(&mut self, run: impl FnOnce(&mut C) -> QueryResult<()>) -> QueryResult<()> {
        let receipt = self.stamp(&everything())?;
        let committed = run(&mut self.inner);
        settle::<C>(receipt, &committed, true);
        committed
    }

    fn rollback(
        &mut self,
        chain: bool,
        run: impl FnOnce(&mut C) -> QueryResult<()>,
    ) -> QueryResult<()> {
        self.note_failed();
        // Where a statement has committed implicitly, unseen, there is nothing left to be rolled back.
        let unseen = C::COMMITS_IMPLICITLY
            && self.guarded
            && !self.doomed
            && self.log.has_changes()
            && self
                .inner
                .batch_execute("ROLLBACK TO SAVEPOINT idempotent_guard")
                .is_err();
        if unseen {
            let changes = self.log.pending();
            self.announce_late(&changes);
        }
        run(&mut self.inner)?;
        self.closed(chain);
        Ok(())
    }

    /// The transaction is over, and with `AND CHAIN` the next one is open.
    pub(super) fn closed(&mut self, chain: bool) {
        self.log.close();
        self.guarded = false;
        self.doomed = false;
        if std::mem::take(&mut self.own_schema) {
            schema_changed();
        }
        // A `SET LOCAL ROLE` has ended with it, and so has what only this transaction saw.
        if self.private.take().is_some() {
            self.plans = Plans::default();
        }
        self.private = self.own_role.then(|| self.knows_nothing());
        if chain || self.endless || self.chains && self.inner.in_transaction() {
            self.log.begin();
            self.guarded = self.inner.set_guard().is_ok();
        }
    }

    pub(super) fn knows_nothing(&self) -> Arc<Database> {
        Arc::new(Database::new(self.unrepeatable))
    }
}

/// All tracked tables.
pub(super) fn everything() -> Changes {
    let mut changes = Changes::default();
    if !Registry::global().is_empty() {
        changes.whole_every();
    }
    changes
}

/// How a transaction ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Commit,
    /// The next one begins at once.
    Chain,
    /// Another session may commit it later.
    Prepare,
}

/// Tells the stamper what became of its stamp.
pub(super) fn settle<C: Trackable>(
    receipt: Option<Box<dyn Receipt>>,
    committed: &QueryResult<()>,
    for_good: bool,
) {
    if committed.is_ok() {
        reach(Point::Committed);
    }
    match (receipt, committed) {
        (Some(receipt), Ok(())) if for_good => receipt.committed(),
        (Some(receipt), Ok(())) => receipt.unknown(),
        (Some(receipt), Err(error)) if !C::surely_not_committed(error) => receipt.unknown(),
        _ => {}
    }
}

pub(super) fn warn_unattached() {
    static WARNED: AtomicBool = AtomicBool::new(false);
    if !WARNED.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            "a TrackedConnection with no Idempotent behind it has changed tracked rows: no reply is ended by that. Take it from a pool of Idempotent's, or `attach` it"
        );
    }
}

/// How deep in transactions Diesel is; of one opened by hand it does not know.
pub(super) fn depth<C: Trackable>(connection: &mut C) -> u32 {
    let status = AnsiTransactionManager::transaction_manager_status_mut(connection);
    status
        .transaction_depth()
        .ok()
        .flatten()
        .map_or(0, NonZeroU32::get)
}

/// Runs a closure in a transaction that this statement opens, as Diesel's own connections do.
#[cfg(feature = "sqlite")]
pub(super) fn transaction_by<C, T, E>(
    connection: &mut TrackedConnection<C>,
    sql: &str,
    work: impl FnOnce(&mut TrackedConnection<C>) -> Result<T, E>,
) -> Result<T, E>
where
    C: Trackable,
    E: From<Error>,
{
    AnsiTransactionManager::begin_transaction_sql(connection, sql)?;
    match work(connection) {
        Ok(value) => {
            AnsiTransactionManager::commit_transaction(connection)?;
            Ok(value)
        }
        Err(error) => {
            AnsiTransactionManager::rollback_transaction(connection)?;
            Err(error)
        }
    }
}
