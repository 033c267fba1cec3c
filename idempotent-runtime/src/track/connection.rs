//! `TrackedConnection<C>`: a Diesel connection that knows which rows its transactions change.
//!
//! How its transactions go is written in `connection/transaction.rs`.

use std::any::TypeId;
use std::sync::Arc;

use diesel::backend::Backend;
use diesel::connection::{
    AnsiTransactionManager, CacheSize, Connection, ConnectionSealed, Instrumentation,
    LoadConnection, MultiConnectionHelper, TransactionManager,
};
use diesel::expression::QueryMetadata;
use diesel::migration::MigrationConnection;
use diesel::query_builder::{Query, QueryBuilder, QueryFragment, QueryId};
use diesel::r2d2::R2D2Connection;
use diesel::result::{ConnectionResult, QueryResult};
use diesel::row::Row;
use diesel::sql_types::TypeMetadata;

use super::backend::Trackable;
use super::changes::ChangeLog;
use super::failures::Failures;
use super::plans::{Database, Plans, Step, known};
use super::row::{TrackedCursor, TrackedRow};
use super::stamper::Stamper;
use super::statement::plan::Plan;
use crate::execution::Scope;
use crate::hold::Hold;

mod batch;
#[cfg(feature = "mysql")]
mod mysql;
mod once;
mod position;
#[cfg(feature = "postgres")]
mod postgres;
mod rows;
mod session;
#[cfg(feature = "sqlite")]
mod sqlite;
mod transaction;

use transaction::{depth, warn_unattached};

/// A Diesel connection that tells its application which rows its transactions change.
///
/// It does what the connection inside does: results, counts, errors and transaction depth are the same. Made by a
/// [`Pool`](crate::Pool), by [`Idempotent::manager`](crate::Idempotent::manager), or by hand with
/// [`attach`](Self::attach); without an application behind it, it works and announces nothing.
///
/// A change outside a transaction gets one of its own, because the announcement must come before its commit.
///
/// # Several databases
///
/// An enum of tracked connections is one connection for all of them. Its variants name aliases, because Diesel's derive takes
/// no types with arguments:
///
/// ```
/// # #[cfg(all(feature = "sqlite", feature = "postgres"))] mod any {
/// use diesel::{PgConnection, SqliteConnection};
/// use idempotent_runtime::TrackedConnection;
///
/// type Sqlite = TrackedConnection<SqliteConnection>;
/// type Postgres = TrackedConnection<PgConnection>;
///
/// #[derive(diesel::MultiConnection)]
/// pub enum AnyConnection {
///     Postgres(Postgres),
///     Sqlite(Sqlite),
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct TrackedConnection<C> {
    inner: C,
    log: ChangeLog,
    plans: Plans,
    /// What it knows together with its siblings.
    shared: Arc<Database>,
    /// What it knows alone: after it has changed its role, or the schema in a transaction that is still open.
    private: Option<Arc<Database>>,
    stamper: Option<Arc<dyn Stamper>>,
    owner: Option<Owner>,
    /// The savepoint that proves that the transaction is still the one that was opened is set.
    guarded: bool,
    doomed: bool,
    /// It has acted as someone else than its siblings, or has what they have not.
    own_role: bool,
    /// The open transaction has changed the schema.
    own_schema: bool,
    /// A transaction of it may see what others have committed meanwhile, although the server's default says otherwise.
    unrepeatable: bool,
    /// A transaction begins where another one ends: the session does not commit by itself.
    endless: bool,
    /// So it does after a COMMIT or a ROLLBACK that does not say otherwise (`completion_type`).
    chains: bool,
    /// `LOCK TABLES` holds: a transaction of ours would end it, and queries of ours call a table as it was not locked.
    tables_locked: bool,
    /// Diesel remembers no prepared statements.
    uncached: bool,
    failed: Arc<Failures>,
    once: once::Phase,
}

/// The request that a connection belongs to while it is out of the pool.
#[derive(Debug)]
pub(crate) struct Owner {
    pub(crate) scope: Scope,
    /// Its claim and lock do not end before the connection is back.
    pub(crate) _hold: Option<Arc<Hold>>,
}

impl<C> TrackedConnection<C> {
    /// Puts the wrapper around a connection. It announces nothing until it is [attached](Self::attach).
    pub fn new(inner: C) -> Self {
        Self {
            inner,
            log: ChangeLog::default(),
            plans: Plans::default(),
            shared: Arc::default(),
            private: None,
            stamper: None,
            owner: None,
            guarded: false,
            doomed: false,
            own_role: false,
            own_schema: false,
            unrepeatable: false,
            endless: false,
            chains: false,
            tables_locked: false,
            uncached: false,
            failed: Arc::default(),
            once: Default::default(),
        }
    }

