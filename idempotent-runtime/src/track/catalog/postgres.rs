//! PostgreSQL's schema, from its system catalog.

mod queries;

use std::collections::{HashMap, HashSet};

use diesel::pg::PgConnection;
use diesel::{QueryResult, RunQueryDsl, sql_query};
use sqlparser::tokenizer::Token;

use queries::{
    FUNCTIONS, FunctionRow, INHERITS, InheritsRow, NEEDS, NeedRow, REFERENCES, RELATIONS,
    ReferenceRow, RelationRow, STRINGS, SettingRow, TRIGGERS, TriggerRow,
};

use super::source::words;
use super::{Action, Catalog, Kind, Name, Reading, Reference, Rekeys, Source, Trigger};
use crate::track::fold;
use crate::track::statement::change::{Cascade, Change, Columns};
use crate::track::statement::{Dialect, is_blank, is_keyword};

/// Trigger functions in C that set no key and change no other row.
const HARMLESS: [&str; 5] = [
    "suppress_redundant_updates_trigger",
    "tsvector_update_trigger",
    "tsvector_update_trigger_column",
    "moddatetime",
    "insert_username",
];

impl Catalog {
    /// Reads the schemas of a PostgreSQL database, and what the connection's role may do.
    pub(crate) fn load_postgres(conn: &mut PgConnection) -> QueryResult<Self> {
        let mut loader = Loader::default();
        let strings = sql_query(STRINGS).get_result::<SettingRow>(conn)?;
        loader.catalog.strange = strings.value == "off";
        loader.relations(sql_query(RELATIONS).load(conn)?);
        loader.functions = functions(sql_query(FUNCTIONS).load(conn)?);
        loader.inherits(sql_query(INHERITS).load(conn)?);
        loader.references(sql_query(REFERENCES).load(conn)?);
        loader.bodies();
        loader.needs(sql_query(NEEDS).load(conn)?);
        loader.triggers(sql_query(TRIGGERS).load(conn)?);
        Ok(loader.catalog)
    }
}

fn functions(rows: Vec<FunctionRow>) -> HashMap<u32, FunctionRow> {
    rows.into_iter().map(|row| (row.id, row)).collect()
}

#[derive(Default)]
struct Loader {
    catalog: Catalog,
    names: HashMap<u32, Name>,
    functions: HashMap<u32, FunctionRow>,
}

impl Loader {
    fn relations(&mut self, rows: Vec<RelationRow>) {
        for row in rows {
            let name = Name::from(fold(&row.name));
            let ordinary = matches!(row.kind.as_str(), "r" | "p");
            let readings = row.readings.iter().map(|reading| self::reading(reading));
            let columns = row.columns.into_iter().zip(readings).collect();
            let relation = self.catalog.entry(&name);
            relation.merge(columns, row.secured || !ordinary, row.sql);
            relation.unlockable |= !row.lockable;
            self.names.insert(row.id, name);
        }
    }

    fn inherits(&mut self, rows: Vec<InheritsRow>) {
        for row in rows {
            if let (Some(child), Some(parent)) = self.pair(row.child, row.parent) {
                self.catalog.inherits(&child, &parent, row.is_part);
            }
        }
    }

    fn references(&mut self, rows: Vec<ReferenceRow>) {
        for row in rows {
            if let (Some(child), Some(parent)) = self.pair(row.child, row.parent) {
                let reference = Reference {
                    child,
                    columns: row.columns.iter().map(|column| fold(column)).collect(),
                    child_columns: row
                        .child_columns
                        .iter()
                        .map(|column| fold(column))
                        .collect(),
                    pairs: row.child_columns.into_iter().zip(row.columns).collect(),
                    on_delete: action(&row.on_delete),
                    on_update: action(&row.on_update),
                };
                self.catalog.entry(&parent).references.push(reference);
            }
        }
    }

    fn pair(&self, one: u32, other: u32) -> (Option<Name>, Option<Name>) {
        (
            self.names.get(&one).cloned(),
            self.names.get(&other).cloned(),
        )
    }

    /// What the functions do that other code may call. All names must be there before any text is
    /// read.
    fn bodies(&mut self) {
        let callable = |row: &&FunctionRow| !(row.built_in || row.extension && row.opaque());
        let rows: Vec<_> = self.functions.values().filter(callable).collect();
        for row in &rows {
            let name = Name::from(fold(&row.name));
            self.catalog.functions.entry(name).or_default();
        }
        for row in rows {
            let body = row.body(&self.catalog);
            let source = self.catalog.functions.entry(Name::from(fold(&row.name)));
            source.or_default().add(body);
        }
    }

    fn needs(&mut self, rows: Vec<NeedRow>) {
        for row in rows {
            let owner = self.names.get(&row.id).cloned();
            let need = self.need(&row);
            match (row.kind.as_str(), owner) {
                ("view", Some(view)) => self.view(&view, &need),
                ("rule", Some(table)) => self.rule(&table, rule_event(&row.event), need),
                ("default", Some(table)) => self.catalog.entry(&table).defaults.add(need),
                ("function", _) => self.function(row.id, need),
                _ => {}
            }
        }
    }

    fn rule(&mut self, table: &Name, on: Change, does: Source) {
        let rules = &mut self.catalog.entry(table).rules;
        match rules.iter_mut().find(|rule| rule.on == on) {
            Some(rule) => rule.does.add(does),
            None => rules.push(Trigger {
                on,
                rekeys: Rekeys::Never,
                // What RETURNING tells is the rule's to say.
                hides: true,
                does,
            }),
        }
    }

    fn view(&mut self, view: &Name, need: &Source) {
        for base in need.tables.iter().filter(|base| *base != view) {
            self.catalog.reads(view, base);
        }
    }

