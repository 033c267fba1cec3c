//! Which tables are tracked, what a statement changes in them, and how to learn which rows.

pub(crate) mod backend;
pub(crate) mod catalog;
pub(crate) mod changes;
pub(crate) mod connection;
pub(crate) mod failures;
mod fragment;
pub(crate) mod plans;
mod row;
#[cfg_attr(
    not(feature = "oracle"),
    allow(unreachable_pub, dead_code, reason = "public for the proof alone")
)]
pub(crate) mod rules;
pub(crate) mod stamper;
pub(crate) mod statement;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use once_cell::sync::Lazy;

/// A model whose rows end the replies that depend on them.
///
/// Derive it beside Diesel's own derives; it reads their `table_name` and `primary_key`.
#[diagnostic::on_unimplemented(
    message = "the rows of `{Self}` are not tracked",
    label = "not a tracked model",
    note = "add `#[derive(Tracked)]` to the model of the table"
)]
pub trait Tracked {
    /// The table and its key.
    const TABLE: TrackedTable;
}

/// The name and the key of a tracked table.
#[derive(Clone, Copy, Debug)]
pub struct TrackedTable {
    name: fn() -> String,
    key: &'static [&'static str],
}

impl TrackedTable {
    /// A table by its name in SQL, asked for once per process, and the columns of its primary key.
    pub const fn new(name: fn() -> String, key: &'static [&'static str]) -> Self {
        Self { name, key }
    }
}

inventory::collect!(TrackedTable);

/// The unqualified name, in SQL, of the table of a Diesel `table!`.
///
/// The name is read back from the SQL that Diesel itself would write: a table in a schema keeps
/// its name in private fields.
#[cfg(feature = "sqlite")]
pub fn table_name<T>() -> String
where
    T: diesel::internal::table_macro::StaticQueryFragment,
    T::Component: diesel::query_builder::QueryFragment<diesel::sqlite::Sqlite>,
{
    rendered(
        T::STATIC_COMPONENT,
        diesel::sqlite::SqliteQueryBuilder::default(),
        &diesel::sqlite::Sqlite,
    )
}

/// The unqualified name, in SQL, of the table of a Diesel `table!`.
///
/// The name is read back from the SQL that Diesel itself would write: a table in a schema keeps
/// its name in private fields.
#[cfg(all(feature = "postgres", not(feature = "sqlite")))]
pub fn table_name<T>() -> String
where
    T: diesel::internal::table_macro::StaticQueryFragment,
    T::Component: diesel::query_builder::QueryFragment<diesel::pg::Pg>,
{
    rendered(
        T::STATIC_COMPONENT,
        diesel::pg::PgQueryBuilder::default(),
        &diesel::pg::Pg,
    )
}

/// The unqualified name, in SQL, of the table of a Diesel `table!`.
///
/// The name is read back from the SQL that Diesel itself would write: a table in a schema keeps
/// its name in private fields.
#[cfg(all(feature = "mysql", not(any(feature = "sqlite", feature = "postgres"))))]
pub fn table_name<T>() -> String
where
    T: diesel::internal::table_macro::StaticQueryFragment,
    T::Component: diesel::query_builder::QueryFragment<diesel::mysql::Mysql>,
{
    rendered(
        T::STATIC_COMPONENT,
        diesel::mysql::MysqlQueryBuilder::default(),
        &diesel::mysql::Mysql,
    )
}

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
fn rendered<DB, F>(name: &F, mut sql: DB::QueryBuilder, backend: &DB) -> String
where
    DB: diesel::backend::Backend,
    F: diesel::query_builder::QueryFragment<DB>,
{
    use diesel::query_builder::QueryBuilder;
    // Pushing constant identifiers has no way to fail; an empty name would match no table.
    match name.to_sql(&mut sql, backend) {
        Ok(()) => last_identifier(&sql.finish()),
        Err(_) => String::new(),
    }
}