    /// The connection inside. What is changed through it is **not seen**: it is for what concerns no rows, such as
    /// SQLite's custom functions.
    pub fn untracked(&mut self) -> &mut C {
        &mut self.inner
    }

    pub(crate) fn set_stamper(&mut self, stamper: Arc<dyn Stamper>) {
        self.stamper = Some(stamper);
    }

    pub(crate) fn set_database(&mut self, database: Arc<Database>) {
        self.shared = database;
    }

    pub(crate) fn set_owner(&mut self, owner: Option<Owner>) {
        self.owner = owner;
    }
}

/// For the bench, and for the test that planning allocates nothing.
impl<C: Trackable> TrackedConnection<C> {
    /// Plans a statement as `execute` and `load` do, and says whether it goes to the connection inside untouched.
    #[doc(hidden)]
    pub fn plan_only<T>(&mut self, source: &T) -> bool
    where
        T: QueryFragment<C::Backend> + QueryId,
    {
        matches!(self.step(source), (Step::Pass, _))
    }
}

impl<C: Trackable> TrackedConnection<C> {
    /// The step for a statement, and its text if that was built.
    fn step<T>(&mut self, source: &T) -> (Step, Option<String>)
    where
        T: QueryFragment<C::Backend> + QueryId,
    {
        self.plan(T::query_id(), || sql_of::<C::Backend, T>(source))
    }

    fn plan(
        &mut self,
        id: Option<TypeId>,
        sql: impl FnOnce() -> QueryResult<String>,
    ) -> (Step, Option<String>) {
        if self.plans.renew() {
            self.forget_prepared();
        }
        let database = self.private.as_ref().unwrap_or(&self.shared);
        let moment = self.moment();
        let (step, text) = self.plans.step(id, sql, database, &mut self.inner, moment);
        match self.tables_locked {
            true => (step.unasked(), text),
            false => (step, text),
        }
    }

    /// Statements that were prepared with a suffix of ours return what another schema had there: keys that are read in
    /// another way, or types that PostgreSQL would refuse to change.
    fn forget_prepared(&mut self) {
        if !self.uncached {
            self.inner
                .set_prepared_statement_cache_size(CacheSize::Disabled);
            self.inner
                .set_prepared_statement_cache_size(CacheSize::Unbounded);
        }
    }

    fn load_changed<T>(
        &mut self,
        plan: &Plan,
        source: T,
        text: Option<&str>,
    ) -> QueryResult<(Vec<C::OwnedRow>, usize)>
    where
        T: Query + QueryFragment<C::Backend> + QueryId,
        C::Backend: QueryMetadata<T::SqlType>,
    {
        if self.stamper.is_none() {
            warn_unattached();
            return Ok((self.watched(|inner| inner.load_owned(source))?, 0));
        }
        self.change(&known(plan), |inner, changes| {
            rows::load(inner, plan, &source, text, changes)
        })
    }
}

fn sql_of<DB, T>(source: &T) -> QueryResult<String>
where
    DB: Backend<QueryBuilder: Default> + Default,
    T: QueryFragment<DB>,
{
    let mut builder = DB::QueryBuilder::default();
    source.to_sql(&mut builder, &DB::default())?;
    Ok(builder.finish())
}

impl<C> ConnectionSealed for TrackedConnection<C> {}

impl<C: Trackable> Connection for TrackedConnection<C> {
    type Backend = C::Backend;
    type TransactionManager = AnsiTransactionManager;

    fn establish(url: &str) -> ConnectionResult<Self> {
        C::establish(url).map(Self::new)
    }

    fn execute_returning_count<T>(&mut self, source: &T) -> QueryResult<usize>
    where
        T: QueryFragment<Self::Backend> + QueryId,
    {
        let (step, text) = self.step(source);
        match step {
            Step::Pass => self.watched(|inner| inner.execute_returning_count(source)),
            Step::Change(plan) if self.stamper.is_some() => self
                .change(&known(&plan), |inner, changes| {
                    rows::execute(inner, &plan, source, text.as_deref(), changes)
                }),
            Step::Change(_) => {
                warn_unattached();
                self.watched(|inner| inner.execute_returning_count(source))
            }
            Step::Opaque => self.unwrapped(|inner| inner.execute_returning_count(source)),
            Step::Commits(plan) => {
                self.commits(&known(&plan), |inner| inner.execute_returning_count(source))
            }
            Step::Schema { changes } => {
                self.schema(changes, |inner| inner.execute_returning_count(source))
            }
            Step::Role => self.role(|inner| inner.execute_returning_count(source)),
            Step::TableLocks(held) => {
                self.table_locks(held, |inner| inner.execute_returning_count(source))
            }
            Step::Autocommit => self.autocommit(|inner| inner.execute_returning_count(source)),
            Step::Isolation => self.isolation(|inner| inner.execute_returning_count(source)),
            Step::Control(control) => {
                let sql = sql_of::<C::Backend, T>(source)?;
                self.control(&control, &sql, |inner| {
                    inner.execute_returning_count(source).map(|_| ())
                })?;
                Ok(0)
            }
        }
    }

