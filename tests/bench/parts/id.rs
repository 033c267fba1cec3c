//! A request -> its id.

use std::hint::black_box;

use actix_web::http::header::{ACCEPT, CONTENT_TYPE};
use actix_web::test::TestRequest;
use actix_web::web::Bytes;
use idempotent_runtime::__private::{Key, Spec, request_id};
use idempotent_runtime::Idempotent;

use crate::Part;

pub(crate) fn client_key() -> Part {
    of(Spec::new("bench::orders")
        .cache(15_000)
        .key(Key::Header("Idempotency-Key")))
}

pub(crate) fn dimensions() -> Part {
    of(Spec::new("bench::orders").cache(15_000))
}

fn of(spec: Spec) -> Part {
    let idempotent = Idempotent::builder("bench").build();
    let request = TestRequest::post()
        .uri("/orders?express=yes")
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((ACCEPT, "application/json"))
        .insert_header(("Authorization", "Bearer 0123456789abcdef"))
        .insert_header(("Idempotency-Key", "8e03978e-40d5-43dd-bc93-6894a57f9324"))
        .to_http_request();
    let body = Bytes::from_static(&[b'b'; 100]);
    assert!(request_id(&idempotent, &spec, &request, &body).is_some());
    Box::new(move || {
        black_box(request_id(&idempotent, &spec, &request, &body));
    })
}
