//! Where the changed rows cannot be known, so that `table:*` is the best that can be said. Everything else that comes
//! as `table:*` is coarse.
//!
//! | what | why its rows cannot be known |
//! | --- | --- |
//! | TRUNCATE, MERGE, COPY | they have no RETURNING (MERGE has it from PostgreSQL 17 on) |
//! | CALL, DO, blocks of code, functions that change rows | what they run is not in the text |
//! | several statements in one text | they return no rows |
//! | WITH, whose parts are changes | only the last one's rows are returned |
//! | LIMIT without a total order (MariaDB), filters by chance | which rows it takes is not settled beforehand |
//! | IGNORE on UPDATE (MariaDB), OR FAIL (SQLite), after an error | which rows it got to is not told |
//! | triggers and rules that change tracked tables, and foreign keys from there on | their rows are never returned |
//! | triggers that set keys, or put rows elsewhere | the key that was given is not the row's |
//! | tables with rules | what RETURNING tells is the rule's to say |
//! | views, and tables that a tracked view shows | a view's rows have no key of their own |
//! | heirs and parts, and what has them | the same row goes by several names |
//! | UPDATE of a key, or of what others refer to, chosen by other tables' rows (PostgreSQL) | RETURNING has the old value from PostgreSQL 18 on, and on READ COMMITTED those rows may change between a query and the statement |
//! | upserts that set a key where the conflict is not by keys written out, or set what others refer to (but on SQLite) | the same; to ask beforehand for a row that is not there, its place would have to be locked |
//! | REPLACE … SELECT, UPDATE OR REPLACE; rows that make room by other values than the key, and what refers to replaced rows (MariaDB) | they are not told; the same |
//! | INSERT … SELECT from its own table, and where it may be in conflict by other values than the key (MariaDB) | what it read is another thing afterwards; the same |
//! | INSERT IGNORE, REPLACE and INSERT … SELECT with RETURNING (MariaDB) | there what is returned is counted, and not what was changed |
//! | keys set to what a query gives or a default, to other texts than those compared byte by byte, to dates and numbers with decimals (MariaDB) | it has no RETURNING for UPDATE, and nobody but the server converts a value to the column's type |
//! | keys that a foreign key sets | the new ones are told nowhere |
//! | more than 24 ways of foreign keys from one table | so many are not asked for one by one |

use std::collections::BTreeSet;

use crate::models::{MODELS, VIEW};
use crate::names;
use crate::schema::{Action, Effect, Event, Reference, Schema, Storage};
use crate::statement::{Body, Conflict, Expr, Filter, Relation, Statement};

/// The names, as in `t_int:*`, that a statement may be answered with for want of better.
#[must_use]
pub fn unknowable(statement: &Statement, schema: &Schema) -> BTreeSet<String> {
    let mut finder = Finder {
        schema,
        found: BTreeSet::new(),
        seen: BTreeSet::new(),
    };
    finder.body(&statement.body);
    finder
        .found
        .iter()
        .map(|model| names::whole(*model))
        .collect()
}

/// More ways of foreign keys than these are not asked for.
const MOST_WAYS: usize = 24;

/// So often a way may come by the same table.
const MOST_ROUNDS: usize = 3;

mod told;

struct Finder<'a> {
    schema: &'a Schema,
    found: BTreeSet<usize>,
    /// Tables, what was done to them, and whether it was known to which rows: what was followed already.
    seen: BTreeSet<(usize, u8, bool)>,
}

