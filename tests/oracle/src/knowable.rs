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

use std::collections::BTreeSet;

use crate::models::{MODELS, VIEW};
use crate::names;
use crate::schema::{Effect, Event, Kind, Schema, Storage};
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
                self.limit(update.limit, update.target.relation);
                self.chance(&update.filter, update.target.relation, events);
            }
            Body::Delete(delete) => {
                self.relation(delete.target.relation, &[Event::Delete]);
                self.limit(delete.limit, delete.target.relation);
                self.chance(&delete.filter, delete.target.relation, &[Event::Delete]);
            }
            Body::Reading(_, body) => self.body(body),
            _ => self.every(),
        }
    }

    /// OR FAIL keeps what came before its error.
    fn ignores(&mut self, conflict: &Conflict, relation: Relation) {
        let ignored = self.schema.kind == Kind::Mariadb && matches!(conflict, Conflict::Or(_));
        if ignored || matches!(conflict, Conflict::Or("FAIL")) {
            self.whole(relation);
        }
    }

    fn chance(&mut self, filter: &Filter, relation: Relation, events: &[Event]) {
        if filter.is_chance() {
            self.hit(self.schema.base(relation), events);
        }
    }

    fn limit(&mut self, limit: Option<(u32, bool)>, relation: Relation) {
        if matches!(limit, Some((_, false))) {
            self.whole(relation);
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
        for child in 0..self.schema.tables.len() {
            let refers = |reference: &crate::schema::Reference| reference.parent == table;
            if self.schema.tables[child].references.iter().any(refers) {
                if !known {
                    self.found.insert(self.schema.tables[child].model);
                }
                self.table(child, Event::Update, known);
                self.table(child, Event::Delete, known);
            }
        }
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
