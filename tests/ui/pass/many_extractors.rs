#![deny(warnings)]
#![forbid(unsafe_code)]

use actix_web::{App, HttpRequest, HttpResponse, put, web};
use idempotent_runtime::idempotent;

#[put("/{a}")]
#[idempotent(cache = 15)]
#[allow(clippy::too_many_arguments)]
async fn put_all(
    _1: HttpRequest,
    _2: web::Path<String>,
    _3: Option<web::Query<Vec<(String, String)>>>,
    _4: web::Data<String>,
    _5: HttpRequest,
    _6: HttpRequest,
    _7: HttpRequest,
    _8: HttpRequest,
    _9: HttpRequest,
    _10: HttpRequest,
    _11: HttpRequest,
    web::Json(_12): web::Json<String>,
) -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = App::new().service(put_all);
}
