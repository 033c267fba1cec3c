//! This project without a database: every store.

use std::time::Duration;

use actix_web::{Responder, web};
use idempotent_runtime::store::{Local, MemoryStore, RedisStore, Store};
use idempotent_runtime::{Idempotent, idempotent};

use crate::Result;
use crate::serve::{environment, routes};
use crate::work::{Order, receipt};

/// Copies in this process of what is in Redis.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Copies {
    Strict,
    Tracking,
}

/// 64 MiB.
const LOCAL: usize = 64 << 20;

/// How long a copy is trusted while Redis is silent.
const STALENESS: Duration = Duration::from_secs(1);

/// Room for a million records.
const MEMORY: usize = 4 << 30;

#[idempotent(cache = 3600, key = header("Idempotency-Key"))]
async fn order(order: web::Json<Order>) -> impl Responder {
    web::Json(receipt(order.into_inner(), 0))
}

async fn serve(store: impl Store) -> Result<()> {
    let idempotent = Idempotent::builder("bench").store(store).build();
    routes(move |app| {
        app.app_data(idempotent.clone())
            .route("/orders", web::post().to(order));
    })
    .await
}

#[actix_web::main]
pub(crate) async fn serve_memory() -> Result<()> {
    serve(MemoryStore::with_capacity(MEMORY)).await
}

#[actix_web::main]
pub(crate) async fn serve_redis(copies: Option<Copies>) -> Result<()> {
    serve(redis(copies).await?).await
}

#[actix_web::main]
pub(crate) async fn serve_cluster() -> Result<()> {
    let urls = environment("REDIS")?;
    serve(RedisStore::cluster(urls.split(' ')).await?).await
}

pub(crate) async fn redis(copies: Option<Copies>) -> Result<RedisStore> {
    let builder = RedisStore::builder(environment("REDIS")?);
    let builder = match copies {
        None => builder,
        Some(Copies::Strict) => builder.local(Local::strict(LOCAL)),
        Some(Copies::Tracking) => builder.local(Local::tracking(LOCAL, STALENESS)),
    };
    Ok(builder.connect().await?)
}
