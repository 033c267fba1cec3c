//! Where an application's records are: which table, in the database of which pool.

use std::any::TypeId;

use actix_web::{HttpRequest, web};

use super::rows::Done;
use super::seal::{SealError, Sealing};
use super::table::Table;
use crate::error::Error;
use crate::idempotent::Idempotent;
use crate::pool::Pool;
use crate::store::Record;
use crate::track::backend::Trackable;

/// A place of records. It does not hold the pool, which holds the application: a request brings its own.
#[derive(Clone, Debug)]
pub(crate) struct On {
    pub(super) table: Table,
    pub(super) pool: TypeId,
    /// The pool's type, for messages.
    pub(super) name: &'static str,
    pub(super) sealing: Sealing,
    find: fn(&HttpRequest, &Self) -> Option<Box<dyn Look>>,
}

impl On {
    pub(crate) fn new<C: Trackable, M: 'static>(table: Table, sealing: Sealing) -> Self {
        Self {
            table,
            pool: TypeId::of::<Pool<C, M>>(),
            name: std::any::type_name::<Pool<C, M>>(),
            sealing,
            find: find::<C, M>,
        }
    }

    /// What looks for records on behalf of a request.
    ///
    /// # Errors
    ///
    /// If the pool is not registered.
    pub(crate) fn look(&self, request: &HttpRequest) -> Result<Box<dyn Look>, Error> {
        (self.find)(request, self).ok_or_else(|| {
            Error::setup(format!(
                "no {} in app_data, which `once_on` has named: register it with `App::new().configure(idempotent.configure(&pool))`",
                self.name
            ))
        })
    }

    /// The record that a row holds.
    pub(super) fn read(&self, id: &str, stored: Vec<u8>) -> Result<Record, SealError> {
        let clear = self.sealing.open(id, stored)?;
        Ok(Record::from_msgpack(&clear)?)
    }
}

/// Looks for records. Blocking.
pub(crate) trait Look: Send {
    /// The record under this id, and for how many seconds more.
    fn find(&self, id: &str) -> Result<Option<(Record, i64)>, Error>;
}

struct Records<C: Trackable, M> {
    pool: Pool<C, M>,
    on: On,
}

impl<C: Trackable, M> Look for Records<C, M> {
    fn find(&self, id: &str) -> Result<Option<(Record, i64)>, Error> {
        let mut connection = self.pool.get()?;
        let Some(Done { reply, left, .. }) = connection.untracked().find(&self.on.table, id)?
        else {
            return Ok(None);
        };
        match self.on.read(id, reply) {
            Ok(record) => Ok(Some((record, left))),
            // It was done: to take it for not done would do it again.
            Err(error) => Err(Error::setup(format!(
                "the record {id} in {} cannot be read: {error}",
                self.on.table
            ))),
        }
    }
}

fn find<C: Trackable, M: 'static>(request: &HttpRequest, on: &On) -> Option<Box<dyn Look>> {
    let pool = request.app_data::<Pool<C, M>>().or_else(|| {
        request
            .app_data::<web::Data<Pool<C, M>>>()
            .map(|data| &***data)
    })?;
    Some(Box::new(Records {
        pool: pool.clone(),
        on: on.clone(),
    }))
}

impl Idempotent {
    /// Says that the records of `once` handlers are in this pool's database, in the table that [`once::migrate`](crate::once::migrate)
    /// makes. That is the database which those handlers change.
    ///
    /// # Errors
    ///
    /// If the table cannot be read, or another place was named before.
    pub fn once_on<C: Trackable, M: 'static>(&self, pool: &Pool<C, M>) -> Result<(), Error> {
        self.once_in(Table::default(), pool)
    }

    /// The same with a table of another name.
    ///
    /// # Errors
    ///
    /// As [`once_on`](Self::once_on).
    pub fn once_in<C: Trackable, M: 'static>(
        &self,
        table: Table,
        pool: &Pool<C, M>,
    ) -> Result<(), Error> {
        if let Err(error) = pool.get()?.untracked().find(&table, "") {
            return Err(Error::setup(format!(
                "the table {table} cannot be read, which `idempotent_runtime::once::migrate` makes: {error}"
            )));
        }
        let on = On::new::<C, M>(table, self.0.settings.sealing.clone());
        let (table, pool) = (on.table.clone(), on.pool);
        let known = self.0.once_on.get_or_init(|| on);
        match known.table == table && known.pool == pool {
            true => Ok(()),
            false => Err(Error::setup(format!(
                "the records are in {} of {} already",
                known.table, known.name
            ))),
        }
    }
}
