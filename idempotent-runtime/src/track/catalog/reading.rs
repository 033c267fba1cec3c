//! How the value of a key column is read, so that equal keys and only those read alike.

/// How a column is read where it is a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reading {
    /// As it is.
    #[default]
    Plain,
    /// As it is, and a bind of this kind that is equal to it reads alike.
    Same(Kind),
    /// Through an expression with `{}` in the column's place: its collation or its type has several spellings of one
    /// value, or its text form depends on the session.
    Through(&'static str),
    /// Not at all.
    Never,
}

impl Reading {
    /// Where a column goes by more than one of SQLite's collations.
    pub(crate) const FOLDED_AND_TRIMMED: Self =
        Self::Through("CASE typeof({}) WHEN 'text' THEN rtrim(lower({})) ELSE {} END");

    /// How MySQL's texts are read that are compared byte by byte. The spaces at the end do not count in most collations,
    /// and to leave them out only ends a record early.
    pub(crate) const TEXT: Self = Self::Through("CONVERT(RTRIM({}) USING utf8mb4)");

    /// What stands before the column and behind it.
    pub(crate) fn around(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Through(template) => template.split_once("{}"),
            Self::Plain | Self::Same(_) | Self::Never => None,
        }
    }

    /// The expression, for a column as SQL names it.
    pub(crate) fn of(self, column: &str) -> String {
        match self {
            Self::Through(template) => template.replace("{}", column),
            Self::Plain | Self::Same(_) | Self::Never => column.to_owned(),
        }
    }
}

/// A kind of value that has one form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Integer,
    Text,
    Uuid,
}
