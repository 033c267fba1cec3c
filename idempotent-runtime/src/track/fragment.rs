//! A user's statement with our suffix behind it.

use diesel::backend::Backend;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::Untyped;

/// The suffix that makes a statement tell which rows it changed; for statements that returned nothing before.
#[derive(Debug)]
pub(super) struct Telling<'a, T> {
    pub(super) statement: &'a T,
    pub(super) suffix: &'a str,
}

/// The same for statements that have a `RETURNING` of their own, and so the types of its columns.
#[derive(Debug)]
pub(super) struct TellingMore<'a, T> {
    pub(super) statement: T,
    pub(super) suffix: &'a str,
}

/// Tells the prepared statement with the suffix from the one without.
#[derive(Debug)]
pub(super) struct Suffixed<Id>(std::marker::PhantomData<Id>);

/// Other SQL with the binds of a statement.
#[derive(Debug)]
pub(super) struct WithBindsOf<'a, T> {
    pub(super) statement: &'a T,
    pub(super) sql: &'a str,
}

impl<T> Query for WithBindsOf<'_, T> {
    type SqlType = Untyped;
}

impl<T> QueryId for WithBindsOf<'_, T> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<DB: Backend, T: QueryFragment<DB>> QueryFragment<DB> for WithBindsOf<'_, T> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        match writes_sql(&mut out) {
            true => out.push_sql(self.sql),
            false => self.statement.walk_ast(out)?,
        }
        Ok(())
    }
}

/// One statement of a batch. Its text is not likely to come again.
#[derive(Debug)]
pub(super) struct Literally<'a>(pub(super) &'a str);

impl Query for Literally<'_> {
    type SqlType = Untyped;
}

impl QueryId for Literally<'_> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<DB: Backend> QueryFragment<DB> for Literally<'_> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        out.unsafe_to_cache_prepared();
        out.push_sql(self.0);
        Ok(())
    }
}

/// Whether this pass writes the SQL: only there the option to leave FROM out is kept.
fn writes_sql<DB: Backend>(out: &mut AstPass<'_, '_, DB>) -> bool {
    let skips = out.should_skip_from();
    out.skip_from(true);
    let writes = out.should_skip_from();
    out.skip_from(skips);
    writes
}

impl<T> Query for Telling<'_, T> {
    type SqlType = Untyped;
}

impl<T: Query> Query for TellingMore<'_, T> {
    type SqlType = T::SqlType;
}

impl<T: QueryId> QueryId for Telling<'_, T> {
    type QueryId = Suffixed<T::QueryId>;
    const HAS_STATIC_QUERY_ID: bool = T::HAS_STATIC_QUERY_ID;
}

impl<T: QueryId> QueryId for TellingMore<'_, T> {
    type QueryId = Suffixed<T::QueryId>;
    const HAS_STATIC_QUERY_ID: bool = T::HAS_STATIC_QUERY_ID;
}

impl<DB: Backend, T: QueryFragment<DB>> QueryFragment<DB> for Telling<'_, T> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.statement.walk_ast(out.reborrow())?;
        out.push_sql(self.suffix);
        Ok(())
    }
}

impl<DB: Backend, T: QueryFragment<DB>> QueryFragment<DB> for TellingMore<'_, T> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.statement.walk_ast(out.reborrow())?;
        out.push_sql(self.suffix);
        Ok(())
    }
}
