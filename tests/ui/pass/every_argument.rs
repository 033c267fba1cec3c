#![deny(warnings)]
#![forbid(unsafe_code)]

use actix_web::{App, HttpRequest, HttpResponse, Responder, post, put, route, web};
use idempotent_runtime::{Reply, RequestId, idempotent};

/// A route attribute above.
#[put("/user")]
#[idempotent(
    cache = "24h",
    lock = 3,
    wait = 0,
    key(
        path, method, query, body, host, endpoint, content_type, content_length, accept, session,
        remote_address, headers("X-Tenant", "X-Region"), shared,
    ),
    keep = "final",
    changed = "reject",
    outage = "run",
    name = "users",
)]
pub async fn put_user(web::Json(mut name): web::Json<String>) -> actix_web::Result<impl Responder> {
    name.push('!');
    Ok(name)
}

/// A route attribute below.
#[idempotent(cache = 15, key = header("Idempotency-Key"), keep = "success", changed = "run", outage = "reject")]
#[actix_web::post("/order")]
async fn order(_request: HttpRequest, body: web::Bytes) -> HttpResponse {
    HttpResponse::Ok().body(body)
}

#[route("/match", method = "GET", method = "POST")]
#[idempotent(lock = "500ms", key(principal))]
async fn r#match() -> impl Responder {
    ""
}

// Called like the closure's own parameter.
fn body(request: &HttpRequest, _body: &web::Bytes) -> Result<RequestId, actix_web::error::PayloadError> {
    request.extensions_id()
}

trait ExtensionsId {
    fn extensions_id(&self) -> Result<RequestId, actix_web::error::PayloadError>;
}

impl ExtensionsId for HttpRequest {
    fn extensions_id(&self) -> Result<RequestId, actix_web::error::PayloadError> {
        Err(actix_web::error::PayloadError::Overflow)
    }
}

fn is_ok(reply: &Reply) -> bool {
    reply.status() == 200
}

#[post("/function")]
#[idempotent(cache = 15, key = body, keep = is_ok)]
async fn function() -> impl Responder {
    ""
}

fn main() {
    let _ = App::new()
        .service(put_user)
        .service(order)
        .service(r#match)
        .service(function);
}
