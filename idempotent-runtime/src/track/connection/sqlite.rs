//! What only SQLite's connection has.

use diesel::associations::HasTable;
use diesel::dsl::{Find, Update};
use diesel::expression::{MixedAggregates, ValidGrouping, is_aggregate};
use diesel::prelude::*;
use diesel::query_builder::{AsChangeset, IntoUpdateTarget};
use diesel::query_dsl::methods::{ExecuteDsl, FindDsl};
use diesel::query_dsl::{LoadQuery, UpdateAndFetchResults};
use diesel::result::Error;
use diesel::sqlite::SerializedDatabase;

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

    /// As [`SqliteConnection::register_collation`].
    ///
    /// # Errors
    ///
    /// If SQLite refuses it.
    pub fn register_collation<F>(&mut self, name: &str, collation: F) -> QueryResult<()>
    where
        F: Fn(&str, &str) -> std::cmp::Ordering + Send + 'static + std::panic::UnwindSafe,
    {
        self.inner.register_collation(name, collation)
    }

    /// As [`SqliteConnection::serialize_database_to_buffer`].
    pub fn serialize_database_to_buffer(&mut self) -> SerializedDatabase {
        self.inner.serialize_database_to_buffer()
    }

    /// As [`SqliteConnection::deserialize_readonly_database_from_buffer`]: every table may be another one afterwards.
    ///
    /// # Errors
    ///
    /// If SQLite refuses it.
    pub fn deserialize_readonly_database_from_buffer(&mut self, data: &[u8]) -> QueryResult<()> {
        self.schema(true, |inner| {
            inner.deserialize_readonly_database_from_buffer(data)
        })
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
