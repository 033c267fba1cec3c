//! Statements by Diesel's query builder. Its types want each shape written out, so that only the common ones are, for
//! tables with one column as their key; what is not here is sent as SQL.

use diesel::QueryResult;

use crate::models::MODELS;
use crate::schema::Schema;
use crate::statement::{Body, Conflict, Expr, Filter, Insert, Relation, Returning, Rows};
use crate::value::Value;

/// A key's type in Rust.
trait Key: Sized {
    fn of(value: Value) -> Option<Self>;
}

impl Key for i32 {
    fn of(value: Value) -> Option<Self> {
        match value {
            Value::Int(number) => number.try_into().ok(),
            _ => None,
        }
    }
}

impl Key for i64 {
    fn of(value: Value) -> Option<Self> {
        match value {
            Value::Int(number) => Some(number),
            _ => None,
        }
    }
}

impl Key for String {
    fn of(value: Value) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.to_owned()),
            _ => None,
        }
    }
}

impl Key for Vec<u8> {
    fn of(value: Value) -> Option<Self> {
        match value {
            Value::Bytes(bytes) => Some(bytes.to_vec()),
            _ => None,
        }
    }
}

/// NULL is a value, a column of another type is none.
fn nullable<T: Key>(value: Value) -> Option<Option<T>> {
    match value {
        Value::Null => Some(None),
        value => T::of(value).map(Some),
    }
}

/// A row as the builder is given it. Without a key it is left out.
struct Given<K> {
    key: Option<K>,
    n: Option<i32>,
    s: Option<String>,
}

fn given<K: Key>(insert: &Insert, key: &str) -> Option<Vec<Given<K>>> {
    let Rows::Values(rows) = &insert.rows else {
        return None;
    };
    let row = |row: &Vec<Value>| {
        let mut given = Given {
            key: None,
            n: None,
            s: None,
        };
        for (column, value) in insert.columns.iter().zip(row) {
            match *column {
                "n" => given.n = nullable(*value)?,
                "s" => given.s = nullable(*value)?,
                column if column == key => given.key = Some(K::of(*value)?),
                _ => return None,
            }
        }
        Some(given)
    };
    rows.iter().map(row).collect()
}

/// What an UPDATE sets to values.
struct Set<K> {
    key: Option<K>,
    n: Option<Option<i32>>,
    s: Option<Option<String>>,
}

