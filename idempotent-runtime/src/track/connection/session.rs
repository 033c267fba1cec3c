//! What runs beside transactions or ends them unasked: settings of the session, changes of the schema, and what the MySQL
//! family commits by itself.

use diesel::result::QueryResult;

use super::transaction::{everything, settle};
use super::{Trackable, TrackedConnection};
use crate::track::changes::Changes;
use crate::track::plans::{Plans, schema_changed};

impl<C: Trackable> TrackedConnection<C> {
    /// `LOCK TABLES` and `UNLOCK TABLES`.
    pub(super) fn table_locks<R>(
        &mut self,
        held: bool,
        run: impl FnOnce(&mut C) -> QueryResult<R>,
    ) -> QueryResult<R> {
        let result = self.commits(&Changes::default(), run);
        self.tables_locked = held && result.is_ok() || self.tables_locked && result.is_err();
        result
    }

    /// `SET autocommit`: without it there is always a transaction. And `SET completion_type`.
    pub(super) fn autocommit<R>(
        &mut self,
        run: impl FnOnce(&mut C) -> QueryResult<R>,
    ) -> QueryResult<R> {
        let result = self.commits(&Changes::default(), run);
        self.endless = !self.inner.autocommits();
        self.chains = self.inner.chains();
        if self.endless && !self.log.is_open() {
            self.closed(true);
        }
        result
    }

    /// Runs what the MySQL family commits by itself, and with it the open transaction. What that has changed is stamped
    /// before; what the statement itself changes comes after, which is too late for a reply to depend on it.
    pub(super) fn commits<R>(
        &mut self,
        changes: &Changes,
        run: impl FnOnce(&mut C) -> QueryResult<R>,
    ) -> QueryResult<R> {
        self.refuse_if_doomed()?;
        self.refuse_in_effects()?;
        if !changes.is_empty() {
            self.refuse_beside_once()?;
        }
        let was_open = self.log.is_open();
        let receipt = match was_open {
            true => self.stamp(&self.log.pending())?,
            false => None,
        };
        let result = self.watched(run);
        // Its own error may have come before the commit, or after it.
        if was_open && !self.doomed && (self.endless || !self.inner.in_transaction()) {
            settle::<C>(receipt, &Ok(()), true);
            self.closed(false);
        }
        if !changes.is_empty() {
            self.announce_late(changes);
        }
        result
    }

    /// Afterwards the catalog says other things than before, for this connection at once and for the others when the
    /// transaction ends.
    pub(super) fn schema<R>(
        &mut self,
        changes: bool,
        run: impl FnOnce(&mut C) -> QueryResult<R>,
    ) -> QueryResult<R> {
        let result = match (C::COMMITS_IMPLICITLY, changes) {
            (true, true) => self.commits(&everything(), run),
            (true, false) => self.commits(&Changes::default(), run),
            (false, true) => self.unwrapped(run),
            (false, false) => self.watched(run),
        };
        self.schema_moved();
        result
    }

    pub(super) fn schema_moved(&mut self) {
        if self.log.is_open() {
            self.own_schema = true;
            self.keep_private();
            self.forget_prepared();
        } else {
            schema_changed();
        }
    }

    /// Afterwards this connection may do other things than its siblings.
    pub(super) fn role<R>(&mut self, run: impl FnOnce(&mut C) -> QueryResult<R>) -> QueryResult<R> {
        let result = self.watched(run);
        self.own_role = true;
        self.keep_private();
        result
    }

    pub(super) fn keep_private(&mut self) {
        self.private = Some(self.knows_nothing());
        self.plans = Plans::default();
    }

    /// From now on another transaction's commit may come between two statements of one of ours, although the server's
    /// default says otherwise.
    pub(super) fn isolation<R>(
        &mut self,
        run: impl FnOnce(&mut C) -> QueryResult<R>,
    ) -> QueryResult<R> {
        self.unrepeatable = true;
        self.role(run)
    }

    /// Runs what may change any row and may not be put into a transaction (it may commit by itself). Outside one, its
    /// changes are announced after they were committed, which is too late for a reply to depend on them.
    pub(super) fn unwrapped<R>(
        &mut self,
        run: impl FnOnce(&mut C) -> QueryResult<R>,
    ) -> QueryResult<R> {
        let every = everything();
        if C::COMMITS_IMPLICITLY {
            return self.commits_perhaps(&every, run);
        }
        if !every.is_empty() {
            self.refuse_beside_once()?;
        }
        if self.log.is_open() {
            let result = self.watched(run);
            self.log.note(every);
            return result;
        }
        let result = self.watched(run);
        self.announce_late(&every);
        result
    }

    /// The same where such a statement may end the open transaction as well, as a CALL may.
    fn commits_perhaps<R>(
        &mut self,
        every: &Changes,
        run: impl FnOnce(&mut C) -> QueryResult<R>,
    ) -> QueryResult<R> {
        if self.log.is_open() {
            self.log.note(every.clone());
        }
        self.commits(every, run)
    }
}
