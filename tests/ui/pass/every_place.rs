#![deny(warnings)]
#![forbid(unsafe_code)]

use actix_web::{App, HttpResponse, Responder, web};
use idempotent_runtime::idempotent;

mod renamed {
    pub(crate) mod crates {
        pub(crate) use idempotent_runtime as safe;
    }
}

const SPEC: &str = "the application's own";

#[idempotent(cache = 15)]
async fn plain(call: web::Json<String>) -> Result<String, actix_web::Error> {
    let copy = web::block::<_, String>(move || call.into_inner()).await?;
    actix_web::web::block(move || format!("{SPEC} {copy}")).await.map_err(Into::into)
}

#[idempotent(lock = 3, crate = crate::renamed::crates::safe)]
async fn vendored() -> actix_web::Result<impl Responder> {
    web::block(|| 1).await?;
    Ok("")
}

struct Users;

impl Users {
    #[idempotent(cache = 15)]
    pub async fn put(body: web::Bytes) -> HttpResponse {
        HttpResponse::Ok().body(body)
    }
}

/// Recursion is the user's own function's.
#[idempotent(lock = 3)]
async fn again(body: web::Bytes) -> HttpResponse {
    if body.is_empty() {
        return HttpResponse::Ok().finish();
    }
    Box::pin(again(web::Bytes::new())).await
}

fn main() {
    let _ = App::new()
        .route("/plain", web::put().to(plain))
        .route("/vendored", web::put().to(vendored))
        .route("/users", web::put().to(Users::put))
        .route("/again", web::put().to(again));
}
