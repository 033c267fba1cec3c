//! The first keywords of a statement say whether it needs to be looked at: most statements are
//! never parsed, so that a grammar that lags behind the database cannot stand in their way.

use super::{Dialect, is_blank, is_keyword};
use sqlparser::tokenizer::Token;

/// What a statement is, by its first keywords.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Moves the transaction.
    Control(Control),
    /// May change rows: plan it.
    Change,
    /// Changes the schema or the grants: what the catalog said is void.
    Schema,
    /// Changes who this connection acts as: what the catalog said of privileges is void for this
    /// connection, now and (a `SET LOCAL` ends with it) when its transaction ends.
    Role,
    /// Passes untouched.
    Other,
}

/// A statement of transaction control. `chain` opens the next transaction at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    Begin,
    Commit {
        chain: bool,
    },
    Rollback {
        chain: bool,
    },
    Savepoint(String),
    Release(String),
    RollbackTo(String),
    /// `PREPARE TRANSACTION`: the connection is out of it, and it is not committed yet.
    Prepare,
    /// `COMMIT PREPARED`, of whichever connection's transaction.
    CommitPrepared,
    /// `ROLLBACK PREPARED`.
    RollbackPrepared,
}

impl Control {
    /// What this is, if it is the shortest form of one.
    pub(crate) fn of(sql: &str) -> Option<Self> {
        match sql {
            "BEGIN" => Some(Self::Begin),
            "COMMIT" => Some(Self::Commit { chain: false }),
            "ROLLBACK" => Some(Self::Rollback { chain: false }),
            _ => None,
        }
    }

    /// Whether it is about the transaction as a whole.
    pub(crate) fn is_of_the_transaction(&self) -> bool {
        !matches!(
            self,
            Self::Savepoint(_) | Self::Release(_) | Self::RollbackTo(_)
        )
    }
}

/// The text from its first word on.
pub(crate) fn without_comments(sql: &str, dialect: Dialect) -> &str {
    skip(sql, dialect)
}

/// What the first statement in `sql` is.
pub(crate) fn classify(sql: &str, dialect: Dialect) -> Class {
    let (first, rest) = word(skip(sql, dialect));
    let class = match first.len() {
        0 => return Class::Other,
        _ => first.to_ascii_uppercase(),
    };
    match class.as_str() {
        "SELECT" | "VALUES" | "TABLE" | "PRAGMA" | "SHOW" => Class::Other,
        // DO and EXECUTE hide what they run: the plan cannot read them and says "everything".
        "INSERT" | "UPDATE" | "DELETE" | "REPLACE" | "MERGE" | "TRUNCATE" | "COPY" | "CALL"
        | "WITH" | "DO" | "EXECUTE" => Class::Change,
        "EXPLAIN" if dialect != Dialect::Sqlite => explained(rest, dialect),
        "CREATE" | "ALTER" | "DROP" | "GRANT" | "REVOKE" | "COMMENT" | "REINDEX" | "ATTACH"
        | "DETACH" | "REASSIGN" | "IMPORT" | "RENAME" => Class::Schema,
        // MariaDB's compound statements.
        "IF" | "CASE" | "LOOP" | "REPEAT" | "WHILE" | "FOR" if dialect == Dialect::Mysql => {
            Class::Change
        }
        "BEGIN" if is_compound(rest, dialect) => Class::Change,
        // `LOAD DATA`, and what has no words of its own for transactions.
        "LOAD" | "HANDLER" | "XA" if dialect == Dialect::Mysql => Class::Change,
        "SET" | "RESET" | "DISCARD" => setting(&class, rest, dialect),
        "BEGIN" | "START" | "COMMIT" | "END" | "ROLLBACK" | "ABORT" | "SAVEPOINT" | "RELEASE"
        | "PREPARE" => control(&class, rest, dialect),
        _ => Class::Other,
    }
}

/// `sql` from its first word on.
fn skip(mut sql: &str, dialect: Dialect) -> &str {
    loop {
        let blank = |c: char| c.is_whitespace() || matches!(c, '(' | ';' | '\u{feff}');
        sql = sql.trim_start_matches(blank);
        sql = match sql.get(..2) {
            Some("--") => after_line(sql),
            Some("/*") => after_comment(sql, dialect.nests_comments()),
            _ if dialect == Dialect::Mysql && sql.starts_with('#') => after_line(sql),
            _ => return sql,
        }
    }
}

fn after_line(sql: &str) -> &str {
    sql.split_once('\n').map_or("", |(_, rest)| rest)
}

/// The text behind the comment that `sql` begins with; nothing, if that does not end.
fn after_comment(sql: &str, nested: bool) -> &str {
    let (mut depth, mut at) = (1, 2);
    while let Some(rest) = sql.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
        } else if nested && rest.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
        if depth == 0 {
            return &sql[at..];
        }
    }
    ""
}

fn word(sql: &str) -> (&str, &str) {
    let end = sql.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    sql.split_at(end.unwrap_or(sql.len()))
}

