//! The transaction of `once`: nothing else may end it, and in such a handler nothing tracked is changed beside it.

use std::sync::atomic::Ordering;

use diesel::result::QueryResult;

use super::transaction::depth;
use super::{Trackable, TrackedConnection};
use crate::execution::{self, Scope};
use crate::track::stamper::database_error;

/// Where a connection is between the effects and their record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// It has nothing to do with `once`.
    #[default]
    Outside,
    /// The transaction is ours: the claim, the record, the COMMIT.
    Ours,
    /// The application's closure runs.
    Effects,
}

impl<C: Trackable> TrackedConnection<C> {
    /// Runs the whole transaction of `once`.
    pub(crate) fn once<R>(&mut self, run: impl FnOnce(&mut Self) -> R) -> R {
        self.once = Phase::Ours;
        let result = run(self);
        self.once = Phase::Outside;
        result
    }

    /// Runs the application's closure in it.
    pub(crate) fn effects<R>(&mut self, run: impl FnOnce(&mut Self) -> R) -> R {
        self.once = Phase::Effects;
        let result = run(self);
        self.once = Phase::Ours;
        result
    }

    /// Whether no transaction is open as far as Diesel knows, so that the next one is no savepoint.
    pub(crate) fn is_between(&mut self) -> bool {
        depth(&mut self.inner) == 0
    }

    /// Whether a statement has failed since this was asked last because another transaction was in its way. What the
    /// caller has made of the error does not matter.
    pub(crate) fn met_another(&mut self) -> bool {
        self.failed.met_another.swap(false, Ordering::Relaxed)
    }

    /// Fails if the closure has left a transaction open, for then the next COMMIT of Diesel's is a RELEASE.
    pub(crate) fn refuse_if_left_open(&mut self) -> QueryResult<()> {
        match depth(&mut self.inner) > 1 {
            true => Err(database_error(
                "a transaction that was begun inside `db.once` was not ended there, so that its end would be no COMMIT"
                    .to_owned(),
            )),
            false => Ok(()),
        }
    }

    /// Inside the closure: what would end the transaction is not sent.
    pub(super) fn refuse_in_effects(&self) -> QueryResult<()> {
        match self.once {
            Phase::Effects => Err(database_error(
                "this statement begins, ends or may commit a transaction, and so cannot be run inside `db.once`, which is one transaction with the record of what was done. \
                 For a part that may fail, use `conn.transaction(…)`, which is a savepoint there; change the schema elsewhere"
                    .to_owned(),
            )),
            Phase::Outside | Phase::Ours => Ok(()),
        }
    }

    /// In a `once` handler, outside of `db.once`: what changes tracked rows is not sent, and the transaction that it
    /// would have been in cannot be committed.
    pub(super) fn refuse_beside_once(&mut self) -> QueryResult<()> {
        if self.once != Phase::Outside {
            return Ok(());
        }
        let is_once = match &self.owner {
            Some(owner) => owner.scope.is_once(),
            None => execution::current().as_ref().is_some_and(Scope::is_once),
        };
        if !is_once {
            return Ok(());
        }
        self.doomed |= self.log.is_open();
        Err(database_error(
            "a handler with `once` changes tracked rows in its `db.once(|conn| …)` only, for what is changed beside it would be changed again by a retry: move this into that closure"
                .to_owned(),
        ))
    }
}
