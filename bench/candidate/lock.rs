//! This project's lock, free and contended, and duplicates that wait for the first one.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::dev::Service;
use actix_web::{App, HttpResponse, Responder, http::Method, web};
use idempotent_runtime::{Idempotent, idempotent};
use tokio::sync::watch;

use crate::Result;
use crate::replay::redis;
use crate::serve::{app, failed, routes};
use crate::work::{ARRIVALS, Order, receipt};

/// How long a lock is held, so that the next one is waiting for it by then.
const HELD: Duration = Duration::from_millis(5);

#[idempotent(lock = 3, key = header("Idempotency-Key"))]
async fn order(order: web::Json<Order>) -> impl Responder {
    web::Json(receipt(order.into_inner(), 0))
}

#[actix_web::main]
pub(crate) async fn serve() -> Result<()> {
    let idempotent = Idempotent::builder("bench")
        .store(redis(None).await?)
        .build();
    routes(move |app| {
        app.app_data(idempotent.clone())
            .route("/orders", web::post().to(order));
    })
    .await
}

/// Says when it had the lock, and when it let it go, in nanoseconds of the clock that all processes share.
#[idempotent(lock = 3, key(path))]
async fn turn() -> impl Responder {
    let begun = now();
    tokio::time::sleep(HELD).await;
    web::Json([begun, now()])
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos() as u64)
}

#[actix_web::main]
pub(crate) async fn serve_handover() -> Result<()> {
    let idempotent = Idempotent::builder("bench")
        .store(redis(None).await?)
        .build();
    routes(move |app| {
        app.app_data(idempotent.clone())
            .route("/turn", web::post().to(turn));
    })
    .await
}

/// Whether the handlers may reply.
type Gate = web::Data<watch::Sender<bool>>;

#[idempotent(cache = 3600, key = header("Idempotency-Key"))]
async fn order_when_told(order: web::Json<Order>, gate: Gate) -> actix_web::Result<impl Responder> {
    let mut open = gate.subscribe();
    open.wait_for(|open| *open).await.map_err(failed)?;
    Ok(web::Json(receipt(order.into_inner(), 0)))
}

async fn open_gate(gate: Gate) -> impl Responder {
    gate.send_replace(true);
    HttpResponse::NoContent()
}

/// Counts who has come, and lets the handler reply only when it is told to.
#[actix_web::main]
pub(crate) async fn serve_waiters() -> Result<()> {
    let idempotent = Idempotent::builder("bench")
        .store(redis(None).await?)
        .build();
    let gate = Gate::new(watch::Sender::new(false));
    app(move || {
        App::new()
            .app_data(idempotent.clone())
            .app_data(gate.clone())
            .wrap_fn(|request, service| {
                if request.method() == Method::POST {
                    ARRIVALS.fetch_add(1, Ordering::Relaxed);
                }
                service.call(request)
            })
            .route("/orders", web::post().to(order_when_told))
            .route("/open", web::post().to(open_gate))
    })
    .await
}
