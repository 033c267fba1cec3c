//! What differs between the databases: types, literals, triggers.

pub mod mariadb;
pub mod postgres;
pub mod sqlite;

use crate::models::MODELS;
use crate::schema::{
    Action, Column, Effect, Event, Fill, Keyed, Kind, Reference, Schema, Storage, Table, Trigger,
    View,
};
use crate::sql::{name, plain};
use crate::statement::Relation;
use crate::value::{Type, Value};

/// The schema for tables that are elsewhere (PostgreSQL).
pub const ELSEWHERE: &str = "app";

/// The table that row triggers write to.
pub const LOG: &str = "oracle_log";

/// A value as it stands in SQL.
#[must_use]
pub fn literal(value: Value, kind: Kind) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Default => "DEFAULT".to_owned(),
        Value::Int(number) => number.to_string(),
        Value::Numeric(number) => number.to_owned(),
        Value::Bool(true) => "TRUE".to_owned(),
        Value::Bool(false) => "FALSE".to_owned(),
        Value::Bytes(bytes) if kind == Kind::Postgres => format!("'\\x{}'::bytea", hex(bytes)),
        Value::Bytes(bytes) => format!("X'{}'", hex(bytes)),
        Value::Text(text) => {
            let text = text.replace('\'', "''");
            match kind {
                Kind::Mariadb => format!("'{}'", text.replace('\\', "\\\\")),
                _ => format!("'{text}'"),
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The name of a relation.
#[must_use]
pub fn relation_name(schema: &Schema, relation: Relation) -> String {
    match relation {
        Relation::Table(table) => schema.model(table).name.to_owned(),
        Relation::View(view) => schema.views[view].name.to_owned(),
        Relation::Part(table, part) => part_name(schema, table, part),
    }
}

/// The name of a part of a table.
#[must_use]
pub fn part_name(schema: &Schema, table: usize, part: u32) -> String {
    format!("part_{}_{part}", schema.tables[table].model)
}

/// The schema that a relation is in.
#[must_use]
pub fn namespace(schema: &Schema, relation: Relation) -> &'static str {
    match (schema.kind, relation) {
        (Kind::Sqlite, _) => "main",
        (Kind::Mariadb, _) => mariadb::DATABASE,
        (Kind::Postgres, Relation::Table(table)) if schema.tables[table].elsewhere => ELSEWHERE,
        (Kind::Postgres, _) => "public",
    }
}

/// A table as it is found from anywhere.
#[must_use]
pub fn place(schema: &Schema, table: usize) -> String {
    let own = name(schema.model(table).name, schema.kind);
    match schema.tables[table].elsewhere {
        true => format!("{ELSEWHERE}.{own}"),
        false => own,
    }
}

/// What a database calls a type.
#[must_use]
pub fn type_name(ty: Type, kind: Kind) -> &'static str {
    match kind {
        Kind::Sqlite => sqlite::type_name(ty),
        Kind::Postgres => postgres::type_name(ty),
        Kind::Mariadb => mariadb::type_name(ty),
    }
}

/// SQL that gives a whole key unmistakably, its columns parted by commas. `row`: the table, `OLD` or `NEW`.
#[must_use]
pub fn raw_key(schema: &Schema, model: usize, row: &str) -> String {
    let kind = schema.kind;
    let columns = MODELS[model].key.iter().map(|(column, ty)| {
        let column = format!("{row}.{}", name(column, kind));
        match kind {
            Kind::Sqlite => sqlite::raw(&column, *ty),
            Kind::Postgres => postgres::raw(&column, *ty),
            Kind::Mariadb => mariadb::raw(&column, *ty),
        }
    });
    let columns: Vec<_> = columns.collect();
    match kind {
        Kind::Mariadb => format!("concat_ws(',', {})", columns.join(", ")),
        _ => columns.join(" || ',' || "),
    }
}

/// SQL that gives all of a table's rows: the model's number, the key, and all else.
#[must_use]
pub fn snapshot(schema: &Schema, relation: Relation, model: usize) -> String {
    let from = match relation {
        Relation::Table(table) => place(schema, table),
        other => name(&relation_name(schema, other), schema.kind),
    };
    let content = match (schema.kind, relation) {
        (Kind::Postgres, _) => "r::text".to_owned(),
        (kind, Relation::Table(table)) => content(&schema.tables[table].columns, kind),
        (kind, _) => content_of(["n", "s"], kind),
    };
    let key = raw_key(schema, model, "r");
    format!("SELECT {model} AS model, {key} AS raw, {content} AS content FROM {from} AS r")
}

fn content(columns: &[Column], kind: Kind) -> String {
    content_of(columns.iter().map(|column| column.name), kind)
}

