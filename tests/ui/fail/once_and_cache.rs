use actix_web::{App, HttpResponse, put, web};
use idempotent_runtime::idempotent;

#[idempotent(once = 86400, cache = 15)]
#[put("/user")]
async fn put_user(body: web::Bytes) -> HttpResponse {
    HttpResponse::Ok().body(body)
}

fn main() {
    let _ = App::new().service(put_user);
}
