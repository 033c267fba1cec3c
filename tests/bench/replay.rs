//! The handler with nothing around it, and replayed from memory, both in this process: no socket, no other thread.

use actix_http::Request;
use actix_web::body::BoxBody;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::test::{TestRequest, init_service};
use actix_web::{App, Error, Responder, web};
use idempotent_runtime::{Idempotent, idempotent};
use serde::{Deserialize, Serialize};

/// About 100 bytes, as in the load bench.
const ORDER: &str =
    r#"{"id":1000,"item":"tea","amount":3,"price":1250,"note":"wrap it up as a present, please"}"#;

#[derive(Deserialize)]
struct Order {
    id: i32,
    item: String,
    amount: u32,
    price: u32,
    note: String,
}

/// About 300 bytes.
#[derive(Serialize)]
struct Receipt {
    order: i32,
    item: String,
    amount: u32,
    price: u32,
    total: u32,
    status: &'static str,
    delivery: &'static str,
    message: String,
    terms: &'static str,
}

fn receipt(order: Order) -> web::Json<Receipt> {
    web::Json(Receipt {
        order: order.id,
        total: order.amount * order.price,
        item: order.item,
        amount: order.amount,
        price: order.price,
        status: "accepted",
        delivery: "within three working days, to the address that the account names",
        message: order.note,
        terms: "https://shop.example/terms/2024-11, as they stood when it was ordered",
    })
}

async fn bare(order: web::Json<Order>) -> impl Responder {
    receipt(order.into_inner())
}

#[idempotent(cache = 3600, key = header("Idempotency-Key"))]
async fn replayed(order: web::Json<Order>) -> impl Responder {
    receipt(order.into_inner())
}

/// `/bare` and `/replayed`.
pub(crate) async fn application()
-> impl Service<Request, Response = ServiceResponse<BoxBody>, Error = Error> {
    let app = App::new()
        .app_data(Idempotent::builder("bench").build())
        .route("/bare", web::post().to(bare))
        .route("/replayed", web::post().to(replayed));
    init_service(app).await
}

/// The same request each time.
pub(crate) fn request(path: &str) -> Request {
    TestRequest::post()
        .uri(path)
        .insert_header(("Content-Type", "application/json"))
        .insert_header(("Idempotency-Key", "8e03978e-40d5-43dd-bc93-6894a57f9324"))
        .set_payload(ORDER)
        .to_request()
}