impl Finder<'_> {
    fn every(&mut self) {
        self.found
            .extend((0..MODELS.len()).filter(|model| MODELS[*model].tracked));
    }

    fn body(&mut self, body: &Body) {
        match body {
            Body::Insert(insert) => {
                let events: &[Event] = match insert.conflict {
                    Conflict::Update(..) | Conflict::UpdateSome(..) => {
                        &[Event::Insert, Event::Update]
                    }
                    Conflict::Replace | Conflict::Or("REPLACE") => &[Event::Insert, Event::Delete],
                    _ => &[Event::Insert],
                };
                self.relation(insert.target.relation, events);
                self.ignores(&insert.conflict, insert.target.relation);
                self.replaces(insert);
                self.upserts(insert);
                self.selects(insert);
                if let Conflict::Update(_, set) | Conflict::UpdateSome(_, set, _) = &insert.conflict
                {
                    self.set(set);
                }
            }
            Body::Update(update) => {
                let events: &[Event] = match update.conflict {
                    Conflict::Or("REPLACE") => &[Event::Update, Event::Delete],
                    _ => &[Event::Update],
                };
                self.relation(update.target.relation, events);
                self.ignores(&update.conflict, update.target.relation);
                self.set(&update.set);
                self.makes_room(update);
                self.renames(update);
                self.limit(update.limit, update.target.relation, events);
                self.chance(&update.filter, update.target.relation, events);
            }
            Body::Delete(delete) => {
                self.relation(delete.target.relation, &[Event::Delete]);
                self.limit(delete.limit, delete.target.relation, &[Event::Delete]);
                self.chance(&delete.filter, delete.target.relation, &[Event::Delete]);
            }
            Body::Reading(_, body) => self.body(body),
            _ => self.every(),
        }
    }

    fn chance(&mut self, filter: &Filter, relation: Relation, events: &[Event]) {
        if filter.is_chance() {
            self.hit(self.schema.base(relation), events);
        }
    }

    fn limit(&mut self, limit: Option<(u32, bool)>, relation: Relation, events: &[Event]) {
        if matches!(limit, Some((_, false))) {
            self.hit(self.schema.base(relation), events);
        }
    }

    fn set(&mut self, set: &[(&'static str, Expr)]) {
        if set
            .iter()
            .any(|(_, expression)| matches!(expression, Expr::Call(_)))
        {
            self.every();
        }
    }

    fn whole(&mut self, relation: Relation) {
        if let Relation::Table(table) | Relation::Part(table, _) = relation {
            self.found.insert(self.schema.tables[table].model);
        }
    }

    fn relation(&mut self, relation: Relation, events: &[Event]) {
        match relation {
            Relation::Table(table) => {
                for event in events {
                    self.table(table, *event, true);
                }
            }
            Relation::Part(table, _) => self.hit(table, events),
            Relation::View(_) => {
                self.found.insert(VIEW);
                self.hit(
                    self.schema.base(relation),
                    &[Event::Insert, Event::Update, Event::Delete],
                );
            }
        }
    }

    /// Rows that are not told change, of this table and of what follows.
    fn hit(&mut self, table: usize, events: &[Event]) {
        self.found.insert(self.schema.tables[table].model);
        for event in events {
            self.table(table, *event, false);
        }
    }

    fn table(&mut self, table: usize, event: Event, known: bool) {
        if !self.seen.insert((table, event as u8, known)) {
            return;
        }
        self.shown(table);
        // What came before an error stays.
        let columns = &self.schema.tables[table].columns;
        let stops = event != Event::Delete && columns.iter().any(|c| c.clash == Some("FAIL"));
        if stops {
            self.found.insert(self.schema.tables[table].model);
        }
        let known = known && !stops;
        if event == Event::Insert
            && self
                .schema
                .called
                .is_some_and(|(called, _)| called == table)
        {
            self.every();
        }
        self.referring(table, event, known);
        for trigger in self.schema.triggers.iter().chain(&self.schema.late) {
            if trigger.table == table && trigger.event == event {
                self.effect(table, &trigger.does);
            }
        }
    }

    /// Where the same row goes by other names.
    fn shown(&mut self, table: usize) {
        let schema = self.schema;
        if schema
            .views
            .iter()
            .any(|view| view.base == table && view.model.is_some())
        {
            self.found.insert(VIEW);
        }
        for (at, other) in schema.tables.iter().enumerate() {
            let kin = other.storage == Storage::Inherits(table)
                || schema.tables[table].storage == Storage::Inherits(at);
            if kin {
                self.found.insert(other.model);
                self.found.insert(schema.tables[table].model);
                self.found
                    .extend(schema.views.iter().filter_map(|view| view.model));
            }
        }
    }

    /// The rows that a foreign key changes could be known where those that they refer to are; what their triggers do
    /// could not.
    fn referring(&mut self, table: usize, event: Event, known: bool) {
        if event == Event::Insert {
            return;
        }
        let known = known && self.ways(table, &mut vec![table]) <= MOST_WAYS;
        for child in 0..self.schema.tables.len() {
            let refers = |reference: &&Reference| reference.parent == table;
            let references = &self.schema.tables[child].references;
            if references.iter().any(|reference| refers(&reference)) {
                let sets_key = references.iter().filter(refers).any(|reference| {
                    let action = match event {
                        Event::Delete => reference.on_delete,
                        _ => reference.on_update,
                    };
                    let key = |column: &&'static str| self.schema.tables[child].is_key(column);
                    let sets = action != Action::Cascade || event != Event::Delete;
                    sets && reference.columns.iter().any(key)
                });
                if !known || sets_key {
                    self.found.insert(self.schema.tables[child].model);
                }
                let known = known && !sets_key;
                self.table(child, Event::Update, known);
                self.table(child, Event::Delete, known);
            }
        }
    }

    /// In how many ways foreign keys lead on from a table, each table not more often than is asked for.
    fn ways(&self, table: usize, seen: &mut Vec<usize>) -> usize {
        let mut ways = 0;
        for (child, other) in self.schema.tables.iter().enumerate() {
            for _ in other
                .references
                .iter()
                .filter(|reference| reference.parent == table)
            {
                ways += 1;
                if ways <= MOST_WAYS && seen.iter().filter(|at| **at == child).count() < MOST_ROUNDS
                {
                    seen.push(child);
                    ways += self.ways(child, seen);
                    seen.pop();
                }
            }
        }
        ways
    }

    fn effect(&mut self, table: usize, effect: &Effect) {
        match effect {
            Effect::Rekey(_) => {
                self.found.insert(self.schema.tables[table].model);
            }
            Effect::Also(body)
            | Effect::Instead(body)
            | Effect::Together(body)
            | Effect::Rule(body)
            | Effect::Deferred(body) => self.effects(body),
            Effect::Dynamic(_) => self.every(),
        }
        if matches!(effect, Effect::Instead(_) | Effect::Rule(_)) {
            self.found.insert(self.schema.tables[table].model);
        }
    }

    fn effects(&mut self, body: &Body) {
        let (relation, events): (_, &[Event]) = match body {
            Body::Insert(insert) => (insert.target.relation, &[Event::Insert, Event::Update]),
            Body::Update(update) => (update.target.relation, &[Event::Update]),
            Body::Delete(delete) => (delete.target.relation, &[Event::Delete]),
            _ => return self.every(),
        };
        if let Relation::Table(table) = relation {
            self.hit(table, events);
        }
    }
}
