//! INSERT and REPLACE: new rows, and those that they are in conflict with, are found by their unique values.

use std::sync::Arc;

use super::given::written;
use super::planner::{Own, Planner};
use super::{Count, Given, Part};
use crate::track::catalog::{Fill, Kind, Reading};
use crate::track::fold;
use crate::track::rules::Rule;
use crate::track::statement::analyse::{Analysis, Target};
use crate::track::statement::reading::{Check, Condition, Having, KeyColumns, Read};
use crate::track::statement::selection::Selection;
use crate::track::statement::text::{Piece, Text};
use crate::track::statement::values::{Value, Values};
use crate::track::statement::{Dialect, ROWIDS};

mod found;

/// More rows than these are not looked for one by one.
const MOST_ROWS: usize = 256;

/// The rows that an INSERT replaces or updates.
pub(super) enum Taken {
    Nothing,
    Rows(Box<Selection>),
}

impl Planner<'_> {
    /// The rows that an INSERT may replace or update, if they can be told beforehand: on SQLite, where nobody else
    /// writes meanwhile. (Elsewhere what is not there would have to be locked.)
    pub(super) fn taken(&self, target: &Target) -> Option<Taken> {
        let new = New::of(self, target);
        if self.dialect != Dialect::Sqlite || new.names_rowid() {
            return None;
        }
        let unique = self.catalog.unique(&target.table)?;
        let conditions = new.conditions(&unique.iter().collect::<Vec<_>>())?;
        Some(match conditions.is_empty() {
            true => Taken::Nothing,
            false => Taken::Rows(Box::new(new.having()?.selection(&conditions))),
        })
    }

    /// Whether the statement returns rows, which are then what is counted.
    fn returns(&self) -> bool {
        let text = Text::new(self.sql, self.dialect);
        text.is_none_or(|text| text.find(0..text.len(), &["RETURNING"]).is_some())
    }

    pub(super) fn inserted(
        &self,
        target: &Target,
        table: &Arc<str>,
        key: &KeyColumns<'_>,
        analysis: &Analysis,
    ) -> Option<Own> {
        let new = New::of(self, target);
        let sets_key = self.sets_key(&target.change, key.columns);
        let given = new
            .given(key)
            .filter(|_| !sets_key && !analysis.skips)
            .map(|keys| Given {
                table: table.clone(),
                keys,
            });
        if given.is_some() {
            return Some(Own {
                given,
                ..Own::default()
            });
        }
        let mut own = Own {
            rows: self.suffix(target, Some(table), key),
            ..Own::default()
        };
        match &own.rows {
            Some(_) if sets_key => new.renamed(table, key, &analysis.conflict, &mut own)?,
            Some(_) if target.change.delete && Rule::Replaced.applies() => {
                own.before.extend(new.replaced(table, key)?)
            }
            Some(_) => {}
            None if !Rule::NewRows.applies() => {}
            None if sets_key => return None,
            None => {
                let after = new.found(table, key, &mut own.before, analysis.skips)?;
                // What RETURNING gives is counted then, and not what it took.
                if after.count != Count::Any && self.returns() {
                    return None;
                }
                own.after = Some(after);
            }
        }
        Some(own)
    }
}

/// The rows of an INSERT or a REPLACE.
struct New<'a> {
    planner: &'a Planner<'a>,
    target: &'a Target,
    /// What they are made of, if that is written out.
    values: Option<Values>,
}

impl<'a> New<'a> {
    fn of(planner: &'a Planner<'a>, target: &'a Target) -> Self {
        let columns = planner.catalog.columns(&target.table);
        let values = Values::of(planner.sql, planner.dialect, columns);
        Self {
            planner,
            target,
            values: values.filter(|values| values.rows.len() <= MOST_ROWS),
        }
    }

    /// The keys that plain new rows are given.
    fn given(&self, key: &KeyColumns<'_>) -> Option<Box<[Box<[Part]>]>> {
        let change = &self.target.change;
        match change.delete || change.update.is_some() {
            true => None,
            false => self.keys(key),
        }
    }

    /// The keys in the text, if rows get just those.
    fn keys(&self, key: &KeyColumns<'_>) -> Option<Box<[Box<[Part]>]>> {
        let catalog = self.planner.catalog;
        // Without strict mode MySQL makes a key fit that does not.
        let kept = self.planner.dialect != Dialect::Sqlite
            && !catalog.lenient
            && !catalog.rewrites(&self.target.table, key.columns)
            && !self.planner.sql.to_ascii_uppercase().contains("OVERRIDING");
        let values = self.values.as_ref().filter(|_| kept)?;
        let parts = |row: &Vec<Value>| {
            let columns = key.columns.iter().zip(key.readings);
            columns
                .map(|(column, reading)| self.part(values, row, column, *reading))
                .collect()
        };
        values.rows.iter().map(parts).collect()
    }

