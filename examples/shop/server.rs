//! One of the shop's server processes. They share a Redis and a PostgreSQL, and nothing else.

use std::time::Duration;

use actix_web::rt::signal::unix::{SignalKind, signal};
use actix_web::{App, HttpServer, Responder, patch, post, put, web};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use idempotent_runtime::{
    Db, Error, Idempotent, Pool, Principal, RedisStore, Reply, Tracked, idempotent, once,
};
use serde::{Deserialize, Serialize};

use crate::Failure;

diesel::table! {
    products (id) {
        id -> Integer,
        name -> Text,
        stock -> Integer,
        revision -> Integer,
    }
}

diesel::table! {
    orders (id) {
        id -> Integer,
        product -> Integer,
    }
}

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS products (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        stock INTEGER NOT NULL,
        revision INTEGER NOT NULL DEFAULT 1
    );
    CREATE TABLE IF NOT EXISTS orders (id SERIAL PRIMARY KEY, product INTEGER NOT NULL);
";

#[derive(Queryable, Selectable, Identifiable, Tracked, Serialize)]
#[diesel(table_name = products)]
struct Product {
    id: i32,
    name: String,
    stock: i32,
    /// How often `put_product` has really run for this row.
    revision: i32,
}

#[derive(Insertable, AsChangeset, Deserialize)]
#[diesel(table_name = products)]
struct NewProduct {
    name: String,
    stock: i32,
}

#[derive(Deserialize)]
struct Rename {
    name: String,
}

#[derive(Queryable, Selectable, Identifiable, Tracked, Serialize)]
#[diesel(table_name = orders)]
struct Order {
    id: i32,
    product: i32,
}

#[derive(Insertable, Deserialize)]
#[diesel(table_name = orders)]
struct NewOrder {
    product: i32,
}

/// The host is no part of the key: here the two servers have one each, where behind a load balancer they have one together.
#[put("/products/{id}")]
#[idempotent(cache = "1m", key(path, body))]
async fn put_product(
    id: web::Path<i32>,
    form: web::Json<NewProduct>,
    db: Db<PgConnection>,
) -> actix_web::Result<impl Responder> {
    let product = db.run(move |conn| {
        diesel::insert_into(products::table)
            .values((products::id.eq(*id), &*form))
            .on_conflict(products::id)
            .do_update()
            .set((&*form, products::revision.eq(products::revision + 1)))
            .returning(Product::as_returning())
            .get_result(conn)
    });
    Ok(web::Json(product.await?))
}

/// Not annotated: it only changes a row, and so ends the replies that depend on it, in all processes.
#[patch("/products/{id}")]
async fn rename_product(
    id: web::Path<i32>,
    form: web::Json<Rename>,
    db: Db<PgConnection>,
) -> actix_web::Result<impl Responder> {
    let product = db.run(move |conn| {
        diesel::update(products::table.find(*id))
            .set(products::name.eq(&form.name))
            .returning(Product::as_returning())
            .get_result(conn)
    });
    Ok(web::Json(product.await?))
}

/// Reads, thinks, writes: without the lock, those that come together would take the same one.
#[post("/products/{id}/take")]
#[idempotent(lock = 5, key(path))]
async fn take(id: web::Path<i32>, db: Db<PgConnection>) -> actix_web::Result<impl Responder> {
    let row = products::table.find(*id);
    let stock: i32 = db
        .run(move |conn| row.select(products::stock).first(conn))
        .await?;
    actix_web::rt::time::sleep(Duration::from_millis(20)).await;
    let product = db.run(move |conn| {
        diesel::update(row)
            .set(products::stock.eq(stock - 1))
            .returning(Product::as_returning())
            .get_result(conn)
    });
    Ok(web::Json(product.await?))
}

/// One order per key, whichever server the tries come to and whatever happens to them, or to Redis, in between.
#[post("/orders")]
#[idempotent(once = "24h", key = header("Idempotency-Key"))]
async fn order(form: web::Json<NewOrder>, db: Db<PgConnection>) -> actix_web::Result<Reply> {
    let reply = db.once(move |conn| {
        let order: Order = diesel::insert_into(orders::table)
            .values(&*form)
            .returning(Order::as_returning())
            .get_result(conn)?;
        Ok::<_, Error>(
            Reply::json(201, &order)?.header("Location", format!("/orders/{}", order.id)),
        )
    });
    Ok(reply.await?)
}

/// Makes the tables, before any server starts.
pub(crate) fn prepare(database_url: &str) -> Result<(), Failure> {
    let pool: Pool<PgConnection> = Idempotent::builder("shop").build().pool(database_url)?;
    let mut conn = pool.get()?;
    conn.batch_execute(SCHEMA)?;
    once::migrate(&mut conn)?;
    Ok(())
}

/// Serves until it is asked to stop.
pub(crate) async fn run() -> Result<(), Failure> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let port: u16 = std::env::var("PORT")?.parse()?;
    let store = RedisStore::connect(std::env::var("REDIS_URL")?).await?;
    let idempotent = Idempotent::builder("shop")
        .store(store)
        .principal(Principal::Anonymous)
        .explain(true)
        .build();
    let pool = idempotent.pool::<PgConnection>(std::env::var("DATABASE_URL")?)?;
    idempotent.once_on(&pool)?;

    let app = idempotent.clone();
    let server = HttpServer::new(move || {
        App::new()
            .configure(app.configure(&pool))
            .service(put_product)
            .service(rename_product)
            .service(take)
            .service(order)
    })
    .bind(("127.0.0.1", port))?;
    println!("Listening on http://127.0.0.1:{port}");
    let server = server.disable_signals().run();
    let handle = server.handle();
    let mut asked = signal(SignalKind::terminate())?;
    actix_web::rt::spawn(async move {
        asked.recv().await;
        idempotent.stop(&handle).await;
    });
    server.await?;
    Ok(())
}
