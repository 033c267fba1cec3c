//! Keys that a statement has with it.

use std::sync::Arc;

use crate::track::backend::escape;
use crate::track::catalog::{Kind, Reading};
use crate::track::statement::text::Piece;

/// Keys that are in the statement's text or in its binds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    /// The folded name of the table.
    pub(crate) table: Arc<str>,
    pub(crate) keys: Box<[Box<[Part]>]>,
}

/// A part of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The bind with this number, if it is of this kind.
    Bind(usize, Kind),
    /// Written out, in the form in which it is part of a resource's name.
    Written(Box<str>),
}

impl Part {
    /// A value, if equal values read alike.
    pub(super) fn of(value: &Piece, reading: Reading) -> Option<Self> {
        let Reading::Same(kind) = reading else {
            return None;
        };
        let text = value.sql.trim();
        match value.binds.as_slice() {
            [bind] if text == "?" || text.strip_prefix('$').is_some_and(is_number) => {
                Some(Self::Bind(*bind, kind))
            }
            [] => Some(Self::Written(written(text, kind)?.into())),
            _ => None,
        }
    }
}

/// A constant of the text as a key has it, if all that are equal to it are written so.
pub(super) fn written(text: &str, kind: Kind) -> Option<String> {
    if kind == Kind::Integer {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let number: i64 = text.parse().ok().filter(|_| is_number(digits))?;
        return Some(number.to_string());
    }
    let inner = text.strip_prefix('\'')?.strip_suffix('\'')?;
    let single = inner.split("''").all(|part| !part.contains('\''));
    // Whether a backslash is one is up to a setting.
    let plain = single && !inner.contains('\\');
    let digits = |at: usize, c: char| match at {
        8 | 13 | 18 | 23 => c == '-',
        _ => matches!(c, '0'..='9' | 'a'..='f'),
    };
    let spelled = match kind {
        Kind::Uuid => inner.len() == 36 && inner.char_indices().all(|(at, c)| digits(at, c)),
        Kind::Text | Kind::Integer => true,
    };
    (plain && spelled).then(|| escape(&inner.replace("''", "'")))
}

/// A constant as a number.
pub(super) fn integer(sql: &str) -> Option<Piece> {
    let sql = sql.trim();
    let number = match () {
        () if sql.eq_ignore_ascii_case("TRUE") => "1".to_owned(),
        () if sql.eq_ignore_ascii_case("FALSE") => "0".to_owned(),
        () => written(sql, Kind::Integer)?,
    };
    Some(Piece::from(&*number))
}

/// A literal or a bind as a text of MySQL's that is compared byte by byte.
pub(super) fn text(value: &Piece) -> Option<Piece> {
    let sql = value.sql.trim();
    let (start, end) = Reading::TEXT.around()?;
    let mut piece = Piece::from(start);
    piece.append(value);
    piece.push(end);
    (sql == "?" || sql.starts_with('\'')).then_some(piece)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
