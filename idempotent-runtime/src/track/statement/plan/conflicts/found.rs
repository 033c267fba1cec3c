//! New rows that a statement does not tell (MySQL family): asked for once they are there.

use std::sync::Arc;

use super::New;
use crate::track::catalog::{Fill, Kind};
use crate::track::fold;
use crate::track::statement::Dialect;
use crate::track::statement::plan::given::written;
use crate::track::statement::plan::{After, Count};
use crate::track::statement::reading::{Check, Condition, Having, KeyColumns, Read};
use crate::track::statement::text::Piece;
use crate::track::statement::values::{Selected, Value};

impl New<'_> {
    /// Asks for the rows once they are there. `skips`: rows that are in conflict are left as they are.
    ///
    /// Nothing is locked for that: in the MySQL family a lock on what is not there is one on the gap, by which two
    /// inserts that do not concern each other could come to a deadlock.
    pub(super) fn found(
        &self,
        table: &Arc<str>,
        key: &KeyColumns<'_>,
        before: &mut Vec<Read>,
        skips: bool,
    ) -> Option<After> {
        let change = &self.target.change;
        let catalog = self.planner.catalog;
        let own: Vec<_> = key.columns.iter().map(|column| fold(column)).collect();
        let unique = catalog.unique(&self.target.table)?;
        let columns: Vec<_> = unique.iter().flatten().map(String::as_str).collect();
        // A row that was there may go and come back as a new one, while another of these comes from someone else.
        let crossed = skips && catalog.unrepeatable;
        if crossed || catalog.rewrites(&self.target.table, &columns) {
            return None;
        }
        let plain = !change.delete && !change.update.is_some() && !skips;
        let Some(values) = &self.values else {
            return self.selected(table, key, before, (plain, skips));
        };
        let rows = values.rows.len();
        let having = self.having()?;
        // Without a value to be in conflict by, all rows are new ones.
        let new = || {
            let by_row = self.by_row(&unique.iter().collect::<Vec<_>>());
            by_row.is_some_and(|rows| rows.iter().all(Vec::is_empty))
        };
        if self.numbered(key) && !skips && (plain || new()) {
            return Some(After {
                read: match rows {
                    1 => having.last(table),
                    _ => having.numbered(table, key, rows),
                },
                least: rows,
                count: Count::Any,
            });
        }
        if let Some(conditions) = self.first(&own, skips) {
            let all = self.by_row(&unique.iter().collect::<Vec<_>>());
            let moves = catalog.moves(&self.target.table, &change.update, &columns);
            return Some(match all.as_deref() {
                // Whichever it was in conflict with, it still has the values.
                Some([all]) if !moves => After {
                    read: having.any(table, key, all, Check::Nothing),
                    least: 1,
                    count: Count::Any,
                },
                // What the transaction saw first may be there no more.
                _ => After {
                    read: having
                        .any(table, key, &conditions, Check::Nothing)
                        .locking(),
                    least: conditions.len(),
                    count: Count::Any,
                },
            });
        }
        let updates = change.update.is_some();
        // A plain new row is in conflict with none.
        let indexes = match plain {
            true => vec![&own],
            false => unique.iter().collect(),
        };
        let by_row = self.by_row(&indexes)?;
        // By more than one index each row may be in conflict with another than the one that is found, and by none it is
        // not found.
        let told = |row: &Vec<_>| !row.is_empty() && (!updates || row.len() == 1);
        if !by_row.iter().all(told) {
            return None;
        }
        let conditions: Vec<_> = by_row.into_iter().flatten().collect();
        let found_by: Vec<_> = conditions
            .iter()
            .flatten()
            .map(|(column, _)| &**column)
            .collect();
        if updates && catalog.moves(&self.target.table, &change.update, &found_by) {
            return None;
        }
        if skips {
            before.push(having.any(table, key, &conditions, Check::Kept));
        }
        Some(After {
            read: having.any(table, key, &conditions, Check::Nothing),
            least: rows,
            count: match () {
                () if skips => Count::New,
                () if change.delete && !self.others(key)?.is_empty() => Count::Given,
                () => Count::Any,
            },
        })
    }

    /// The keys of an upsert's rows: if all of them are there in the end, none was in conflict by other values, for that
    /// by the key comes first. The same key twice is one row, where there are no other values to be in conflict by.
    pub(super) fn first(&self, key: &[String], skips: bool) -> Option<Vec<Condition>> {
        let catalog = self.planner.catalog;
        let change = &self.target.change;
        let columns: Vec<_> = key.iter().map(String::as_str).collect();
        let moves = catalog.moves(&self.target.table, &change.update, &columns);
        let upsert = change.update.is_some() && !change.delete && !skips;
        let alone = matches!(catalog.unique(&self.target.table), Some([_]));
        // The key that is there in the end may have come from someone else meanwhile.
        let crossed = catalog.unrepeatable && !alone;
        if !upsert || moves || crossed || !catalog.is_first(&self.target.table, key) {
            return None;
        }
        let by_row = self.by_row(&[&key.to_vec()])?;
        let mut conditions = Vec::new();
        for row in by_row {
            let [condition] = <[Condition; 1]>::try_from(row).ok()?;
            let bound = condition.iter().any(|(_, value)| !value.binds.is_empty());
            if bound || !alone || !conditions.contains(&condition) {
                conditions.push(condition);
            }
        }
        Some(conditions)
    }

    /// The same for the rows of a query.
    pub(super) fn selected(
        &self,
        table: &Arc<str>,
        key: &KeyColumns<'_>,
        before: &mut Vec<Read>,
        (plain, skips): (bool, bool),
    ) -> Option<After> {
        let catalog = self.planner.catalog;
        let columns = catalog.columns(&self.target.table);
        let selected = Selected::of(
            self.planner.sql,
            self.planner.dialect,
            &self.target.table,
            columns,
        )?;
        let having = Having {
            dialect: self.planner.dialect,
            place: catalog.place(&self.target.table)?,
            parameters: 0,
        };
        let given = |column: &&str| selected.columns.contains(&fold(column));
        if let ([column], true) = (key.columns, plain)
            && !given(column)
            && catalog.fill(&self.target.table, &fold(column)) == Some(Fill::Serial)
        {
            return Some(After {
                read: having.counted(table, key),
                least: 0,
                count: Count::New,
            });
        }
        let steady = self.planner.dialect == Dialect::Mysql
            && !catalog.unrepeatable
            && !catalog.has_function(&selected.calls)
            // What a view reads and calls is not in the text.
            && !selected.names.iter().any(|name| catalog.is_made(name))
            && key.columns.iter().all(given);
        // What it does beside may change what the query reads.
        let does = catalog.touched(&self.target.table, &self.target.change, false);
        let reads = |table: &Arc<str>| selected.names.contains(&**table);
        let alone = self.others(key)?.is_empty() && !does.every && !does.tables.iter().any(reads);
        if !steady || !plain && !alone {
            return None;
        }
        if skips {
            before.push(having.selected(table, key, &selected, Check::Kept));
        }
        Some(After {
            read: having.selected(table, key, &selected, Check::Nothing),
            least: 0,
            count: match plain || skips {
                true => Count::New,
                false => Count::Any,
            },
        })
    }

    /// Whether MySQL puts the next number in the place of this zero.
    pub(super) fn counts_on(&self, column: &str, value: &Value) -> bool {
        let catalog = self.planner.catalog;
        catalog.numbers_zeros
            && matches!(value, Value::Constant(piece) if piece.sql.trim() == "0")
            && catalog.fill(&self.target.table, column) == Some(Fill::Serial)
    }

    /// The value, but for a zero that MySQL puts a number in the place of: a row that has one is not the new one.
    pub(super) fn without_zero(&self, column: &str, value: &Piece) -> Piece {
        let catalog = self.planner.catalog;
        let is_number =
            written(value.sql.trim(), Kind::Integer).is_some_and(|number| number != "0");
        let counts = catalog.fill(&self.target.table, column) == Some(Fill::Serial);
        if !catalog.numbers_zeros || !counts || is_number {
            return value.clone();
        }
        let mut piece = Piece::from("NULLIF((");
        piece.append(value);
        piece.push("\n), 0)");
        piece
    }

    /// Whether MySQL numbers all of the new rows itself.
    pub(super) fn numbered(&self, key: &KeyColumns<'_>) -> bool {
        let ([column], Some(values)) = (key.columns, &self.values) else {
            return false;
        };
        let column = fold(column);
        let given = |row: &Vec<Value>| match values.place(&column).map(|place| &row[place]) {
            None | Some(Value::Null | Value::Default) => false,
            Some(value) => !self.counts_on(&column, value),
        };
        self.planner.dialect == Dialect::Mysql
            && self.planner.catalog.fill(&self.target.table, &column) == Some(Fill::Serial)
            && !values.rows.iter().any(given)
    }
}
