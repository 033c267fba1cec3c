//! Changed rows -> stamped tags.
//!
//! | what a transaction changed | new version for | a record of it depends on |
//! | --- | --- | --- |
//! | rows that are known | `users:1`, `users:any` | `users:1`, `users:*` |
//! | rows unknown | `users:*`, `users:any` | `users:*`, `users:any` |
//!
//! So a record that knows its rows is ended by a change of one of them or by a change of rows unknown, and a record
//! that does not is ended by any change of the table.

use std::collections::HashSet;
use std::sync::Arc;

use crate::dependencies::{Kind, Stamped as Dependency};
use crate::execution::{Execution, Scope, Unkept};
use crate::faults::Fault;
use crate::flow::Engine;
use crate::keeper::Keeper;
use crate::owed::{deliver, plain};
use crate::store::{Stamp, Stamped, StoreError, Tag, TagStamp};
use crate::sync::random;
use crate::track::Registry;
use crate::track::backend::escape_to;
use crate::track::changes::{Changes, Table};
use crate::track::stamper::{Receipt, StampError, Stamper};

/// The tags of a transaction.
struct Plan<'a> {
    prefix: &'a str,
    /// What each of the stamps stands for.
    of: Vec<(Arc<str>, Kind)>,
    stamps: Vec<TagStamp>,
    /// Where names are put together.
    name: String,
}

impl<'a> Plan<'a> {
    /// `for_record`: the writer may be kept, and so asks for the versions that its record depends on.
    fn new(prefix: &'a str, changes: &Changes, for_record: bool) -> Self {
        let most = changes.tables().map(|(_, changed)| match changed {
            Table::Whole => 2,
            Table::Rows(rows) => rows.len() + 2,
        });
        let most = most.sum();
        let mut plan = Self {
            prefix,
            of: Vec::with_capacity(most),
            stamps: Vec::with_capacity(most),
            name: String::new(),
        };
        if changes.every() {
            Registry::global()
                .names()
                .for_each(|table| plan.whole(table));
        }
        for (table, changed) in changes.tables() {
            match changed {
                _ if changes.every() && Registry::global().get(table).is_some() => {}
                Table::Whole => plan.whole(table),
                Table::Rows(rows) => plan.rows(table, rows, for_record),
            }
        }
        plan
    }

    fn push(&mut self, table: &Arc<str>, row: &str, kind: Kind) {
        self.name.clear();
        self.name.push_str(self.prefix);
        escape_to(table, &mut self.name);
        self.name.push(':');
        self.name.push_str(row);
        self.of.push((Arc::clone(table), kind));
        self.stamps.push(TagStamp {
            tag: Tag::from(self.name.as_str()),
            renew: kind != Kind::Unknown(false),
        });
    }

    fn whole(&mut self, table: &Arc<str>) {
        self.push(table, "*", Kind::Unknown(true));
        self.push(table, "any", Kind::Any);
    }

    fn rows(&mut self, table: &Arc<str>, rows: &HashSet<String>, for_record: bool) {
        rows.iter().for_each(|row| self.push(table, row, Kind::Row));
        self.push(table, "any", Kind::Any);
        if for_record {
            self.push(table, "*", Kind::Unknown(false));
        }
    }
}

impl Stamper for Engine {
    fn stamp(
        &self,
        scope: Option<&Scope>,
        changes: &Changes,
    ) -> Result<Box<dyn Receipt>, StampError> {
        match scope {
            // Its record has no tags: no other's change ends it.
            Some(Scope::Execution(execution)) if execution.promise().is_some() => {
                self.stamp_without_record(changes);
                Ok(Box::new(Nothing))
            }
            Some(Scope::Execution(execution)) if !Fault::ContextLost.is_on() => {
                self.stamp_for(execution, changes)
            }
            _ => {
                if scope.is_none() && self.settings.distrusts() {
                    self.running.suspect();
                }
                self.stamp_without_record(changes);
                Ok(Box::new(Nothing))
            }
        }
    }
}

impl Engine {
    fn stamp_for(
        &self,
        execution: &Arc<Execution>,
        changes: &Changes,
    ) -> Result<Box<dyn Receipt>, StampError> {
        let plan = Plan::new(&self.prefix, changes, true);
        match self.store.stamp(&Stamp {
            tags: &plan.stamps,
            create: true,
            life: execution.life,
            nonce: random(),
        }) {
            Ok(stamped) => Ok(Box::new(OfExecution {
                execution: Arc::clone(execution),
                keeper: Arc::clone(&self.keeper),
                of: plan.of,
                stamps: plan.stamps,
                stamped,
            })),
            Err(error) if execution.strict => Err(StampError(error.to_string())),
            Err(error) => {
                execution.spoil(Unkept::StoreAway);
                self.owe(plan.stamps, &error);
                Ok(Box::new(Nothing))
            }
        }
    }

    /// Creates nothing: a tag that is missing has no record that depends on it, and whoever comes next waits for the
    /// row's lock.
    fn stamp_without_record(&self, changes: &Changes) {
        let tags = Plan::new(&self.prefix, changes, false).stamps;
        if let Err(error) = self.store.stamp(&plain(&tags)) {
            self.owe(tags, &error);
        }
    }

    /// A writer outside any execution does not come to depend on the store: its stamps are delivered later, and
    /// until then this process replays nothing.
    fn owe(&self, tags: Vec<TagStamp>, error: &StoreError) {
        tracing::error!(%error, "changed rows could not be announced; nothing is replayed here until they are");
        if self.owed.add(tags) {
            self.keeper
                .spawn(deliver(Arc::clone(&self.store), Arc::clone(&self.owed)));
        }
    }
}

/// A stamp that no record depends on.
struct Nothing;

impl Receipt for Nothing {
    fn committed(self: Box<Self>) {}
    fn unknown(self: Box<Self>) {}
}

/// A stamp of an execution.
struct OfExecution {
    execution: Arc<Execution>,
    keeper: Arc<Keeper>,
    of: Vec<(Arc<str>, Kind)>,
    stamps: Vec<TagStamp>,
    stamped: Stamped,
}

impl Receipt for OfExecution {
    fn committed(self: Box<Self>) {
        let Self {
            execution,
            keeper,
            of,
            stamps,
            stamped,
        } = *self;
        let tags = of.into_iter().zip(stamps).zip(stamped.versions);
        let tags = tags.map(|(((table, kind), stamp), (before, now))| Dependency {
            table,
            kind,
            tag: stamp.tag,
            before,
            now,
        });
        // Work that the handler has left behind: what it changed is no dependency of the record.
        if let Some(id) = execution.committed(stamped.epoch, tags) {
            keeper.finish(|store| async move {
                if let Err(error) = store.forget(&id).await {
                    tracing::error!(%error, "a record that does not know of a later change could not be removed");
                }
            });
        }
    }

    fn unknown(self: Box<Self>) {
        self.execution.spoil(Unkept::CommitUnknown);
    }
}
