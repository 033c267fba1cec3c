//! The rows that an INSERT or a REPLACE writes out, value by value.

use std::collections::BTreeSet;

use sqlparser::tokenizer::Token;

use super::Dialect;
use super::text::{Piece, Text};

/// What an INSERT puts into its table, as far as its text tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Values {
    /// Folded.
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Value>>,
    /// The number of the statement's last parameter, as SQLite counts them.
    pub(crate) parameters: usize,
}

/// One value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Constant(Piece),
    Null,
    /// `DEFAULT`.
    Default,
    /// Anything else.
    Computed,
}

impl Values {
    /// Of the only statement in `sql`, if it has `VALUES`. `columns`: those of the table, where it does not name them.
    pub(crate) fn of(sql: &str, dialect: Dialect, columns: Option<&[String]>) -> Option<Self> {
        let text = Text::new(sql, dialect)?;
        let into = text.find(0..text.len(), &["INTO"])?;
        let values = text.find(into..text.len(), &["VALUES", "VALUE"])?;
        let columns = match text.is_token(values.checked_sub(1)?, &Token::RParen) {
            true => text.names(into)?,
            false => columns?.to_vec(),
        };
        let rows = text.rows(values + 1)?;
        let whole = rows.iter().all(|row| row.len() == columns.len());
        // SQLite takes a column twice, and one of the values.
        let once = columns.iter().collect::<BTreeSet<_>>().len() == columns.len();
        (whole && once).then_some(Self {
            columns,
            rows,
            parameters: match dialect {
                Dialect::Sqlite => text.last_parameter()?,
                Dialect::Postgres | Dialect::Mysql => 0,
            },
        })
    }

    /// Where a column is in each row.
    pub(crate) fn place(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|known| known == column)
    }
}

/// What an INSERT … SELECT puts into its table (MySQL family).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selected {
    /// Folded.
    pub(crate) columns: Vec<String>,
    /// The query, which locks what it reads.
    pub(crate) query: Piece,
    /// Folded names before a parenthesis.
    pub(crate) calls: Vec<String>,
    /// Folded names, of tables, columns and whatever else is in it.
    pub(crate) names: BTreeSet<String>,
}

impl Selected {
    /// Of the only statement in `sql`, if its query gives the same rows once more behind it. `columns`: those of the table,
    /// where it does not name them.
    pub(crate) fn of(
        sql: &str,
        dialect: Dialect,
        table: &str,
        columns: Option<&[String]>,
    ) -> Option<Self> {
        let text = Text::new(sql, dialect)?;
        let into = text.find(0..text.len(), &["INTO"])?;
        let select = text.find(into..text.len(), &["SELECT"])?;
        let columns = match text.is_token(select.checked_sub(1)?, &Token::RParen) {
            true => text.names(into)?,
            false => columns?.to_vec(),
        };
        let ends = |at: &usize| {
            text.is(*at, "RETURNING") || text.is(*at, "ON") && text.is(at + 1, "DUPLICATE")
        };
        let end = (select..text.len()).find(ends).unwrap_or(text.len());
        let query = select..end;
        let unsettled = [
            "LIMIT",
            "UNION",
            "EXCEPT",
            "INTERSECT",
            "FOR",
            "LOCK",
            "WITH",
            "INTO",
        ];
        let own = |at: usize| text.name(at).is_some_and(|name| name == table);
        let repeats = text.steady(query.clone().collect())
            && !query
                .clone()
                .any(|at| own(at) || unsettled.iter().any(|word| text.is(at, word)));
        let mut piece = text.piece(query.clone())?;
        piece.push("\nLOCK IN SHARE MODE");
        repeats.then(|| Self {
            columns,
            query: piece,
            calls: text.calls(query.clone().collect()),
            names: query.filter_map(|at| text.name(at)).collect(),
        })
    }
}

impl Text<'_> {
    /// The names in the first parentheses.
    fn names(&self, start: usize) -> Option<Vec<String>> {
        let open = (start..self.len()).find(|&at| self.is_token(at, &Token::LParen))?;
        let items = self.items(open + 1..self.closing(open)?).into_iter();
        items
            .map(|item| self.name(item.end.checked_sub(1)?))
            .collect()
    }

    fn rows(&self, mut at: usize) -> Option<Vec<Vec<Value>>> {
        let mut rows = Vec::new();
        loop {
            if !self.is_token(at, &Token::LParen) {
                return None;
            }
            let close = self.closing(at)?;
            let items = self.items(at + 1..close).into_iter();
            rows.push(items.map(|item| self.value(item)).collect());
            at = close + 1;
            match self.is_token(at, &Token::Comma) {
                true => at += 1,
                false => return self.ends_values(at).then_some(rows),
            }
        }
    }

    /// Whether nothing can follow that brings more rows.
    fn ends_values(&self, at: usize) -> bool {
        at == self.len()
            || ["ON", "RETURNING", "AS"]
                .iter()
                .any(|word| self.is(at, word))
    }

    fn value(&self, item: std::ops::Range<usize>) -> Value {
        let single = item.len() == 1;
        if single && self.is(item.start, "NULL") {
            return Value::Null;
        }
        if single && self.is(item.start, "DEFAULT") {
            return Value::Default;
        }
        self.constant(item).map_or(Value::Computed, Value::Constant)
    }
}

#[cfg(test)]
mod tests;
