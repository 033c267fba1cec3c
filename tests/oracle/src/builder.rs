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

/// What an upsert sets.
type Assignments = [(&'static str, Expr)];

/// A boxed statement with a filter.
macro_rules! filtered {
    ($change:expr, $filter:expr) => {
        match $filter {
            Known::All => $change,
            Known::Key(key) => $change.filter(id.eq(key)),
            Known::Keys(keys) => $change.filter(id.eq_any(keys)),
            Known::Greater(least) => $change.filter(n.gt(least)),
            Known::Same(value) => $change.filter(n.eq(value)),
        }
    };
}

/// RETURNING.
macro_rules! returning {
    ($table:ident) => {
        fn insert_told(connection: &mut Connection, row: Row) -> Done {
            let insert = diesel::insert_into($table).values(row).returning(n);
            Some(insert.get_result::<Option<i32>>(connection).map(|_| 1))
        }

        fn update_told(connection: &mut Connection, filter: Known<Key>, set: Changes) -> Done {
            let rows = match filter {
                Known::Key(key) => {
                    let change = diesel::update($table.find(key)).set(set).returning(n);
                    change.get_results::<Option<i32>>(connection)
                }
                filter => {
                    let change = diesel::update($table).set(set).into_boxed();
                    filtered!(change, filter)
                        .returning(n)
                        .get_results(connection)
                }
            };
            Some(rows.map(|rows| rows.len()))
        }

        fn delete_told(connection: &mut Connection, filter: Known<Key>) -> Done {
            let rows = match filter {
                Known::Key(key) => {
                    let change = diesel::delete($table.find(key)).returning(n);
                    change.get_results::<Option<i32>>(connection)
                }
                filter => {
                    let change = diesel::delete($table).into_boxed();
                    filtered!(change, filter)
                        .returning(n)
                        .get_results(connection)
                }
            };
            Some(rows.map(|rows| rows.len()))
        }
    };
}

/// ON CONFLICT.
macro_rules! on_conflict {
    ($table:ident) => {
        fn unless_there(connection: &mut Connection, row: Row) -> Done {
            let insert = diesel::insert_into($table).values(row);
            Some(insert.on_conflict_do_nothing().execute(connection))
        }

        fn upsert(connection: &mut Connection, row: Row, set: &Assignments) -> Done {
            let [("n", Expr::Excluded("n"))] = set else {
                return None;
            };
            let insert = diesel::insert_into($table).values(row).on_conflict(id);
            let insert = insert.do_update().set(n.eq(diesel::upsert::excluded(n)));
            Some(insert.execute(connection))
        }

        fn upsert_many(connection: &mut Connection, rows: Vec<Whole>, set: &Assignments) -> Done {
            let [("n", Expr::Excluded("n"))] = set else {
                return None;
            };
            let insert = diesel::insert_into($table).values(rows).on_conflict(id);
            let insert = insert.do_update().set(n.eq(diesel::upsert::excluded(n)));
            Some(insert.execute(connection))
        }
    };
}

/// No RETURNING in Diesel.
macro_rules! no_returning {
    ($table:ident) => {
        fn insert_told(_: &mut Connection, _: Row) -> Done {
            None
        }

        fn update_told(_: &mut Connection, _: Known<Key>, _: Changes) -> Done {
            None
        }

        fn delete_told(_: &mut Connection, _: Known<Key>) -> Done {
            None
        }
    };
}

/// ON DUPLICATE KEY UPDATE.
macro_rules! on_duplicate {
    ($table:ident) => {
        fn unless_there(_: &mut Connection, _: Row) -> Done {
            None
        }

        fn upsert(connection: &mut Connection, row: Row, set: &Assignments) -> Done {
            let [("n", Expr::Value(value))] = set else {
                return None;
            };
            let value: Option<i32> = nullable(*value)?;
            let insert = diesel::insert_into($table).values(row);
            let insert = insert.on_conflict(diesel::dsl::DuplicatedKeys);
            Some(insert.do_update().set(n.eq(value)).execute(connection))
        }

        fn upsert_many(connection: &mut Connection, rows: Vec<Whole>, set: &Assignments) -> Done {
            let [("n", Expr::Value(value))] = set else {
                return None;
            };
            let value: Option<i32> = nullable(*value)?;
            let insert = diesel::insert_into($table).values(rows);
            let insert = insert.on_conflict(diesel::dsl::DuplicatedKeys);
            Some(insert.do_update().set(n.eq(value)).execute(connection))
        }
    };
}

/// INSERT OR IGNORE, and REPLACE.
macro_rules! or {
    ($table:ident) => {
        fn or(connection: &mut Connection, conflict: &Conflict, row: Row) -> Done {
            match conflict {
                Conflict::Or("IGNORE") => {
                    let insert = diesel::insert_or_ignore_into($table).values(row);
                    Some(insert.execute(connection))
                }
                Conflict::Or("REPLACE") | Conflict::Replace => {
                    Some(diesel::replace_into($table).values(row).execute(connection))
                }
                _ => None,
            }
        }
    };
}

/// Neither.
macro_rules! no_or {
    ($table:ident) => {
        fn or(_: &mut Connection, _: &Conflict, _: Row) -> Done {
            None
        }
    };
}

/// One module per table: how many rows a statement changed, if it is one that is written out here.
macro_rules! table {
    ($table:ident, $key:ty, $name:literal, $told:ident, $clash:ident, $or:ident) => {
        mod $table {
            use diesel::prelude::*;

            use super::super::*;
            use super::Connection;
            use crate::models::$table::dsl::*;
            use crate::statement::{Delete, Update};

            type Key = $key;
            type Done = Option<QueryResult<usize>>;
            type Row = (
                Option<diesel::dsl::Eq<id, Key>>,
                diesel::dsl::Eq<n, Option<i32>>,
                diesel::dsl::Eq<s, Option<String>>,
            );
            type Whole = (
                diesel::dsl::Eq<id, Key>,
                diesel::dsl::Eq<n, Option<i32>>,
                diesel::dsl::Eq<s, Option<String>>,
            );
            type Changes = (
                Option<diesel::dsl::Eq<id, Key>>,
                Option<diesel::dsl::Eq<n, Option<i32>>>,
                Option<diesel::dsl::Eq<s, Option<String>>>,
            );

            pub(super) fn run(connection: &mut Connection, body: &Body) -> Done {
                match body {
                    Body::Insert(change) => insert(connection, change),
                    Body::Update(change) => update(connection, change),
                    Body::Delete(change) => delete(connection, change),
                    _ => None,
                }
            }

            fn insert(connection: &mut Connection, insert: &Insert) -> Done {
                let told = insert.returning != Returning::None;
                if matches!(insert.rows, Rows::Defaults) {
                    let insert = diesel::insert_into($table).default_values();
                    return (!told).then(|| insert.execute(connection));
                }
                let mut rows = given::<Key>(insert, $name)?;
                if rows.len() > 1 {
                    return many(connection, insert, rows).filter(|_| !told);
                }
                let row = rows.pop()?;
                let row = (row.key.map(|key| id.eq(key)), n.eq(row.n), s.eq(row.s));
                match &insert.conflict {
                    Conflict::None if told => insert_told(connection, row),
                    Conflict::None => {
                        Some(diesel::insert_into($table).values(row).execute(connection))
                    }
                    _ if told => None,
                    Conflict::Nothing => unless_there(connection, row),
                    Conflict::Update(columns, set) if columns == &[$name] => {
                        upsert(connection, row, set)
                    }
                    conflict => or(connection, conflict, row),
                }
            }

            fn many(connection: &mut Connection, insert: &Insert, rows: Vec<Given<Key>>) -> Done {
                if insert.returning != Returning::None {
                    return None;
                }
                let whole = |row: Given<Key>| Some((id.eq(row.key?), n.eq(row.n), s.eq(row.s)));
                let rows = rows
                    .into_iter()
                    .map(whole)
                    .collect::<Option<Vec<Whole>>>()?;
                match &insert.conflict {
                    Conflict::None => {
                        Some(diesel::insert_into($table).values(rows).execute(connection))
                    }
                    Conflict::Update(columns, set) if columns == &[$name] => {
                        upsert_many(connection, rows, set)
                    }
                    _ => None,
                }
            }

            fn update(connection: &mut Connection, update: &Update) -> Done {
                if !matches!(update.conflict, Conflict::None) {
                    return None;
                }
                let told = update.returning != Returning::None;
                let filter = known::<Key>(&update.filter, $name)?;
                if let ([("n", Expr::Plus("n", by))], Known::Greater(least), false) =
                    (update.set.as_slice(), &filter, told)
                {
                    let by = i32::try_from(*by).ok()?;
                    let change = diesel::update($table.filter(n.gt(*least))).set(n.eq(n + by));
                    return Some(change.execute(connection));
                }
                let set = set::<Key>(&update.set, $name)?;
                let set: Changes = (
                    set.key.map(|key| id.eq(key)),
                    set.n.map(|value| n.eq(value)),
                    set.s.map(|value| s.eq(value)),
                );
                match filter {
                    _ if told => update_told(connection, filter, set),
                    Known::Key(key) => Some(
                        diesel::update($table.find(key))
                            .set(set)
                            .execute(connection),
                    ),
                    filter => {
                        let change = diesel::update($table).set(set).into_boxed();
                        Some(filtered!(change, filter).execute(connection))
                    }
                }
            }

            fn delete(connection: &mut Connection, delete: &Delete) -> Done {
                match known::<Key>(&delete.filter, $name)? {
                    filter if delete.returning != Returning::None => {
                        delete_told(connection, filter)
                    }
                    Known::Key(key) => Some(diesel::delete($table.find(key)).execute(connection)),
                    filter => {
                        let change = diesel::delete($table).into_boxed();
                        Some(filtered!(change, filter).execute(connection))
                    }
                }
            }

            $told!($table);
            $clash!($table);
            $or!($table);
        }
    };
}

/// One module per backend. `$told`, `$clash` and `$or` name the macros for what not every database has.
macro_rules! backend {
    ($backend:ident, $connection:ty, $told:ident, $clash:ident, $or:ident) => {
        pub(crate) mod $backend {
            use super::*;

            type Connection = idempotent_runtime::TrackedConnection<$connection>;

            pub(crate) fn run(
                connection: &mut Connection,
                body: &Body,
                schema: &Schema,
            ) -> Option<QueryResult<()>> {
                let done = match MODELS[model(body, schema)?].name {
                    "t_int" => t_int::run(connection, body),
                    "t_big" => t_big::run(connection, body),
                    "t_text" => t_text::run(connection, body),
                    "t_bytes" => t_bytes::run(connection, body),
                    "Odd:Näme" => odd::run(connection, body),
                    _ => None,
                };
                done.map(|done| done.map(|_| ()))
            }

            table!(t_int, i32, "id", $told, $clash, $or);
            table!(t_big, i64, "id", $told, $clash, $or);
            table!(t_text, String, "id", $told, $clash, $or);
            table!(t_bytes, Vec<u8>, "id", $told, $clash, $or);
            table!(odd, i32, "Id", $told, $clash, $or);
        }
    };
}

backend!(sqlite, diesel::SqliteConnection, returning, on_conflict, or);
backend!(
    postgres,
    diesel::PgConnection,
    returning,
    on_conflict,
    no_or
);
backend!(
    mariadb,
    diesel::MysqlConnection,
    no_returning,
    on_duplicate,
    or
);
