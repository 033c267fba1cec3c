//! Rows as the caller sees them: those of a change come without the hidden key columns.

use std::ops::Range;
use std::sync::Arc;

use diesel::backend::Backend;
use diesel::row::{Field, PartialRow, Row, RowIndex, RowSealed};

use super::failures::Failures;

/// A row from a [`TrackedConnection`](crate::TrackedConnection).
#[derive(Debug)]
pub enum TrackedRow<R, O> {
    /// Straight from the connection inside.
    #[doc(hidden)]
    Direct(R),
    /// Of a change: taken in full before the caller sees the first, its last columns hidden.
    #[doc(hidden)]
    Changed {
        /// The row.
        row: O,
        /// How many columns the caller asked for.
        visible: usize,
    },
}

/// A field of a [`TrackedRow`].
#[derive(Debug)]
pub enum TrackedField<F, G> {
    #[doc(hidden)]
    Direct(F),
    #[doc(hidden)]
    Changed(G),
}

impl<R, O> RowSealed for TrackedRow<R, O> {}

impl<R: RowIndex<usize>, O: RowIndex<usize>> RowIndex<usize> for TrackedRow<R, O> {
    fn idx(&self, index: usize) -> Option<usize> {
        match self {
            // It is looked at when the field is got, and to count a row's fields twice shows in the time.
            Self::Direct(_) => Some(index),
            Self::Changed { row, visible } => row.idx(index).filter(|index| index < visible),
        }
    }
}

impl<'i, R: RowIndex<&'i str>, O: RowIndex<&'i str>> RowIndex<&'i str> for TrackedRow<R, O> {
    fn idx(&self, name: &'i str) -> Option<usize> {
        match self {
            Self::Direct(row) => row.idx(name),
            Self::Changed { row, visible } => row.idx(name).filter(|index| index < visible),
        }
    }
}

impl<'a, DB, R, O> Row<'a, DB> for TrackedRow<R, O>
where
    DB: Backend,
    R: Row<'a, DB>,
    O: Row<'a, DB>,
{
    type Field<'f>
        = TrackedField<R::Field<'f>, O::Field<'f>>
    where
        'a: 'f,
        Self: 'f;
    type InnerPartialRow = Self;

    fn field_count(&self) -> usize {
        match self {
            Self::Direct(row) => row.field_count(),
            Self::Changed { visible, .. } => *visible,
        }
    }

    fn get<'b, I>(&'b self, index: I) -> Option<Self::Field<'b>>
    where
        'a: 'b,
        Self: RowIndex<I>,
    {
        let index = self.idx(index)?;
        match self {
            Self::Direct(row) => row.get(index).map(TrackedField::Direct),
            Self::Changed { row, .. } => row.get(index).map(TrackedField::Changed),
        }
    }

    fn partial_row(&self, range: Range<usize>) -> PartialRow<'_, Self> {
        PartialRow::new(self, range)
    }
}

impl<'f, DB, F, G> Field<'f, DB> for TrackedField<F, G>
where
    DB: Backend,
    F: Field<'f, DB>,
    G: Field<'f, DB>,
{
    fn field_name(&self) -> Option<&str> {
        match self {
            Self::Direct(field) => field.field_name(),
            Self::Changed(field) => field.field_name(),
        }
    }

    fn value(&self) -> Option<DB::RawValue<'_>> {
        match self {
            Self::Direct(field) => field.value(),
            Self::Changed(field) => field.value(),
        }
    }

    fn is_null(&self) -> bool {
        match self {
            Self::Direct(field) => field.is_null(),
            Self::Changed(field) => field.is_null(),
        }
    }
}

/// The rows of one query, see [`TrackedRow`].
pub enum TrackedCursor<C, O> {
    #[doc(hidden)]
    Direct {
        /// The rows as they come.
        cursor: C,
        /// Told when there is an error instead of a row.
        failed: Arc<Failures>,
    },
    #[doc(hidden)]
    Changed {
        /// The rows, all of them.
        rows: std::vec::IntoIter<O>,
        /// How many of their columns were hidden.
        hidden: usize,
        /// Counts a row's fields.
        count: fn(&O) -> usize,
    },
}

impl<C, R, O> Iterator for TrackedCursor<C, O>
where
    C: Iterator<Item = diesel::QueryResult<R>>,
{
    type Item = diesel::QueryResult<TrackedRow<R, O>>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Direct { cursor, failed } => cursor.next().map(|row| {
                row.map(TrackedRow::Direct)
                    .inspect_err(|error| failed.note_of_row(error))
            }),
            Self::Changed {
                rows,
                hidden,
                count,
            } => rows.next().map(|row| {
                let visible = count(&row).saturating_sub(*hidden);
                Ok(TrackedRow::Changed { row, visible })
            }),
        }
    }

    /// Callers reserve room by it.
    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Self::Direct { cursor, .. } => cursor.size_hint(),
            Self::Changed { rows, .. } => rows.size_hint(),
        }
    }
}

impl<C, O> std::fmt::Debug for TrackedCursor<C, O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TrackedCursor")
    }
}
