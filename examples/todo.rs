//! An application in the usual actix style, `web::Data<Pool>` and `web::block`, that only adds attributes, a derive
//! and the tracked pool:
//!
//! ```text
//! cargo run --example todo
//! curl -i -X POST localhost:8080/todos -H 'content-type: application/json' -d '{"title":"buy tea"}'
//! ```

#![allow(missing_docs, reason = "an application, not a library")]

use actix_web::dev::ServerHandle;
use actix_web::error::ErrorInternalServerError;
use actix_web::{App, HttpServer, Responder, delete, get, post, web};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use idempotent_runtime::{Error, Idempotent, Tracked, idempotent};
use serde::{Deserialize, Serialize};

type Pool = idempotent_runtime::Pool<SqliteConnection>;
type Connection = idempotent_runtime::TrackedConnection<SqliteConnection>;

diesel::table! {
    todos (id) {
        id -> Integer,
        title -> Text,
        done -> Bool,
    }
}

#[derive(Queryable, Selectable, Identifiable, Tracked, Serialize)]
#[diesel(table_name = todos)]
struct Todo {
    id: i32,
    title: String,
    done: bool,
}

#[derive(Insertable, Deserialize)]
#[diesel(table_name = todos)]
struct NewTodo {
    title: String,
}

/// As it was before, but for the attribute.
#[post("/todos")]
#[idempotent(cache = "1m")]
async fn add(form: web::Json<NewTodo>, pool: web::Data<Pool>) -> actix_web::Result<impl Responder> {
    let todo = web::block(move || {
        let mut conn = pool.get()?;
        insert(&mut conn, &form)
    })
    .await?
    .map_err(ErrorInternalServerError)?;
    Ok(web::Json(todo))
}

fn insert(conn: &mut Connection, form: &NewTodo) -> Result<Todo, Error> {
    let todo = diesel::insert_into(todos::table)
        .values(form)
        .returning(Todo::as_returning())
        .get_result(conn)?;
    Ok(todo)
}

/// One click at a time: the second one finds what the first one did.
#[post("/todos/{id}/toggle")]
#[idempotent(lock = 3, key(path))]
async fn toggle(id: web::Path<i32>, pool: web::Data<Pool>) -> actix_web::Result<impl Responder> {
    let todo = web::block(move || {
        let mut conn = pool.get()?;
        let row = todos::table.find(*id);
        let done: bool = row.select(todos::done).first(&mut conn)?;
        let todo = diesel::update(row)
            .set(todos::done.eq(!done))
            .returning(Todo::as_returning())
            .get_result(&mut conn)?;
        Ok::<_, Error>(todo)
    })
    .await??;
    Ok(web::Json(todo))
}

/// Not annotated: whoever retries `POST /todos` after it gets a new row.
#[delete("/todos/{id}")]
async fn remove(id: web::Path<i32>, pool: web::Data<Pool>) -> actix_web::Result<impl Responder> {
    let removed = web::block(move || {
        let mut conn = pool.get()?;
        let removed = diesel::delete(todos::table.find(*id)).execute(&mut conn)?;
        Ok::<_, Error>(removed)
    })
    .await??;
    Ok(web::Json(serde_json::json!({ "removed": removed })))
}

#[get("/todos")]
async fn list(pool: web::Data<Pool>) -> actix_web::Result<impl Responder> {
    let todos = web::block(move || {
        let mut conn = pool.get()?;
        Ok::<_, Error>(todos::table.select(Todo::as_select()).load(&mut conn)?)
    })
    .await??;
    Ok(web::Json(todos))
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let port = std::env::var("PORT").map_or(Ok(8080), |port| port.parse())?;
    let directory = tempfile::tempdir()?;
    let database = directory.path().join("todo.db");

    let idempotent = Idempotent::builder("todo").build();
    let pool = idempotent.pool::<SqliteConnection>(database.to_string_lossy())?;
    pool.get()?.batch_execute(
        "CREATE TABLE todos (id INTEGER PRIMARY KEY, title TEXT NOT NULL, done BOOL NOT NULL DEFAULT FALSE)",
    )?;

    let app = idempotent.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(app.clone()))
            .app_data(web::Data::new(pool.clone()))
            .service(add)
            .service(toggle)
            .service(remove)
            .service(list)
    })
    .bind(("127.0.0.1", port))?;
    println!("Listening on http://127.0.0.1:{port}");
    let server = server.disable_signals().run();
    actix_web::rt::spawn(stop_on_signal(idempotent, server.handle()));
    server.await?;
    Ok(())
}

/// Handlers go on without their clients, so a server's own stop does not wait for all of them.
async fn stop_on_signal(idempotent: Idempotent, server: ServerHandle) {
    if actix_web::rt::signal::ctrl_c().await.is_ok() {
        idempotent.stop(&server).await;
    }
}
