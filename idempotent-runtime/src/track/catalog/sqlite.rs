//! SQLite's schema: what it does not keep in tables is read from its CREATE statements.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use diesel::sql_types::{BigInt, Nullable, Text};
use diesel::{QueryResult, QueryableByName, RunQueryDsl, SqliteConnection, sql_query};
use sqlparser::tokenizer::Token;

use super::{Action, Catalog, Fill, Name, Place, Reference, Rekeys, Source, Trigger};
use crate::track::fold;
use crate::track::statement::change::{Change, Columns};
use crate::track::statement::{Dialect, ROWIDS, is_blank, is_keyword};

mod collations;

use collations::Collations;

#[derive(QueryableByName)]
struct Text1 {
    #[diesel(sql_type = Text)]
    value: String,
}

#[derive(QueryableByName)]
struct Object {
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    owner: String,
    #[diesel(sql_type = Text)]
    sql: String,
}

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    owner: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    key: i64,
    #[diesel(sql_type = Text)]
    kind: String,
    /// It may be NULL, and is where it is not given.
    #[diesel(sql_type = BigInt)]
    optional: i64,
    /// It has a default value.
    #[diesel(sql_type = BigInt)]
    defaulted: i64,
}

/// A column of a unique index that is no primary key of a WITHOUT ROWID table.
#[derive(QueryableByName)]
struct Indexed {
    #[diesel(sql_type = Text)]
    owner: String,
    #[diesel(sql_type = Text)]
    index_name: String,
    /// None for an expression.
    #[diesel(sql_type = Nullable<Text>)]
    column: Option<String>,
    #[diesel(sql_type = Text)]
    collation: String,
    #[diesel(sql_type = BigInt)]
    partial: i64,
}

#[derive(QueryableByName)]
struct Link {
    #[diesel(sql_type = Text)]
    child: String,
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Text)]
    parent: String,
    #[diesel(sql_type = Text)]
    child_column: String,
    #[diesel(sql_type = Nullable<Text>)]
    column: Option<String>,
    #[diesel(sql_type = Text)]
    on_update: String,
    #[diesel(sql_type = Text)]
    on_delete: String,
}

/// One of a connection's schemas: its own, the temporary or an attached one.
struct Schema {
    name: String,
    objects: Vec<Object>,
    columns: Vec<Column>,
    indexed: Vec<Indexed>,
    links: BTreeMap<(String, i64), Vec<Link>>,
}

impl Catalog {
    /// Reads the schemas of an SQLite connection.
    pub(crate) fn load_sqlite(conn: &mut SqliteConnection) -> QueryResult<Self> {
        let returning = has_returning(&one(conn, "SELECT sqlite_version() AS value")?);
        let names = sql_query("SELECT name AS value FROM pragma_database_list");
        let names = names.load::<Text1>(conn)?.into_iter();
        let schemas: Vec<_> = names
            .map(|name| Schema::read(conn, &name.value))
            .collect::<QueryResult<_>>()?;
        let mut catalog = Self {
            folds: true,
            replaces: true,
            ..Self::default()
        };
        schemas
            .iter()
            .for_each(|schema| schema.relations(returning, &mut catalog));
        // Only now is every name there that a text may mention.
        schemas.iter().for_each(|schema| schema.texts(&mut catalog));
        Ok(catalog)
    }
}

fn one(conn: &mut SqliteConnection, sql: &str) -> QueryResult<String> {
    sql_query(sql)
        .get_result::<Text1>(conn)
        .map(|row| row.value)
}

/// RETURNING came with 3.35.
fn has_returning(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next(), numbers.next()) >= (Some(3), Some(35))
}

