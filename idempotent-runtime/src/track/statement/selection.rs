//! The clauses of an UPDATE or a DELETE that say which rows it changes, to be asked for by a SELECT of ours.
//!
//! They are cut out of the user's own text, not written anew: what the grammar leaves out cannot be lost that way.

use std::ops::Range;

use sqlparser::tokenizer::Token;

use super::Dialect;
use super::text::{Piece, Text};

/// One assignment of a SET clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Set {
    /// Folded.
    pub(crate) column: String,
    /// The value, if it is made of constants and binds alone.
    pub(crate) constant: Option<Piece>,
    /// The folded column of the row and what is added to it, as in `+ 3`, if it is that.
    pub(crate) shifted: Option<(String, String)>,
}

/// What chooses the rows of a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    /// `WITH …`, or nothing.
    pub(crate) with: Piece,
    /// What stands behind FROM in a SELECT of these rows.
    pub(crate) from: Piece,
    /// The condition, or nothing.
    pub(crate) condition: Piece,
    /// The number of the statement's last parameter, as SQLite counts them.
    pub(crate) parameters: usize,
    /// `ORDER BY … LIMIT …`, or nothing.
    pub(crate) limit: Piece,
    /// The columns by which it is ordered, folded.
    pub(crate) order: Vec<String>,
    /// It joins other tables, or asks them.
    pub(crate) asks_others: bool,
    /// Two runs of it one after the other choose the same rows, as far as it is up to its text; with functions in it
    /// that are known to differ they do not.
    pub(crate) steady: bool,
    /// Values that a column has in each of the rows, by folded names.
    pub(crate) equal: Vec<(String, Piece)>,
    /// Folded names before a parenthesis.
    pub(crate) calls: Vec<String>,
    /// None if some of them are not understood.
    pub(crate) sets: Vec<Set>,
}

/// Functions and values that are not the same twice, whatever their arguments, or do something.
const UNSTEADY: [&str; 22] = [
    "get_lock",
    "release_lock",
    "benchmark",
    "dblink",
    "load_extension",
    "random",
    "randomblob",
    "rand",
    "uuid",
    "uuid_short",
    "sys_guid",
    "gen_random_uuid",
    "nextval",
    "setval",
    "lastval",
    "last_insert_id",
    "clock_timestamp",
    "statement_timestamp",
    "timeofday",
    "sysdate",
    "sleep",
    "changes",
];

/// The time: the same within a statement, later in the next one.
const CLOCKS: [&str; 14] = [
    "now",
    "current_timestamp",
    "current_time",
    "current_date",
    "localtime",
    "localtimestamp",
    "utc_timestamp",
    "utc_date",
    "utc_time",
    "curdate",
    "curtime",
    "unix_timestamp",
    "datetime",
    "julianday",
];

impl Selection {
    /// Of the only statement in `sql`, if its clauses can be told apart.
    pub(crate) fn of(sql: &str, dialect: Dialect) -> Option<Self> {
        let text = Text::new(sql, dialect)?;
        let start = match text.is(0, "WITH") {
            true => text.find(0..text.len(), &["UPDATE", "DELETE"])?,
            false => 0,
        };
        let clauses = match (text.is(start, "UPDATE"), text.is(start, "DELETE")) {
            (true, _) => text.update(start)?,
            (_, true) => text.delete(start)?,
            _ => return None,
        };
        text.selection(0..start, &clauses)
    }
}

/// The tokens of each clause.
#[derive(Default)]
struct Clauses {
    sets: Range<usize>,
    from: Vec<Range<usize>>,
    condition: Range<usize>,
    limit: Range<usize>,
}

