//! PostgreSQL.

use super::{LOG, also, first_key, note, other_key, part_name, place, seen};
use crate::schema::{Effect, Event, PARTS, Schema, Trigger, View, Writing};
use crate::value::Type;

pub(super) fn type_name(ty: Type) -> &'static str {
    match ty {
        Type::Small => "smallint",
        Type::Int => "integer",
        Type::Big => "bigint",
        Type::Text => "text",
        Type::Folded => "text COLLATE public.folded",
        Type::Uuid => "uuid",
        Type::Bytes => "bytea",
        Type::Date => "date",
        Type::Moment => "timestamptz",
        Type::Numeric => "numeric",
        Type::Bool => "boolean",
    }
}

pub(super) fn raw(column: &str, ty: Type) -> String {
    let text = match ty {
        Type::Small | Type::Int | Type::Big | Type::Uuid => format!("{column}::text"),
        Type::Text => format!("encode(convert_to({column}, 'UTF8'), 'hex')"),
        // As many texts are equal as have this in common.
        Type::Folded => format!("hashtextextended({column}, 0)::text"),
        Type::Bytes => format!("encode({column}, 'hex')"),
        Type::Date => format!("encode(date_send({column}), 'hex')"),
        Type::Moment => format!("encode(timestamptz_send({column}), 'hex')"),
        Type::Numeric => format!("trim_scale({column})::text"),
        Type::Bool => format!("{column}::text"),
    };
    format!("coalesce({text}, 'null')")
}

pub(super) fn before() -> Vec<String> {
    [
        "DROP SCHEMA IF EXISTS app CASCADE",
        "DROP SCHEMA public CASCADE",
        "CREATE SCHEMA public",
        "CREATE SCHEMA app",
        "CREATE COLLATION public.folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
    ]
    .map(str::to_owned)
    .into_iter()
    .chain([format!(
        "CREATE TABLE {LOG} (seq bigserial PRIMARY KEY, model integer NOT NULL, raw text NOT NULL)"
    )])
    .collect()
}

pub(super) fn parts(schema: &Schema, table: usize) -> Vec<String> {
    (0..PARTS)
        .map(|part| {
            format!(
                "CREATE TABLE {} PARTITION OF {} FOR VALUES WITH (MODULUS {PARTS}, REMAINDER {part})",
                part_name(schema, table, part),
                place(schema, table)
            )
        })
        .collect()
}

pub(super) fn routine(at: usize, body: &str) -> [String; 2] {
    [
        format!("CREATE PROCEDURE does_{at}() LANGUAGE plpgsql AS $$ BEGIN {body}; END $$"),
        format!(
            "CREATE FUNCTION gives_{at}() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN {body}; RETURN 7; END $$"
        ),
    ]
}

/// The rows of an heir are its parent's, too, but its parent's triggers are not its own.
pub(super) fn log(schema: &Schema, table: usize) -> Vec<String> {
    let model = schema.tables[table].model;
    let mut models = vec![model];
    if let crate::schema::Storage::Inherits(parent) = schema.tables[table].storage {
        models.push(schema.tables[parent].model);
    }
    let notes = |row: &str| -> String {
        let each = models
            .iter()
            .map(|model| format!("{}; ", note(schema, *model, row)));
        each.collect()
    };
    let function = format!(
        "CREATE FUNCTION log_{model}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF TG_OP <> 'INSERT' THEN {} END IF; IF TG_OP <> 'DELETE' THEN {} END IF; RETURN NULL; END $$",
        notes("OLD"),
        notes("NEW"),
    );
    let trigger = format!(
        "CREATE TRIGGER log_{model} AFTER INSERT OR UPDATE OR DELETE ON {} FOR EACH ROW EXECUTE FUNCTION log_{model}()",
        place(schema, table)
    );
    vec![function, trigger]
}

pub(super) fn trigger(schema: &Schema, at: usize, trigger: &Trigger) -> Vec<String> {
    let (word, rows) = seen(trigger.event);
    let sql = also(&trigger.does, schema);
    if let (Effect::Rule(_), Some(does)) = (&trigger.does, &sql) {
        let on = place(schema, trigger.table);
        return vec![format!(
            "CREATE RULE also_{at} AS ON {word} TO {on} DO ALSO {does}"
        )];
    }
    let does = match (&trigger.does, sql) {
        (Effect::Dynamic(_), Some(sql)) => format!("EXECUTE '{}'", sql.replace('\'', "''")),
        (Effect::Rekey(value), _) => format!(
            "NEW.{} := {}",
            first_key(schema, trigger.table),
            other_key(schema, trigger.table, *value)
        ),
        (_, sql) => sql.unwrap_or_default(),
    };
    let (when, result) = match trigger.does {
        Effect::Instead(_) => ("BEFORE", "NULL"),
        Effect::Rekey(_) => ("BEFORE", "NEW"),
        Effect::Together(_) | Effect::Deferred(_) => ("AFTER", "NULL"),
        _ => ("AFTER", rows[0]),
    };
    let (constraint, deferred, each) = match trigger.does {
        Effect::Together(_) => ("", "", "STATEMENT"),
        Effect::Deferred(_) => ("CONSTRAINT ", "DEFERRABLE INITIALLY DEFERRED ", "ROW"),
        _ => ("", "", "ROW"),
    };
    vec![
        format!(
            "CREATE FUNCTION also_{at}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {does}; RETURN {result}; END $$"
        ),
        format!(
            "CREATE {constraint}TRIGGER also_{at} {when} {word} ON {} {deferred}FOR EACH {each} EXECUTE FUNCTION also_{at}()",
            place(schema, trigger.table)
        ),
    ]
}

pub(super) fn writing(schema: &Schema, view: &View) -> Vec<String> {
    let base = place(schema, view.base);
    let key = first_key(schema, view.base);
    match view.writing {
        Writing::Updatable => Vec::new(),
        Writing::Triggers => instead_of(view, &base, &key),
        Writing::Rules => rules(view, &base, &key),
    }
}

fn changes(base: &str, key: &str) -> [(&'static str, Event, String); 3] {
    [
        (
            "INSERT",
            Event::Insert,
            format!("INSERT INTO {base} ({key}, n, s) VALUES (NEW.id, NEW.n, NEW.s)"),
        ),
        (
            "UPDATE",
            Event::Update,
            format!("UPDATE {base} SET {key} = NEW.id, n = NEW.n, s = NEW.s WHERE {key} = OLD.id"),
        ),
        (
            "DELETE",
            Event::Delete,
            format!("DELETE FROM {base} WHERE {key} = OLD.id"),
        ),
    ]
}

fn rules(view: &View, base: &str, key: &str) -> Vec<String> {
    let one = |(word, _, does): (&str, Event, String)| {
        format!(
            "CREATE RULE {0}_{word} AS ON {word} TO {0} DO INSTEAD {does}",
            view.name
        )
    };
    changes(base, key).map(one).into()
}

fn instead_of(view: &View, base: &str, key: &str) -> Vec<String> {
    let one = |(word, event, does): (&str, Event, String)| {
        let row = seen(event).1[0];
        let function = format!("{}_{word}", view.name);
        [
            format!(
                "CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {does}; RETURN {row}; END $$"
            ),
            format!(
                "CREATE TRIGGER {function} INSTEAD OF {word} ON {} FOR EACH ROW EXECUTE FUNCTION {function}()",
                view.name
            ),
        ]
    };
    changes(base, key).map(one).into_iter().flatten().collect()
}
