//! `Pool<C>`, the application's tracked connections, and how they are made.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::ServiceConfig;
use diesel::r2d2::{self, ManageConnection, PooledConnection, R2D2Connection};

use crate::error::Error;
use crate::idempotent::Idempotent;
use crate::track::backend::Trackable;
use crate::track::connection::TrackedConnection;
use crate::track::plans::Database;
use crate::track::stamper::Stamper;

impl Idempotent {
    /// A pool of tracked connections with the defaults of r2d2.
    ///
    /// On SQLite every connection waits up to 5 s for another's lock, and a file is put into WAL mode; a database in
    /// memory gets one connection, since each would be a database of its own.
    ///
    /// # Errors
    ///
    /// If no connection can be established.
    pub fn pool<C: Trackable>(&self, url: impl Into<String>) -> Result<Pool<C>, Error> {
        self.pool_builder().build(url)
    }

    /// A pool with settings of your own, and with a marker where two pools have the same type of connection.
    pub fn pool_builder<C: Trackable>(&self) -> PoolBuilder<C> {
        PoolBuilder {
            idempotent: self.clone(),
            inner: r2d2::Pool::builder(),
            size: None,
            marker: PhantomData,
        }
    }

    /// An r2d2 manager of tracked connections, for a pool made elsewhere.
    pub fn manager<C: Trackable>(&self, url: impl Into<String>) -> Manager<C> {
        Manager {
            idempotent: self.clone(),
            url: url.into(),
            database: Arc::default(),
            marker: PhantomData,
        }
    }

    /// Registers this handle and a pool with an actix application: `App::new().configure(idempotent.configure(&pool))`.
    /// With several pools it is called for each.
    pub fn configure<C: Trackable, M: 'static>(
        &self,
        pool: &Pool<C, M>,
    ) -> impl FnOnce(&mut ServiceConfig) + Clone + use<C, M> {
        let (idempotent, pool) = (self.clone(), pool.clone());
        move |config| {
            config.app_data(idempotent).app_data(pool);
        }
    }
}

impl<C: Trackable> TrackedConnection<C> {
    /// From now on the changes of this connection are announced to the application.
    ///
    /// Pools made elsewhere call it for each new connection. Beside a plain r2d2 pool of
    /// [`Idempotent::manager`], which needs no more, that is a customizer of Diesel's own manager:
    ///
    /// ```no_run
    /// # #[cfg(feature = "sqlite")] fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use diesel::SqliteConnection;
    /// use diesel::r2d2::{ConnectionManager, CustomizeConnection, Error, Pool};
    /// use idempotent_runtime::{Idempotent, TrackedConnection};
    ///
    /// type Connection = TrackedConnection<SqliteConnection>;
    ///
    /// #[derive(Debug)]
    /// struct Attach(Idempotent);
    ///
    /// impl CustomizeConnection<Connection, Error> for Attach {
    ///     fn on_acquire(&self, conn: &mut Connection) -> Result<(), Error> {
    ///         conn.attach(&self.0);
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let idempotent = Idempotent::builder("shop").build();
    /// let pool = Pool::builder()
    ///     .connection_customizer(Box::new(Attach(idempotent)))
    ///     .build(ConnectionManager::<Connection>::new("shop.db"))?;
    /// # Ok(()) }
    /// # #[cfg(not(feature = "sqlite"))] fn main() {}
    /// ```
    ///
    /// and a hook of [`deadpool-diesel`](https://docs.rs/deadpool-diesel):
    ///
    /// ```no_run
    /// # #[cfg(feature = "sqlite")] fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use deadpool::managed::{Hook, HookError, Pool};
    /// use deadpool_diesel::Runtime;
    /// # use diesel::SqliteConnection;
    /// # use idempotent_runtime::{Idempotent, TrackedConnection};
    ///
    /// type Manager = deadpool_diesel::Manager<TrackedConnection<SqliteConnection>>;
    ///
    /// let idempotent = Idempotent::builder("shop").build();
    /// let attach = Hook::<Manager>::sync_fn(move |conn, _| {
    ///     let mut conn = conn.lock().map_err(|_| HookError::message("poisoned"))?;
    ///     conn.attach(&idempotent);
    ///     Ok(())
    /// });
    /// let manager = Manager::new("shop.db", Runtime::Tokio1);
    /// let pool: Pool<Manager> = Pool::builder(manager).post_create(attach).build()?;
    /// # Ok(()) }
    /// # #[cfg(not(feature = "sqlite"))] fn main() {}
    /// ```
    ///
    /// Such connections belong to a request only in its own task and in its [`block`](crate::block); what the closure of
    /// an `interact` changes belongs to none.
    pub fn attach(&mut self, idempotent: &Idempotent) {
        self.set_stamper(Arc::clone(&idempotent.0) as Arc<dyn Stamper>);
    }
}

