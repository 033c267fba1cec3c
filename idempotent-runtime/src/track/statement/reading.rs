//! How to ask for the keys of rows that a statement changes and does not tell: by queries of ours before and after it.

use std::sync::Arc;

use super::Dialect;
use super::selection::Selection;
use super::text::{Binds, Piece};
use super::values::Selected;
use crate::track::catalog::{Chain, Hop, Reading};

/// Of more rows than these, counted as changes are, the keys are not asked for.
const MOST_ROWS: usize = 4_097;

/// A query for keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    /// The folded name of the table whose keys it gives; none if it only locks, counts and compares.
    pub(crate) table: Option<Arc<str>>,
    pub(crate) sql: Arc<str>,
    /// Which of the statement's binds it has, in its order. SQLite numbers them in the text and gets them all.
    pub(crate) binds: Binds,
    /// How many columns a key has.
    pub(crate) keys: usize,
    pub(crate) check: Check,
    /// Of which queries it is one that follow the same foreign keys level by level.
    pub(crate) round: usize,
    /// The last of these: if it finds any row that none of them has found, there may be more that are not asked for.
    pub(crate) goes_on: bool,
}

/// How it is known that the rows that were asked for are those that were changed: on READ COMMITTED others may come
/// in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Check {
    /// By another query's check.
    Nothing,
    /// They are as many as the statement changed. It has locked them, so that none of them can have gone.
    Count,
    /// They are those that the statement told.
    Keys,
    /// They are not changed: what is found after the statement and not among them is.
    Kept,
}

impl Read {
    /// The same of the rows as they are now (MySQL family).
    pub(crate) fn locking(self) -> Self {
        Self {
            sql: format!("{} LOCK IN SHARE MODE", self.sql).into(),
            ..self
        }
    }
}

/// A key, ready to be written into a query.
pub(crate) struct KeyColumns<'a> {
    pub(crate) columns: &'a [&'a str],
    pub(crate) readings: &'a [Reading],
}

impl KeyColumns<'_> {
    /// The expressions that give the key, with names of ours, of the table that the query calls `qualifier`.
    pub(crate) fn expressions(&self, dialect: Dialect, qualifier: Option<&str>) -> String {
        let columns = self.columns.iter().zip(self.readings).enumerate();
        let expressions = columns.map(|(at, (column, reading))| {
            let column = match qualifier {
                Some(qualifier) => format!("{qualifier}.{}", quoted(dialect, column)),
                None => quoted(dialect, column),
            };
            format!("{} AS __idempotent_key_{}", reading.of(&column), at + 1)
        });
        expressions.collect::<Vec<_>>().join(", ")
    }
}

/// A name as the dialect quotes it. (SQLite takes an unknown name in double quotes for a string.)
pub(crate) fn quoted(dialect: Dialect, name: &str) -> String {
    match dialect {
        Dialect::Postgres => format!("\"{}\"", name.replace('"', "\"\"")),
        Dialect::Sqlite | Dialect::Mysql => format!("`{}`", name.replace('`', "``")),
    }
}

/// The rows that a statement chooses, before it changes them.
pub(crate) struct Chosen<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) selection: &'a Selection,
    /// What the statement calls the changed table.
    pub(crate) qualifier: &'a str,
    /// It takes away what other rows may refer to, and so locks as the statement does.
    pub(crate) refers: bool,
}

