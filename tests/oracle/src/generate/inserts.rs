//! INSERT, and what is like it.

use super::{Focus, Maker};
use crate::models::MODELS;
use crate::schema::{Column, Fill, Kind, PARTS, Storage, Table};
use crate::sql::copyable;
use crate::statement::{
    Body, Conflict, Expr, Filter, Insert, Letters, Merge, Relation, Returning, Rows, Target,
};
use crate::value::Value;

impl Maker<'_> {
    /// A row for the start.
    pub(super) fn seed(&mut self, table: usize) -> Insert {
        let columns = self.columns(table, true);
        let row = self.row(table, &columns, false);
        Insert {
            target: plain(Relation::Table(table)),
            columns,
            rows: Rows::Values(vec![row]),
            conflict: Conflict::None,
            returning: Returning::None,
        }
    }

    pub(super) fn insert(&mut self) -> Insert {
        let target = self.target(true);
        let table = self.schema.base(target.relation);
        let rows = self.random.weighted(&[(55, 0), (20, 1), (5, 2), (15, 3)]);
        let columns = self.insertable(target.relation, table);
        let rows = match rows {
            0 => Rows::Values(vec![self.row(table, &columns, true)]),
            1 => {
                let count = 2 + self.random.below(3);
                Rows::Values(
                    (0..count)
                        .map(|_| self.row(table, &columns, true))
                        .collect(),
                )
            }
            2 => Rows::Defaults,
            _ => self.select(table, &columns),
        };
        Insert {
            target,
            conflict: self.conflict(
                target.relation,
                table,
                &columns,
                matches!(rows, Rows::Values(_)),
            ),
            columns,
            rows,
            returning: self.returning(),
        }
    }

    /// Something to change.
    pub(super) fn target(&mut self, insert: bool) -> Target {
        let table = self.any_table();
        let hidden = if self.focus == Focus::Hidden { 30 } else { 8 };
        let relation = match self.schema.tables[table].storage {
            Storage::Partitioned if self.kind() == Kind::Postgres && self.random.chance(25) => {
                Relation::Part(table, self.random.below(PARTS))
            }
            _ if !self.schema.views.is_empty() && self.random.chance(hidden) => {
                let views: Vec<_> = (0..self.schema.views.len()).collect();
                Relation::View(self.random.pick(&views))
            }
            _ => Relation::Table(table),
        };
        let fancy = if self.focus == Focus::Text { 60 } else { 25 };
        let aliased = self.random.chance(fancy) && !(insert && self.kind() == Kind::Mariadb);
        Target {
            relation,
            letters: match self.random.chance(fancy) {
                true => self.random.pick(&[Letters::Quoted, Letters::Mixed]),
                false => Letters::Plain,
            },
            qualified: self.random.chance(fancy),
            alias: aliased.then_some("x"),
            only: !insert && self.kind() == Kind::Postgres && self.random.chance(4),
        }
    }

    pub(super) fn returning(&mut self) -> Returning {
        self.random.weighted(&[
            (75, Returning::None),
            (18, Returning::Column),
            (7, Returning::All),
        ])
    }

    fn insertable(&mut self, relation: Relation, table: usize) -> Vec<&'static str> {
        match relation {
            Relation::View(_) => vec!["id", "n", "s"],
            _ => {
                let keyed = self.random.chance(85);
                self.columns(table, keyed)
            }
        }
    }

    /// Columns to be given values. A generated one cannot be, and an identity only where it is insisted on.
    fn columns(&mut self, table: usize, keyed: bool) -> Vec<&'static str> {
        let table = &self.schema.tables[table];
        let (random, mut columns) = (&mut *self.random, Vec::new());
        for column in &table.columns {
            let wanted = match table.is_key(column.name) {
                true if column.fill == Fill::Identity => random.chance(50),
                true => keyed || column.fill == Fill::Nothing && random.chance(98),
                false => random.chance(65),
            };
            if wanted && column.settable() {
                columns.push(column.name);
            }
        }
        if columns.is_empty() {
            columns.push("n");
        }
        columns
    }

    fn row(&mut self, table: usize, columns: &[&'static str], defaults: bool) -> Vec<Value> {
        columns
            .iter()
            .map(|column| self.value(table, column, defaults))
            .collect()
    }

    /// A value for a column: for one that refers, preferably what is likely to be there.
    pub(super) fn value(&mut self, table: usize, column: &str, defaults: bool) -> Value {
        let schema = self.schema;
        let Some(column) = schema.tables[table].column(column) else {
            // Of a view.
            return match column {
                "id" => {
                    let ty = MODELS[schema.tables[table].model].key[0].1;
                    ty.value(self.random)
                }
                "n" => Value::Int(i64::from(self.random.below(12))),
                _ => Value::Text("view"),
            };
        };
        let key = schema.tables[table].is_key(column.name);
        let default = defaults && self.kind() != Kind::Sqlite && self.random.chance(4);
        if default && column.fill != Fill::Nothing {
            return Value::Default;
        }
        // What refers is refused if there is no such row.
        let refers = schema.tables[table]
            .references
            .iter()
            .any(|reference| reference.columns.contains(&column.name));
        let empty = if refers { 50 } else { 15 };
        if !column.required && !key && self.random.chance(empty) {
            return Value::Null;
        }
        column.ty.value(self.random)
    }

    fn select(&mut self, table: usize, columns: &[&'static str]) -> Rows {
        let from = self.any_table();
        let schema = self.schema;
        let source = &schema.tables[from];
        let own = &schema.tables[table];
        let filter = self.reading_filter(from);
        let mut expressions = Vec::new();
        for name in columns {
            let alike = own.column(name).and_then(|column| alike(source, column));
            expressions.push(match alike {
                Some(column) if column.ty.is_integer() && self.random.chance(60) => {
                    Expr::Plus(column.name, i64::from(self.random.below(5)))
                }
                Some(column) if self.random.chance(80) => Expr::Column(column.name),
                _ => Expr::Value(self.value(table, name, false)),
            });
        }
        Rows::Select(from, expressions, filter)
    }

    fn conflict(
        &mut self,
        relation: Relation,
        table: usize,
        columns: &[&'static str],
        values: bool,
    ) -> Conflict {
        let none = if self.focus == Focus::Conflicts {
            20
        } else {
            60
        };
        let kind = self.kind();
        let view = matches!(relation, Relation::View(_));
        // A SELECT before ON CONFLICT must have a WHERE in SQLite, for its grammar's sake.
        let plain = values || kind != Kind::Sqlite;
        let which = self.random.weighted(&[
            (none, 0),
            (
                if kind != Kind::Mariadb && plain {
                    12
                } else {
                    0
                },
                1,
            ),
            (if view || !plain { 0 } else { 15 }, 2),
            (if kind != Kind::Postgres { 12 } else { 0 }, 3),
            (if kind != Kind::Postgres { 5 } else { 0 }, 4),
        ]);
        match which {
            1 => Conflict::Nothing,
            2 => self.upsert(table, columns),
            3 if kind == Kind::Mariadb => Conflict::Or("IGNORE"),
            3 => Conflict::Or(
                self.random
                    .pick(&["IGNORE", "REPLACE", "REPLACE", "FAIL", "ABORT", "ROLLBACK"]),
            ),
            4 => Conflict::Replace,
            _ => Conflict::None,
        }
    }

    fn upsert(&mut self, table: usize, columns: &[&'static str]) -> Conflict {
        let own = &self.schema.tables[table];
        let mut on = own.key();
        let unique: Vec<_> = own.columns.iter().filter(|column| column.unique).collect();
        if !unique.is_empty() && self.random.chance(30) {
            on = vec![self.random.pick(&unique).name];
        }
        let mut set = vec![self.assignment(table)];
        if columns.contains(&"n") && self.random.chance(50) {
            set = vec![("n", Expr::Excluded("n"))];
        }
        match self.random.chance(15) {
            true => Conflict::UpdateSome(on, set, i64::from(self.random.below(12))),
            false => Conflict::Update(on, set),
        }
    }

    pub(super) fn copy(&mut self) -> Option<Insert> {
        let table = self.any_table();
        let own = &self.schema.tables[table];
        let columns: Vec<_> = own
            .columns
            .iter()
            .filter(|column| {
                copyable(column.ty)
                    && column.settable()
                    && !matches!(column.fill, Fill::Generated { .. })
            })
            .map(|column| column.name)
            .collect();
        let keyed = own.key().iter().all(|key| columns.contains(key));
        let count = 1 + self.random.below(3);
        let rows = (0..count)
            .map(|_| self.row(table, &columns, false))
            .collect();
        keyed.then(|| Insert {
            target: plain(Relation::Table(table)),
            columns,
            rows: Rows::Values(rows),
            conflict: Conflict::None,
            returning: Returning::None,
        })
    }

    pub(super) fn merge(&mut self) -> Option<Merge> {
        let (table, source) = (self.any_table(), self.any_table());
        let own = &self.schema.tables[table];
        let key = own.column(own.key()[0])?;
        let other = alike(&self.schema.tables[source], key)?;
        let columns = self.columns(table, true);
        let values = self.row(table, &columns, false);
        let target = Target {
            alias: Some("x"),
            ..plain(Relation::Table(table))
        };
        Some(Merge {
            target,
            source,
            on: (key.name, other.name),
            set: match self.random.chance(70) {
                true => Some(("n", Expr::Plus("n", 1))),
                false => None,
            },
            insert: self.random.chance(50).then_some((columns, values)),
        })
    }

    pub(super) fn truncate(&mut self) -> Body {
        let table = self.any_table();
        let target = Target {
            letters: self.random.pick(&[Letters::Plain, Letters::Quoted]),
            ..plain(Relation::Table(table))
        };
        let cascade = self.kind() == Kind::Postgres && self.random.chance(50);
        Body::Truncate(vec![target], cascade)
    }
}

/// A relation by its name.
pub(super) fn plain(relation: Relation) -> Target {
    Target {
        relation,
        letters: Letters::Plain,
        qualified: false,
        alias: None,
        only: false,
    }
}

/// A column of the same type.
pub(super) fn alike<'a>(table: &'a Table, column: &Column) -> Option<&'a Column> {
    table
        .columns
        .iter()
        .find(|other| other.ty == column.ty || other.ty.is_integer() && column.ty.is_integer())
}

/// Every row, if not some.
pub(super) fn some_or_all(filter: Option<Filter>) -> Filter {
    filter.unwrap_or(Filter::All)
}
