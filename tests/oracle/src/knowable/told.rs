//! What a statement's own table does not tell: old keys, and rows that make room.

use std::collections::BTreeSet;

use super::Finder;
use crate::schema::{Event, Kind};
use crate::statement::{Conflict, Expr, Insert, Relation, Returning, Rows, Update};
use crate::value::{Type, Value};

impl Finder<'_> {
    /// OR FAIL keeps what came before its error.
    pub(super) fn ignores(&mut self, conflict: &Conflict, relation: Relation) {
        let ignored = self.schema.kind == Kind::Mariadb && matches!(conflict, Conflict::Or(_));
        if ignored || matches!(conflict, Conflict::Or("FAIL")) {
            self.whole(relation);
        }
    }

    /// Rows that have to make room for others are told by no INSERT … SELECT and by no UPDATE.
    pub(super) fn replaces(&mut self, insert: &Insert) {
        let Relation::Table(table) = insert.target.relation else {
            return;
        };
        let columns = &self.schema.tables[table].columns;
        let replaces = matches!(insert.conflict, Conflict::Replace | Conflict::Or("REPLACE"))
            || columns.iter().any(|column| column.clash == Some("REPLACE"));
        let selects = matches!(insert.rows, Rows::Select(..));
        if !replaces || !selects && self.schema.kind != Kind::Mariadb {
            return;
        }
        if self.has_other_keys(table) {
            self.hit(table, &[Event::Delete]);
        }
        self.referring(table, Event::Delete, false);
    }

    /// MariaDB's INSERT tells nothing: its rows are asked for afterwards.
    pub(super) fn selects(&mut self, insert: &Insert) {
        let (Relation::Table(table), Rows::Select(from, ..)) =
            (insert.target.relation, &insert.rows)
        else {
            return;
        };
        let plain = matches!(insert.conflict, Conflict::None);
        let uncounted = insert.returning != Returning::None;
        let own = *from == table || uncounted || !plain && self.has_other_keys(table);
        if self.schema.kind == Kind::Mariadb && own {
            self.found.insert(self.schema.tables[table].model);
        }
    }

    pub(super) fn makes_room(&mut self, update: &Update) {
        let Relation::Table(table) = update.target.relation else {
            return;
        };
        let known = &self.schema.tables[table];
        let replaces = matches!(update.conflict, Conflict::Or("REPLACE"))
            || known
                .columns
                .iter()
                .any(|column| column.clash == Some("REPLACE"));
        let unique = |name: &str| {
            known.is_key(name) || known.column(name).is_some_and(|column| column.unique)
        };
        if replaces
            && update
                .set
                .iter()
                .any(|(name, _)| unique(name) || *name == "_rowid_")
        {
            self.hit(table, &[Event::Update, Event::Delete]);
        }
    }

    pub(super) fn has_other_keys(&self, table: usize) -> bool {
        let table = &self.schema.tables[table];
        let mut columns = table.columns.iter();
        columns.any(|column| column.unique && !table.is_key(column.name))
    }

    /// Old keys that RETURNING does not have, of rows that a query beforehand may not find.
    pub(super) fn renames(&mut self, update: &Update) {
        let Relation::Table(table) = update.target.relation else {
            return;
        };
        let others = update.from.is_some() || update.filter.asks_others();
        if self.schema.kind == Kind::Postgres && others {
            self.moved(table, &update.set);
        }
        if self.schema.kind == Kind::Mariadb {
            self.converted(table, &update.set);
        }
    }

    /// Keys whose new values only MariaDB itself makes.
    pub(super) fn converted(&mut self, table: usize, set: &[(&'static str, Expr)]) {
        let known = &self.schema.tables[table];
        let keys: Vec<_> = set
            .iter()
            .filter(|(column, _)| known.is_key(column))
            .collect();
        let constant = |(_, value): &&(&str, Expr)| matches!(value, Expr::Value(_));
        // All of it is given, and so it is asked for by that.
        if keys.len() == known.key().len() && keys.iter().all(constant) {
            return;
        }
        let number = |name: &str| {
            let ty = known.column(name).map(|column| column.ty);
            matches!(ty, Some(Type::Int | Type::Small | Type::Big | Type::Bool))
        };
        let told = |(column, value): &&(&'static str, Expr)| match value {
            Expr::Value(Value::Int(_) | Value::Bool(_)) => number(column),
            Expr::Value(Value::Text(_)) => known
                .column(column)
                .is_some_and(|column| column.ty == Type::Text),
            Expr::Plus(from, _) => {
                let set_before = set.iter().any(|(other, _)| other == from && from != column);
                number(column) && number(from) && !set_before
            }
            _ => false,
        };
        if !keys.iter().all(told) {
            self.found.insert(known.model);
        }
    }

    pub(super) fn upserts(&mut self, insert: &Insert) {
        let (Conflict::Update(by, set) | Conflict::UpdateSome(by, set, _)) = &insert.conflict
        else {
            return;
        };
        let Relation::Table(table) = insert.target.relation else {
            return;
        };
        if self.schema.kind == Kind::Sqlite {
            return;
        }
        let known = &self.schema.tables[table];
        let key = known.key();
        let written = key.iter().all(|column| {
            let ty = known.column(column).map(|column| column.ty);
            let alike = matches!(
                ty,
                Some(Type::Int | Type::Small | Type::Big | Type::Text | Type::Uuid)
            );
            alike && insert.columns.contains(column)
        });
        let by_key = by.len() == key.len() && by.iter().all(|column| key.contains(column));
        let told = by_key
            && written
            && matches!(insert.rows, Rows::Values(_))
            && self.schema.kind == Kind::Postgres;
        let referred = self.referred(table);
        let refers = set.iter().any(|(column, _)| referred.contains(column));
        if refers {
            self.referring(table, Event::Update, false);
        }
        if !told {
            self.moved(table, set);
        }
    }

    /// These columns are set in rows whose old values are not told.
    pub(super) fn moved(&mut self, table: usize, set: &[(&'static str, Expr)]) {
        let known = &self.schema.tables[table];
        let changes = |(column, value): &&(&'static str, Expr)| !matches!(value, Expr::Column(same) if same == column);
        let columns: Vec<_> = set
            .iter()
            .filter(changes)
            .map(|(column, _)| *column)
            .collect();
        if columns.iter().any(|column| known.is_key(column)) {
            self.found.insert(known.model);
        }
        let referred = self.referred(table);
        if columns.iter().any(|column| referred.contains(column)) {
            self.referring(table, Event::Update, false);
        }
    }

    /// The columns that foreign keys refer to.
    pub(super) fn referred(&self, table: usize) -> BTreeSet<&'static str> {
        let references = self
            .schema
            .tables
            .iter()
            .flat_map(|child| &child.references);
        references
            .filter(|reference| reference.parent == table)
            .flat_map(|reference| reference.to.iter().copied())
            .collect()
    }
}