    /// The rows of an upsert that sets the key: RETURNING tells the new one. The old one is that of the rows in conflict.
    fn renamed(
        &self,
        table: &Arc<str>,
        key: &KeyColumns<'_>,
        conflict: &[String],
        own: &mut Own,
    ) -> Option<()> {
        if self.planner.dialect == Dialect::Sqlite {
            if let Taken::Rows(selection) = self.planner.taken(self.target)? {
                let chosen = self.planner.chosen(self.target, &selection);
                let rows = chosen.rows(Some(table.clone()), key, Check::Nothing);
                own.before.push(rows);
            }
            return Some(());
        }
        let by_key = conflict.len() == key.columns.len()
            && key.columns.iter().all(|column| {
                conflict
                    .iter()
                    .any(|named| *named == self.planner.spelled(column))
            });
        own.given = Some(Given {
            table: table.clone(),
            keys: self.keys(key).filter(|_| by_key)?,
        });
        Some(())
    }

    fn part(&self, values: &Values, row: &[Value], column: &str, reading: Reading) -> Option<Part> {
        let column = self.planner.spelled(column);
        // MySQL puts a number of its own in the place of a NULL and of a zero.
        if self.planner.catalog.fill(&self.target.table, &column) == Some(Fill::Serial) {
            return None;
        }
        match &row[values.place(&column)?] {
            Value::Constant(value) => Part::of(value, reading),
            Value::Null | Value::Default | Value::Computed => None,
        }
    }

    /// Asks for the rows that make room for the new ones, but for those of the same key: nothing if they cannot be asked
    /// for, `Some(None)` if there are none.
    fn replaced(&self, table: &Arc<str>, key: &KeyColumns<'_>) -> Option<Option<Read>> {
        if self.names_rowid() {
            return None;
        }
        let others = self.others(key)?;
        if others.is_empty() {
            return Some(None);
        }
        let conditions = self.conditions(&others)?;
        if conditions.is_empty() {
            return Some(None);
        }
        Some(Some(self.having()?.any(
            table,
            key,
            &conditions,
            Check::Nothing,
        )))
    }

    /// By a number that it is given, a row makes room for another that is named by its key.
    fn names_rowid(&self) -> bool {
        let text = fold(self.planner.sql);
        let mut words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.any(|word| ROWIDS.contains(&word))
    }

    /// Unique indexes beside the key.
    fn others(&self, key: &KeyColumns<'_>) -> Option<Vec<&Vec<String>>> {
        let is_key = |index: &&Vec<String>| {
            index.len() == key.columns.len()
                && key
                    .columns
                    .iter()
                    .all(|column| index.contains(&fold(column)))
        };
        let unique = self.planner.catalog.unique(&self.target.table)?;
        Some(unique.iter().filter(|index| !is_key(index)).collect())
    }

    fn having(&self) -> Option<Having<'_>> {
        Some(Having {
            dialect: self.planner.dialect,
            place: self.planner.catalog.place(&self.target.table)?,
            parameters: self.values.as_ref()?.parameters,
        })
    }

    /// What a row must have to be one of the new rows, or in conflict with one, in these indexes.
    fn conditions(&self, indexes: &[&Vec<String>]) -> Option<Vec<Condition>> {
        Some(self.by_row(indexes)?.into_iter().flatten().collect())
    }

    /// The same, row by row.
    fn by_row(&self, indexes: &[&Vec<String>]) -> Option<Vec<Vec<Condition>>> {
        let values = self.values.as_ref()?;
        let row = |row: &Vec<Value>| {
            let conditions = indexes
                .iter()
                .map(|index| self.condition(values, row, index));
            let conditions: Vec<_> = conditions.collect::<Option<_>>()?;
            Some(conditions.into_iter().flatten().collect())
        };
        values.rows.iter().map(row).collect()
    }

    /// The same for one row and one index; `Some(None)`: no row can be, for a value is NULL or new.
    fn condition(
        &self,
        values: &Values,
        row: &[Value],
        index: &[String],
    ) -> Option<Option<Condition>> {
        let fill = |column: &str| self.planner.catalog.fill(&self.target.table, column);
        let mut condition = Condition::new();
        let mut impossible = false;
        for column in index {
            match values.place(column).map(|place| &row[place]) {
                Some(value) if self.counts_on(column, value) => impossible = true,
                Some(Value::Constant(piece))
                    if self.planner.catalog.fills_null(&self.target.table, column)
                        && !is_literal(piece) =>
                {
                    return None;
                }
                Some(Value::Constant(piece)) => {
                    condition.push((column.clone(), self.without_zero(column, piece)));
                }
                Some(Value::Null) => {
                    fill(column)?;
                    impossible = true;
                }
                Some(Value::Computed) => return None,
                None | Some(Value::Default) => {
                    fill(column)?;
                    impossible = true;
                }
            }
        }
        Some(Some(condition).filter(|_| !impossible))
    }
}

/// Whether this is surely not NULL.
fn is_literal(value: &Piece) -> bool {
    let written = |kind| written(value.sql.trim(), kind).is_some();
    value.binds.is_empty() && (written(Kind::Integer) || written(Kind::Text))
}
