//! The shop's own server: what it promises to its clients, it writes down in the transaction of its effects.

use actix_web::dev::Server;
use actix_web::{App, HttpRequest, HttpServer, Responder, error, get, post, web};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use idempotent_runtime::{Db, Error, Idempotent, Principal, Reply, Tracked, idempotent, once};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use crate::{Failure, Places, stop_on_signal, worker};

diesel::table! {
    payments (id) {
        id -> Integer,
        amount -> Integer,
        status -> Text,
        charge -> Nullable<Text>,
    }
}

diesel::table! {
    outbox (payment_id) {
        payment_id -> Integer,
        amount -> Integer,
        key -> Text,
    }
}

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS payments (
        id INTEGER PRIMARY KEY,
        amount INTEGER NOT NULL,
        status TEXT NOT NULL DEFAULT 'pending',
        charge TEXT
    );
    CREATE TABLE IF NOT EXISTS outbox (
        payment_id INTEGER PRIMARY KEY,
        amount INTEGER NOT NULL,
        key TEXT NOT NULL UNIQUE
    );
";

#[derive(Queryable, Selectable, Identifiable, Tracked, Serialize)]
#[diesel(table_name = payments)]
struct Payment {
    id: i32,
    amount: i32,
    status: String,
    /// The provider's name for it.
    charge: Option<String>,
}

#[derive(Deserialize)]
struct NewPayment {
    amount: i32,
}

/// The payment, what is to be sent for it, and this reply: all of them are committed, or none is.
#[post("/payments")]
#[idempotent(once = "24h", key = header("Idempotency-Key"))]
async fn pay(
    request: HttpRequest,
    form: web::Json<NewPayment>,
    outbox: web::Data<Notify>,
    db: Db<SqliteConnection>,
) -> actix_web::Result<Reply> {
    let key = provider_key(&request)?;
    let reply = db.once(move |conn| record(conn, form.amount, &key)).await?;
    outbox.notify_one();
    Ok(reply)
}

fn record(
    conn: &mut idempotent_runtime::TrackedConnection<SqliteConnection>,
    amount: i32,
    key: &str,
) -> Result<Reply, Error> {
    let payment: Payment = diesel::insert_into(payments::table)
        .values(payments::amount.eq(amount))
        .returning(Payment::as_returning())
        .get_result(conn)?;
    diesel::insert_into(outbox::table)
        .values((
            outbox::payment_id.eq(payment.id),
            outbox::amount.eq(amount),
            outbox::key.eq(key),
        ))
        .execute(conn)?;
    let location = format!("/payments/{}", payment.id);
    Ok(Reply::json(202, &payment)?.header("Location", location))
}

/// The key for the provider is derived from the client's. So even a database that has lost its last transactions charges
/// once: the client's retry makes the same key. With several users, put who asks into the digest, too.
fn provider_key(request: &HttpRequest) -> actix_web::Result<String> {
    let key = request
        .headers()
        .get("Idempotency-Key")
        .ok_or_else(|| error::ErrorBadRequest("no Idempotency-Key"))?;
    let digest = Sha256::new()
        .chain_update("shop:charge:")
        .chain_update(key)
        .finalize();
    Ok(digest.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[get("/payments/{id}")]
async fn get_payment(
    id: web::Path<i32>,
    db: Db<SqliteConnection>,
) -> actix_web::Result<impl Responder> {
    let payment = db.run(move |conn| {
        payments::table
            .find(*id)
            .select(Payment::as_select())
            .first(conn)
    });
    Ok(web::Json(payment.await?))
}

/// Starts the server and its worker.
pub(crate) fn start(places: &Places) -> Result<Server, Failure> {
    let idempotent = Idempotent::builder("payments")
        .principal(Principal::Anonymous)
        .build();
    let pool = idempotent.pool::<SqliteConnection>(places.database("payments.db"))?;
    let mut conn = pool.get()?;
    conn.batch_execute(SCHEMA)?;
    once::migrate(&mut conn)?;
    drop(conn);
    idempotent.once_on(&pool)?;

    let filled = web::Data::new(Notify::new());
    let worker = worker::run(pool.clone(), filled.clone(), places.provider_port);
    actix_web::rt::spawn(idempotent.background(worker));
    let app = idempotent.clone();
    let server = HttpServer::new(move || {
        App::new()
            .configure(app.configure(&pool))
            .app_data(filled.clone())
            .service(pay)
            .service(get_payment)
    })
    .bind(("127.0.0.1", places.port))?
    .disable_signals()
    .run();
    println!("Payments: listening on http://127.0.0.1:{}", places.port);
    stop_on_signal(idempotent, &server);
    Ok(server)
}
