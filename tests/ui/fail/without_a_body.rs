use actix_web::HttpResponse;
use idempotent_runtime::idempotent;

#[allow(async_fn_in_trait)]
pub trait Handler {
    #[idempotent(cache = 15)]
    async fn put_user() -> HttpResponse;
}

fn main() {}