fn set<K: Key>(assignments: &[(&'static str, Expr)], key: &str) -> Option<Set<K>> {
    let mut set = Set {
        key: None,
        n: None,
        s: None,
    };
    for (column, expression) in assignments {
        let Expr::Value(value) = expression else {
            return None;
        };
        match *column {
            "n" => set.n = Some(nullable(*value)?),
            "s" => set.s = Some(nullable(*value)?),
            column if column == key => set.key = Some(K::of(*value)?),
            _ => return None,
        }
    }
    Some(set)
}

/// A filter that the builder knows.
enum Known<K> {
    All,
    Key(K),
    Keys(Vec<K>),
    Greater(i32),
    Same(i32),
}

fn known<K: Key>(filter: &Filter, key: &str) -> Option<Known<K>> {
    Some(match filter {
        Filter::All => Known::All,
        Filter::Is(column, "=", value) if *column == key => Known::Key(K::of(*value)?),
        Filter::Is("n", ">", value) => Known::Greater(i32::of(*value)?),
        Filter::Is("n", "=", value) => Known::Same(i32::of(*value)?),
        Filter::Among(column, values) if *column == key => Known::Keys(
            values
                .iter()
                .map(|value| K::of(*value))
                .collect::<Option<_>>()?,
        ),
        _ => return None,
    })
}

/// The model of a change that goes to a table by its own name.
fn model(body: &Body, schema: &Schema) -> Option<usize> {
    let target = match body {
        Body::Insert(insert) => &insert.target,
        Body::Update(update) if update.from.is_none() && update.limit.is_none() => &update.target,
        Body::Delete(delete) if delete.using.is_none() && delete.limit.is_none() => &delete.target,
        _ => return None,
    };
    match target.relation {
        Relation::Table(table) if !target.only => Some(schema.tables[table].model),
        _ => None,
    }
}

/// What only some databases have.
macro_rules! or {
    ($connection:ty, $table:ident, [or]) => {
        fn or(
            connection: &mut $connection,
            conflict: &Conflict,
            row: Row,
        ) -> Option<QueryResult<()>> {
            Some(
                match conflict {
                    Conflict::Or("IGNORE") => diesel::insert_or_ignore_into($table)
                        .values(row)
                        .execute(connection),
                    Conflict::Or("REPLACE") | Conflict::Replace => {
                        diesel::replace_into($table).values(row).execute(connection)
                    }
                    _ => return None,
                }
                .map(|_| ()),
            )
        }
    };
    ($connection:ty, $table:ident, []) => {
        fn or(_: &mut $connection, _: &Conflict, _: Row) -> Option<QueryResult<()>> {
            None
        }
    };
}

/// One module per table.
macro_rules! table {
    ($table:ident, $key:ty, $name:literal, $connection:ty, [$($or:tt)*]) => {
        mod $table {
            use diesel::prelude::*;
            use diesel::upsert::excluded;

            use super::super::*;
            use crate::models::$table::dsl::*;
            use crate::statement::{Delete, Update};

            type Key = $key;
            type Connection = $connection;

            pub(super) fn run(connection: &mut Connection, body: &Body) -> Option<QueryResult<()>> {
                match body {
                    Body::Insert(change) => insert(connection, change),
                    Body::Update(change) => update(connection, change),
                    Body::Delete(change) => delete(connection, change),
                    _ => None,
                }
            }

            fn insert(connection: &mut Connection, insert: &Insert) -> Option<QueryResult<()>> {
                if matches!(insert.rows, Rows::Defaults) {
                    let done = diesel::insert_into($table).default_values().execute(connection);
                    return Some(done.map(|_| ()));
                }
                let mut rows = given::<Key>(insert, $name)?;
                if rows.len() == 1 {
                    return one(connection, insert, rows.pop()?);
                }
                let rows = rows.into_iter().map(|row| Some((id.eq(row.key?), n.eq(row.n), s.eq(row.s))));
                let rows = rows.collect::<Option<Vec<_>>>()?;
                Some(match (&insert.conflict, insert.returning) {
                    (Conflict::None, Returning::None) => {
                        diesel::insert_into($table).values(rows).execute(connection)
                    }
                    (Conflict::Nothing, Returning::None) => {
                        diesel::insert_into($table).values(rows).on_conflict_do_nothing().execute(connection)
                    }
                    (Conflict::Update(columns, _), Returning::None) if columns == &[$name] => {
                        diesel::insert_into($table).values(rows).on_conflict(id).do_update()
                            .set((n.eq(excluded(n)), s.eq(excluded(s)))).execute(connection)
                    }
                    _ => return None,
                }.map(|_| ()))
            }

            fn one(connection: &mut Connection, insert: &Insert, row: Given<Key>) -> Option<QueryResult<()>> {
                let row = (row.key.map(|key| id.eq(key)), n.eq(row.n), s.eq(row.s));
                let returns = insert.returning != Returning::None;
                Some(match &insert.conflict {
                    Conflict::None if returns => diesel::insert_into($table).values(row)
                        .returning(n).get_result::<Option<i32>>(connection).map(|_| ()),
                    Conflict::None => diesel::insert_into($table).values(row).execute(connection).map(|_| ()),
                    Conflict::Nothing => diesel::insert_into($table).values(row)
                        .on_conflict_do_nothing().execute(connection).map(|_| ()),
                    Conflict::Update(columns, _) if columns == &[$name] => diesel::insert_into($table).values(row)
                        .on_conflict(id).do_update().set(n.eq(excluded(n)))
                        .returning(n).get_results::<Option<i32>>(connection).map(|_| ()),
                    conflict => return or(connection, conflict, row),
                })
            }

            type Row = (
                Option<diesel::dsl::Eq<id, Key>>,
                diesel::dsl::Eq<n, Option<i32>>,
                diesel::dsl::Eq<s, Option<String>>,
            );

            or!(Connection, $table, [$($or)*]);

            fn update(connection: &mut Connection, update: &Update) -> Option<QueryResult<()>> {
                if !matches!(update.conflict, Conflict::None) {
                    return None;
                }
                let returns = update.returning != Returning::None;
                let filter = known::<Key>(&update.filter, $name)?;
                if let [("n", Expr::Plus("n", by))] = update.set.as_slice() {
                    let by = i32::try_from(*by).ok()?;
                    let Known::Greater(least) = filter else { return None };
                    return Some(diesel::update($table.filter(n.gt(least))).set(n.eq(n + by))
                        .execute(connection).map(|_| ()));
                }
                let set = set::<Key>(&update.set, $name)?;
                let set = (
                    set.key.map(|key| id.eq(key)),
                    set.n.map(|value| n.eq(value)),
                    set.s.map(|value| s.eq(value)),
                );
                let filter = match filter {
                    Known::Key(key) if returns => return Some(diesel::update($table.find(key)).set(set)
                        .returning(n).get_result::<Option<i32>>(connection).optional().map(|_| ())),
                    Known::Key(key) => return Some(diesel::update($table.find(key)).set(set)
                        .execute(connection).map(|_| ())),
                    filter => filter,
                };
                let change = diesel::update($table).set(set).into_boxed();
                let change = match filter {
                    Known::All | Known::Key(_) => change,
                    Known::Keys(keys) => change.filter(id.eq_any(keys)),
                    Known::Greater(least) => change.filter(n.gt(least)),
                    Known::Same(value) => change.filter(n.eq(value)),
                };
                Some(match returns {
                    true => change.returning(n).get_results::<Option<i32>>(connection).map(|_| ()),
                    false => change.execute(connection).map(|_| ()),
                })
            }

            fn delete(connection: &mut Connection, delete: &Delete) -> Option<QueryResult<()>> {
                let returns = delete.returning != Returning::None;
                let filter = match known::<Key>(&delete.filter, $name)? {
                    Known::Key(key) if returns => return Some(diesel::delete($table.find(key))
                        .returning(n).get_result::<Option<i32>>(connection).optional().map(|_| ())),
                    Known::Key(key) => return Some(diesel::delete($table.find(key))
                        .execute(connection).map(|_| ())),
                    filter => filter,
                };
                let change = diesel::delete($table).into_boxed();
                let change = match filter {
                    Known::All | Known::Key(_) => change,
                    Known::Keys(keys) => change.filter(id.eq_any(keys)),
                    Known::Greater(least) => change.filter(n.gt(least)),
                    Known::Same(value) => change.filter(n.eq(value)),
                };
                Some(match returns {
                    true => change.returning(n).get_results::<Option<i32>>(connection).map(|_| ()),
                    false => change.execute(connection).map(|_| ()),
                })
            }
        }
    };
}

/// One module per backend.
macro_rules! backend {
    ($backend:ident, $connection:ty, [$($or:tt)*]) => {
        pub(crate) mod $backend {
            use super::*;

            type Connection = idempotent_runtime::TrackedConnection<$connection>;

            pub(crate) fn run(
                connection: &mut Connection,
                body: &Body,
                schema: &Schema,
            ) -> Option<QueryResult<()>> {
                match MODELS[model(body, schema)?].name {
                    "t_int" => t_int::run(connection, body),
                    "t_big" => t_big::run(connection, body),
                    "t_text" => t_text::run(connection, body),
                    "t_bytes" => t_bytes::run(connection, body),
                    "Odd:Näme" => odd::run(connection, body),
                    _ => None,
                }
            }

            table!(t_int, i32, "id", super::Connection, [$($or)*]);
            table!(t_big, i64, "id", super::Connection, [$($or)*]);
            table!(t_text, String, "id", super::Connection, [$($or)*]);
            table!(t_bytes, Vec<u8>, "id", super::Connection, [$($or)*]);
            table!(odd, i32, "Id", super::Connection, [$($or)*]);
        }
    };
}

backend!(sqlite, diesel::SqliteConnection, [or]);
backend!(postgres, diesel::PgConnection, []);