impl Schema {
    fn read(conn: &mut SqliteConnection, database: &str) -> QueryResult<Self> {
        let master = format!("\"{}\".sqlite_master", database.replace('"', "\"\""));
        let literal = format!("'{}'", database.replace('\'', "''"));
        // To ask a virtual table for its columns needs its module.
        let plain = "CASE WHEN m.type = 'table' AND m.sql NOT LIKE 'CREATE VIRTUAL%' THEN m.name ELSE '' END";
        let objects = format!(
            "SELECT type AS kind, name, tbl_name AS owner, coalesce(sql, '') AS sql FROM {master} \
             WHERE type IN ('table', 'view', 'trigger') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        );
        let columns = format!(
            "SELECT m.name AS owner, c.name AS name, CAST(c.pk AS BIGINT) AS key, upper(c.type) AS kind, \
             CAST(c.\"notnull\" = 0 AND c.dflt_value IS NULL AS BIGINT) AS optional, \
             CAST(c.dflt_value IS NOT NULL AS BIGINT) AS defaulted \
             FROM {master} m, pragma_table_info({plain}, {literal}) c ORDER BY m.name, c.cid"
        );
        let indexed = format!(
            "SELECT m.name AS owner, l.name AS index_name, i.name AS \"column\", upper(i.coll) AS collation, CAST(l.partial AS BIGINT) AS partial \
             FROM {master} m, pragma_index_list({plain}, {literal}) l, pragma_index_xinfo(l.name, {literal}) i \
             WHERE l.\"unique\" AND i.key ORDER BY m.name, l.name, i.seqno"
        );
        let links = format!(
            "SELECT m.name AS child, CAST(f.id AS BIGINT) AS id, f.\"table\" AS parent, \
             f.\"from\" AS child_column, f.\"to\" AS \"column\", f.on_update AS on_update, \
             f.on_delete AS on_delete FROM {master} m, pragma_foreign_key_list({plain}, {literal}) f"
        );
        let mut grouped: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for link in sql_query(links).load::<Link>(conn)? {
            let key = (link.child.clone(), link.id);
            grouped.entry(key).or_default().push(link);
        }
        Ok(Self {
            name: database.to_owned(),
            objects: sql_query(objects).load(conn)?,
            columns: sql_query(columns).load(conn)?,
            indexed: sql_query(indexed).load(conn)?,
            links: grouped,
        })
    }

    fn relations(&self, returning: bool, catalog: &mut Catalog) {
        for object in self
            .objects
            .iter()
            .filter(|object| object.kind != "trigger")
        {
            self.relation(object, returning, catalog);
        }
        for links in self.links.values() {
            self.reference(links, catalog);
        }
    }

    fn texts(&self, catalog: &mut Catalog) {
        for object in &self.objects {
            match object.kind.as_str() {
                "trigger" => trigger(object, catalog),
                "view" => view(object, catalog),
                _ => {}
            }
        }
    }

    fn relation(&self, object: &Object, returning: bool, catalog: &mut Catalog) {
        let words = keywords(&object.sql);
        let is_virtual = words.get(1).is_some_and(|word| word == "VIRTUAL");
        let collations = Collations::of(&object.sql);
        let own = self
            .columns
            .iter()
            .filter(|column| column.owner == object.name);
        let columns: HashMap<_, _> = own
            .clone()
            .map(|column| (column.name.clone(), collations.reading(&column.name)))
            .collect();
        let relation = catalog.entry(&name(&object.name));
        relation.merge(
            columns,
            object.kind == "view" || is_virtual || !returning,
            format!("{}.{}", quoted(&self.name), quoted(&object.name)),
        );
        let single = matches!(relation.place, Place::One(_));
        // Of another schema's table of this name these would be other ones.
        relation.unique = self.unique(&object.name, &collations).filter(|_| single);
        relation.order = match single {
            true => own.map(|column| fold(&column.name)).collect(),
            false => Vec::new(),
        };
        relation.fills = match single {
            true => self.fills(&object.name),
            false => HashMap::new(),
        };
        relation.defaulted = self
            .columns
            .iter()
            .filter(|column| column.owner == object.name && column.defaulted != 0)
            .map(|column| fold(&column.name))
            .collect();
        let on_conflict = |what| {
            words
                .windows(2)
                .any(|pair| pair[0] == "CONFLICT" && pair[1] == what)
        };
        relation.replaces |= on_conflict("REPLACE");
        relation.stops |= on_conflict("FAIL");
    }

    /// Its unique indexes by folded columns, if all are made of columns as these compare, that are set by name, and hold
    /// for all rows.
    fn unique(&self, table: &str, collations: &Collations) -> Option<Vec<Vec<String>>> {
        let mut indexes: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for indexed in self.indexed.iter().filter(|indexed| indexed.owner == table) {
            let column = indexed.column.as_deref().filter(|column| {
                indexed.partial == 0 && collations.declared(column) == Some(&*indexed.collation)
            })?;
            if self.is_generated(table, column) || self.rounds(table, column) {
                return None;
            }
            let columns = indexes.entry(&indexed.index_name).or_default();
            columns.push(fold(column));
        }
        let key: Vec<_> = self.key(table).iter().map(|column| fold(column)).collect();
        let keys = (!key.is_empty()).then_some(key);
        Some(keys.into_iter().chain(indexes.into_values()).collect())
    }

    /// `table_info` leaves such columns out.
    fn is_generated(&self, table: &str, column: &str) -> bool {
        !self
            .columns
            .iter()
            .any(|known| fold(&known.owner) == fold(table) && fold(&known.name) == fold(column))
    }

    /// It keeps a whole number as a real one, which for large ones is another.
    fn rounds(&self, table: &str, column: &str) -> bool {
        self.columns.iter().any(|known| {
            let own = fold(&known.owner) == fold(table) && fold(&known.name) == fold(column);
            let real = ["REAL", "FLOA", "DOUB"];
            own && real.iter().any(|kind| known.kind.contains(kind))
        })
    }

    fn fills(&self, table: &str) -> HashMap<String, Fill> {
        let own = self.columns.iter().filter(|column| column.owner == table);
        let keys = own.clone().filter(|column| column.key > 0).count();
        let counts = |column: &Column| {
            // A key with a default value may be none that counts.
            column.key > 0 && keys == 1 && column.kind == "INTEGER" && column.defaulted == 0
        };
        let fill = |column: &Column| match () {
            () if counts(column) => Some(Fill::Serial),
            () if column.optional != 0 => Some(Fill::Null),
            () => None,
        };
        own.filter_map(|column| Some((fold(&column.name), fill(column)?)))
            .collect()
    }

    fn reference(&self, links: &[Link], catalog: &mut Catalog) {
        let Some(first) = links.first() else {
            return;
        };
        let named: Option<Vec<_>> = links.iter().map(|link| link.column.clone()).collect();
        let parents = named.unwrap_or_else(|| self.key(&first.parent));
        let mut columns: BTreeSet<_> = ROWIDS.map(str::to_owned).into();
        columns.extend(parents.iter().map(|column| fold(column)));
        // What it is made of may be any of the others.
        let made = |column: &String| self.is_generated(&first.parent, column);
        if parents.iter().any(made) {
            let others = self.columns.iter();
            let others = others.filter(|column| fold(&column.owner) == fold(&first.parent));
            columns.extend(others.map(|column| fold(&column.name)));
        }
        let own = links.iter().map(|link| link.child_column.clone());
        let reference = Reference {
            child: name(&first.child),
            columns,
            child_columns: links.iter().map(|link| fold(&link.child_column)).collect(),
            pairs: match parents.len() == links.len() {
                true => own.zip(parents).collect(),
                false => Vec::new(),
            },
            on_delete: action(&first.on_delete),
            on_update: action(&first.on_update),
        };
        catalog
            .entry(&name(&first.parent))
            .references
            .push(reference);
    }

    /// A foreign key that names no columns refers to the primary key.
    fn key(&self, table: &str) -> Vec<String> {
        let mut own: Vec<_> = self
            .columns
            .iter()
            .filter(|column| column.key > 0 && fold(&column.owner) == fold(table))
            .collect();
        own.sort_by_key(|column| column.key);
        own.into_iter().map(|column| column.name.clone()).collect()
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn name(name: &str) -> Name {
    fold(name).into()
}

fn action(action: &str) -> Action {
    match action {
        "CASCADE" => Action::Cascade,
        "SET NULL" | "SET DEFAULT" => Action::Set,
        _ => Action::Nothing,
    }
}

/// The words of a statement in upper case, up to what cannot be read.
fn keywords(sql: &str) -> Vec<String> {
    let tokens = Dialect::Sqlite.tokens(sql).unwrap_or_default();
    let words = tokens.iter().filter_map(|token| match &token.token {
        Token::Word(word) if word.quote_style.is_none() => Some(word.value.to_ascii_uppercase()),
        _ => None,
    });
    words.collect()
}

fn view(object: &Object, catalog: &mut Catalog) {
    let view = name(&object.name);
    // A view is changed by its INSTEAD OF triggers alone, which say by themselves what they change.
    for base in Source::mentions(&object.sql, catalog).tables {
        if base != view {
            catalog.entry(&base).views.insert(view.clone());
        }
    }
}

fn trigger(object: &Object, catalog: &mut Catalog) {
    let parts = trigger_parts(&object.sql);
    let before = parts.as_ref().is_some_and(|parts| parts.before);
    let (on, body) = parts.map_or((Change::any(), object.sql.clone()), |parts| {
        (parts.on, parts.body)
    });
    // `RAISE(IGNORE)` after a change leaves it out of RETURNING, and `RAISE(FAIL)` keeps the rows before the error,
    // those of whatever statement has set off this trigger, too.
    catalog.stops |= says(&body, "FAIL");
    let trigger = Trigger {
        on,
        rekeys: Rekeys::Never,
        hides: says(&body, "IGNORE") && !before,
        does: Source::mentions(&body, catalog),
    };
    catalog.entry(&name(&object.owner)).triggers.push(trigger);
}

fn says(body: &str, keyword: &str) -> bool {
    body.split(|c: char| !c.is_alphanumeric())
        .any(|word| word.eq_ignore_ascii_case(keyword))
}

/// What `CREATE TRIGGER` says.
struct Parts {
    on: Change,
    before: bool,
    body: String,
}

/// The event and the body. The table between them is not the body's.
fn trigger_parts(sql: &str) -> Option<Parts> {
    let mut tokens = Dialect::Sqlite.tokens(sql).ok()?;
    tokens.retain(|token| !is_blank(token));
    let keyword = |word| move |token: &_| is_keyword(token, word);
    let place = |word| tokens.iter().position(|token| keyword(word)(&token.token));
    let event = &tokens[..place("ON")?];
    let has = |word| event.iter().any(|token| keyword(word)(&token.token));
    let on = Change {
        insert: has("INSERT"),
        delete: has("DELETE"),
        update: if has("UPDATE") {
            Columns::All
        } else {
            Columns::None
        },
        truncate: None,
    };
    let body = tokens[place("BEGIN")?..]
        .iter()
        .map(|token| token.token.to_string());
    Some(Parts {
        // It is BEFORE where nothing is said.
        before: !has("AFTER"),
        on,
        body: body.collect::<Vec<_>>().join(" "),
    })
}

#[cfg(test)]
mod tests;
