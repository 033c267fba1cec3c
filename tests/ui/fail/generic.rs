use actix_web::{App, HttpResponse, put};
use idempotent_runtime::idempotent;

#[put("/user")]
#[idempotent(cache = 15)]
async fn put_user<T>() -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn main() {
    let _ = App::new().service(put_user);
}