impl Chosen<'_> {
    /// Asks for the keys of these rows, and locks them.
    pub(crate) fn rows(&self, table: Option<Arc<str>>, key: &KeyColumns<'_>, check: Check) -> Read {
        let mut sql = self.selection.with.clone();
        sql.push(&format!(
            " SELECT {} FROM ",
            key.expressions(self.dialect, Some(self.qualifier))
        ));
        self.finish(sql, table, key.columns.len(), check)
    }

    /// Asks for the keys that these rows are to have: these expressions.
    pub(crate) fn renamed(&self, table: Arc<str>, key: &[Piece]) -> Read {
        let mut sql = self.selection.with.clone();
        for (at, part) in key.iter().enumerate() {
            sql.push(if at == 0 { " SELECT " } else { ", " });
            sql.append(part);
            sql.push(&format!(" AS __idempotent_key_{}", at + 1));
        }
        sql.push(" FROM ");
        self.finish(sql, Some(table), key.len(), Check::Nothing)
    }

    /// Locks these rows, so that no row comes to refer to one of them, and counts them.
    pub(crate) fn lock(&self) -> Read {
        let mut sql = self.selection.with.clone();
        sql.push(" SELECT 1 FROM ");
        self.finish(sql, None, 0, Check::Count)
    }

    fn finish(&self, mut sql: Piece, table: Option<Arc<str>>, keys: usize, check: Check) -> Read {
        self.tables_and_condition(&mut sql);
        match self.selection.limit.sql.is_empty() {
            true => sql.push(&limit(self.selection.parameters)),
            false => {
                sql.push("\n");
                sql.append(&self.selection.limit);
                sql.push("\n");
            }
        }
        match self.dialect {
            Dialect::Postgres if self.refers => {
                sql.push(&format!(" FOR UPDATE OF {}", self.qualifier));
            }
            Dialect::Postgres => sql.push(&format!(" FOR NO KEY UPDATE OF {}", self.qualifier)),
            Dialect::Mysql => sql.push(" FOR UPDATE"),
            Dialect::Sqlite => {}
        }
        read(sql, table, keys, check)
    }

    fn tables_and_condition(&self, sql: &mut Piece) {
        sql.append(&self.selection.from);
        if !self.selection.condition.sql.is_empty() {
            sql.push("\nWHERE (");
            sql.append(&self.selection.condition);
            sql.push("\n)");
        }
    }

    /// Asks for the keys of the rows that change with these, by the foreign keys of `chain`.
    pub(crate) fn chained(
        &self,
        chain: &Chain,
        table: Arc<str>,
        key: &KeyColumns<'_>,
    ) -> Option<Read> {
        let own = format!("__idempotent_{}", chain.hops.len());
        let sql = self.following(chain, &own, &key.expressions(self.dialect, Some(&own)))?;
        Some(Read {
            goes_on: chain.goes_on,
            round: chain.round,
            ..read(sql, Some(table), key.columns.len(), Check::Nothing)
        })
    }

    /// Locks the rows of an untracked table, since those of tracked ones may refer to them.
    pub(crate) fn passing(&self, chain: &Chain) -> Option<Read> {
        let own = format!("__idempotent_{}", chain.hops.len());
        let sql = self.following(chain, &own, "1")?;
        Some(Read {
            goes_on: chain.goes_on,
            ..read(sql, None, 0, Check::Nothing)
        })
    }

    fn following(&self, chain: &Chain, own: &str, columns: &str) -> Option<Piece> {
        let (last, before) = chain.hops.split_last()?;
        let mut sql =
            Piece::from(format!("SELECT {columns} FROM {} AS {own} WHERE ", last.sql).as_str());
        self.referring(last, before, own, &mut sql);
        if self.dialect == Dialect::Sqlite {
            sql.push(" AND (SELECT foreign_keys FROM pragma_foreign_keys)");
        }
        sql.push(&limit(self.selection.parameters));
        // Locked, so that no row comes to refer to one of them; and a plain SELECT of MySQL's would read what the
        // transaction saw first.
        match self.dialect {
            Dialect::Postgres => sql.push(&format!(" FOR UPDATE OF {own}")),
            Dialect::Mysql => sql.push(" FOR UPDATE"),
            Dialect::Sqlite => {}
        }
        Some(sql)
    }

    /// `(child columns) IN (SELECT parent columns …)`, and so on up to the changed table.
    fn referring(&self, hop: &Hop, before: &[Hop], own: &str, sql: &mut Piece) {
        let columns = |qualifier: &str, pick: fn(&(String, String)) -> &String| {
            let columns = hop
                .pairs
                .iter()
                .map(|pair| format!("{qualifier}.{}", quoted(self.dialect, pick(pair))));
            columns.collect::<Vec<_>>().join(", ")
        };
        sql.push(&format!("({}) IN (", columns(own, |pair| &pair.0)));
        match before.split_last() {
            Some((parent, others)) => {
                let name = format!("__idempotent_{}", before.len());
                let parents = columns(&name, |pair| &pair.1);
                sql.push(&format!(
                    "SELECT {parents} FROM {} AS {name} WHERE ",
                    parent.sql
                ));
                self.referring(parent, others, &name, sql);
            }
            None => {
                let limited = !self.selection.limit.sql.is_empty();
                // MySQL takes a LIMIT in a subquery only one level deeper.
                if limited {
                    sql.push("SELECT * FROM (");
                }
                sql.append(&self.selection.with);
                let parents = columns(self.qualifier, |pair| &pair.1);
                sql.push(&format!(" SELECT {parents} FROM "));
                self.tables_and_condition(sql);
                if limited {
                    sql.push("\n");
                    sql.append(&self.selection.limit);
                    sql.push("\nLOCK IN SHARE MODE) AS __idempotent_0");
                }
            }
        }
        sql.push(match self.dialect {
            Dialect::Mysql => " LOCK IN SHARE MODE)",
            Dialect::Postgres | Dialect::Sqlite => ")",
        });
    }
}

/// What a row must have: columns and their values.
pub(crate) type Condition = Vec<(String, Piece)>;

/// What a query for rows by their values calls their table.
pub(crate) const ROW: &str = "__idempotent_1";

/// What it calls the query of an INSERT … SELECT.
const SOURCE: &str = "__idempotent_2";

/// Rows of a table by their values.
pub(crate) struct Having<'a> {
    pub(crate) dialect: Dialect,
    /// The table as SQL names it.
    pub(crate) place: &'a str,
    /// The number of the statement's last parameter, as SQLite counts them.
    pub(crate) parameters: usize,
}

