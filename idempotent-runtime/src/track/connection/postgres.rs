//! What only PostgreSQL's connection has.

use diesel::associations::HasTable;
use diesel::dsl::Update;
use diesel::expression::{MixedAggregates, ValidGrouping, is_aggregate};
use diesel::pg::CopyFromQuery;
use diesel::pg::{PgConnection, PgNotification, TransactionBuilder};
use diesel::prelude::*;
use diesel::query_builder::{AsChangeset, IntoUpdateTarget};
use diesel::query_dsl::{LoadQuery, UpdateAndFetchResults};

use super::TrackedConnection;
use super::transaction::everything;

impl TrackedConnection<PgConnection> {
    /// As [`PgConnection::build_transaction`]: a transaction with an isolation level, read-only, or deferrable.
    pub fn build_transaction(&mut self) -> TransactionBuilder<'_, Self> {
        TransactionBuilder::new(self)
    }

    /// As [`PgConnection::notifications_iter`]: what has come for `LISTEN`.
    pub fn notifications_iter(&mut self) -> impl Iterator<Item = QueryResult<PgNotification>> + '_ {
        self.inner.notifications_iter()
    }
}

/// `save_changes`, as Diesel has it for PostgreSQL: one statement.
impl<'b, Changes, Output> UpdateAndFetchResults<Changes, Output> for TrackedConnection<PgConnection>
where
    Changes: Copy + AsChangeset<Target = <Changes as HasTable>::Table> + IntoUpdateTarget,
    Update<Changes, Changes>: LoadQuery<'b, TrackedConnection<PgConnection>, Output>,
    <Changes::Table as Table>::AllColumns: ValidGrouping<()>,
    <<Changes::Table as Table>::AllColumns as ValidGrouping<()>>::IsAggregate:
        MixedAggregates<is_aggregate::No, Output = is_aggregate::No>,
{
    fn update_and_fetch(&mut self, changeset: Changes) -> QueryResult<Output> {
        diesel::update(changeset).set(changeset).get_result(self)
    }
}

/// `COPY … FROM` by [`diesel::copy_from`]: which rows it adds is not told, so the whole table counts.
impl<T, A> ExecuteCopyFromDsl<TrackedConnection<PgConnection>> for CopyFromQuery<T, A>
where
    Self: ExecuteCopyFromDsl<PgConnection>,
    <Self as ExecuteCopyFromDsl<PgConnection>>::Error: From<diesel::result::Error>,
{
    type Error = <Self as ExecuteCopyFromDsl<PgConnection>>::Error;

    fn execute(
        self,
        connection: &mut TrackedConnection<PgConnection>,
    ) -> Result<usize, Self::Error> {
        connection.transaction(|connection| {
            connection.log.note(everything());
            self.execute(&mut connection.inner)
        })
    }
}
