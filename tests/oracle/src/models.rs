//! The tables there can be. Which of them a schema has, and with what beside these columns, is random.
//!
//! A tracked model has its table's name and key at compile time, so that the pool of them is fixed: one for each
//! type of key, some with names that need quotes, one over a view and one that inherits from another.
#![allow(
    dead_code,
    missing_docs,
    reason = "models are there for their tables' names and keys"
)]

use idempotent_runtime::Tracked;

use crate::value::Type;

/// What is fixed about a table.
#[derive(Debug)]
pub struct Model {
    /// As the database spells it.
    pub name: &'static str,
    /// The columns of its primary key, in order.
    pub key: &'static [(&'static str, Type)],
    /// Whether a model tracks it.
    pub tracked: bool,
}

const fn tracked(name: &'static str, key: &'static [(&'static str, Type)]) -> Model {
    Model {
        name,
        key,
        tracked: true,
    }
}

const fn untracked(name: &'static str) -> Model {
    Model {
        name,
        key: &[("id", Type::Int)],
        tracked: false,
    }
}

/// All of them. A table is known by its place here.
pub const MODELS: [Model; 17] = [
    tracked("t_int", &[("id", Type::Int)]),
    tracked("t_big", &[("id", Type::Big)]),
    tracked("t_small", &[("id", Type::Small)]),
    tracked("t_text", &[("id", Type::Text)]),
    tracked("t_ci", &[("id", Type::Folded)]),
    tracked("t_uuid", &[("id", Type::Uuid)]),
    tracked("t_bytes", &[("id", Type::Bytes)]),
    tracked("t_date", &[("id", Type::Date)]),
    tracked("t_ts", &[("id", Type::Moment)]),
    tracked("t_num", &[("id", Type::Numeric)]),
    tracked("t_bool", &[("b", Type::Bool), ("i", Type::Small)]),
    tracked("t_pair", &[("a", Type::Int), ("b", Type::Text)]),
    tracked("Odd:Näme", &[("Id", Type::Int)]),
    tracked("t_heir", &[("id", Type::Int)]),
    tracked("v_int", &[("id", Type::Int)]),
    untracked("plain_a"),
    untracked("plain_b"),
];

/// The place of [`t_heir`], which inherits from `t_int` where the database has inheritance.
pub const HEIR: usize = 13;

/// The place of [`v_int`], a view of `t_int`.
pub const VIEW: usize = 14;

diesel::table! { t_int (id) { id -> Integer, n -> Nullable<Integer>, s -> Nullable<Text>, } }
diesel::table! { t_big (id) { id -> BigInt, n -> Nullable<Integer>, s -> Nullable<Text>, } }
diesel::table! { t_small (id) { id -> SmallInt, n -> Nullable<Integer>, s -> Nullable<Text>, } }
diesel::table! { t_text (id) { id -> Text, n -> Nullable<Integer>, s -> Nullable<Text>, } }
diesel::table! { t_ci (id) { id -> Text, n -> Nullable<Integer>, s -> Nullable<Text>, } }
diesel::table! { t_uuid (id) { id -> Uuid, n -> Nullable<Integer>, s -> Nullable<Text>, } }
diesel::table! { t_bytes (id) { id -> Binary, n -> Nullable<Integer>, s -> Nullable<Text>, } }
diesel::table! { t_date (id) { id -> Date, n -> Nullable<Integer>, s -> Nullable<Text>, } }
diesel::table! { t_ts (id) { id -> Timestamp, n -> Nullable<Integer>, s -> Nullable<Text>, } }
diesel::table! { t_num (id) { id -> Double, n -> Nullable<Integer>, s -> Nullable<Text>, } }
diesel::table! { t_bool (b, i) { b -> Bool, i -> SmallInt, n -> Nullable<Integer>, s -> Nullable<Text>, } }
diesel::table! { t_pair (a, b) { a -> Integer, b -> Text, n -> Nullable<Integer>, s -> Nullable<Text>, } }
diesel::table! {
    #[sql_name = "Odd:Näme"]
    odd (id) {
        #[sql_name = "Id"]
        id -> Integer,
        n -> Nullable<Integer>,
        s -> Nullable<Text>,
    }
}
diesel::table! { t_heir (id) { id -> Integer, n -> Nullable<Integer>, s -> Nullable<Text>, } }
diesel::table! { v_int (id) { id -> Integer, n -> Nullable<Integer>, s -> Nullable<Text>, } }
diesel::table! { plain_a (id) { id -> Integer, n -> Nullable<Integer>, s -> Nullable<Text>, } }

macro_rules! models {
    ($($model:ident($table:ident, $($key:ident),+);)+) => {
        $(
            #[derive(Tracked)]
            #[diesel(table_name = $table, primary_key($($key),+))]
            struct $model;
        )+
    };
}

models! {
    Int(t_int, id);
    Big(t_big, id);
    Small(t_small, id);
    Text(t_text, id);
    Folded(t_ci, id);
    Uuid(t_uuid, id);
    Bytes(t_bytes, id);
    Date(t_date, id);
    Moment(t_ts, id);
    Numeric(t_num, id);
    Bool(t_bool, b, i);
    Pair(t_pair, a, b);
    Odd(odd, id);
    Heir(t_heir, id);
    View(v_int, id);
}