impl Having<'_> {
    /// Asks for the rows that meet one of these conditions.
    pub(crate) fn any(
        &self,
        table: &Arc<str>,
        key: &KeyColumns<'_>,
        conditions: &[Condition],
        check: Check,
    ) -> Read {
        self.one(table, key, &self.condition(conditions), check)
    }

    /// What chooses these rows.
    pub(crate) fn selection(&self, conditions: &[Condition]) -> Selection {
        Selection {
            from: Piece::from(format!("{} AS {ROW}", self.place).as_str()),
            condition: self.condition(conditions),
            parameters: self.parameters,
            steady: true,
            ..Selection::default()
        }
    }

    fn condition(&self, conditions: &[Condition]) -> Piece {
        let mut sql = Piece::default();
        for (at, condition) in conditions.iter().enumerate() {
            sql.push(if at == 0 { "(" } else { " OR (" });
            for (at, (column, value)) in condition.iter().enumerate() {
                let and = if at == 0 { "" } else { " AND " };
                let column = quoted(self.dialect, column);
                sql.push(&format!("{and}{ROW}.{column} = ("));
                sql.append(value);
                sql.push("\n)");
            }
            sql.push(")");
        }
        sql
    }

    /// The only row that MySQL has just numbered.
    pub(crate) fn last(&self, table: &Arc<str>) -> Read {
        let sql = Piece::from("SELECT LAST_INSERT_ID() AS __idempotent_key_1");
        read(sql, Some(table.clone()), 1, Check::Nothing)
    }

    /// The rows that MySQL has just numbered, so many: it takes their numbers at once.
    pub(crate) fn numbered(&self, table: &Arc<str>, key: &KeyColumns<'_>, rows: usize) -> Read {
        let column = key
            .columns
            .iter()
            .map(|column| quoted(self.dialect, column))
            .collect::<String>();
        let steps = rows.saturating_sub(1);
        let condition = format!(
            "{ROW}.{column} BETWEEN LAST_INSERT_ID() AND LAST_INSERT_ID() + {steps} * @@auto_increment_increment"
        );
        self.one(table, key, &Piece::from(condition.as_str()), Check::Nothing)
    }

    /// The rows that MySQL has just numbered, as many as the statement has put in, if it took their numbers at once.
    pub(crate) fn counted(&self, table: &Arc<str>, key: &KeyColumns<'_>) -> Read {
        let column = key
            .columns
            .iter()
            .map(|column| quoted(self.dialect, column))
            .collect::<String>();
        let condition = format!(
            "{ROW}.{column} BETWEEN LAST_INSERT_ID() AND LAST_INSERT_ID() + (ROW_COUNT() - 1) * @@auto_increment_increment \
             AND @@innodb_autoinc_lock_mode < 2"
        );
        self.one(table, key, &Piece::from(condition.as_str()), Check::Nothing)
    }

    /// The rows whose keys a query gives; a key of NULLs for one that is not there.
    pub(crate) fn selected(
        &self,
        table: &Arc<str>,
        key: &KeyColumns<'_>,
        selected: &Selected,
        check: Check,
    ) -> Read {
        let names = |columns: &[String]| {
            let columns = columns.iter().map(|column| quoted(self.dialect, column));
            columns.collect::<Vec<_>>().join(", ")
        };
        let mut sql =
            Piece::from(format!("WITH {SOURCE} ({}) AS (", names(&selected.columns)).as_str());
        sql.append(&selected.query);
        let same = key.columns.iter().map(|column| {
            let column = quoted(self.dialect, column);
            format!("{ROW}.{column} = {SOURCE}.{column}")
        });
        let found = match check {
            Check::Kept => "JOIN",
            _ => "LEFT JOIN",
        };
        sql.push(&format!(
            "\n) SELECT DISTINCT {} FROM {SOURCE} {found} {} AS {ROW} ON {}",
            key.expressions(self.dialect, Some(ROW)),
            self.place,
            same.collect::<Vec<_>>().join(" AND ")
        ));
        sql.push(&limit(self.parameters));
        read(sql, Some(table.clone()), key.columns.len(), check)
    }

    fn one(&self, table: &Arc<str>, key: &KeyColumns<'_>, condition: &Piece, check: Check) -> Read {
        let keys = key.expressions(self.dialect, Some(ROW));
        let mut sql =
            Piece::from(format!("SELECT {keys} FROM {} AS {ROW} WHERE ", self.place).as_str());
        sql.append(condition);
        sql.push(&limit(self.parameters));
        read(sql, Some(table.clone()), key.columns.len(), check)
    }
}

/// SQLite refuses more binds than the text has parameters, so that the last one is named.
fn limit(parameters: usize) -> String {
    match parameters {
        0 => format!("\nLIMIT {MOST_ROWS}"),
        last => format!("\nLIMIT CASE WHEN ?{last} IS NULL THEN {MOST_ROWS} ELSE {MOST_ROWS} END"),
    }
}

fn read(sql: Piece, table: Option<Arc<str>>, keys: usize, check: Check) -> Read {
    Read {
        table,
        sql: sql.sql.trim_start().into(),
        binds: sql.binds,
        keys,
        check,
        round: 0,
        goes_on: false,
    }
}
