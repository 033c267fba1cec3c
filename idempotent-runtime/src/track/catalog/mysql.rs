//! The schema of a MySQL or MariaDB server, from `information_schema`.

use std::collections::{BTreeMap, HashMap};

use diesel::mysql::MysqlConnection;
use diesel::{QueryResult, RunQueryDsl, sql_query};

use super::source::words;
use super::{Action, Catalog, Fill, Name, Reading, Reference, Rekeys, Source, Trigger};
use crate::track::fold;
use crate::track::statement::change::{Change, Columns};
use queries::{
    CODE, COLUMNS, CodeRow, ColumnRow, INDEXES, ISOLATION, IndexRow, IsolationRow, LINKS, LinkRow,
    SERVER, ServerRow, TABLES, TableRow,
};

mod queries;

impl Catalog {
    /// Reads the schemas that the connection's user may see.
    pub(crate) fn load_mysql(conn: &mut MysqlConnection) -> QueryResult<Self> {
        let server: ServerRow = sql_query(SERVER).get_result(conn)?;
        let mut catalog = Self {
            folds: true,
            quiet_keys: true,
            // MariaDB has it for INSERT and DELETE, but a prepared statement does not say so before it has run, and so
            // Diesel cannot load what it returns.
            returning: false,
            unrepeatable: !repeats(conn),
            ..Self::default()
        };
        let mut columns: HashMap<_, Vec<ColumnRow>> = HashMap::new();
        for column in sql_query(COLUMNS).load::<ColumnRow>(conn)? {
            let table = (column.place.clone(), column.owner.clone());
            columns.entry(table).or_default().push(column);
        }
        for table in sql_query(TABLES).load::<TableRow>(conn)? {
            let columns = columns.remove(&(table.place.clone(), table.name.clone()));
            relation(&table, &columns.unwrap_or_default(), &mut catalog);
        }
        indexes(sql_query(INDEXES).load(conn)?, &mut catalog);
        references(sql_query(LINKS).load(conn)?, &mut catalog);
        let code: Vec<CodeRow> = sql_query(CODE).load(conn)?;
        routines(&code, &mut catalog);
        code.iter().for_each(|row| text(row, &mut catalog));
        if !server.sees_triggers {
            hidden_triggers(&mut catalog);
        }
        Ok(catalog)
    }
}

/// Whether the session's transactions see the same rows twice.
fn repeats(conn: &mut MysqlConnection) -> bool {
    let mut asked = ISOLATION
        .iter()
        .map(|query| sql_query(*query).get_result::<IsolationRow>(conn));
    let isolation = asked.find_map(Result::ok).map(|row| row.isolation);
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
    let fills = columns
        .iter()
        .filter_map(|column| Some((fold(&column.name), fill(column)?)));
    relation.fills = fills.collect();
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
        "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" | "uuid" | "inet6"
        | "inet4" => Reading::Plain,
        "year" | "enum" | "set" | "bit" => Reading::Through("({} + 0)"),
        "date" | "datetime" | "time" => Reading::Through("CAST({} AS CHAR)"),
        "timestamp" => Reading::Through("CAST(UNIX_TIMESTAMP({}) AS CHAR)"),
        "float" | "double" => Reading::Through("CAST({} + 0.0 AS CHAR)"),
        "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => {
            Reading::Through("CONCAT('0x', LOWER(HEX({})))")
        }
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => {
            match &column.collation {
                // The spaces at the end do not count in most collations, and to leave them out only ends a record early.
                Some(collation) if collation.ends_with("_bin") => {
                    Reading::Through("CONVERT(RTRIM({}) USING utf8mb4)")
                }
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
    for ((_, owner, _), columns) in indexes {
        let relation = catalog.entry(&name(&owner));
        let columns: Option<Vec<_>> = columns.into_iter().collect();
        match (columns, &mut relation.unique) {
            (Some(columns), Some(unique)) => unique.push(columns),
            _ => relation.unique = None,
        }
    }
}

fn references(rows: Vec<LinkRow>, catalog: &mut Catalog) {
    let mut links: BTreeMap<_, Vec<LinkRow>> = BTreeMap::new();
    for row in rows {
        let link = (
            row.place.clone(),
            row.child.clone(),
            row.constraint_name.clone(),
        );
        links.entry(link).or_default().push(row);
    }
    for links in links.into_values() {
        let Some(first) = links.first() else {
            continue;
        };
        let reference = Reference {
            child: name(&first.child),
            columns: links.iter().map(|link| fold(&link.column)).collect(),
            child_columns: links.iter().map(|link| fold(&link.child_column)).collect(),
            pairs: links
                .iter()
                .map(|link| (link.child_column.clone(), link.column.clone()))
                .collect(),
            on_delete: action(&first.on_delete),
            on_update: action(&first.on_update),
        };
        let parent = name(&first.parent);
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
            does: Source::every(),
        });
    }
}

#[cfg(test)]
mod tests;
