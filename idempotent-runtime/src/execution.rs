//! The running request: its id, what it has stamped, and where it is carried (task, thread).
//!
//! A handler's context travels in three ways, asked in this order: with a handle ([`Db`](crate::Db) and the
//! connections from it), with the thread of a blocking closure, and with the task.

use std::cell::RefCell;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, Weak};
use std::time::Duration;

use once_cell::sync::Lazy;

use crate::dependencies::{Dependencies, Stamped};
use crate::hold::Hold;
use crate::key::RequestId;
use crate::once::Promise;
use crate::store::{ExecutionId, Tag, Version};
use crate::sync::{lock, random};

/// On whose behalf something is done.
#[derive(Clone, Debug)]
pub(crate) enum Scope {
    /// An annotated handler's run.
    Execution(Arc<Execution>),
    /// A request of a handler without the attribute.
    Plain,
    /// Work that said that it belongs to no request.
    Background,
}

impl Scope {
    /// Whether it is the run of a `once` handler.
    pub(crate) fn is_once(&self) -> bool {
        matches!(self, Self::Execution(execution) if execution.promise().is_some())
    }
}

tokio::task_local! {
    static TASK: Scope;
}

thread_local! {
    static THREAD: RefCell<Option<Scope>> = const { RefCell::new(None) };
}

/// The scope of the blocking closure that this thread runs, or else of the running task.
pub(crate) fn current() -> Option<Scope> {
    THREAD
        .with_borrow(Option::clone)
        .or_else(|| TASK.try_with(Scope::clone).ok())
}

/// Runs a future in this scope.
pub(crate) fn on_task<F: Future>(scope: Scope, future: F) -> impl Future<Output = F::Output> {
    TASK.scope(scope, future)
}

/// Whether a task with a scope is running, here and now.
pub(crate) fn is_on_task() -> bool {
    TASK.try_with(|_| ()).is_ok()
}

/// Runs a closure in this scope, on this thread.
pub(crate) fn on_thread<R>(scope: Option<Scope>, work: impl FnOnce() -> R) -> R {
    /// Puts the outer scope back, also when the closure panics.
    struct Restore(Option<Scope>);
    impl Drop for Restore {
        fn drop(&mut self) {
            THREAD.with_borrow_mut(|slot| *slot = self.0.take());
        }
    }
    let _restore = Restore(THREAD.replace(scope));
    work()
}

/// Keeps the claim and the lock of the scope's execution for as long as it lives.
pub(crate) fn hold(scope: Option<&Scope>) -> Option<Arc<Hold>> {
    match scope {
        Some(Scope::Execution(execution)) => execution.hold(),
        _ => None,
    }
}

/// Why a reply is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unkept {
    /// Its status, or the handler's own rule, says so.
    Policy,
    /// It sets a cookie.
    Cookie,
    /// Its body is larger than the limit.
    TooLarge,
    /// Its body did not end in time.
    Endless,
    /// A write that belongs to no request was committed meanwhile, and the handler had none of its own.
    Unattributed,
    /// Another one changed a row between two of its stamps.
    Overtaken,
    /// A COMMIT was not acknowledged.
    CommitUnknown,
    /// A closure of the handler is still running.
    StillRunning,
    /// The claim ran out while it ran.
    ClaimLost,
    /// The store took it not: it is too large, or the claim had just run out.
    Refused,
    /// The store failed.
    StoreAway,
}

impl Unkept {
    /// As it stands in `Cache-Status`.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Policy => "not-kept-by-policy",
            Self::Cookie => "sets-cookie",
            Self::TooLarge => "too-large",
            Self::Endless => "endless",
            Self::Unattributed => "unattributed-write",
            Self::Overtaken => "overtaken",
            Self::CommitUnknown => "commit-unknown",
            Self::StillRunning => "still-running",
            Self::ClaimLost => "claim-lost",
            Self::Refused => "refused-by-store",
            Self::StoreAway => "store-away",
        }
    }
}

/// What is known of an execution's commits.
#[derive(Debug, Default)]
struct Commits {
    dependencies: Dependencies,
    epoch: Option<u64>,
    unkept: Option<Unkept>,
    /// Its reply is being kept under this id.
    sealed: Option<RequestId>,
    /// It has committed something since.
    late: bool,
}

/// The store's epoch at the stamps, if there were any, and the tags that they gave.
pub(crate) type Carried = (Option<u64>, Vec<(Tag, Version)>);

/// One run of an annotated handler.
#[derive(Debug)]
pub(crate) struct Execution {
    pub(crate) id: ExecutionId,
    /// How long the tags that it stamps must live at least.
    pub(crate) life: Duration,
    /// Whether a stamp that fails aborts the transaction.
    pub(crate) strict: bool,
    /// How many rows of a table a record of it may depend on.
    rows: usize,
    commits: Mutex<Commits>,
    wrote: AtomicBool,
    suspected: AtomicBool,
    hold: Mutex<Weak<Hold>>,
    promise: OnceLock<Promise>,
}