impl Text<'_> {
    /// Where a clause ends that begins at `start`.
    fn end(&self, start: usize, next: &[&str]) -> usize {
        self.find(start..self.len(), next).unwrap_or(self.len())
    }

    fn update(&self, start: usize) -> Option<Clauses> {
        let mut at = self.skip(start + 1, &["LOW_PRIORITY", "IGNORE"]);
        if self.is(at, "OR") {
            at += 2;
        }
        let set = self.find(at..self.len(), &["SET"])?;
        let tail = ["WHERE", "ORDER", "LIMIT", "RETURNING"];
        let mut from = set + 1;
        loop {
            from = self.end(from, &["FROM", "WHERE", "ORDER", "LIMIT", "RETURNING"]);
            match self.is(from, "FROM") && self.is(from - 1, "DISTINCT") {
                true => from += 1,
                false => break,
            }
        }
        let mut clauses = self.tail(from);
        clauses.sets = set + 1..from;
        clauses.from.push(at..set);
        if self.is(from, "FROM") {
            let end = self.end(from, &tail);
            clauses.condition = self.tail(end).condition;
            clauses.limit = self.tail(end).limit;
            clauses.from.push(from + 1..end);
        }
        Some(clauses)
    }

    fn delete(&self, start: usize) -> Option<Clauses> {
        let at = self.skip(start + 1, &["LOW_PRIORITY", "QUICK", "IGNORE"]);
        let from = self.find(at..self.len(), &["FROM"])?;
        let tail = self.end(from, &["WHERE", "ORDER", "LIMIT", "RETURNING"]);
        let using = self
            .find(from..tail, &["USING"])
            .filter(|using| self.dialect != Dialect::Mysql || !self.joins_by(*using));
        let mut clauses = self.tail(tail);
        match using {
            None => clauses.from.push(from + 1..tail),
            Some(using) => {
                // MySQL repeats the target among the tables that it uses.
                if self.dialect != Dialect::Mysql {
                    clauses.from.push(from + 1..using);
                }
                clauses.from.push(using + 1..tail);
            }
        }
        Some(clauses)
    }

    /// `JOIN … USING (…)`.
    fn joins_by(&self, using: usize) -> bool {
        self.is_token(using + 1, &Token::LParen)
    }

    /// What comes behind the tables.
    fn tail(&self, at: usize) -> Clauses {
        let mut clauses = Clauses::default();
        let mut end = at;
        if self.is(at, "WHERE") {
            end = self.end(at, &["ORDER", "LIMIT", "RETURNING"]);
            clauses.condition = at + 1..end;
        }
        if self.is(end, "ORDER") || self.is(end, "LIMIT") {
            clauses.limit = end..self.end(end, &["RETURNING"]);
        }
        clauses
    }

    fn selection(&self, with: Range<usize>, clauses: &Clauses) -> Option<Selection> {
        if self.is(clauses.condition.start, "CURRENT") {
            return None;
        }
        let mut from = Piece::default();
        for (at, range) in clauses.from.iter().enumerate() {
            if at > 0 {
                from.push(", ");
            }
            from.append(&self.piece(range.clone())?);
        }
        let chooses = || {
            let parts = clauses
                .from
                .iter()
                .cloned()
                .chain([clauses.condition.clone(), with.clone()]);
            parts.flatten()
        };
        let named = self.with_names(with.clone());
        let asks = |at: usize| {
            ["SELECT", "JOIN", "STRAIGHT_JOIN", "TABLE"]
                .iter()
                .any(|word| self.is(at, word))
                || self.name(at).is_some_and(|name| named.contains(&name))
        };
        let own = clauses
            .from
            .iter()
            .cloned()
            .chain([clauses.condition.clone()]);
        let asks_others = clauses.from.len() > 1
            || own.flatten().any(asks)
            || clauses
                .from
                .iter()
                .any(|range| self.has_comma(range.clone()));
        Some(Selection {
            with: self.piece(with.clone())?,
            from,
            parameters: match self.dialect {
                Dialect::Sqlite => self.last_parameter()?,
                Dialect::Postgres | Dialect::Mysql => 0,
            },
            condition: self.piece(clauses.condition.clone())?,
            limit: self.piece(clauses.limit.clone())?,
            order: self.order(clauses.limit.clone()),
            asks_others,
            steady: self.steady(chooses().collect()),
            equal: self.equalities(clauses.condition.clone()),
            calls: self.calls(chooses().collect()),
            sets: self.sets(clauses.sets.clone()),
        })
    }

    /// The names that a WITH may give.
    fn with_names(&self, with: Range<usize>) -> Vec<String> {
        let names = with.filter(|&at| {
            !self.is(at, "AS") && (self.is(at + 1, "AS") || self.is_token(at + 1, &Token::LParen))
        });
        names.filter_map(|at| self.name(at)).collect()
    }

    /// The columns of an ORDER BY, as far as it is made of columns.
    fn order(&self, range: Range<usize>) -> Vec<String> {
        if !self.is(range.start, "ORDER") {
            return Vec::new();
        }
        let end = self.find(range.clone(), &["LIMIT"]).unwrap_or(range.end);
        let items = self.items(range.start + 2..end).into_iter();
        let plain = items.filter_map(|mut item| {
            if self.is(item.end - 1, "ASC") || self.is(item.end - 1, "DESC") {
                item.end -= 1;
            }
            let named =
                item.len() == 1 || item.len() == 3 && self.is_token(item.start + 1, &Token::Period);
            self.name(item.end - 1).filter(|_| named)
        });
        plain.collect()
    }

    /// Whether these say the same twice.
    pub(crate) fn steady(&self, range: Vec<usize>) -> bool {
        let is_one = |at: usize, words: &[&str]| words.iter().any(|word| self.is(at, word));
        let mut clocks = 0;
        for at in range {
            let administers = self.name(at).is_some_and(|name| name.starts_with("pg_"))
                && self.is_token(at + 1, &Token::LParen);
            if administers
                || is_one(at, &UNSTEADY)
                || matches!(self.tokens[at].token, Token::AtSign)
            {
                return false;
            }
            if is_one(at, &CLOCKS) {
                let compared = at.checked_sub(1).is_some_and(|before| {
                    matches!(
                        self.tokens[before].token,
                        Token::Lt | Token::LtEq | Token::Gt | Token::GtEq
                    )
                });
                if !compared {
                    return false;
                }
                clocks += 1;
            }
        }
        // As time goes on, one comparison only lets rows in or only lets them out, so that their number tells.
        clocks < 2
    }

    /// What must hold of every row: `column = value` in a conjunction.
    fn equalities(&self, mut range: Range<usize>) -> Vec<(String, Piece)> {
        while self.is_token(range.start, &Token::LParen)
            && self.closing(range.start) == range.end.checked_sub(1)
            && !range.is_empty()
        {
            range = range.start + 1..range.end - 1;
        }
        if range.is_empty()
            || self
                .find(range.clone(), &["OR", "XOR", "BETWEEN", "CASE"])
                .is_some()
        {
            return Vec::new();
        }
        // MySQL's OR, in some modes.
        let concats = range
            .clone()
            .any(|at| self.is_token(at, &Token::StringConcat));
        if concats && self.dialect == Dialect::Mysql {
            return Vec::new();
        }
        match self.find(range.clone(), &["AND"]) {
            Some(and) => {
                let mut all = self.equalities(range.start..and);
                all.extend(self.equalities(and + 1..range.end));
                all
            }
            None => self.equality(range).into_iter().collect(),
        }
    }

    /// `column = value` or `table.column = value`, and nothing else.
    fn equality(&self, range: Range<usize>) -> Option<(String, Piece)> {
        let equals = range
            .end
            .checked_sub(2)
            .filter(|equals| range.contains(equals))?;
        let column = self.name(equals.checked_sub(1)?)?;
        let named = match equals - range.start {
            1 => true,
            3 => self.is_token(equals - 2, &Token::Period),
            5 => {
                self.is_token(equals - 2, &Token::Period)
                    && self.is_token(equals - 4, &Token::Period)
            }
            _ => false,
        };
        let value = self.constant(equals + 1..range.end);
        Some((
            column,
            value.filter(|_| named && self.is_token(equals, &Token::Eq))?,
        ))
    }

    /// Folded names before a parenthesis.
    pub(crate) fn calls(&self, range: Vec<usize>) -> Vec<String> {
        range
            .into_iter()
            .filter(|at| self.is_token(at + 1, &Token::LParen))
            .filter_map(|at| self.name(at))
            .collect()
    }

    fn sets(&self, range: Range<usize>) -> Vec<Set> {
        let items = self.items(range).into_iter();
        let sets: Option<Vec<_>> = items.map(|item| self.set(item)).collect();
        sets.unwrap_or_default()
    }

    fn set(&self, range: Range<usize>) -> Option<Set> {
        let equals = range.clone().find(|&at| self.is_token(at, &Token::Eq))?;
        Some(Set {
            column: self.name(equals.checked_sub(1)?)?,
            constant: self.constant(equals + 1..range.end),
            shifted: self.shifted(equals + 1..range.end),
        })
    }

    /// `column + 3` or `table.column + 3`.
    fn shifted(&self, range: Range<usize>) -> Option<(String, String)> {
        let sign = range.end.checked_sub(2)?;
        let column = sign.checked_sub(1)?;
        let named = match column.checked_sub(range.start)? {
            0 => true,
            2 => self.is_token(column - 1, &Token::Period),
            _ => false,
        };
        let sign = match &self.tokens[sign].token {
            Token::Plus => "+",
            Token::Minus => "-",
            _ => return None,
        };
        match &self.tokens[range.end - 1].token {
            Token::Number(number, _)
                if named && number.bytes().all(|digit| digit.is_ascii_digit()) =>
            {
                Some((self.name(column)?, format!("{sign} {number}")))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
