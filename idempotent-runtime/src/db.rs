//! `Db<C>`, the request's database, and `block`, which carries the request to a blocking thread.

use std::fmt;
use std::future::Future;

use actix_web::error::BlockingError;
use actix_web::web;
use actix_web::{FromRequest, HttpRequest, dev::Payload};
use diesel::connection::Connection;
use diesel::r2d2::PooledConnection;

use crate::error::Error;
use crate::execution::{self, Scope};
use crate::pool::{Manager, Pool};
use crate::report::{Failed, Report};
use crate::track::backend::Trackable;
use crate::track::connection::{Owner, TrackedConnection};

/// The request's handle on the database: an extractor, to be passed down to whatever works for the request.
///
/// What is changed through it belongs to the request, on every thread and at any depth.
///
/// ```
/// use diesel::prelude::*;
/// use idempotent_runtime::{Db, Error};
///
/// # diesel::table! { users (id) { id -> Integer, name -> Text, } }
/// /// A function of the application, with the application's own error.
/// async fn rename(db: &Db<SqliteConnection>, id: i32, name: String) -> Result<(), Failure> {
///     db.transaction(move |conn| {
///         let user = users::table.find(id);
///         match diesel::update(user).set(users::name.eq(&name)).execute(conn).map_err(Error::from)? {
///             0 => Err(Failure::NoSuchUser),
///             _ => Ok(()),
///         }
///     })
///     .await
/// }
///
/// enum Failure {
///     NoSuchUser,
///     Database(Error),
/// }
///
/// impl From<Error> for Failure {
///     fn from(error: Error) -> Self {
///         Self::Database(error)
///     }
/// }
/// ```
pub struct Db<C: Trackable, M = ()> {
    pool: Pool<C, M>,
    /// The request's, where the handle was made inside it; a middleware's handle takes that of whoever uses it.
    scope: Option<Scope>,
}

impl<C: Trackable, M> Clone for Db<C, M> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            scope: self.scope.clone(),
        }
    }
}

impl<C: Trackable, M> fmt::Debug for Db<C, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Db").finish_non_exhaustive()
    }
}

impl<C: Trackable, M: 'static> Db<C, M> {
    pub(crate) fn scope(&self) -> Option<Scope> {
        self.scope.clone().or_else(execution::current)
    }

    /// A connection that belongs to the request; waits for one, so it is for blocking code.
    ///
    /// # Errors
    ///
    /// If there is none in time.
    pub fn get(&self) -> Result<PooledConnection<Manager<C>>, Error> {
        let mut connection = self.pool.get()?;
        let scope = self.scope().unwrap_or(Scope::Plain);
        let owner = Owner {
            _hold: execution::hold(Some(&scope)),
            scope,
        };
        connection.set_owner(Some(owner));
        Ok(connection)
    }

    /// Runs a closure with a connection, on the blocking pool.
    ///
    /// The closure's error is Diesel's, this crate's [`Error`], or any that is made from it.
    ///
    /// # Errors
    ///
    /// The closure's, and [`Error`] if there is no connection.
    ///
    /// # Cancellation
    ///
    /// Dropping the future does not stop the closure; the request counts as running until it ends.
    pub async fn run<T, E, F>(&self, work: F) -> Result<T, E::Reported>
    where
        F: FnOnce(&mut TrackedConnection<C>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Report,
    {
        let db = self.clone();
        let done = block(move || match db.get() {
            Ok(mut connection) => work(&mut connection).map_err(Report::report),
            Err(error) => Err(E::from_ours(error)),
        });
        done.await
            .unwrap_or_else(|_| Err(E::from_ours(Error::canceled())))
    }

    /// Runs a closure in one transaction, on the blocking pool.
    ///
    /// # Errors
    ///
    /// The closure's, after a rollback, and those of the transaction.
    ///
    /// # Cancellation
    ///
    /// As [`run`](Self::run).
    pub async fn transaction<T, E, F>(&self, work: F) -> Result<T, E::Reported>
    where
        F: FnMut(&mut TrackedConnection<C>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Report,
    {
        self.transaction_retrying(0, work).await
    }

    /// The same, and begins anew up to `retries` times after a serialization failure or a deadlock, of the closure or of
    /// the COMMIT. In an error of the application's own no such failure is seen: let Diesel's or this crate's through.
    ///
    /// # Errors
    ///
    /// As [`transaction`](Self::transaction).
    pub async fn transaction_retrying<T, E, F>(
        &self,
        retries: u32,
        mut work: F,
    ) -> Result<T, E::Reported>
    where
        F: FnMut(&mut TrackedConnection<C>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: Report,
    {
        let attempts = move |connection: &mut TrackedConnection<C>| {
            let mut left = retries;
            loop {
                connection.met_another();
                let done =
                    connection.transaction(|connection| work(connection).map_err(Failed::Work));
                let met = connection.met_another();
                match done {
                    Err(failed)
                        if left > 0
                            && (met || failed.is_transient())
                            && connection.is_between() =>
                    {
                        left -= 1;
                    }
                    done => return done,
                }
            }
        };
        self.run(attempts).await
    }
}

impl<C: Trackable, M: 'static> FromRequest for Db<C, M> {
    type Error = Error;
    type Future = std::future::Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let pool = request.app_data::<Pool<C, M>>().or_else(|| {
            request
                .app_data::<web::Data<Pool<C, M>>>()
                .map(|data| &***data)
        });
        std::future::ready(match pool {
            Some(pool) => Ok(Self {
                pool: pool.clone(),
                scope: execution::current(),
            }),
            None => Err(Error::setup(format!(
                "no Pool<{}> in app_data: register it with `App::new().configure(idempotent.configure(&pool))`",
                std::any::type_name::<C>()
            ))),
        })
    }
}

/// As [`actix_web::web::block`], and what the closure changes in the database belongs to the request.
///
/// `#[idempotent]` puts it in the place of `web::block` in the handler's own body.
///
/// # Errors
///
/// If the closure panicked, or the blocking pool is gone.
///
/// # Cancellation
///
/// Dropping the future does not stop the closure; the request counts as running until it ends.
pub fn block<F, R>(work: F) -> impl Future<Output = Result<R, BlockingError>>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    let scope = execution::current();
    let hold = execution::hold(scope.as_ref());
    web::block(move || {
        let result = execution::on_thread(scope, work);
        // Before the result is sent: who gets it may be the last to ask whether anything still runs.
        drop(hold);
        result
    })
}
