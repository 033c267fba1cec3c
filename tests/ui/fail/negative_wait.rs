use actix_web::{App, HttpResponse, put, web};
use idempotent_runtime::idempotent;

#[put("/user")]
#[idempotent(lock = 3, wait = -1)]
async fn put_user(body: web::Bytes) -> HttpResponse {
    HttpResponse::Ok().body(body)
}

fn main() {
    let _ = App::new().service(put_user);
}