impl Execution {
    pub(crate) fn new(life: Duration, strict: bool, rows: usize) -> Arc<Self> {
        Arc::new(Self {
            id: next_id(),
            life,
            strict,
            rows,
            commits: Mutex::default(),
            wrote: AtomicBool::new(false),
            suspected: AtomicBool::new(false),
            hold: Mutex::new(Weak::new()),
            promise: OnceLock::new(),
        })
    }

    /// Its claim and lock, if it has any and they have not ended.
    pub(crate) fn hold(&self) -> Option<Arc<Hold>> {
        lock(&self.hold).upgrade()
    }

    pub(crate) fn set_hold(&self, hold: &Arc<Hold>) {
        *lock(&self.hold) = Arc::downgrade(hold);
    }

    /// What a `once` handler's run has promised; nothing for others.
    pub(crate) fn promise(&self) -> Option<&Promise> {
        self.promise.get()
    }

    /// It is the run of a `once` handler. Said before the handler runs.
    pub(crate) fn set_promise(&self, promise: Promise) {
        let _ = self.promise.set(promise);
    }

    /// A transaction of this execution that stamped these has committed. If its reply is kept already, that record
    /// does not know of them, and its id is returned.
    pub(crate) fn committed(
        &self,
        epoch: u64,
        stamped: impl IntoIterator<Item = Stamped>,
    ) -> Option<RequestId> {
        self.wrote();
        let mut commits = lock(&self.commits);
        if commits
            .epoch
            .replace(epoch)
            .is_some_and(|earlier| earlier != epoch)
        {
            commits.unkept = Some(Unkept::Overtaken);
        }
        for stamped in stamped {
            commits.dependencies.note(stamped, self.rows);
        }
        commits.late |= commits.sealed.is_some();
        commits.sealed.clone()
    }

    /// Whether something was committed since the reply's dependencies were asked for.
    pub(crate) fn is_late(&self) -> bool {
        lock(&self.commits).late
    }

    /// It has committed a write of its own, or one that changed nothing.
    pub(crate) fn wrote(&self) {
        self.wrote.store(true, Ordering::Release);
    }

    /// From now on the reply cannot be kept.
    pub(crate) fn spoil(&self, why: Unkept) {
        lock(&self.commits).unkept.get_or_insert(why);
    }

    /// A write that belongs to no request is about to commit.
    pub(crate) fn suspect(&self) {
        self.suspected.store(true, Ordering::Release);
    }

    /// The tags that a record under this id must carry, or why there must be none.
    pub(crate) fn seal(&self, id: &RequestId) -> Result<Carried, Unkept> {
        let mut commits = lock(&self.commits);
        if let Some(why) = &commits.unkept {
            return Err(why.clone());
        }
        if self.suspected.load(Ordering::Acquire) && !self.wrote.load(Ordering::Acquire) {
            return Err(Unkept::Unattributed);
        }
        let tags = commits.dependencies.tags().ok_or(Unkept::Overtaken)?;
        commits.sealed = Some(id.clone());
        Ok((commits.epoch, tags))
    }
}

/// Ids never recur: a random part of the process beside a counter.
fn next_id() -> ExecutionId {
    static PROCESS: Lazy<u64> = Lazy::new(random);
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    ExecutionId((u128::from(*PROCESS) << 64) | u128::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dependencies::Kind;

    fn execution() -> Arc<Execution> {
        Execution::new(Duration::ZERO, true, 9)
    }

    fn stamped(tag: &str) -> Vec<Stamped> {
        vec![Stamped {
            table: "users".into(),
            kind: Kind::Row,
            tag: tag.into(),
            before: None,
            now: Some(Version { count: 1, nonce: 0 }),
        }]
    }

    fn id() -> RequestId {
        RequestId::from_text("a")
    }

    #[test]
    fn h05_all_commits_of_a_handler_count() {
        let execution = execution();
        execution.committed(0, stamped("users:1"));
        execution.committed(0, stamped("users:2"));
        assert_eq!(execution.seal(&id()).map(|(_, tags)| tags.len()), Ok(2));
    }

    #[test]
    fn h24_stamps_of_two_epochs_spoil_the_reply() {
        let execution = execution();
        execution.committed(1, stamped("users:1"));
        execution.committed(2, stamped("users:2"));
        assert_eq!(execution.seal(&id()).err(), Some(Unkept::Overtaken));
    }

    #[test]
    fn a_commit_after_the_reply_was_kept_names_the_record_that_does_not_know_of_it() {
        let execution = execution();
        assert!(execution.seal(&id()).is_ok());
        assert_eq!(execution.committed(0, stamped("users:1")), Some(id()));
    }

    #[test]
    fn ids_differ() {
        assert_ne!(next_id(), next_id());
    }

    #[test]
    fn a_panic_in_a_blocking_closure_gives_the_thread_its_scope_back() {
        let panicked =
            std::panic::catch_unwind(|| on_thread(Some(Scope::Plain), || panic!("on purpose")));
        assert!(panicked.is_err() && current().is_none());
    }

    #[tokio::test]
    async fn a_thread_s_scope_comes_before_the_task_s() {
        let inner = on_task(Scope::Plain, async {
            on_thread(Some(Scope::Background), || {
                matches!(current(), Some(Scope::Background))
            })
        });
        assert!(inner.await);
    }
}
