//! Users, visits and orders on SQLite, to be tried with `curl`:
//!
//! ```text
//! cargo run --example quickstart
//! ```

#![allow(missing_docs, reason = "an application, not a library")]

use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::header;
use actix_web::{App, HttpResponse, HttpServer, Responder, get, patch, post, put, web};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Integer, Text};
use idempotent_runtime::{Db, Idempotent, Tracked, idempotent};
use serde::{Deserialize, Serialize};

diesel::table! {
    users (id) {
        id -> Integer,
        email -> Text,
        name -> Text,
        revision -> Integer,
    }
}

diesel::table! {
    visits (user_id) {
        user_id -> Integer,
        count -> Integer,
    }
}

diesel::table! {
    orders (id) {
        id -> Integer,
        item -> Text,
    }
}

const SCHEMA: &str = "
    CREATE TABLE users (
        id INTEGER PRIMARY KEY,
        email TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        revision INTEGER NOT NULL DEFAULT 1
    );
    CREATE TABLE visits (user_id INTEGER PRIMARY KEY, count INTEGER NOT NULL);
    CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT NOT NULL);
";

#[derive(Queryable, Selectable, Identifiable, Tracked, Serialize)]
#[diesel(table_name = users)]
struct User {
    id: i32,
    email: String,
    name: String,
    /// How often the handler has really run for this row.
    revision: i32,
}

#[derive(Insertable, Deserialize)]
#[diesel(table_name = users)]
struct NewUser {
    email: String,
    name: String,
}

#[derive(Queryable, Selectable, Identifiable, Insertable, AsChangeset, Tracked, Serialize)]
#[diesel(table_name = visits, primary_key(user_id))]
struct Visits {
    #[serde(skip)]
    user_id: i32,
    #[serde(rename = "visits")]
    count: i32,
}

#[derive(Queryable, Selectable, Identifiable, Tracked, Serialize)]
#[diesel(table_name = orders)]
struct Order {
    id: i32,
    item: String,
}

#[derive(Insertable, Deserialize)]
#[diesel(table_name = orders)]
struct NewOrder {
    item: String,
}

#[derive(Deserialize)]
struct Rename {
    name: String,
}

/// Inserts a user, or updates the one with this email. A retry within 15 s gets the first reply, until someone else
/// changes that user.
#[put("/users")]
#[idempotent(cache = 15)]
async fn put_user(
    form: web::Json<NewUser>,
    db: Db<SqliteConnection>,
) -> actix_web::Result<impl Responder> {
    let form = form.into_inner();
    let user = db
        .run(move |conn| {
            diesel::insert_into(users::table)
                .values(&form)
                .on_conflict(users::email)
                .do_update()
                .set((
                    users::name.eq(&form.name),
                    users::revision.eq(users::revision + 1),
                ))
                .returning(User::as_returning())
                .get_result(conn)
        })
        .await?;
    Ok(web::Json(user))
}

/// Not annotated: it only changes a row.
#[patch("/users/{id}")]
async fn rename_user(
    id: web::Path<i32>,
    form: web::Json<Rename>,
    db: Db<SqliteConnection>,
) -> actix_web::Result<impl Responder> {
    let user = db
        .run(move |conn| {
            diesel::update(users::table.find(*id))
                .set(users::name.eq(&form.name))
                .returning(User::as_returning())
                .get_result(conn)
        })
        .await?;
    Ok(web::Json(user))
}

/// The same by hand-written SQL.
#[patch("/raw/users/{id}")]
async fn rename_user_raw(
    id: web::Path<i32>,
    form: web::Json<Rename>,
    db: Db<SqliteConnection>,
) -> actix_web::Result<impl Responder> {
    let changed = db
        .run(move |conn| {
            diesel::sql_query("UPDATE users SET name = ? WHERE id = ?")
                .bind::<Text, _>(&form.name)
                .bind::<Integer, _>(*id)
                .execute(conn)
        })
        .await?;
    Ok(web::Json(serde_json::json!({ "changed": changed })))
}