    fn transaction_state(
        &mut self,
    ) -> &mut <Self::TransactionManager as TransactionManager<Self>>::TransactionStateData {
        self.inner.transaction_state()
    }

    fn instrumentation(&mut self) -> &mut dyn Instrumentation {
        self.inner.instrumentation()
    }

    fn set_instrumentation(&mut self, instrumentation: impl Instrumentation) {
        self.inner.set_instrumentation(instrumentation);
    }

    fn set_prepared_statement_cache_size(&mut self, size: CacheSize) {
        self.uncached = !matches!(size, CacheSize::Unbounded);
        self.inner.set_prepared_statement_cache_size(size);
    }
}

impl<C, B> LoadConnection<B> for TrackedConnection<C>
where
    C: Trackable + LoadConnection<B>,
{
    type Cursor<'conn, 'query>
        = TrackedCursor<<C as LoadConnection<B>>::Cursor<'conn, 'query>, C::OwnedRow>
    where
        Self: 'conn;
    type Row<'conn, 'query>
        = TrackedRow<<C as LoadConnection<B>>::Row<'conn, 'query>, C::OwnedRow>
    where
        Self: 'conn;

    fn load<'conn, 'query, T>(
        &'conn mut self,
        source: T,
    ) -> QueryResult<Self::Cursor<'conn, 'query>>
    where
        T: Query + QueryFragment<Self::Backend> + QueryId + 'query,
        Self::Backend: QueryMetadata<T::SqlType>,
    {
        let (step, text) = self.step(&source);
        let (rows, hidden) = match step {
            Step::Pass => {
                self.refuse_if_doomed()?;
                let failed = Arc::clone(&self.failed);
                let cursor = LoadConnection::<B>::load(&mut self.inner, source)
                    .inspect_err(|error| failed.note_of_row(error))?;
                return Ok(TrackedCursor::Direct {
                    cursor,
                    failed: Arc::clone(&self.failed),
                });
            }
            Step::Change(plan) => self.load_changed(&plan, source, text.as_deref())?,
            Step::Opaque => (self.unwrapped(|inner| inner.load_owned(source))?, 0),
            Step::Commits(plan) => {
                let changes = known(&plan);
                (self.commits(&changes, |inner| inner.load_owned(source))?, 0)
            }
            Step::Schema { changes } => {
                (self.schema(changes, |inner| inner.load_owned(source))?, 0)
            }
            Step::Role => (self.role(|inner| inner.load_owned(source))?, 0),
            Step::TableLocks(held) => {
                (self.table_locks(held, |inner| inner.load_owned(source))?, 0)
            }
            Step::Autocommit => (self.autocommit(|inner| inner.load_owned(source))?, 0),
            Step::Isolation => (self.isolation(|inner| inner.load_owned(source))?, 0),
            Step::Control(control) => {
                let sql = sql_of::<C::Backend, T>(&source)?;
                self.control(&control, &sql, |inner| inner.load_owned(source).map(|_| ()))?;
                (Vec::new(), 0)
            }
        };
        Ok(TrackedCursor::Changed {
            rows: rows.into_iter(),
            hidden,
            count: count::<C>,
        })
    }
}

fn count<C: Trackable>(row: &C::OwnedRow) -> usize {
    Row::<C::Backend>::field_count(row)
}

impl<C: Trackable> R2D2Connection for TrackedConnection<C> {
    fn ping(&mut self) -> QueryResult<()> {
        self.inner.ping()
    }

    fn is_broken(&mut self) -> bool {
        self.doomed || self.inner.is_broken() || (self.log.is_open() && depth(&mut self.inner) == 0)
    }
}

impl<C: Trackable> MigrationConnection for TrackedConnection<C> {
    fn setup(&mut self) -> QueryResult<usize> {
        self.inner.setup()
    }
}

/// For an enum of tracked connections that derives `diesel::MultiConnection`.
impl<C: Trackable + MultiConnectionHelper> MultiConnectionHelper for TrackedConnection<C> {
    fn to_any<'a>(
        lookup: &mut <Self::Backend as TypeMetadata>::MetadataLookup,
    ) -> &mut (dyn std::any::Any + 'a) {
        C::to_any(lookup)
    }

    fn from_any(
        lookup: &mut dyn std::any::Any,
    ) -> Option<&mut <Self::Backend as TypeMetadata>::MetadataLookup> {
        C::from_any(lookup)
    }
}