fn content_of<'a>(columns: impl IntoIterator<Item = &'a str>, kind: Kind) -> String {
    let each = columns.into_iter().map(|column| {
        let column = name(column, kind);
        match kind {
            Kind::Mariadb => format!("coalesce(hex(r.{column}), 'NULL')"),
            _ => format!("quote(r.{column})"),
        }
    });
    let each: Vec<_> = each.collect();
    match kind {
        Kind::Mariadb => format!("concat_ws(',', {})", each.join(", ")),
        _ => each.join(" || ',' || "),
    }
}

/// The statements that make a schema, but for what follows from changes: rows can be put in first.
#[must_use]
pub fn tables(schema: &Schema) -> Vec<String> {
    let mut sql = before(schema);
    for (at, table) in schema.tables.iter().enumerate() {
        sql.push(create(schema, at, table));
        if table.storage == Storage::Partitioned && schema.kind == Kind::Postgres {
            sql.extend(postgres::parts(schema, at));
        }
    }
    if schema.kind != Kind::Sqlite {
        sql.extend(references(schema));
    }
    sql.extend(schema.views.iter().map(|view| create_view(schema, view)));
    sql
}

/// The rest: routines, triggers and rules.
#[must_use]
pub fn effects(schema: &Schema) -> Vec<String> {
    let mut sql = Vec::new();
    for (at, body) in schema.routines.iter().enumerate() {
        let body = plain(body, schema);
        match schema.kind {
            Kind::Postgres => sql.extend(postgres::routine(at, &body)),
            Kind::Mariadb => sql.extend(mariadb::routine(at, &body)),
            Kind::Sqlite => {}
        }
    }
    if schema.logged {
        for table in schema.tracked() {
            sql.extend(log(schema, table));
        }
    }
    for (at, trigger) in schema.triggers.iter().enumerate() {
        sql.extend(create_trigger(schema, at, trigger));
    }
    if let Some((table, routine)) = schema.called {
        let table = place(schema, table);
        sql.push(format!(
            "ALTER TABLE {table} ALTER COLUMN n SET DEFAULT gives_{routine}()"
        ));
    }
    for view in &schema.views {
        match schema.kind {
            Kind::Postgres => sql.extend(postgres::writing(schema, view)),
            Kind::Sqlite => sql.extend(sqlite::writing(schema, view)),
            Kind::Mariadb => {}
        }
    }
    sql
}

/// The statements that make a trigger in the middle of a program.
#[must_use]
pub fn late(schema: &Schema, at: usize) -> Vec<String> {
    const BEHIND: usize = 100;
    create_trigger(schema, BEHIND + at, &schema.late[at])
}

fn before(schema: &Schema) -> Vec<String> {
    match schema.kind {
        Kind::Sqlite => sqlite::before(),
        Kind::Postgres => postgres::before(),
        Kind::Mariadb => mariadb::before(),
    }
}

fn create(schema: &Schema, at: usize, table: &Table) -> String {
    let kind = schema.kind;
    let mut parts: Vec<_> = table
        .columns
        .iter()
        .map(|column| declared(table, column, kind))
        .collect();
    parts.extend(key(table, kind));
    if kind == Kind::Sqlite {
        let own = table.references.iter();
        parts.extend(own.map(|reference| constraint(schema, reference)));
    }
    let (place, parts) = (place(schema, at), parts.join(", "));
    let end = match (table.storage, kind) {
        (Storage::WithoutRowid, _) => " WITHOUT ROWID".to_owned(),
        (Storage::Partitioned, Kind::Postgres) => {
            format!(" PARTITION BY HASH ({})", keys(table, kind))
        }
        (Storage::Partitioned, Kind::Mariadb) => {
            format!(" PARTITION BY KEY ({}) PARTITIONS 2", keys(table, kind))
        }
        (Storage::Inherits(parent), _) => format!(" INHERITS ({})", self::place(schema, parent)),
        _ => String::new(),
    };
    format!("CREATE TABLE {place} ({parts}){end}")
}

fn keys(table: &Table, kind: Kind) -> String {
    let names: Vec<_> = table
        .key()
        .iter()
        .map(|column| name(column, kind))
        .collect();
    names.join(", ")
}

/// SQLite makes an integer key its row's own number only where it is declared with the column.
fn key(table: &Table, kind: Kind) -> Option<String> {
    if kind == Kind::Sqlite && table.columns[0].fill == Fill::Counted {
        return None;
    }
    let word = match table.keyed {
        Keyed::Primary => "PRIMARY KEY",
        Keyed::Unique => "UNIQUE",
    };
    Some(format!(
        "{word} ({}){}",
        keys(table, kind),
        clash(&table.columns[0])
    ))
}

