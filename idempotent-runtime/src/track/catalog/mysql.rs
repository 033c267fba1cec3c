//! The schema of a MySQL or MariaDB server, from `information_schema`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use diesel::mysql::MysqlConnection;
use diesel::{QueryResult, RunQueryDsl, sql_query};

use super::source::words;
use super::{Action, Catalog, Fill, Kind, Name, Reading, Reference, Rekeys, Source, Trigger};
use crate::track::fold;
use crate::track::statement::change::{Change, Columns};
use queries::{
    ACTIONS, ActionRow, CODE, COLUMNS, CodeRow, ColumnRow, CountRow, INDEXES, ISOLATION, IndexRow,
    LINKS, LinkRow, MODE, SEES_TRIGGERS, SettingRow, TABLES, TableRow,
};

mod queries;

impl Catalog {
    /// Reads the schemas that the connection's user may see.
    pub(crate) fn load_mysql(conn: &mut MysqlConnection) -> QueryResult<Self> {
        let mode = sql_query(MODE).get_result::<SettingRow>(conn)?.value;
        let mut catalog = Self {
            folds: true,
            quiet_keys: true,
            // MariaDB has it for INSERT and DELETE, but a prepared statement does not say so before it has run, and so
            // Diesel cannot load what it returns.
            returning: false,
            unrepeatable: !repeats(conn),
            lenient: !mode.contains("STRICT"),
            numbers_zeros: !mode.contains("NO_AUTO_VALUE_ON_ZERO"),
            strange: mode.contains("ANSI_QUOTES") || mode.contains("NO_BACKSLASH_ESCAPES"),
            ..Self::default()
        };
        let mut columns: HashMap<_, Vec<ColumnRow>> = HashMap::new();
        for column in sql_query(COLUMNS).load::<ColumnRow>(conn)? {
            let table = (column.place.clone(), column.owner.clone());
            columns.entry(table).or_default().push(column);
        }
        let mut tables: Vec<TableRow> = sql_query(TABLES).load(conn)?;
        let seen = Seen::of(&tables);
        tables.retain(|table| seen.counts(&table.place, &table.name));
        for table in tables {
            let columns = columns.remove(&(table.place.clone(), table.name.clone()));
            relation(&table, &columns.unwrap_or_default(), &mut catalog);
        }
        let mut rows: Vec<IndexRow> = sql_query(INDEXES).load(conn)?;
        rows.retain(|row| seen.counts(&row.place, &row.owner));
        indexes(rows, &mut catalog);
        let mut links: Vec<LinkRow> = sql_query(LINKS).load(conn)?;
        links.retain(|row| seen.counts(&row.parent_place, &row.parent));
        references(links, sql_query(ACTIONS).load(conn)?, &mut catalog);
        let mut code: Vec<CodeRow> = Vec::new();
        for query in CODE {
            code.extend(sql_query(query).load(conn)?);
        }
        code.retain(|row| row.kind == "routine" || seen.counts(&row.place, &row.name));
        routines(&code, &mut catalog);
        code.iter().for_each(|row| text(row, &mut catalog));
        if !sees_triggers(conn)? {
            hidden_triggers(&mut catalog);
        }
        Ok(catalog)
    }
}

/// The tables of the database that the connection is in. One of another database that has the name of one of these is
/// left out: a statement that names that database is planned without the catalog.
struct Seen(HashMap<String, String>);

impl Seen {
    fn of(tables: &[TableRow]) -> Self {
        let own = tables.iter().filter(|table| table.own);
        Self(
            own.map(|table| (fold(&table.name), table.place.clone()))
                .collect(),
        )
    }

    fn counts(&self, place: &str, table: &str) -> bool {
        self.0.get(&fold(table)).is_none_or(|own| own == place)
    }
}

