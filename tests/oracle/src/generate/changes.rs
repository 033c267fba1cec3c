//! UPDATE and DELETE.

use super::inserts::{alike, some_or_all};
use super::{Focus, Maker};
use crate::schema::{Kind, Storage};
use crate::statement::{Conflict, Delete, Expr, Filter, Relation, Returning, Target, Update};
use crate::value::Value;

impl Maker<'_> {
    pub(super) fn update(&mut self) -> Update {
        let target = self.target(false);
        let view = matches!(target.relation, Relation::View(_));
        let table = self.schema.base(target.relation);
        let from = (!view && self.random.chance(12)).then(|| self.any_table());
        let (filter, from) = self.joined(table, from, view);
        let set = self.assignments(table, from, view);
        let kind = self.kind();
        let conflict = match kind {
            Kind::Sqlite if self.random.chance(12) => Conflict::Or(
                self.random
                    .pick(&["IGNORE", "REPLACE", "FAIL", "ABORT", "ROLLBACK"]),
            ),
            Kind::Mariadb if self.random.chance(5) => Conflict::Or("IGNORE"),
            _ => Conflict::None,
        };
        let mut update = Update {
            target,
            set,
            from,
            filter,
            limit: self.limit(target, from),
            conflict,
            returning: self.returning(),
        };
        if kind == Kind::Mariadb {
            update.returning = Returning::None;
        }
        update
    }

    pub(super) fn delete(&mut self) -> Delete {
        let target = self.target(false);
        let view = matches!(target.relation, Relation::View(_));
        let table = self.schema.base(target.relation);
        let using = (!view && self.kind() != Kind::Sqlite && self.random.chance(12))
            .then(|| self.any_table());
        let (filter, using) = self.joined(table, using, view);
        Delete {
            target,
            using,
            filter,
            limit: self.limit(target, using),
            returning: match using {
                Some(_) if self.kind() == Kind::Mariadb => Returning::None,
                _ => self.returning(),
            },
        }
    }

    /// MariaDB's alone: SQLite is not compiled with it.
    fn limit(&mut self, target: Target, join: Option<usize>) -> Option<(u32, bool)> {
        let plain = matches!(target.relation, Relation::Table(_)) && join.is_none();
        (plain && self.kind() == Kind::Mariadb && self.random.chance(8))
            .then(|| (1 + self.random.below(3), self.random.chance(60)))
    }

    /// The filter, and the other table if there is a way to join it.
    fn joined(
        &mut self,
        table: usize,
        other: Option<usize>,
        view: bool,
    ) -> (Filter, Option<usize>) {
        let schema = self.schema;
        let join = other.filter(|other| *other != table).and_then(|other| {
            let own = &schema.tables[table].columns;
            let own: Vec<_> = own
                .iter()
                .filter_map(|column| {
                    Some((column.name, alike(&schema.tables[other], column)?.name))
                })
                .collect();
            (!own.is_empty()).then(|| (other, self.random.pick(&own)))
        });
        match join {
            Some((other, (own, column))) => {
                let filter = self.filter(table, view);
                let join = Box::new(Filter::Joined(own, column));
                let filter = match filter {
                    Filter::All => *join,
                    filter => Filter::And(join, Box::new(filter)),
                };
                (filter, Some(other))
            }
            None => (self.filter(table, view), None),
        }
    }

    fn filter(&mut self, table: usize, view: bool) -> Filter {
        let key = match view {
            true => "id",
            false => self.schema.tables[table].key()[0],
        };
        let which =
            self.random
                .weighted(&[(45, 0), (15, 1), (15, 2), (12, 3), (5, 4), (8, 5), (2, 6)]);
        match which {
            0 => Filter::Is(key, "=", self.value(table, key, false)),
            1 => {
                let count = 1 + self.random.below(3);
                let values = (0..count).map(|_| self.value(table, key, false));
                Filter::Among(key, values.collect())
            }
            2 => Filter::Is(
                "n",
                self.random.pick(&["=", ">", "<"]),
                Value::Int(i64::from(self.random.below(12))),
            ),
            3 => some_or_all(self.by_rows(table, key)),
            4 => Filter::All,
            6 => Filter::Chance,
            _ => Filter::And(
                Box::new(Filter::Is(key, "<>", self.value(table, key, false))),
                Box::new(Filter::Is(
                    "n",
                    "<",
                    Value::Int(i64::from(self.random.below(9))),
                )),
            ),
        }
    }

    fn by_rows(&mut self, table: usize, key: &'static str) -> Option<Filter> {
        let other = self.any_table();
        let column = self.schema.tables[table].column(key)?;
        let of = alike(&self.schema.tables[other], column)?;
        let filter = self.reading_filter(other);
        Some(Filter::AmongRows(key, other, of.name, Box::new(filter)))
    }

    /// For a table that is read.
    pub(super) fn reading_filter(&mut self, table: usize) -> Filter {
        match self.random.chance(60) {
            true => Filter::Is("n", "<", Value::Int(i64::from(self.random.below(12)))),
            false => {
                let key = self.schema.tables[table].key()[0];
                Filter::Is(key, "=", self.value(table, key, false))
            }
        }
    }

    fn assignments(
        &mut self,
        table: usize,
        from: Option<usize>,
        view: bool,
    ) -> Vec<(&'static str, Expr)> {
        if view {
            let column = self.random.pick(&["n", "id"]);
            let value = match column {
                "n" => Value::Int(i64::from(self.random.below(12))),
                _ => self.value(table, column, false),
            };
            return vec![(column, Expr::Value(value))];
        }
        if let Some(other) = from.filter(|_| self.random.chance(40)) {
            let column = &self.schema.tables[table].columns[0];
            let n = self.schema.tables[other].column("n").map(|_| "n");
            if let (Some(n), true) = (n, column.name != "n") {
                return vec![("n", Expr::Joined(n))];
            }
        }
        let mut set = vec![self.assignment(table)];
        if self.random.chance(25) {
            let more = self.assignment(table);
            if more.0 != set[0].0 {
                set.push(more);
            }
        }
        set
    }

    pub(super) fn assignment(&mut self, table: usize) -> (&'static str, Expr) {
        let own = &self.schema.tables[table];
        let keys = if self.focus == Focus::Keys { 50 } else { 12 };
        let parted = own.storage == Storage::Partitioned;
        if self.random.chance(if parted { 8 } else { keys }) {
            let key = self.random.pick(&own.key());
            if self.kind() == Kind::Sqlite
                && own.storage == Storage::Plain
                && self.random.chance(10)
            {
                let row = self.random.pick(&["rowid", "_rowid_", "oid"]);
                return (
                    row,
                    Expr::Value(Value::Int(i64::from(self.random.below(12)))),
                );
            }
            return self.setting(table, key);
        }
        let columns: Vec<_> = own
            .columns
            .iter()
            .filter(|column| column.settable() && !own.is_key(column.name))
            .map(|column| column.name)
            .collect();
        let column = self.random.pick(&columns);
        self.setting(table, column)
    }

    fn setting(&mut self, table: usize, name: &'static str) -> (&'static str, Expr) {
        let number = self.schema.tables[table]
            .column(name)
            .is_some_and(|column| column.ty.is_integer());
        let routines = self.schema.routines.len();
        let calls = if self.focus == Focus::Hidden { 15 } else { 3 };
        let which = self.random.weighted(&[
            (60, 0),
            (if number { 25 } else { 0 }, 1),
            (6, 2),
            (if number && routines > 0 { calls } else { 0 }, 3),
            (if number { 4 } else { 0 }, 4),
        ]);
        let expression = match which {
            1 => Expr::Plus(name, 1 + i64::from(self.random.below(3))),
            2 => Expr::Column(name),
            3 => Expr::Call(self.routine()),
            4 => Expr::Greatest(self.any_table(), "n"),
            _ => Expr::Value(self.value(table, name, true)),
        };
        (name, expression)
    }
}