    fn function(&mut self, id: u32, need: Source) {
        let name = self.functions.get(&id).map(|row| fold(&row.name));
        if let Some(source) = name.and_then(|name| self.catalog.functions.get_mut(name.as_str())) {
            source.add(need);
        }
    }

    fn need(&self, row: &NeedRow) -> Source {
        let function = self.functions.get(&row.needed).filter(|_| row.called);
        let table = self.names.get(&row.needed).filter(|_| !row.called);
        Source {
            tables: table.cloned().into_iter().collect(),
            change: Change::any(),
            functions: function
                .map(|row| Name::from(fold(&row.name)))
                .into_iter()
                .collect(),
            every: false,
        }
    }

    fn triggers(&mut self, rows: Vec<TriggerRow>) {
        for row in rows {
            let Some(table) = self.names.get(&row.id).cloned() else {
                continue;
            };
            self.catalog.deferred |= row.deferrable;
            let trigger = self.trigger(&row);
            self.catalog.entry(&table).triggers.push(trigger);
        }
    }

    fn trigger(&self, row: &TriggerRow) -> Trigger {
        let before_row = row.kind & ROW != 0 && row.kind & BEFORE != 0;
        let function = self.functions.get(&row.function);
        Trigger {
            on: event(row.kind),
            rekeys: match function {
                _ if !before_row => Rekeys::Never,
                Some(function) => function.rekeys(),
                None => Rekeys::Always,
            },
            hides: false,
            does: function.map_or_else(Source::every, |function| function.body(&self.catalog)),
        }
    }
}

// `pg_trigger.tgtype`
const ROW: i16 = 1;
const BEFORE: i16 = 1 << 1;
const INSERT: i16 = 1 << 2;
const DELETE: i16 = 1 << 3;
const UPDATE: i16 = 1 << 4;
const TRUNCATE: i16 = 1 << 5;

fn event(kind: i16) -> Change {
    Change {
        insert: kind & INSERT != 0,
        delete: kind & DELETE != 0,
        update: if kind & UPDATE != 0 {
            Columns::All
        } else {
            Columns::None
        },
        truncate: (kind & TRUNCATE != 0).then_some(Cascade::No),
    }
}

/// `pg_rewrite.ev_type`
fn rule_event(event: &str) -> Change {
    match event {
        "2" => Change::update(Columns::All),
        "3" => Change::insert(),
        "4" => Change::delete(),
        _ => Change::any(),
    }
}

/// How a key column is read: a hash where its type or its collation takes different values for equal ones.
fn reading(reading: &str) -> Reading {
    match reading {
        "plain" => Reading::Plain,
        "integer" => Reading::Same(Kind::Integer),
        "text" => Reading::Same(Kind::Text),
        "uuid" => Reading::Same(Kind::Uuid),
        "citext" => {
            Reading::Through("pg_catalog.lower({}::pg_catalog.text COLLATE pg_catalog.\"default\")")
        }
        "text hash" => Reading::Through("pg_catalog.hashtextextended({}::pg_catalog.text, 0)"),
        "hash" => Reading::Through("pg_catalog.hash_record_extended(ROW({}), 0)"),
        _ => Reading::Never,
    }
}

fn action(action: &str) -> Action {
    match action {
        "c" => Action::Cascade,
        "n" | "d" => Action::Set,
        _ => Action::Nothing,
    }
}

impl FunctionRow {
    fn harmless(&self) -> bool {
        HARMLESS.contains(&self.name.as_str())
    }

    /// In a language that is not read here.
    fn opaque(&self) -> bool {
        !matches!(self.language.as_str(), "sql" | "plpgsql")
    }

    fn body(&self, catalog: &Catalog) -> Source {
        if self.opaque() {
            return if self.harmless() {
                Source::default()
            } else {
                Source::every()
            };
        }
        let mut body = Source::mentions(&self.text, catalog);
        // Text made at run time, or a prepared statement.
        body.every = words(&fold(&self.text)).contains("execute");
        body
    }

    /// A function that gives NEW to nothing whole can set only the columns that it names.
    fn rekeys(&self) -> Rekeys {
        if self.opaque() {
            return if self.harmless() {
                Rekeys::Never
            } else {
                Rekeys::Always
            };
        }
        match gives_new_whole(&self.text) {
            true => Rekeys::Always,
            false => {
                let text = fold(&self.text);
                let words: HashSet<_> = words(&text).into_iter().map(str::to_owned).collect();
                Rekeys::Mentioned(words)
            }
        }
    }
}

/// Whether a text uses NEW as one variable in any way but to return or to compare it.
fn gives_new_whole(text: &str) -> bool {
    let Ok(mut tokens) = Dialect::Postgres.tokens(text) else {
        return true;
    };
    tokens.retain(|token| !is_blank(token));
    let tokens: Vec<_> = tokens.into_iter().map(|token| token.token).collect();
    let word = |at: Option<usize>, keyword: &str| {
        at.and_then(|at| tokens.get(at))
            .is_some_and(|token| is_keyword(token, keyword))
    };
    let returns = |at: usize| {
        ["NEW", "OLD", "NULL"]
            .iter()
            .any(|row| word(Some(at + 1), row))
            && tokens
                .get(at + 2)
                .is_none_or(|next| *next == Token::SemiColon)
    };
    tokens.iter().enumerate().any(|(at, token)| {
        if is_keyword(token, "RETURN") && !returns(at) {
            return true;
        }
        is_keyword(token, "NEW")
            && tokens.get(at + 1) != Some(&Token::Period)
            && !word(Some(at + 1), "IS")
            && !word(at.checked_sub(1), "FROM")
            && !word(at.checked_sub(1), "RETURN")
    })
}

#[cfg(test)]
mod tests;
