//! SQLite.

use super::{LOG, also, note, seen};
use crate::schema::{Effect, Event, Kind, Schema, Trigger, View, Writing};
use crate::sql::name;
use crate::value::Type;

pub(super) fn type_name(ty: Type) -> &'static str {
    match ty {
        Type::Small => "SMALLINT",
        Type::Int => "INTEGER",
        Type::Big => "BIGINT",
        Type::Text | Type::Uuid => "TEXT",
        Type::Folded => "TEXT COLLATE NOCASE",
        Type::Bytes => "BLOB",
        Type::Date => "DATE",
        Type::Moment => "TIMESTAMP",
        Type::Numeric => "NUMERIC",
        Type::Bool => "BOOLEAN",
    }
}

/// A value of any type may be in any column.
pub(super) fn raw(column: &str, ty: Type) -> String {
    let column = match ty {
        Type::Folded => {
            format!("CASE typeof({column}) WHEN 'text' THEN lower({column}) ELSE {column} END")
        }
        _ => column.to_owned(),
    };
    format!(
        "(typeof({column}) || ':' || CASE typeof({column}) WHEN 'integer' THEN CAST({column} AS TEXT) \
         WHEN 'real' THEN printf('%!.17g', {column}) WHEN 'null' THEN '' \
         ELSE hex(CAST({column} AS BLOB)) END)"
    )
}

pub(super) fn before() -> Vec<String> {
    vec![format!(
        "CREATE TABLE {LOG} (seq INTEGER PRIMARY KEY AUTOINCREMENT, model INTEGER NOT NULL, raw TEXT NOT NULL)"
    )]
}

pub(super) fn log(schema: &Schema, table: usize) -> Vec<String> {
    let model = schema.tables[table].model;
    let on = name(schema.model(table).name, Kind::Sqlite);
    let one = |event| {
        let (word, rows) = seen(event);
        let notes: String = rows
            .iter()
            .map(|row| format!("{}; ", note(schema, model, row)))
            .collect();
        format!("CREATE TRIGGER log_{model}_{word} AFTER {word} ON {on} BEGIN {notes}END")
    };
    [Event::Insert, Event::Update, Event::Delete]
        .map(one)
        .into()
}

pub(super) fn trigger(schema: &Schema, at: usize, trigger: &Trigger) -> Vec<String> {
    let (word, _) = seen(trigger.event);
    let on = name(schema.model(trigger.table).name, Kind::Sqlite);
    let Some(does) = also(&trigger.does, schema) else {
        return Vec::new();
    };
    let (when, end) = match trigger.does {
        Effect::Instead(_) => ("BEFORE", "; SELECT RAISE(IGNORE)"),
        _ => ("AFTER", ""),
    };
    vec![format!(
        "CREATE TRIGGER also_{at} {when} {word} ON {on} BEGIN {does}{end}; END"
    )]
}

pub(super) fn writing(schema: &Schema, view: &View) -> Vec<String> {
    if view.writing != Writing::Triggers {
        return Vec::new();
    }
    let base = name(schema.model(view.base).name, Kind::Sqlite);
    let key = super::first_key(schema, view.base);
    let one = |(word, does): (&str, String)| {
        format!(
            "CREATE TRIGGER {}_{word} INSTEAD OF {word} ON {} BEGIN {does}; END",
            view.name, view.name
        )
    };
    [
        (
            "INSERT",
            format!("INSERT INTO {base} ({key}, n, s) VALUES (NEW.id, NEW.n, NEW.s)"),
        ),
        (
            "UPDATE",
            format!("UPDATE {base} SET {key} = NEW.id, n = NEW.n, s = NEW.s WHERE {key} = OLD.id"),
        ),
        ("DELETE", format!("DELETE FROM {base} WHERE {key} = OLD.id")),
    ]
    .map(one)
    .into()
}
