//! What only SQLite's connection has.

use diesel::associations::HasTable;
use diesel::dsl::{Find, Update};
use diesel::expression::{MixedAggregates, ValidGrouping, is_aggregate};
use diesel::prelude::*;
use diesel::query_builder::{AsChangeset, IntoUpdateTarget};
use diesel::query_dsl::methods::{ExecuteDsl, FindDsl};
use diesel::query_dsl::{LoadQuery, UpdateAndFetchResults};
use diesel::result::Error;

use super::TrackedConnection;
use super::transaction::transaction_by;

impl TrackedConnection<SqliteConnection> {
    /// As [`SqliteConnection::immediate_transaction`]: takes the write lock at once.
    ///
    /// # Errors
    ///
    /// Those of the closure, and those of BEGIN and COMMIT.
    pub fn immediate_transaction<T, E, F>(&mut self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut Self) -> Result<T, E>,
        E: From<Error>,
    {
        transaction_by(self, "BEGIN IMMEDIATE", work)
    }

    /// As [`SqliteConnection::exclusive_transaction`]: keeps readers out, too.
    ///
    /// # Errors
    ///
    /// Those of the closure, and those of BEGIN and COMMIT.
    pub fn exclusive_transaction<T, E, F>(&mut self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut Self) -> Result<T, E>,
        E: From<Error>,
    {
        transaction_by(self, "BEGIN EXCLUSIVE", work)
    }
}

/// `save_changes`, as Diesel has it for SQLite: update, then select.
impl<'b, Changes, Output> UpdateAndFetchResults<Changes, Output>
    for TrackedConnection<SqliteConnection>
where
    Changes: Copy + Identifiable,
    Changes: AsChangeset<Target = <Changes as HasTable>::Table> + IntoUpdateTarget,
    Changes::Table: FindDsl<Changes::Id>,
    Update<Changes, Changes>: ExecuteDsl<TrackedConnection<SqliteConnection>>,
    Find<Changes::Table, Changes::Id>: LoadQuery<'b, TrackedConnection<SqliteConnection>, Output>,
    <Changes::Table as Table>::AllColumns: ValidGrouping<()>,
    <<Changes::Table as Table>::AllColumns as ValidGrouping<()>>::IsAggregate:
        MixedAggregates<is_aggregate::No, Output = is_aggregate::No>,
{
    fn update_and_fetch(&mut self, changeset: Changes) -> QueryResult<Output> {
        diesel::update(changeset).set(changeset).execute(self)?;
        FindDsl::find(Changes::table(), changeset.id()).get_result(self)
    }
}