/// Reads, thinks, writes: without the lock, visits that come together would be lost.
#[post("/users/{id}/visits")]
#[idempotent(lock = 3, key(path))]
async fn visit(id: web::Path<i32>, db: Db<SqliteConnection>) -> actix_web::Result<impl Responder> {
    let id = *id;
    let before = db
        .run(move |conn| {
            visits::table
                .find(id)
                .select(visits::count)
                .first::<i32>(conn)
                .optional()
        })
        .await?;
    tokio::time::sleep(Duration::from_millis(50)).await;
    let now = Visits {
        user_id: id,
        count: before.unwrap_or(0) + 1,
    };
    let visits = db
        .run(move |conn| {
            diesel::insert_into(visits::table)
                .values(&now)
                .on_conflict(visits::user_id)
                .do_update()
                .set(visits::count.eq(now.count))
                .returning(Visits::as_returning())
                .get_result(conn)
        })
        .await?;
    Ok(web::Json(visits))
}

/// No database at all.
#[get("/random")]
#[idempotent(cache = 15)]
async fn random() -> impl Responder {
    use std::hash::{BuildHasher, RandomState};
    web::Json(serde_json::json!({ "random": RandomState::new().hash_one(()) }))
}

/// The client names the order by its own key, and may retry for a day.
#[post("/orders")]
#[idempotent(cache = "24h", key = header("Idempotency-Key"))]
async fn order(
    form: web::Json<NewOrder>,
    db: Db<SqliteConnection>,
) -> actix_web::Result<impl Responder> {
    let order = db
        .run(move |conn| {
            diesel::insert_into(orders::table)
                .values(form.into_inner())
                .returning(Order::as_returning())
                .get_result(conn)
        })
        .await?;
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, format!("/orders/{}", order.id)))
        .json(order))
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let port = std::env::var("PORT").map_or(Ok(8080), |port| port.parse())?;
    let directory = tempfile::tempdir()?;
    let database = directory.path().join("quickstart.db");

    let idempotent = Idempotent::builder("quickstart").explain(true).build();
    let pool = idempotent.pool::<SqliteConnection>(database.to_string_lossy())?;
    pool.get()?.batch_execute(SCHEMA)?;

    let app = idempotent.clone();
    let server = HttpServer::new(move || {
        App::new()
            .configure(app.configure(&pool))
            .service(put_user)
            .service(rename_user)
            .service(rename_user_raw)
            .service(visit)
            .service(random)
            .service(order)
    })
    .bind(("127.0.0.1", port))?;
    println!("{}", welcome(port));
    let server = server.disable_signals().run();
    actix_web::rt::spawn(stop_on_signal(idempotent, server.handle()));
    server.await?;
    Ok(())
}

fn welcome(port: u16) -> String {
    let json = "-H 'content-type: application/json'";
    format!(
        "Listening on http://127.0.0.1:{port}. Try, in another terminal:

  # twice: the second reply is the first one, byte for byte, and says so in its headers
  curl -i -X PUT localhost:{port}/users {json} -d '{{\"email\":\"a@b.c\",\"name\":\"Ann\"}}'

  # someone else changes the row; then the same PUT runs again
  curl -i -X PATCH localhost:{port}/users/1 {json} -d '{{\"name\":\"Bob\"}}'

  # 20 visits at once, one after the other
  seq 20 | xargs -P 20 -I{{}} curl -s -X POST localhost:{port}/users/1/visits

  # an order with the client's own key; another item with the same key is refused
  curl -i -X POST localhost:{port}/orders {json} -H 'idempotency-key: \"k-1\"' -d '{{\"item\":\"tea\"}}'
"
    )
}

/// Handlers go on without their clients, so a server's own stop does not wait for all of them.
async fn stop_on_signal(idempotent: Idempotent, server: ServerHandle) {
    if actix_web::rt::signal::ctrl_c().await.is_ok() {
        idempotent.stop(&server).await;
    }
}
