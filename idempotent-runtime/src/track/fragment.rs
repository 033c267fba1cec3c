//! A user's statement with our suffix behind it.

use diesel::backend::Backend;
use diesel::query_builder::{AstPass, Query, QueryBuilder, QueryFragment, QueryId};
use diesel::result::QueryResult;
use diesel::sql_types::Untyped;

/// The suffix that makes a statement tell which rows it changed; for statements that returned nothing before.
#[derive(Debug)]
pub(super) struct Telling<'a, T> {
    pub(super) statement: &'a T,
    /// The statement's own SQL, where it was built already.
    pub(super) text: Option<&'a str>,
    pub(super) suffix: &'a str,
    /// As many bytes at the text's end are left out.
    pub(super) cut: usize,
}

/// The same for statements that have a `RETURNING` of their own, and so the types of its columns.
#[derive(Debug)]
pub(super) struct TellingMore<'a, T> {
    pub(super) statement: T,
    /// The statement's own SQL, where it was built already.
    pub(super) text: Option<&'a str>,
    pub(super) suffix: &'a str,
    /// As many bytes at the text's end are left out.
    pub(super) cut: usize,
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
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, DB>) -> QueryResult<()> {
        self.statement.walk_ast(out)
    }

    fn to_sql(&self, out: &mut DB::QueryBuilder, _: &DB) -> QueryResult<()> {
        out.push_sql(self.sql);
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

    fn to_sql(&self, out: &mut DB::QueryBuilder, backend: &DB) -> QueryResult<()> {
        write(&self.statement, self.text, self.cut, out, backend)?;
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

    fn to_sql(&self, out: &mut DB::QueryBuilder, backend: &DB) -> QueryResult<()> {
        write(&self.statement, self.text, self.cut, out, backend)?;
        out.push_sql(self.suffix);
        Ok(())
    }
}

/// Dynamic SQL was built to be planned, and Diesel looks its prepared statement up by it.
fn write<DB: Backend>(
    statement: &impl QueryFragment<DB>,
    text: Option<&str>,
    cut: usize,
    out: &mut DB::QueryBuilder,
    backend: &DB,
) -> QueryResult<()> {
    match text {
        Some(text) => {
            out.push_sql(&text[..text.len().saturating_sub(cut)]);
            Ok(())
        }
        None => statement.to_sql(out, backend),
    }
}
