//! The least that must be done to keep each promise, written by hand into the handler: what comes near is near the limit.
//!
//! All of them leave out what makes a promise safe: a claim whose holder is gone, a store that is away, a reply too large.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, Responder, web};
use deadpool_redis::redis::{AsyncCommands, Client, Script, aio::MultiplexedConnection, cmd};
use sha2::{Digest, Sha256};
use tokio::sync::OnceCell;

use crate::Result;
use crate::serve::{environment, failed, routes};
use crate::work::{Order, Receipt, receipt};

pub(crate) mod rows;

/// What a record of the replaying candidates takes, about.
const VALUE: [u8; 420] = [b'v'; 420];

/// A worker's own connection.
type Line = web::Data<OnceCell<MultiplexedConnection>>;

/// Whose request it is, by its key, and what it says.
pub(crate) type Id = [u8; 32];

/// The replies, by what their requests were.
type Replies = web::Data<Mutex<HashMap<Id, Arc<web::Bytes>>>>;

/// The request, read and recognised: its key, path and body.
pub(crate) fn read(request: &HttpRequest, body: &[u8]) -> actix_web::Result<(Order, Id)> {
    let order = serde_json::from_slice(body).map_err(failed)?;
    let key = request.headers().get("idempotency-key");
    let key = key.ok_or_else(|| failed("no key"))?;
    let mut digest = Sha256::new();
    digest.update(key.as_bytes());
    digest.update(request.path());
    digest.update(body);
    Ok((order, digest.finalize().into()))
}

/// A digest, a map, and the reply again with the two headers that say so.
async fn order_from_a_map(
    request: HttpRequest,
    body: web::Bytes,
    replies: Replies,
) -> actix_web::Result<HttpResponse> {
    let (order, id) = read(&request, &body)?;
    let known = {
        let replies = replies.lock().unwrap_or_else(PoisonError::into_inner);
        replies.get(&id).cloned()
    };
    let Some(known) = known else {
        let reply = web::Bytes::from(serde_json::to_vec(&receipt(order, 0))?);
        let mut replies = replies.lock().unwrap_or_else(PoisonError::into_inner);
        replies.insert(id, Arc::new(reply.clone()));
        return Ok(HttpResponse::Ok()
            .content_type("application/json")
            .body(reply));
    };
    let mut response = HttpResponse::Ok().body(web::Bytes::clone(&known));
    let headers = response.headers_mut();
    headers.insert(
        HeaderName::from_static("content-type"),
        HeaderValue::from_static("application/json"),
    );
    headers.insert(
        HeaderName::from_static("idempotent-replayed"),
        HeaderValue::from_static("true"),
    );
    headers.insert(
        HeaderName::from_static("cache-status"),
        HeaderValue::from_static("idempotent; hit; ttl=3599"),
    );
    Ok(response)
}

#[actix_web::main]
pub(crate) async fn serve_map() -> Result<()> {
    let replies = Replies::default();
    routes(move |app| {
        app.app_data(replies.clone())
            .route("/orders", web::post().to(order_from_a_map));
    })
    .await
}

async fn connected(line: &Line, client: &Client) -> actix_web::Result<MultiplexedConnection> {
    let connection = line.get_or_try_init(|| client.get_multiplexed_async_connection());
    connection.await.cloned().map_err(failed)
}

/// One GET.
async fn order_after_a_get(
    order: web::Json<Order>,
    client: web::Data<Client>,
    line: Line,
) -> actix_web::Result<impl Responder> {
    let mut connection = connected(&line, &client).await?;
    let value: Vec<u8> = connection.get("limit").await.map_err(failed)?;
    if value.len() != VALUE.len() {
        return Err(failed("not what was set"));
    }
    Ok(web::Json(receipt(order.into_inner(), 0)))
}

/// Frees what is still one's own.
static FREE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
         redis.call('PUBLISH', KEYS[1], '')
         return redis.call('DEL', KEYS[1])",
    )
});

/// Keeps a reply in the place of what is still one's own.
static KEEP: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
         redis.call('SET', KEYS[2], ARGV[2], 'PX', 3600000)
         redis.call('PUBLISH', KEYS[1], '')
         return redis.call('DEL', KEYS[1])",
    )
});

/// Takes the key, runs, and frees it: a plain command and a script.
async fn order_in_turn(
    request: HttpRequest,
    body: web::Bytes,
    client: web::Data<Client>,
    line: Line,
) -> actix_web::Result<web::Json<Receipt>> {
    let (order, id) = read(&request, &body)?;
    let mut connection = connected(&line, &client).await?;
    let mut take = cmd("SET");
    take.arg(&id).arg("1234567890123456").arg("NX");
    let taken: bool = take
        .arg("PX")
        .arg(3000)
        .query_async(&mut connection)
        .await
        .map_err(failed)?;
    if !taken {
        return Err(failed("someone has it"));
    }
    let answer = web::Json(receipt(order, 0));
    let mut free = FREE.key(&id);
    let freed: u32 = free
        .arg("1234567890123456")
        .invoke_async(&mut connection)
        .await
        .map_err(failed)?;
    if freed != 1 {
        return Err(failed("it was not one's own"));
    }
    Ok(answer)
}

/// Looks and claims, runs, and keeps: a pipeline of plain commands and a script.
async fn order_kept(
    request: HttpRequest,
    body: web::Bytes,
    client: web::Data<Client>,
    line: Line,
) -> actix_web::Result<HttpResponse> {
    let (order, id) = read(&request, &body)?;
    let (claim, record) = (&[&id[..], b"c"].concat(), &[&id[..], b"r"].concat());
    let mut connection = connected(&line, &client).await?;
    let mut look = deadpool_redis::redis::pipe();
    look.cmd("SET").arg(claim).arg("1234567890123456");
    look.arg("NX").arg("PX").arg(10_000);
    look.cmd("GET").arg(record);
    let (claimed, kept): (bool, Option<Vec<u8>>) =
        look.query_async(&mut connection).await.map_err(failed)?;
    if let Some(kept) = kept {
        let _: () = connection.del(claim).await.map_err(failed)?;
        return Ok(HttpResponse::Ok()
            .content_type("application/json")
            .body(kept));
    }
    if !claimed {
        return Err(failed("someone has it"));
    }
    let reply = web::Bytes::from(serde_json::to_vec(&receipt(order, 0))?);
    let mut keep = KEEP.key(claim);
    keep.key(record).arg("1234567890123456").arg(&reply[..]);
    let kept: u32 = keep.invoke_async(&mut connection).await.map_err(failed)?;
    if kept != 1 {
        return Err(failed("it was not one's own"));
    }
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .body(reply))
}

/// With a Redis server and a connection to it for each worker.
async fn with_redis(routing: fn(&mut web::ServiceConfig)) -> Result<()> {
    let client = Client::open(environment("REDIS")?)?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let () = connection.set("limit", &VALUE[..]).await?;
    routes(move |app| {
        app.app_data(web::Data::new(client.clone()))
            .app_data(Line::new(OnceCell::new()))
            .configure(routing);
    })
    .await
}

#[actix_web::main]
pub(crate) async fn serve_get() -> Result<()> {
    with_redis(|app| {
        app.route("/orders", web::post().to(order_after_a_get));
    })
    .await
}

#[actix_web::main]
pub(crate) async fn serve_turn() -> Result<()> {
    with_redis(|app| {
        app.route("/orders", web::post().to(order_in_turn));
    })
    .await
}

#[actix_web::main]
pub(crate) async fn serve_kept() -> Result<()> {
    with_redis(|app| {
        app.route("/orders", web::post().to(order_kept));
    })
    .await
}
