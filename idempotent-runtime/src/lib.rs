//! Safe retries for actix-web and Diesel.
//!
//! Two attributes on a handler make a retried request safe: `#[idempotent(cache = 15)]` answers it with the first
//! response, until a row that the first run changed is changed by someone else; `#[idempotent(lock = 3)]` lets only one
//! such request run at a time.
//!
//! ```
//! use actix_web::{App, Responder, put, web};
//! use diesel::prelude::*;
//! use idempotent_runtime::{Db, Idempotent, Tracked, idempotent};
//!
//! # diesel::table! { users (id) { id -> Integer, name -> Text, } }
//! #[derive(Queryable, Selectable, Identifiable, Tracked)]
//! #[diesel(table_name = users)]
//! struct User {
//!     id: i32,
//!     name: String,
//! }
//!
//! #[put("/users/{id}/name")]
//! #[idempotent(cache = 15)]
//! async fn rename(
//!     id: web::Path<i32>,
//!     name: String,
//!     db: Db<SqliteConnection>,
//! ) -> actix_web::Result<impl Responder> {
//!     let user = db.run(move |conn| {
//!         diesel::update(users::table.find(*id))
//!             .set(users::name.eq(name))
//!             .returning(User::as_returning())
//!             .get_result(conn)
//!     });
//!     Ok(user.await?.name)
//! }
//!
//! # fn main() -> Result<(), idempotent_runtime::Error> {
//! let idempotent = Idempotent::builder("shop").build();
//! let pool = idempotent.pool::<SqliteConnection>(":memory:")?;
//! let app = App::new().configure(idempotent.configure(&pool)).service(rename);
//! # drop(app);
//! # Ok(())
//! # }
//! ```
//!
//! # How it works
//!
//! The [attribute](macro@idempotent) puts the handler into a function that buffers the request, makes its
//! [id](RequestId), runs the extractors, and looks into the [store]. There it finds a kept [reply](Reply),
//! or an execution under way whose reply it waits for, or it sets the claim and runs the handler, detached from the
//! client's connection.
//!
//! The handler's database connections are [`TrackedConnection`]s. They know which rows each transaction changes, and
//! stamp them in the store before the transaction commits. A reply is kept with the stamps of its own run, and is
//! replayed only as long as none of those rows has been stamped by anyone else.
//!
//! # Where things are
//!
//! | for | see |
//! | --- | --- |
//! | the attribute's arguments, and what it expands to | [`idempotent`](macro@idempotent) |
//! | models | [`Tracked`](derive@Tracked) |
//! | the application's settings | [`Idempotent`], [`Builder`] |
//! | the database in handlers and in what they call | [`Db`], [`Pool`], [`block`] |
//! | effects that happen exactly once | [`once`], [`Db::once`] |
//! | connections of your own | [`TrackedConnection`], [`Manager`] |
//! | a store of your own | [`store`] |
//!
//! `docs/guide.md` in the repository says which of `cache`, `lock` and `once` a handler needs, and how to call other services.
//!
//! # Choosing a store
//!
//! [`MemoryStore`] is the default and serves one process. Several share a [`RedisStore`](store) (feature `redis`).
//!
//! # Features
//!
//! `sqlite-bundled` (default), `sqlite`, `postgres`, `mysql` (MariaDB and MySQL), `redis` (`RedisStore`, for several
//! processes), `session` (actix-session as a dimension of request ids) and `store-suite` (the suite that a store must pass).

mod actix;
mod db;
mod dependencies;
mod error;
mod execution;
#[cfg_attr(
    not(feature = "faults"),
    allow(unreachable_pub, dead_code, reason = "public for the proofs alone")
)]
mod faults;
mod flow;
mod hold;
mod idempotent;
mod keeper;
mod key;
mod meters;
mod names;
mod observed;
#[cfg_attr(
    not(all(feature = "sqlite", feature = "postgres", feature = "mysql")),
    allow(dead_code, reason = "each database needs its own part of it")
)]
pub mod once;
mod owed;
mod policy;
mod pool;
mod reply;
mod report;
mod running;
mod settings;
mod spec;
mod stamp;
pub mod store;
mod sync;
#[cfg_attr(
    not(all(feature = "sqlite", feature = "postgres", feature = "mysql")),
    allow(dead_code, reason = "each database needs its own part of it")
)]
mod track;
mod waiting;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use crate::actix::Lease;
pub use crate::db::{Db, block};
pub use crate::error::Error;
pub use crate::idempotent::{Builder, Idempotent};
pub use crate::key::{
    Dimension, Fingerprint, Key, KeyFunction, Principal, PrincipalFunction, RequestId,
};
pub use crate::pool::{Manager, Pool, PoolBuilder};
pub use crate::reply::Reply;
pub use crate::report::Report;
pub use crate::settings::Unattributed;
pub use crate::spec::{Changed, Keep, Outage};
pub use crate::store::MemoryStore;
#[cfg(feature = "redis")]
pub use crate::store::RedisStore;
pub use crate::track::backend::Trackable;
pub use crate::track::connection::TrackedConnection;
pub use crate::track::{Tracked, TrackedTable};
pub use idempotent_macros::{Tracked, idempotent};

/// Compiles the README's code.
#[cfg(all(doctest, feature = "sqlite", feature = "redis"))]
#[doc = include_str!("../../README.md")]
struct Readme;

/// Compiles the guide's code.
#[cfg(all(doctest, feature = "sqlite"))]
#[doc = include_str!("../../docs/guide.md")]
struct Guide;
