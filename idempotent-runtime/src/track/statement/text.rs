//! A statement as tokens and their places, and pieces of its text.

use std::ops::Range;

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::split::Places;
use super::{Dialect, is_blank, is_keyword};
use crate::track::fold;

/// Which of the statement's binds a text of ours uses, in its order.
pub(crate) type Binds = Vec<usize>;

/// SQL made of pieces of the user's, with the binds that it uses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) sql: String,
    pub(crate) binds: Binds,
}

impl Piece {
    pub(crate) fn push(&mut self, sql: &str) {
        self.sql.push_str(sql);
    }

    pub(crate) fn append(&mut self, other: &Self) {
        self.sql.push_str(&other.sql);
        self.binds.extend(&other.binds);
    }
}

impl From<&str> for Piece {
    fn from(sql: &str) -> Self {
        Self {
            sql: sql.to_owned(),
            binds: Binds::new(),
        }
    }
}

pub(crate) struct Placed {
    pub(crate) token: Token,
    pub(crate) bytes: Range<usize>,
}

/// A statement's tokens without blanks, and where they stand.
pub(crate) struct Text<'a> {
    sql: &'a str,
    pub(crate) dialect: Dialect,
    pub(crate) tokens: Vec<Placed>,
}

impl<'a> Text<'a> {
    pub(crate) fn new(sql: &'a str, dialect: Dialect) -> Option<Self> {
        Some(Self {
            sql,
            dialect,
            tokens: placed(sql, &dialect.tokens(sql).ok()?)?,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(crate) fn is(&self, at: usize, keyword: &str) -> bool {
        self.tokens
            .get(at)
            .is_some_and(|placed| is_keyword(&placed.token, keyword))
    }

    pub(crate) fn is_token(&self, at: usize, token: &Token) -> bool {
        self.tokens
            .get(at)
            .is_some_and(|placed| placed.token == *token)
    }

    /// The first of these keywords that stands in no parentheses.
    pub(crate) fn find(&self, range: Range<usize>, keywords: &[&str]) -> Option<usize> {
        let mut depth = 0_usize;
        range.clone().find(|&at| {
            match self.tokens[at].token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && keywords.iter().any(|keyword| self.is(at, keyword))
        })
    }

    pub(crate) fn skip(&self, mut at: usize, words: &[&str]) -> usize {
        while words.iter().any(|word| self.is(at, word)) {
            at += 1;
        }
        at
    }

    pub(crate) fn has_comma(&self, range: Range<usize>) -> bool {
        self.top_commas(range).next().is_some()
    }

    /// The commas that stand in no parentheses.
    pub(crate) fn top_commas(&self, range: Range<usize>) -> impl Iterator<Item = usize> {
        let mut depth = 0_usize;
        range.filter(move |&at| {
            match self.tokens[at].token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && self.tokens[at].token == Token::Comma
        })
    }

    /// The ranges that top-level commas part.
    pub(crate) fn items(&self, range: Range<usize>) -> Vec<Range<usize>> {
        if range.is_empty() {
            return Vec::new();
        }
        let mut start = range.start;
        let ends: Vec<_> = self.top_commas(range.clone()).chain([range.end]).collect();
        let mut items = Vec::with_capacity(ends.len());
        for end in ends {
            items.push(start..end);
            start = end + 1;
        }
        items
    }

    /// Where the parenthesis at `open` is closed.
    pub(crate) fn closing(&self, open: usize) -> Option<usize> {
        let mut depth = 0_usize;
        (open..self.len()).find(|&at| {
            match self.tokens[at].token {
                Token::LParen => depth += 1,
                Token::RParen => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0
        })
    }

    /// The folded name that a token is.
    pub(crate) fn name(&self, at: usize) -> Option<String> {
        match &self.tokens.get(at)?.token {
            // Only there two columns may differ by their case alone.
            Token::Word(word)
                if self.dialect == Dialect::Postgres && word.quote_style.is_some() =>
            {
                Some(word.value.clone())
            }
            Token::Word(word) => Some(fold(&word.value)),
            _ => None,
        }
    }

    /// The text of these tokens, if it is made of constants and binds alone.
    pub(crate) fn constant(&self, range: Range<usize>) -> Option<Piece> {
        const WORDS: [&str; 3] = ["NULL", "TRUE", "FALSE"];
        const PREFIXES: [&str; 3] = ["DATE", "TIMESTAMP", "TIME"];
        let text = |at: usize| {
            let token = self.tokens.get(at).map(|placed| &placed.token);
            matches!(token, Some(Token::SingleQuotedString(_)))
        };
        let is_constant = |at: usize| match &self.tokens[at].token {
            Token::Word(_) => {
                WORDS.iter().any(|word| self.is(at, word))
                    || text(at + 1) && PREFIXES.iter().any(|word| self.is(at, word))
            }
            Token::AtSign => false,
            _ => true,
        };
        let all = !range.is_empty() && range.clone().all(is_constant);
        self.piece(range).filter(|_| all)
    }

    /// The text of these tokens, its placeholders numbered or counted.
    pub(crate) fn piece(&self, range: Range<usize>) -> Option<Piece> {
        let mut piece = Piece::default();
        if range.is_empty() {
            return Some(piece);
        }
        if self.dialect == Dialect::Mysql && !self.lockable(range.clone()) {
            return None;
        }
        let mut bind = self.placeholders(0..range.start);
        let mut written = self.tokens[range.start].bytes.start;
        let mut open = Vec::new();
        for at in range.clone() {
            let placed = &self.tokens[at];
            match &placed.token {
                Token::Placeholder(_) => {
                    piece.push(&self.sql[written..placed.bytes.start]);
                    self.placeholder(&placed.token, bind, &mut piece)?;
                    written = placed.bytes.end;
                    bind += 1;
                }
                Token::LParen => open.push(self.is(at + 1, "SELECT")),
                // A plain SELECT would read what the transaction saw first, where the statement reads what is there.
                Token::RParen if open.pop() == Some(true) && self.dialect == Dialect::Mysql => {
                    piece.push(&self.sql[written..placed.bytes.start]);
                    piece.push(" LOCK IN SHARE MODE");
                    written = placed.bytes.start;
                }
                _ => {}
            }
        }
        piece.push(&self.sql[written..self.tokens[range.end - 1].bytes.end]);
        Some(piece)
    }

    /// Whether a locking clause can be put behind each SELECT of these.
    fn lockable(&self, range: Range<usize>) -> bool {
        const WORDS: [&str; 6] = ["UNION", "EXCEPT", "INTERSECT", "WITH", "LOCK", "FOR"];
        let selects = range.clone().any(|at| self.is(at, "SELECT"));
        !selects
            || !range
                .into_iter()
                .any(|at| WORDS.iter().any(|word| self.is(at, word)))
    }

    fn placeholder(&self, token: &Token, bind: usize, piece: &mut Piece) -> Option<()> {
        match (self.dialect, token) {
            (Dialect::Sqlite, Token::Placeholder(name)) if name == "?" => {
                piece.push(&format!("?{}", bind + 1));
            }
            (Dialect::Postgres, Token::Placeholder(name)) => {
                let number: usize = name.strip_prefix('$')?.parse().ok()?;
                piece.push(name);
                piece.binds.push(number.checked_sub(1)?);
                return Some(());
            }
            (_, token) => piece.push(&token.to_string()),
        }
        piece.binds.push(bind);
        Some(())
    }

    fn placeholders(&self, range: Range<usize>) -> usize {
        self.names_of_placeholders(range).count()
    }

    fn names_of_placeholders(&self, range: Range<usize>) -> impl Iterator<Item = &str> {
        self.tokens[range]
            .iter()
            .filter_map(|placed| match &placed.token {
                Token::Placeholder(name) => Some(name.as_str()),
                _ => None,
            })
    }

    /// The number of the last parameter of the statement, as SQLite counts them; nothing if some are numbered in the
    /// text and others are not, or have names.
    pub(crate) fn last_parameter(&self) -> Option<usize> {
        let names: Vec<_> = self.names_of_placeholders(0..self.len()).collect();
        match names.iter().all(|name| *name == "?") {
            true => Some(names.len()),
            false => {
                let numbers = names
                    .iter()
                    .map(|name| name.strip_prefix('?')?.parse().ok());
                numbers.collect::<Option<Vec<_>>>()?.into_iter().max()
            }
        }
    }
}

/// How many bytes stand from the semicolon at the statement's end on, if there is one.
pub(crate) fn behind(sql: &str, dialect: Dialect) -> Option<usize> {
    let has_one = sql.contains(';');
    match has_one {
        false => Some(0),
        true => {
            let tokens = dialect.tokens(sql).ok()?;
            let ends =
                tokens.iter().rev().find(|token| !is_blank(token))?.token == Token::SemiColon;
            let last = Text::new(sql, dialect)?.tokens.last()?.bytes.end;
            Some(if ends { sql.len() - last } else { 0 })
        }
    }
}

/// The tokens without blanks and the last semicolon; nothing if there is more than one statement.
fn placed(sql: &str, tokens: &[TokenWithSpan]) -> Option<Vec<Placed>> {
    let mut places = Places::new(sql);
    let starts: Vec<_> = tokens
        .iter()
        .filter(|token| token.token != Token::EOF)
        .map(|token| places.offset(token.span.start))
        .collect::<Option<_>>()?;
    let ends = starts.iter().skip(1).copied().chain([sql.len()]);
    let mut placed: Vec<_> = tokens
        .iter()
        .zip(starts.iter().zip(ends))
        .filter(|(token, _)| !is_blank(token))
        .map(|(token, (start, end))| Placed {
            token: token.token.clone(),
            bytes: *start..end,
        })
        .collect();
    while placed
        .last()
        .is_some_and(|last| last.token == Token::SemiColon)
    {
        placed.pop();
    }
    (!placed.iter().any(|placed| placed.token == Token::SemiColon)).then_some(placed)
}
