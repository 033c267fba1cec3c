//! The collations of a table's columns, which SQLite keeps in the text of its CREATE TABLE alone.

use std::collections::HashMap;

use sqlparser::tokenizer::Token;

use super::super::Reading;
use crate::track::fold;
use crate::track::statement::text::Text;
use crate::track::statement::{Dialect, is_keyword};

/// What stands behind COLLATE, column by column.
pub(super) struct Collations {
    /// By folded names.
    own: HashMap<String, Vec<String>>,
    /// Of constraints of the table, which may be any column's; of the whole text where its columns are not told apart.
    common: Vec<String>,
}

/// These words begin a constraint of the table.
const CONSTRAINTS: [&str; 5] = ["CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"];

impl Collations {
    pub(super) fn of(sql: &str) -> Self {
        let mut collations = Self {
            own: HashMap::new(),
            common: Vec::new(),
        };
        let Some(text) = Text::new(sql, Dialect::Sqlite) else {
            collations.common.push("?".to_owned());
            return collations;
        };
        let open = (0..text.len()).find(|&at| text.is_token(at, &Token::LParen));
        let parts = open.and_then(|open| Some((open + 1, text.closing(open)?)));
        let Some((start, end)) = parts else {
            collations.common = names(&text, 0..text.len());
            return collations;
        };
        for item in text.items(start..end) {
            let constraint = CONSTRAINTS.iter().any(|word| text.is(item.start, word));
            let column = text.name(item.start).filter(|_| !constraint);
            let names = names(&text, item);
            match column {
                Some(column) => collations.own.entry(column).or_default().extend(names),
                None => collations.common.extend(names),
            }
        }
        collations
    }

    /// By which collation a column is compared, if it is told apart from others in its definition.
    pub(super) fn declared(&self, column: &str) -> Option<&str> {
        match self.own.get(&fold(column))?.as_slice() {
            [] => Some("BINARY"),
            [name] => Some(name),
            _ => None,
        }
    }

    /// How a column is read as a key. NOCASE and RTRIM take different texts for equal ones; what another collation does
    /// is not known.
    pub(super) fn reading(&self, column: &str) -> Reading {
        let own = self.own.get(&fold(column));
        let names: Vec<_> = own.into_iter().flatten().chain(&self.common).collect();
        let has = |name: &str| names.iter().any(|known| *known == name);
        let known = |name: &&String| ["BINARY", "NOCASE", "RTRIM"].contains(&name.as_str());
        match () {
            () if !names.iter().all(known) => Reading::Never,
            () if has("NOCASE") && has("RTRIM") => Reading::FOLDED_AND_TRIMMED,
            () if has("NOCASE") => {
                Reading::Through("CASE typeof({}) WHEN 'text' THEN lower({}) ELSE {} END")
            }
            () if has("RTRIM") => {
                Reading::Through("CASE typeof({}) WHEN 'text' THEN rtrim({}) ELSE {} END")
            }
            () => Reading::Plain,
        }
    }
}

/// The names of collations, in upper case.
fn names(text: &Text<'_>, range: std::ops::Range<usize>) -> Vec<String> {
    let collates = range.filter(|&at| is_keyword(&text.tokens[at].token, "COLLATE"));
    let name = |at: usize| text.name(at + 1).unwrap_or_else(|| "?".to_owned());
    collates.map(|at| name(at).to_ascii_uppercase()).collect()
}
