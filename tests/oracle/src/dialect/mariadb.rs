//! MariaDB. Its triggers do not run for the rows that foreign keys change: there, only snapshots tell.

use super::{LOG, also, first_key, note, other_key, place, seen};
use crate::schema::{Effect, Event, Schema, Trigger};
use crate::value::Type;

/// The database that everything is in.
pub const DATABASE: &str = "oracle";

pub(super) fn type_name(ty: Type) -> &'static str {
    match ty {
        Type::Small => "SMALLINT",
        Type::Int => "INT",
        Type::Big => "BIGINT",
        Type::Text => "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin",
        Type::Folded => "VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
        Type::Uuid => "UUID",
        Type::Bytes => "VARBINARY(32)",
        Type::Date => "DATE",
        Type::Moment => "DATETIME(3)",
        Type::Numeric => "DECIMAL(12, 3)",
        Type::Bool => "BOOLEAN",
    }
}

pub(super) fn raw(column: &str, ty: Type) -> String {
    let text = match ty {
        Type::Text => format!("hex(rtrim({column}))"),
        // As many texts are equal as have this in common.
        Type::Folded => format!("hex(weight_string(rtrim({column})))"),
        Type::Bytes => format!("hex({column})"),
        Type::Uuid => format!("lower(CAST({column} AS CHAR))"),
        _ => format!("CAST({column} AS CHAR)"),
    };
    format!("coalesce({text}, 'null')")
}

pub(super) fn before() -> Vec<String> {
    vec![
        format!("DROP DATABASE IF EXISTS {DATABASE}"),
        format!("CREATE DATABASE {DATABASE}"),
        format!("USE {DATABASE}"),
        format!(
            "CREATE TABLE {LOG} (seq BIGINT PRIMARY KEY AUTO_INCREMENT, model INT NOT NULL, raw TEXT NOT NULL)"
        ),
    ]
}

pub(super) fn routine(at: usize, body: &str) -> [String; 2] {
    [
        format!("CREATE PROCEDURE does_{at}() BEGIN {body}; END"),
        format!("CREATE FUNCTION gives_{at}() RETURNS INT BEGIN {body}; RETURN 7; END"),
    ]
}

pub(super) fn log(schema: &Schema, table: usize) -> Vec<String> {
    let model = schema.tables[table].model;
    let on = place(schema, table);
    let one = |event| {
        let (word, rows) = seen(event);
        let notes: String = rows
            .iter()
            .map(|row| format!("{}; ", note(schema, model, row)))
            .collect();
        format!(
            "CREATE TRIGGER log_{model}_{word} AFTER {word} ON {on} FOR EACH ROW BEGIN {notes}END"
        )
    };
    [Event::Insert, Event::Update, Event::Delete]
        .map(one)
        .into()
}

pub(super) fn trigger(schema: &Schema, at: usize, trigger: &Trigger) -> Vec<String> {
    let (word, _) = seen(trigger.event);
    let does = match (&trigger.does, also(&trigger.does, schema)) {
        (Effect::Rekey(value), _) => format!(
            "SET NEW.{} = {}",
            first_key(schema, trigger.table),
            other_key(schema, trigger.table, *value)
        ),
        (_, sql) => sql.unwrap_or_default(),
    };
    let when = match trigger.does {
        Effect::Rekey(_) => "BEFORE",
        _ => "AFTER",
    };
    vec![format!(
        "CREATE TRIGGER also_{at} {when} {word} ON {} FOR EACH ROW BEGIN {does}; END",
        place(schema, trigger.table)
    )]
}