/// `users` of `` `app`.`users` ``; a quote inside a name is written twice.
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
fn last_identifier(sql: &str) -> String {
    let mut name = String::new();
    let mut chars = sql.chars().peekable();
    while let Some(quote) = chars.next() {
        if quote == '.' {
            continue;
        }
        name.clear();
        while let Some(c) = chars.next() {
            if c == quote && chars.next_if_eq(&quote).is_none() {
                break;
            }
            name.push(c);
        }
    }
    name
}

/// A name by which tables and columns are compared: databases differ in how they fold case, and to
/// take two tables for one only ends a record early.
pub(crate) fn fold(name: &str) -> String {
    name.to_lowercase()
}

/// Every tracked table by its folded name.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    tables: HashMap<Arc<str>, Key>,
}

/// How the rows of one table are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Columns(&'static [&'static str]),
    /// Models of the table disagree, so that no row has one name.
    Unknown,
}

impl Registry {
    /// The models of this process.
    pub(crate) fn global() -> &'static Self {
        static GLOBAL: Lazy<Registry> = Lazy::new(|| Registry::of(inventory::iter::<TrackedTable>));
        &GLOBAL
    }

    pub(crate) fn of<'a>(models: impl IntoIterator<Item = &'a TrackedTable>) -> Self {
        let mut registry = Self::default();
        for model in models {
            registry.add(Arc::from(fold(&(model.name)())), model.key);
        }
        registry
    }

    fn add(&mut self, table: Arc<str>, columns: &'static [&'static str]) {
        match self.tables.entry(table) {
            Entry::Vacant(place) => {
                place.insert(match columns {
                    [] => Key::Unknown,
                    columns => Key::Columns(columns),
                });
            }
            Entry::Occupied(mut place) => {
                if *place.get() != Key::Columns(columns) && *place.get() != Key::Unknown {
                    tracing::warn!(
                        table = %place.key(),
                        "models of one table disagree on its key: every change of it counts as a change of all its rows"
                    );
                    place.insert(Key::Unknown);
                }
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// The shared name and the key of a table known by its folded name.
    pub(crate) fn get(&self, table: &str) -> Option<(&Arc<str>, Key)> {
        self.tables
            .get_key_value(table)
            .map(|(name, key)| (name, *key))
    }

    /// The folded names of all tracked tables, in no order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.tables.keys()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const USERS: TrackedTable = TrackedTable::new(|| "Users".to_owned(), &["id"]);

    #[test]
    fn two_models_of_one_table_are_one_table() {
        let registry = Registry::of(&[USERS, TrackedTable::new(|| "users".into(), &["id"])]);
        assert_eq!(registry.names().count(), 1);
        assert_eq!(registry.get("users").unwrap().1, Key::Columns(&["id"]));
    }

    #[test]
    fn models_that_disagree_on_the_key_leave_the_table_without_rows() {
        let other = TrackedTable::new(|| "users".into(), &["email"]);
        let registry = Registry::of(&[USERS, other, USERS]);
        assert_eq!(registry.get("users").unwrap().1, Key::Unknown);
    }

    #[test]
    fn a_table_without_a_key_has_no_rows_to_name() {
        let registry = Registry::of(&[TrackedTable::new(|| "log".into(), &[])]);
        assert_eq!(registry.get("log").unwrap().1, Key::Unknown);
    }

    #[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
    mod names {
        use super::super::*;

        diesel::table! { plain (id) { id -> Integer, } }
        diesel::table! { app.inside (id) { id -> Integer, } }
        diesel::table! {
            #[sql_name = "odd `\"name"]
            odd (id) { id -> Integer, }
        }

        #[test]
        fn a_tables_name_is_the_one_diesel_writes() {
            assert_eq!(table_name::<plain::table>(), "plain");
            assert_eq!(table_name::<odd::table>(), "odd `\"name");
        }

        #[test]
        fn a_tables_name_leaves_the_schema_out() {
            assert_eq!(table_name::<inside::table>(), "inside");
        }
    }
}