fn declared(table: &Table, column: &Column, kind: Kind) -> String {
    let mut sql = format!("{} {}", name(column.name, kind), type_name(column.ty, kind));
    match column.fill {
        Fill::Nothing => {}
        Fill::Value(value) => sql += &format!(" DEFAULT {}", literal(value, kind)),
        Fill::Counted => {
            sql += match kind {
                Kind::Sqlite => " PRIMARY KEY",
                Kind::Postgres => " GENERATED BY DEFAULT AS IDENTITY",
                Kind::Mariadb => " AUTO_INCREMENT",
            }
        }
        Fill::Identity => sql += " GENERATED ALWAYS AS IDENTITY",
        Fill::Generated { stored } => {
            let how = if stored { "STORED" } else { "VIRTUAL" };
            sql += &format!(" GENERATED ALWAYS AS (n * 2) {how}");
        }
    }
    let counted = kind == Kind::Sqlite && column.fill == Fill::Counted;
    if (column.required || table.is_key(column.name)) && !counted {
        sql += " NOT NULL";
    }
    if column.unique {
        sql += " UNIQUE";
        sql += &clash(column);
    }
    sql
}

fn clash(column: &Column) -> String {
    let clash = column.clash.map(|what| format!(" ON CONFLICT {what}"));
    clash.unwrap_or_default()
}

fn references(schema: &Schema) -> Vec<String> {
    let mut sql = Vec::new();
    for (at, table) in schema.tables.iter().enumerate() {
        for reference in &table.references {
            let constraint = constraint(schema, reference);
            sql.push(format!(
                "ALTER TABLE {} ADD {constraint}",
                place(schema, at)
            ));
        }
    }
    sql
}

fn constraint(schema: &Schema, reference: &Reference) -> String {
    let list = |columns: &[&str]| {
        let names: Vec<_> = columns
            .iter()
            .map(|column| name(column, schema.kind))
            .collect();
        names.join(", ")
    };
    let (columns, to) = (list(&reference.columns), list(&reference.to));
    let deferred = if reference.deferred {
        " DEFERRABLE INITIALLY DEFERRED"
    } else {
        ""
    };
    format!(
        "FOREIGN KEY ({columns}) REFERENCES {} ({to}) ON DELETE {} ON UPDATE {}{deferred}",
        place(schema, reference.parent),
        action(reference.on_delete),
        action(reference.on_update),
    )
}

fn action(action: Action) -> &'static str {
    match action {
        Action::Nothing => "NO ACTION",
        Action::Restrict => "RESTRICT",
        Action::Cascade => "CASCADE",
        Action::Null => "SET NULL",
        Action::Default => "SET DEFAULT",
    }
}

fn create_view(schema: &Schema, view: &View) -> String {
    let key = name(schema.tables[view.base].key()[0], schema.kind);
    let base = place(schema, view.base);
    format!(
        "CREATE VIEW {} AS SELECT {key} AS id, n, s FROM {base}",
        view.name
    )
}

fn log(schema: &Schema, table: usize) -> Vec<String> {
    match schema.kind {
        Kind::Sqlite => sqlite::log(schema, table),
        Kind::Postgres => postgres::log(schema, table),
        Kind::Mariadb => mariadb::log(schema, table),
    }
}

/// Which rows, old or new, a trigger on this event sees, and the event's name.
#[must_use]
pub fn seen(event: Event) -> (&'static str, &'static [&'static str]) {
    match event {
        Event::Insert => ("INSERT", &["NEW"]),
        Event::Update => ("UPDATE", &["OLD", "NEW"]),
        Event::Delete => ("DELETE", &["OLD"]),
    }
}

/// The INSERT into the log of a row's key.
#[must_use]
pub fn note(schema: &Schema, model: usize, row: &str) -> String {
    let log = match schema.kind {
        Kind::Postgres => format!("public.{LOG}"),
        _ => LOG.to_owned(),
    };
    format!(
        "INSERT INTO {log} (model, raw) VALUES ({model}, {})",
        raw_key(schema, model, row)
    )
}

fn create_trigger(schema: &Schema, at: usize, trigger: &Trigger) -> Vec<String> {
    match schema.kind {
        Kind::Sqlite => sqlite::trigger(schema, at, trigger),
        Kind::Postgres => postgres::trigger(schema, at, trigger),
        Kind::Mariadb => mariadb::trigger(schema, at, trigger),
    }
}

/// What an effect changes beside the row that set it off.
#[must_use]
pub fn also(effect: &Effect, schema: &Schema) -> Option<String> {
    match effect {
        Effect::Rekey(_) => None,
        Effect::Also(body)
        | Effect::Instead(body)
        | Effect::Dynamic(body)
        | Effect::Together(body)
        | Effect::Rule(body)
        | Effect::Deferred(body) => Some(plain(body, schema)),
    }
}

/// What a trigger that sets keys gives a row: of numbers another for each, so that it can do so twice.
#[must_use]
pub fn other_key(schema: &Schema, table: usize, value: Value) -> String {
    let key = first_key(schema, table);
    match schema.tables[table].columns[0].ty.is_integer() {
        true => format!("NEW.{key} + 17"),
        false => literal(value, schema.kind),
    }
}

/// The first column of a table's key.
#[must_use]
pub fn first_key(schema: &Schema, table: usize) -> String {
    name(schema.tables[table].key()[0], schema.kind)
}