fn sees_triggers(conn: &mut MysqlConnection) -> QueryResult<bool> {
    for query in SEES_TRIGGERS {
        if sql_query(query).get_result::<CountRow>(conn)?.count > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the session's transactions see the same rows twice.
fn repeats(conn: &mut MysqlConnection) -> bool {
    let mut asked = ISOLATION
        .iter()
        .map(|query| sql_query(*query).get_result::<SettingRow>(conn));
    let isolation = asked.find_map(Result::ok).map(|row| row.value);
    matches!(
        isolation.as_deref(),
        Some("REPEATABLE-READ" | "SERIALIZABLE")
    )
}

fn name(name: &str) -> Name {
    fold(name).into()
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

fn relation(table: &TableRow, columns: &[ColumnRow], catalog: &mut Catalog) {
    let readable = columns.iter().filter(|column| column.readable);
    let readings = readable.map(|column| (column.name.clone(), reading(column)));
    let relation = catalog.entry(&name(&table.name));
    relation.merge(
        readings.collect(),
        !table.ordinary,
        format!("{}.{}", quoted(&table.place), quoted(&table.name)),
    );
    relation.unlockable |= !columns.iter().any(|column| column.writable);
    relation.unique = Some(Vec::new());
    relation.order = columns.iter().map(|column| fold(&column.name)).collect();
    let fills = columns
        .iter()
        .filter_map(|column| Some((fold(&column.name), fill(column)?)));
    relation.fills = fills.collect();
    let required = columns.iter().filter(|column| column.required);
    relation.required = required.map(|column| fold(&column.name)).collect();
}

fn fill(column: &ColumnRow) -> Option<Fill> {
    match (column.serial, column.optional) {
        (true, _) => Some(Fill::Serial),
        (_, true) => Some(Fill::Null),
        _ => None,
    }
}

/// How a key column is read: texts by what their collation compares, for one text has several spellings in most of
/// them; times independent of the session's time zone.
fn reading(column: &ColumnRow) -> Reading {
    match column.kind.as_str() {
        // It changes with others.
        _ if column.made => Reading::Never,
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" => Reading::Same(Kind::Integer),
        "decimal" | "uuid" | "inet6" | "inet4" => Reading::Plain,
        "year" | "enum" | "set" | "bit" => Reading::Through("({} + 0)"),
        "date" | "datetime" | "time" => Reading::Through("CAST({} AS CHAR)"),
        "timestamp" => Reading::Through("CAST(UNIX_TIMESTAMP({}) AS CHAR)"),
        "float" | "double" => Reading::Through("CAST({} + 0.0 AS CHAR)"),
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
            Reading::Through("CONCAT('0x', LOWER(HEX({})))")
        }
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => {
            match &column.collation {
                Some(collation) if collation.ends_with("_bin") => Reading::TEXT,
                _ => Reading::Through("CONCAT('0x', LOWER(HEX(WEIGHT_STRING(RTRIM({})))))"),
            }
        }
        _ => Reading::Never,
    }
}

fn indexes(rows: Vec<IndexRow>, catalog: &mut Catalog) {
    let mut indexes: BTreeMap<_, Vec<Option<String>>> = BTreeMap::new();
    for row in rows {
        let index = indexes
            .entry((row.place, row.owner, row.index_name))
            .or_default();
        // A prefix is in conflict with other values that begin alike.
        let column = row.column.filter(|_| row.part.is_none());
        index.push(column.as_deref().map(fold));
    }
    for ((_, owner, index), columns) in indexes {
        let relation = catalog.entry(&name(&owner));
        let columns: Option<Vec<_>> = columns.into_iter().collect();
        if index == "PRIMARY" {
            relation.primary = columns.clone().unwrap_or_default();
        }
        match (columns, &mut relation.unique) {
            (Some(columns), Some(unique)) => unique.push(columns),
            _ => relation.unique = None,
        }
    }
}

fn references(rows: Vec<LinkRow>, actions: Vec<ActionRow>, catalog: &mut Catalog) {
    let actions: HashMap<_, _> = actions
        .into_iter()
        .map(|row| {
            (
                (row.place, row.child, row.constraint_name),
                (row.on_delete, row.on_update),
            )
        })
        .collect();
    let mut links: BTreeMap<_, Vec<LinkRow>> = BTreeMap::new();
    for row in rows {
        let link = (
            row.place.clone(),
            row.child.clone(),
            row.constraint_name.clone(),
        );
        links.entry(link).or_default().push(row);
    }
    for (link, links) in links {
        let (Some(first), Some((on_delete, on_update))) = (links.first(), actions.get(&link))
        else {
            continue;
        };
        let parent = name(&first.parent);
        let mut columns: BTreeSet<_> = links.iter().map(|link| fold(&link.column)).collect();
        let relation = catalog.entry(&parent);
        // What a generated column is made of may be any of the others.
        let made = |column: &String| relation.reading(column, true).is_none();
        if columns.iter().any(made) {
            columns.extend(relation.order.iter().cloned());
        }
        let reference = Reference {
            child: name(&first.child),
            columns,
            child_columns: links.iter().map(|link| fold(&link.child_column)).collect(),
            pairs: links
                .iter()
                .map(|link| (link.child_column.clone(), link.column.clone()))
                .collect(),
            on_delete: action(on_delete),
            on_update: action(on_update),
        };
        catalog.entry(&parent).references.push(reference);
    }
}

fn action(action: &str) -> Action {
    match action {
        "CASCADE" => Action::Cascade,
        "SET NULL" | "SET DEFAULT" => Action::Set,
        _ => Action::Nothing,
    }
}

/// Names all functions and procedures before any text is read that may call them.
fn routines(code: &[CodeRow], catalog: &mut Catalog) {
    let routines: Vec<_> = code.iter().filter(|row| row.kind == "routine").collect();
    for row in &routines {
        catalog.functions.entry(name(&row.name)).or_default();
    }
    for row in routines {
        let body = body(row, catalog);
        catalog
            .functions
            .entry(name(&row.name))
            .or_default()
            .add(body);
    }
}

/// A text that may not be seen may do anything.
fn body(row: &CodeRow, catalog: &Catalog) -> Source {
    let Some(text) = &row.text else {
        return Source::every();
    };
    let mut body = Source::mentions(text, catalog);
    body.every = words(&fold(text)).contains("execute");
    body
}

fn text(row: &CodeRow, catalog: &mut Catalog) {
    match row.kind.as_str() {
        "trigger" => trigger(row, catalog),
        "view" => view(row, catalog),
        _ => {}
    }
}

fn view(row: &CodeRow, catalog: &mut Catalog) {
    let view = name(&row.name);
    // Without the right to see the text, nothing is known of what the view reads: as if it read every table.
    let bases = match &row.text {
        Some(text) if !text.is_empty() => Source::mentions(text, catalog).tables,
        _ => catalog.relations.keys().cloned().collect(),
    };
    for base in bases {
        if base != view {
            catalog.reads(&view, &base);
        }
    }
}

fn trigger(row: &CodeRow, catalog: &mut Catalog) {
    let on = match row.event.as_deref() {
        Some("INSERT") => Change::insert(),
        Some("DELETE") => Change::delete(),
        Some("UPDATE") => Change::update(Columns::All),
        _ => Change::any(),
    };
    let words = row.text.as_deref().map(fold);
    let rekeys = match (&words, row.timing.as_deref()) {
        (_, Some("AFTER")) => Rekeys::Never,
        (Some(text), _) => Rekeys::Mentioned(words_of(text)),
        (None, _) => Rekeys::Always,
    };
    let trigger = Trigger {
        on,
        rekeys,
        hides: false,
        does: body(row, catalog),
    };
    catalog.entry(&name(&row.name)).triggers.push(trigger);
}

fn words_of(text: &str) -> std::collections::HashSet<String> {
    words(text).into_iter().map(str::to_owned).collect()
}

/// Triggers are shown to those alone who may create them: to all others any change may be one of anything.
fn hidden_triggers(catalog: &mut Catalog) {
    tracing::warn!(
        "this database user may not see the triggers of its tables, so that every change counts for all tables: GRANT TRIGGER ON its database"
    );
    for relation in catalog.relations.values_mut() {
        relation.triggers.push(Trigger {
            on: Change::any(),
            rekeys: Rekeys::Always,
            hides: false,
            does: Source::every(),
        });
    }
}

#[cfg(test)]
mod tests;
