//! What can happen to the rows of a table.

use std::collections::BTreeSet;

/// What happens to the rows of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Change {
    pub(crate) insert: bool,
    pub(crate) delete: bool,
    pub(crate) update: Columns,
    pub(crate) truncate: Option<Cascade>,
}

/// Whether a TRUNCATE reaches the tables that refer to its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Cascade {
    Yes,
    No,
}

/// The columns that are set, by folded names.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Columns {
    #[default]
    None,
    Some(BTreeSet<String>),
    All,
}

impl Columns {
    pub(crate) fn is_some(&self) -> bool {
        *self != Self::None
    }

    pub(crate) fn add(&mut self, other: Self) {
        *self = match (std::mem::take(self), other) {
            (Self::None, columns) | (columns, Self::None) => columns,
            (Self::Some(mut columns), Self::Some(more)) => {
                columns.extend(more);
                Self::Some(columns)
            }
            _ => Self::All,
        };
    }

    pub(crate) fn any(&self, columns: impl IntoIterator<Item: AsRef<str>>) -> bool {
        match self {
            Self::None => false,
            Self::Some(set) => columns
                .into_iter()
                .any(|column| set.contains(column.as_ref())),
            Self::All => true,
        }
    }
}

impl Change {
    pub(crate) fn insert() -> Self {
        Self {
            insert: true,
            ..Self::default()
        }
    }

    pub(crate) fn delete() -> Self {
        Self {
            delete: true,
            ..Self::default()
        }
    }

    pub(crate) fn update(columns: Columns) -> Self {
        Self {
            update: columns,
            ..Self::default()
        }
    }

    pub(crate) fn truncate(cascade: Cascade) -> Self {
        Self {
            truncate: Some(cascade),
            ..Self::default()
        }
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.insert |= other.insert;
        self.delete |= other.delete;
        self.update.add(other.update);
        self.truncate = self.truncate.or(other.truncate);
    }

    /// Whether something is in both, whatever the columns.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.insert && other.insert
            || self.delete && other.delete
            || self.update.is_some() && other.update.is_some()
            || self.truncate.is_some() && other.truncate.is_some()
    }

    /// The same with no telling which columns, as for the tables behind a view.
    pub(crate) fn widened(&self) -> Self {
        Self {
            update: match self.update {
                Columns::None => Columns::None,
                _ => Columns::All,
            },
            ..self.clone()
        }
    }

    /// Anything that a row can suffer.
    pub(crate) fn any() -> Self {
        Self {
            insert: true,
            delete: true,
            update: Columns::All,
            truncate: None,
        }
    }
}
