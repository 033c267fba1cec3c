//! A row of a database whose own rows hold on to their result: its values, copied.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use diesel::backend::Backend;
use diesel::row::{Field, PartialRow, Row, RowIndex, RowSealed};

/// A backend whose values are bytes and a type.
pub trait Typed: Backend {
    /// What a value says of its type.
    type Tag: Copy + fmt::Debug + Send + Sync + 'static;

    /// Copies a value.
    fn take(value: Self::RawValue<'_>) -> (Vec<u8>, Self::Tag);

    /// The value again.
    fn give<'a>(bytes: &'a [u8], tag: &'a Self::Tag) -> Self::RawValue<'a>;
}

/// The names of a result's columns, shared by its rows.
pub(super) type Names = Arc<[Option<String>]>;

/// A row that has let go of its result.
pub struct OwnedRow<DB: Typed> {
    names: Names,
    values: Vec<Option<(Vec<u8>, DB::Tag)>>,
}

impl<DB: Typed> OwnedRow<DB> {
    /// Copies a row; `names` is filled by the first of a result.
    pub(super) fn new<'a>(row: &impl Row<'a, DB>, names: &mut Option<Names>) -> Self {
        let fields = || (0..row.field_count()).filter_map(|index| row.get(index));
        let names = names.get_or_insert_with(|| {
            fields()
                .map(|field| field.field_name().map(str::to_owned))
                .collect()
        });
        Self {
            names: Arc::clone(names),
            values: fields().map(|field| field.value().map(DB::take)).collect(),
        }
    }
}

impl<DB: Typed> fmt::Debug for OwnedRow<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedRow")
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

/// A field of an [`OwnedRow`].
pub struct OwnedField<'f, DB: Typed> {
    row: &'f OwnedRow<DB>,
    index: usize,
}

impl<DB: Typed> fmt::Debug for OwnedField<'_, DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedField")
            .field("index", &self.index)
            .finish_non_exhaustive()
    }
}

impl<'f, DB: Typed> Field<'f, DB> for OwnedField<'f, DB> {
    fn field_name(&self) -> Option<&str> {
        self.row.names.get(self.index)?.as_deref()
    }

    fn value(&self) -> Option<DB::RawValue<'_>> {
        let (bytes, tag) = self.row.values.get(self.index)?.as_ref()?;
        Some(DB::give(bytes, tag))
    }
}

impl<DB: Typed> RowSealed for OwnedRow<DB> {}

impl<DB: Typed> RowIndex<usize> for OwnedRow<DB> {
    fn idx(&self, index: usize) -> Option<usize> {
        (index < self.values.len()).then_some(index)
    }
}

impl<DB: Typed> RowIndex<&str> for OwnedRow<DB> {
    fn idx(&self, name: &str) -> Option<usize> {
        self.names
            .iter()
            .position(|column| column.as_deref() == Some(name))
    }
}

impl<'a, DB: Typed> Row<'a, DB> for OwnedRow<DB> {
    type Field<'f>
        = OwnedField<'f, DB>
    where
        'a: 'f,
        Self: 'f;
    type InnerPartialRow = Self;

    fn field_count(&self) -> usize {
        self.values.len()
    }

    fn get<'b, I>(&'b self, index: I) -> Option<Self::Field<'b>>
    where
        'a: 'b,
        Self: RowIndex<I>,
    {
        Some(OwnedField {
            row: self,
            index: self.idx(index)?,
        })
    }

    fn partial_row(&self, range: Range<usize>) -> PartialRow<'_, Self> {
        PartialRow::new(self, range)
    }
}
