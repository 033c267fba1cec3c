//! Where in a batch an error is. A part that is sent by itself tells where in itself.

use diesel::result::{DatabaseErrorInformation, Error, QueryResult};

type Information = Box<dyn DatabaseErrorInformation + Send + Sync>;

/// What a part of this batch came to, as if the whole had been sent.
pub(super) fn placed<T>(result: QueryResult<T>, batch: &str, part: &str) -> QueryResult<T> {
    result.map_err(|error| match error {
        Error::DatabaseError(kind, told) if told.statement_position().is_some() => {
            let before = part.as_ptr() as usize - batch.as_ptr() as usize;
            let characters = batch[..before].chars().count();
            let by = i32::try_from(characters).unwrap_or_default();
            Error::DatabaseError(kind, Box::new(Moved { told, by }))
        }
        error => error,
    })
}

/// The same, so many characters further on.
struct Moved {
    told: Information,
    by: i32,
}

impl DatabaseErrorInformation for Moved {
    fn message(&self) -> &str {
        self.told.message()
    }

    fn details(&self) -> Option<&str> {
        self.told.details()
    }

    fn hint(&self) -> Option<&str> {
        self.told.hint()
    }

    fn table_name(&self) -> Option<&str> {
        self.told.table_name()
    }

    fn column_name(&self) -> Option<&str> {
        self.told.column_name()
    }

    fn constraint_name(&self) -> Option<&str> {
        self.told.constraint_name()
    }

    fn statement_position(&self) -> Option<i32> {
        self.told.statement_position().map(|at| at + self.by)
    }
}
