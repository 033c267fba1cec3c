//! Effects that happen exactly once: records in the application's own database, written in the same transaction as
//! the effects.
//!
//! ```no_run
//! # #[cfg(feature = "sqlite")] mod example {
//! use actix_web::{App, post, web};
//! use diesel::prelude::*;
//! use idempotent_runtime::{Db, Error, Idempotent, Principal, Reply, idempotent, once};
//!
//! # diesel::table! { transfers (id) { id -> Integer, amount -> Integer, } }
//! #[post("/transfers")]
//! #[idempotent(once = 86400, key = header("Idempotency-Key"))]
//! async fn transfer(amount: web::Json<i32>, db: Db<SqliteConnection>) -> actix_web::Result<Reply> {
//!     let reply = db.once(move |conn| {
//!         diesel::insert_into(transfers::table).values(transfers::amount.eq(*amount)).execute(conn)?;
//!         Ok::<_, Error>(Reply::json(201, &*amount)?)
//!     });
//!     Ok(reply.await?)
//! }
//!
//! # fn main() -> Result<(), Error> {
//! // The key must be the same client's at each try, so the application says who asks.
//! let idempotent = Idempotent::builder("bank").principal(Principal::Anonymous).build();
//! let pool = idempotent.pool::<SqliteConnection>("bank.db")?;
//! let mut conn = pool.get()?;
//! once::migrate(&mut conn)?;
//! idempotent.once_on(&pool)?;
//! let app = App::new().configure(idempotent.configure(&pool)).service(transfer);
//! # drop(app);
//! # Ok(()) }
//! # }
//! # fn main() {}
//! ```
//!
//! # What is not seen
//!
//! Changes beside `db.once` are refused where a model tracks their table and the connection belongs to the request. Others are not:
//! they would happen again in a retry, as do calls to other services (H39), changes through `untracked()` beside it, and those of tables
//! that know no transactions (MyISAM, Aria).
//!
//! # States of a record
//!
//! | row | what it means |
//! | --- | --- |
//! | none | nobody has done it |
//! | without a reply, in an open transaction | someone is doing it; others wait for the row |
//! | without a reply, committed | a placeholder (MySQL family): nobody has done it. It never means more |
//! | with a reply, not expired | done, and this was the answer |
//! | with a reply, expired | as none |
//!
//! # A transaction
//!
//! claim → effects → reply → stamp → COMMIT. The claim takes the row's lock, which is held until COMMIT or ROLLBACK, so
//! that for one id the transactions come one after the other, whatever processes they are from.
//!
//! # Interleavings
//!
//! * **Two claim at once** (H37). PostgreSQL and SQLite: `INSERT … ON CONFLICT DO UPDATE … WHERE it is free RETURNING`, which waits
//!   for the rival; if it committed, the condition sees its row and nothing comes back, and if it rolled back, the row is
//!   ours. With REPEATABLE READ and SERIALIZABLE PostgreSQL fails with 40001 instead: the whole transaction begins anew.
//!   MySQL family: an INSERT as a claim deadlocks its waiters when the first one rolls back. So a placeholder is committed first, and
//!   the claim is `SELECT … FOR UPDATE` on it.
//! * **A placeholder is left behind** (H38) by a crash or a rollback: it is as free as no row. Only the update inside the
//!   effects' transaction makes a row mean "done"; it compares the claim's token and must change just one row, or all
//!   is rolled back.
//! * **An expired row is swept between claim and read** (H54). The claim itself takes expired rows, and on a conflict the row stays
//!   locked until it was read. In the MySQL family, where the placeholder may be swept before it is locked, it is made again.
//! * **An error is swallowed inside** (H16, H17). PostgreSQL refuses the update with the reply. In the MySQL family and on SQLite,
//!   which may have rolled back and go on statement by statement, nothing runs any more until ROLLBACK; and the update
//!   finds no row with the claim's token, as that was rolled back with the rest.
//! * **The closure leaves a savepoint open**, so that Diesel's COMMIT would be a RELEASE: refused before the reply is written.
//! * **Another transaction is in the way**, and the closure makes an error of its own of that, or swallows it: the connection
//!   remembers, and the whole transaction begins anew if it is not committed.
//! * **A statement commits implicitly**, or is `COMMIT` itself: refused before it is sent, since the effects would be committed without
//!   their record.
//! * **COMMIT is not answered** (H18). Nothing is kept in the store and nobody else is given the reply; the next request asks the row.
//! * **The process dies** before COMMIT: the database rolls back, and frees the row. After COMMIT: the row says what was answered.
//! * **The store loses everything, or is away**: it only answers sooner. Its records have no tags, since no other's change ends them.
//! * **The retry comes after the horizon** (H40): it runs again. The horizon is the attribute's number, and `ttl` in `Cache-Status`.
//! * **Another payload under the same key** (H41) is found at each place where a record is: in the process, in the store, in the
//!   table, and in the claim.

mod migrate;
mod on;
mod promise;
mod rows;
mod seal;
mod sweep;
mod table;
mod transaction;

pub use migrate::migrate;
pub(crate) use on::{Look, On};
pub(crate) use promise::{Answer, Promise, record, row_id};
pub(crate) use rows::Rows;
pub(crate) use seal::Sealing;
pub use seal::{Seal, SealError};
pub use sweep::sweep;
pub use table::Table;

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
