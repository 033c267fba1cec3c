//! Words that the grammar of sqlparser lacks, taken out or put in others before it parses: the
//! statement is read for the tables it changes, never written again.

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::{Dialect, is_keyword};

/// What becomes of one run of words.
struct Gap {
    words: &'static [&'static str],
    /// Which of them are left out.
    dropped: std::ops::Range<usize>,
}

const MYSQL: [Gap; 8] = [
    gap(&["UPDATE", "LOW_PRIORITY", "IGNORE"], 1..3),
    gap(&["UPDATE", "LOW_PRIORITY"], 1..2),
    gap(&["UPDATE", "IGNORE"], 1..2),
    gap(&["DELETE", "LOW_PRIORITY"], 1..2),
    gap(&["DELETE", "QUICK"], 1..2),
    gap(&["DELETE", "IGNORE"], 1..2),
    gap(&["REPLACE", "LOW_PRIORITY"], 1..2),
    gap(&["REPLACE", "DELAYED"], 1..2),
];

const POSTGRES: [Gap; 8] = [
    gap(&["FOR", "NO", "KEY", "UPDATE"], 1..3),
    gap(&["FOR", "KEY", "SHARE"], 1..2),
    gap(&["OVERRIDING", "SYSTEM", "VALUE"], 0..3),
    gap(&["OVERRIDING", "USER", "VALUE"], 0..3),
    gap(&["FROM", "ONLY"], 1..2),
    gap(&["JOIN", "ONLY"], 1..2),
    gap(&["UPDATE", "ONLY"], 1..2),
    gap(&["USING", "ONLY"], 1..2),
];

const fn gap(words: &'static [&'static str], dropped: std::ops::Range<usize>) -> Gap {
    Gap { words, dropped }
}

/// `tokens` without blanks.
pub(super) fn filled(tokens: Vec<TokenWithSpan>, dialect: Dialect) -> Vec<TokenWithSpan> {
    match dialect {
        Dialect::Postgres => without_gaps(tokens, &POSTGRES),
        Dialect::Sqlite => without_alias(with_equals(tokens)),
        Dialect::Mysql => without_gaps(without_returning(tokens), &MYSQL),
    }
}

/// MariaDB's RETURNING, which may stand behind a LIMIT. Diesel cannot load what it returns.
fn without_returning(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut depth = 0_usize;
    let returning = tokens.iter().position(|token| {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && is_keyword(&token.token, "RETURNING")
    });
    tokens.truncate(returning.unwrap_or(tokens.len()));
    tokens
}

/// SQLite's `INSERT INTO users AS u`.
fn without_alias(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let is = |at: usize, word| {
        tokens
            .get(at)
            .is_some_and(|token| is_keyword(&token.token, word))
    };
    let into = (0..tokens.len()).find(|&at| is(at, "INTO"));
    let qualified = |into: usize| {
        tokens
            .get(into + 2)
            .is_some_and(|token| token.token == Token::Period)
    };
    let alias = into.map(|into| if qualified(into) { into + 4 } else { into + 2 });
    if let Some(alias) = alias.filter(|&alias| is(alias, "AS")) {
        tokens.drain(alias..(alias + 2).min(tokens.len()));
    }
    tokens
}

fn without_gaps(tokens: Vec<TokenWithSpan>, gaps: &[Gap]) -> Vec<TokenWithSpan> {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut rest = tokens.as_slice();
    while let [first, after @ ..] = rest {
        match gaps.iter().find(|gap| gap.begins(rest)) {
            Some(gap) => {
                kept.extend_from_slice(&rest[..gap.dropped.start]);
                kept.extend_from_slice(&rest[gap.dropped.end..gap.words.len()]);
                rest = &rest[gap.words.len()..];
            }
            None => {
                kept.push(first.clone());
                rest = after;
            }
        }
    }
    kept
}

impl Gap {
    fn begins(&self, tokens: &[TokenWithSpan]) -> bool {
        tokens.len() >= self.words.len()
            && self
                .words
                .iter()
                .zip(tokens)
                .all(|(word, token)| is_keyword(&token.token, word))
    }
}

/// SQLite's IS compares any two values: here it is an equals sign, unless DISTINCT FROM follows.
fn with_equals(mut tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut at = 0;
    while at < tokens.len() {
        let is = |at: usize, word| {
            tokens
                .get(at)
                .is_some_and(|token: &TokenWithSpan| is_keyword(&token.token, word))
        };
        let not = usize::from(is(at + 1, "NOT"));
        if is(at, "IS") && !is(at + 1 + not, "DISTINCT") {
            tokens[at].token = Token::Eq;
            tokens.drain(at + 1..at + 1 + not);
        }
        at += 1;
    }
    tokens
}
