//! What only MySQL's connection has.

use diesel::associations::HasTable;
use diesel::dsl::{Find, Update};
use diesel::expression::{MixedAggregates, ValidGrouping, is_aggregate};
use diesel::prelude::*;
use diesel::query_builder::{AsChangeset, IntoUpdateTarget};
use diesel::query_dsl::methods::{ExecuteDsl, FindDsl};
use diesel::query_dsl::{LoadQuery, UpdateAndFetchResults};

use super::TrackedConnection;

/// `save_changes`, as Diesel has it for MySQL: update, then select.
impl<'b, Changes, Output> UpdateAndFetchResults<Changes, Output>
    for TrackedConnection<MysqlConnection>
where
    Changes: Copy + Identifiable,
    Changes: AsChangeset<Target = <Changes as HasTable>::Table> + IntoUpdateTarget,
    Changes::Table: FindDsl<Changes::Id>,
    Update<Changes, Changes>: ExecuteDsl<TrackedConnection<MysqlConnection>>,
    Find<Changes::Table, Changes::Id>: LoadQuery<'b, TrackedConnection<MysqlConnection>, Output>,
    <Changes::Table as Table>::AllColumns: ValidGrouping<()>,
    <<Changes::Table as Table>::AllColumns as ValidGrouping<()>>::IsAggregate:
        MixedAggregates<is_aggregate::No, Output = is_aggregate::No>,
{
    fn update_and_fetch(&mut self, changeset: Changes) -> QueryResult<Output> {
        diesel::update(changeset).set(changeset).execute(self)?;
        FindDsl::find(Changes::table(), changeset.id()).get_result(self)
    }
}