/// `EXPLAIN` runs its statement only when it has the word ANALYZE before it.
fn explained(rest: &str, dialect: Dialect) -> Class {
    let Ok(tokens) = dialect.tokens(rest) else {
        return Class::Change;
    };
    let runs = |token: &Token| is_keyword(token, "ANALYZE") || is_keyword(token, "ANALYSE");
    match tokens.iter().any(|token| runs(&token.token)) {
        true => Class::Change,
        false => Class::Other,
    }
}

/// The words up to the end of the statement.
fn words(sql: &str, dialect: Dialect) -> Vec<Token> {
    let mut tokens = dialect.tokens(sql).unwrap_or_default();
    tokens.retain(|token| !is_blank(token));
    tokens
        .into_iter()
        .map(|token| token.token)
        .take_while(|token| *token != Token::SemiColon)
        .collect()
}

/// Whether a MySQL text may hold a compound statement.
pub(crate) fn is_opaque(sql: &str, dialect: Dialect) -> bool {
    let words = words_of_all(sql, dialect);
    let compound = ["IF", "LOOP", "REPEAT", "WHILE"];
    let ends = |pair: &[Token]| {
        is_keyword(&pair[0], "END") && compound.iter().any(|word| is_keyword(&pair[1], word))
    };
    let begins = |pair: &[Token]| is_keyword(&pair[0], "BEGIN") && is_keyword(&pair[1], "NOT");
    words.windows(2).any(|pair| begins(pair) || ends(pair))
}

fn words_of_all(sql: &str, dialect: Dialect) -> Vec<Token> {
    let tokens = dialect.tokens(sql).unwrap_or_default().into_iter();
    tokens
        .filter(|token| !is_blank(token))
        .map(|token| token.token)
        .collect()
}

/// `BEGIN NOT ATOMIC …`.
fn is_compound(rest: &str, dialect: Dialect) -> bool {
    dialect == Dialect::Mysql
        && matches!(words(rest, dialect).first(), Some(word) if is_keyword(word, "NOT"))
}

fn setting(first: &str, rest: &str, dialect: Dialect) -> Class {
    let words = words(rest, dialect);
    let is = |at: usize, keyword| words.get(at).is_some_and(|word| is_keyword(word, keyword));
    let at = usize::from(
        first == "SET" && (is(0, "LOCAL") || is(0, "SESSION") && !is(1, "AUTHORIZATION")),
    );
    let identity = is(at, "ROLE") || is(at, "SESSION") || is(at, "SESSION_AUTHORIZATION");
    match identity || (first == "DISCARD" && is(0, "ALL")) {
        true => Class::Role,
        false => Class::Other,
    }
}

fn control(first: &str, rest: &str, dialect: Dialect) -> Class {
    let words = words(rest, dialect);
    let mut words = Words {
        rest: &words,
        dialect,
    };
    let control = match first {
        "BEGIN" => Some(Control::Begin),
        "START" => words.take("TRANSACTION").then_some(Control::Begin),
        "SAVEPOINT" => words.name().map(Control::Savepoint),
        "RELEASE" => {
            words.take("SAVEPOINT");
            words.name().map(Control::Release)
        }
        "PREPARE" => words.take("TRANSACTION").then_some(Control::Prepare),
        "COMMIT" | "END" => Some(words.commit()),
        _ => words.rollback(),
    };
    // `PREPARE p AS …` and the like; what does not read as control is the database's to refuse.
    control.map_or(Class::Other, Class::Control)
}

struct Words<'a> {
    rest: &'a [Token],
    dialect: Dialect,
}

impl Words<'_> {
    fn take(&mut self, keyword: &str) -> bool {
        match self.rest {
            [first, rest @ ..] if is_keyword(first, keyword) => {
                self.rest = rest;
                true
            }
            _ => false,
        }
    }

    fn noise(&mut self) {
        let _ = self.take("WORK") || self.take("TRANSACTION");
    }

    fn chain(&mut self) -> bool {
        self.take("AND") && self.take("CHAIN")
    }

    fn commit(&mut self) -> Control {
        if self.take("PREPARED") {
            return Control::CommitPrepared;
        }
        self.noise();
        Control::Commit {
            chain: self.chain(),
        }
    }

    fn rollback(&mut self) -> Option<Control> {
        if self.take("PREPARED") {
            return Some(Control::RollbackPrepared);
        }
        self.noise();
        if self.take("TO") {
            self.take("SAVEPOINT");
            return self.name().map(Control::RollbackTo);
        }
        Some(Control::Rollback {
            chain: self.chain(),
        })
    }

    /// A savepoint's name as the database compares it.
    fn name(&mut self) -> Option<String> {
        let (text, exact) = match self.rest.first()? {
            Token::Word(word) => (&word.value, word.quote_style.is_some()),
            Token::SingleQuotedString(text) | Token::DoubleQuotedString(text) => (text, true),
            _ => return None,
        };
        match exact && self.dialect == Dialect::Postgres {
            true => Some(text.clone()),
            false => Some(super::super::fold(text)),
        }
    }
}

#[cfg(test)]
mod tests;
