//! A row changed by the handler: on a bare connection, on a tracked one, and exactly once.

use actix_web::{Responder, Route, web};
use diesel::prelude::*;
use diesel::r2d2::{ConnectionManager, Pool, R2D2Connection};
use idempotent_runtime::store::{MemoryStore, Store};
use idempotent_runtime::{Db, Error, Idempotent, Principal, Reply, Trackable, TrackedConnection};
use idempotent_runtime::{Tracked, idempotent, once};

use crate::Result;
use crate::replay::{Copies, redis};
use crate::serve::{environment, failed, routes};
use crate::work::{Order, receipt};

diesel::table! {
    accounts (id) {
        id -> Integer,
        balance -> BigInt,
    }
}

#[derive(Tracked)]
#[diesel(table_name = accounts)]
#[allow(dead_code, reason = "it is there for its table")]
struct Account;

/// A database that has the table `accounts`, made by the bench.
pub(crate) trait Database: Trackable + R2D2Connection {
    /// SQLite has one writer.
    const CONNECTIONS: u32;

    /// Changes `rows` rows from `id` on and tells the balance of one.
    fn change(conn: &mut Self, id: i32, rows: i32) -> QueryResult<i64>;

    /// The same on a tracked connection.
    fn change_tracked(conn: &mut TrackedConnection<Self>, id: i32, rows: i32) -> QueryResult<i64>;

    /// Changes one row, and tells its key as well.
    fn change_and_tell(conn: &mut Self, id: i32) -> QueryResult<(i64, i32)>;

    /// The annotated handler.
    fn handler() -> Route;
}

/// One row by its key, as most handlers do; several by a range.
macro_rules! change {
    ($conn:expr, $id:expr, $rows:expr) => {{
        let (conn, id, rows) = ($conn, $id, $rows);
        let more = accounts::balance.eq(accounts::balance + 1);
        if rows == 1 {
            diesel::update(accounts::table.find(id))
                .set(more)
                .returning(accounts::balance)
                .get_result(conn)
        } else {
            let several = accounts::table.filter(accounts::id.between(id, id + rows - 1));
            let changed = diesel::update(several).set(more).execute(conn)?;
            Ok(changed as i64)
        }
    }};
}

macro_rules! database {
    ($connection:ty, $connections:literal, $handler:ident) => {
        impl Database for $connection {
            const CONNECTIONS: u32 = $connections;

            fn handler() -> Route {
                web::post().to($handler)
            }

            fn change(conn: &mut Self, id: i32, rows: i32) -> QueryResult<i64> {
                change!(conn, id, rows)
            }

            fn change_and_tell(conn: &mut Self, id: i32) -> QueryResult<(i64, i32)> {
                diesel::update(accounts::table.find(id))
                    .set(accounts::balance.eq(accounts::balance + 1))
                    .returning((accounts::balance, accounts::id))
                    .get_result(conn)
            }

            fn change_tracked(
                conn: &mut TrackedConnection<Self>,
                id: i32,
                rows: i32,
            ) -> QueryResult<i64> {
                change!(conn, id, rows)
            }
        }
    };
}

database!(SqliteConnection, 1, order_sqlite);
database!(PgConnection, 8, order_postgres);

pub(crate) type BarePool<C> = Pool<ConnectionManager<C>>;

pub(crate) fn bare_pool<C: Database>() -> Result<BarePool<C>> {
    let connections = Pool::builder().max_size(C::CONNECTIONS);
    Ok(connections.build(ConnectionManager::new(environment("DATABASE")?))?)
}

async fn order_bare<C: Database>(
    order: web::Json<Order>,
    pool: web::Data<BarePool<C>>,
) -> actix_web::Result<impl Responder> {
    let order = order.into_inner();
    let (id, rows) = (order.id, order.rows);
    let balance = web::block(move || {
        let mut conn = pool.get().map_err(|error| error.to_string())?;
        conn.transaction(|conn| C::change(conn, id, rows))
            .map_err(|error| error.to_string())
    });
    let balance = balance.await?.map_err(failed)?;
    Ok(web::Json(receipt(order, balance)))
}

#[actix_web::main]
pub(crate) async fn serve_bare<C: Database>() -> Result<()> {
    let pool = bare_pool::<C>()?;
    routes(move |app| {
        app.app_data(web::Data::new(pool.clone()))
            .route("/orders", web::post().to(order_bare::<C>));
    })
    .await
}

/// An annotated handler names its types.
macro_rules! handler {
    ($name:ident, $connection:ty) => {
        #[idempotent(cache = 3600, key = header("Idempotency-Key"))]
        async fn $name(
            order: web::Json<Order>,
            db: Db<$connection>,
        ) -> actix_web::Result<impl Responder> {
            let order = order.into_inner();
            let (id, rows) = (order.id, order.rows);
            let balance = db.transaction(move |conn| <$connection>::change_tracked(conn, id, rows));
            let balance = balance.await?;
            Ok(web::Json(receipt(order, balance)))
        }
    };
}

handler!(order_sqlite, SqliteConnection);
handler!(order_postgres, PgConnection);

async fn serve_tracked<C: Database>(store: impl Store) -> Result<()> {
    let idempotent = Idempotent::builder("bench").store(store).build();
    let pool = idempotent
        .pool_builder::<C>()
        .max_size(C::CONNECTIONS)
        .build(environment("DATABASE")?)?;
    routes(move |app| {
        app.configure(idempotent.configure(&pool))
            .route("/orders", C::handler());
    })
    .await
}

#[actix_web::main]
pub(crate) async fn serve<C: Database>() -> Result<()> {
    serve_tracked::<C>(MemoryStore::new()).await
}

#[actix_web::main]
pub(crate) async fn serve_with_redis<C: Database>(copies: Option<Copies>) -> Result<()> {
    serve_tracked::<C>(redis(copies).await?).await
}

#[idempotent(once = 3600, key = header("Idempotency-Key"))]
async fn order_once(order: web::Json<Order>, db: Db<PgConnection>) -> actix_web::Result<Reply> {
    let order = order.into_inner();
    let reply = db.once(move |conn| {
        let balance = PgConnection::change_tracked(conn, order.id, order.rows)?;
        Ok::<_, Error>(Reply::json(200, &receipt(order.clone(), balance))?)
    });
    Ok(reply.await?)
}

#[actix_web::main]
pub(crate) async fn serve_once() -> Result<()> {
    let idempotent = Idempotent::builder("bench")
        .principal(Principal::Anonymous)
        .build();
    let pool = idempotent
        .pool_builder::<PgConnection>()
        .max_size(PgConnection::CONNECTIONS)
        .build(environment("DATABASE")?)?;
    let mut conn = pool.get()?;
    once::migrate(&mut conn)?;
    drop(conn);
    idempotent.once_on(&pool)?;
    routes(move |app| {
        app.configure(idempotent.configure(&pool))
            .route("/orders", web::post().to(order_once));
    })
    .await
}