/// Establishes tracked connections for r2d2.
pub struct Manager<C> {
    idempotent: Idempotent,
    url: String,
    database: Arc<Database>,
    marker: PhantomData<fn() -> C>,
}

impl<C> fmt::Debug for Manager<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password.
        f.debug_struct("Manager").finish_non_exhaustive()
    }
}

impl<C: Trackable> ManageConnection for Manager<C> {
    type Connection = TrackedConnection<C>;
    type Error = r2d2::Error;

    fn connect(&self) -> Result<Self::Connection, Self::Error> {
        let mut inner = C::establish(&self.url).map_err(r2d2::Error::ConnectionError)?;
        inner.prepare().map_err(r2d2::Error::QueryError)?;
        let mut connection = TrackedConnection::new(inner);
        connection.attach(&self.idempotent);
        connection.set_database(Arc::clone(&self.database));
        Ok(connection)
    }

    fn is_valid(&self, connection: &mut Self::Connection) -> Result<(), Self::Error> {
        connection.ping().map_err(r2d2::Error::QueryError)
    }

    // r2d2 asks this when a connection comes back, so from here on it belongs to no request.
    fn has_broken(&self, connection: &mut Self::Connection) -> bool {
        connection.set_owner(None);
        std::thread::panicking() || connection.is_broken()
    }
}

/// The application's pool of tracked connections; cheap to clone.
///
/// A connection from [`get`](Self::get) belongs to the handler in whose own task, or in whose
/// [`block`](crate::block), it is used. Elsewhere it belongs to no request; [`Db`](crate::Db) is bound to its request everywhere.
pub struct Pool<C: Trackable, M = ()> {
    inner: r2d2::Pool<Manager<C>>,
    marker: PhantomData<fn() -> M>,
}

impl<C: Trackable, M> Clone for Pool<C, M> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            marker: PhantomData,
        }
    }
}

impl<C: Trackable, M> fmt::Debug for Pool<C, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Pool").field(&self.inner.state()).finish()
    }
}

impl<C: Trackable, M> Pool<C, M> {
    /// A connection; waits for one, so not for async code while the pool may be empty.
    ///
    /// # Errors
    ///
    /// If there is none in time.
    pub fn get(&self) -> Result<PooledConnection<Manager<C>>, Error> {
        self.inner.get().map_err(Error::pool)
    }

    /// How many connections there are, and how many of them are idle.
    pub fn state(&self) -> (u32, u32) {
        let state = self.inner.state();
        (state.connections, state.idle_connections)
    }
}

/// Builds a [`Pool`].
pub struct PoolBuilder<C: Trackable, M = ()> {
    idempotent: Idempotent,
    inner: r2d2::Builder<Manager<C>>,
    size: Option<u32>,
    marker: PhantomData<fn() -> M>,
}

impl<C: Trackable, M> fmt::Debug for PoolBuilder<C, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl<C: Trackable, M> PoolBuilder<C, M> {
    /// How many connections at most. Default: 10, for SQLite in memory 1.
    ///
    /// # Panics
    ///
    /// In [`build`](Self::build), if it is 0.
    #[must_use]
    pub fn max_size(mut self, connections: u32) -> Self {
        self.size = Some(connections);
        self
    }

    /// How long [`Pool::get`] waits for a connection. Default: 30 s.
    #[must_use]
    pub fn connection_timeout(mut self, timeout: Duration) -> Self {
        self.inner = self.inner.connection_timeout(timeout);
        self
    }

    /// Settings of r2d2's that have no method here.
    #[must_use]
    pub fn with(
        mut self,
        change: impl FnOnce(r2d2::Builder<Manager<C>>) -> r2d2::Builder<Manager<C>>,
    ) -> Self {
        self.inner = change(self.inner);
        self
    }

    /// Tells two pools of one connection type apart: its requests ask for `Db<C, Reports>`.
    #[must_use]
    pub fn marker<N>(self) -> PoolBuilder<C, N> {
        PoolBuilder {
            idempotent: self.idempotent,
            inner: self.inner,
            size: self.size,
            marker: PhantomData,
        }
    }

    /// Opens the connections.
    ///
    /// # Errors
    ///
    /// If none can be established.
    pub fn build(self, url: impl Into<String>) -> Result<Pool<C, M>, Error> {
        let manager = self.idempotent.manager::<C>(url);
        let size = self.size.or_else(|| C::pool_size(&manager.url));
        let inner = match size {
            Some(size) => self.inner.max_size(size),
            None => self.inner,
        };
        Ok(Pool {
            inner: inner.build(manager).map_err(Error::pool)?,
            marker: PhantomData,
        })
    }
}
