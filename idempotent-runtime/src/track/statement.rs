//! SQL text -> what it changes, and how to learn which rows.

pub(crate) mod analyse;
pub(crate) mod change;
mod gaps;
pub(crate) mod keywords;
pub(crate) mod plan;
pub(crate) mod reading;
pub(crate) mod selection;
pub(crate) mod split;
pub(crate) mod text;
pub(crate) mod values;

use sqlparser::dialect::{Dialect as SqlDialect, MySqlDialect, PostgreSqlDialect, SQLiteDialect};
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, TokenizerError};

/// The names by which SQLite lets the rowid, and with it an integer key, be set.
pub(crate) const ROWIDS: [&str; 3] = ["rowid", "_rowid_", "oid"];

/// The SQL that a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
    Mysql,
}

impl Dialect {
    fn grammar(self) -> &'static dyn SqlDialect {
        match self {
            Self::Sqlite => &SQLiteDialect {},
            Self::Postgres => &PostgreSqlDialect {},
            Self::Mysql => &MySqlDialect {},
        }
    }

    fn nests_comments(self) -> bool {
        self == Self::Postgres
    }

    /// All tokens with their places, comments and blanks too.
    pub(crate) fn tokens(self, sql: &str) -> Result<Vec<TokenWithSpan>, TokenizerError> {
        Tokenizer::new(self.grammar(), sql).tokenize_with_location()
    }
}

pub(crate) fn is_blank(token: &TokenWithSpan) -> bool {
    matches!(token.token, Token::Whitespace(_) | Token::EOF)
}

/// The unquoted word that a token is, for comparison with a keyword.
pub(crate) fn is_keyword(token: &Token, keyword: &str) -> bool {
    matches!(token, Token::Word(word) if word.quote_style.is_none()
        && word.value.eq_ignore_ascii_case(keyword))
}
