//! `axum-idempotent` and `idempotent`, both on axum, on a runtime of one thread.

use std::sync::Arc;

use ::axum::routing::{get, post};
use ::axum::{Json, Router};
use axum_idempotent::{IdempotentLayer, IdempotentOptions};
use fred::interfaces::ClientLike;
use idempotent::middleware::IdempotencyLayer;
use ruts::store::moka::MokaStore;
use ruts::store::redis::RedisStore;
use ruts::store::{SessionStore, Ttl};
use ruts::{CookieOptions, Session, SessionLayer};
use tower_cookies::CookieManagerLayer;

use crate::Result;
use crate::serve::{announce, environment};
use crate::work::{Counts, Order, Receipt, counts, receipt};

async fn order(Json(order): Json<Order>) -> Json<Receipt> {
    Json(receipt(order, 0))
}

async fn tell_counts() -> Json<Counts> {
    Json(counts())
}

async fn serve(app: Router) -> Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    announce(listener.local_addr()?.port());
    ::axum::serve(listener, app.route("/counts", get(tell_counts))).await?;
    Ok(())
}

/// It replays only to who has a session, and never begins one.
async fn begin_session<S: SessionStore>(session: Session<S>) -> std::result::Result<(), String> {
    let day = Ttl::new(86_400).map_err(|error| error.to_string())?;
    let set = session.set("name", &"ann", day, None).await;
    set.map_err(|error| error.to_string())
}

/// With the client's key, which it calls the most performant.
async fn serve_session<S: SessionStore>(store: S) -> Result<()> {
    let options = IdempotentOptions::default()
        .use_idempotency_key_header(None, true)
        .expire_after(3600);
    let app = Router::new()
        .route("/orders", post(order))
        .layer(IdempotentLayer::<S>::new(options))
        .route("/session", post(begin_session::<S>))
        .layer(
            SessionLayer::new(Arc::new(store)).with_cookie_options(
                CookieOptions::build()
                    .name("session")
                    .max_age(86_400)
                    .path("/"),
            ),
        )
        .layer(CookieManagerLayer::new());
    serve(app).await
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn session_redis() -> Result<()> {
    let config = fred::types::config::Config::from_url(&environment("REDIS")?)?;
    let client = fred::clients::Client::new(config, None, None, None);
    client.init().await?;
    serve_session(RedisStore::new(Arc::new(client)).await?).await
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn session_memory() -> Result<()> {
    serve_session(MokaStore::builder().build()).await
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn claim_redis() -> Result<()> {
    let store = idempotent::valkey::ValkeyStore::with_url(environment("REDIS")?)
        .try_build()
        .await?;
    let app = Router::new().route("/orders", post(order));
    serve(app.layer(IdempotencyLayer::new(store))).await
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn claim_memory() -> Result<()> {
    let store = idempotent::memory::MemoryStore::builder().try_build()?;
    let app = Router::new().route("/orders", post(order));
    serve(app.layer(IdempotencyLayer::new(store))).await
}
