//! What a replay from memory allocates, beside the handler itself.
#![allow(clippy::unwrap_used)]

use actix_web::dev::Service;
use allocation_counter::measure;
use futures_util::FutureExt;

#[path = "../replay.rs"]
mod replay;

use replay::{application, request};

/// Allocations above the handler's own.
const MOST: u64 = 15;

#[actix_web::test]
async fn a_replay_from_memory_allocates_little_more_than_the_handler() {
    let app = application().await;
    let first = app.call(request("/replayed")).await.unwrap();
    assert_eq!(first.headers().get("idempotent-replayed"), None);
    let count = |path| {
        let request = request(path);
        let mut response = None;
        let measured = measure(|| response = app.call(request).now_or_never());
        (measured.count_total, response.unwrap().unwrap())
    };
    // What is made once is made by then.
    count("/bare");
    count("/replayed");
    let (bare, _) = count("/bare");
    let (replayed, response) = count("/replayed");
    assert!(response.headers().contains_key("idempotent-replayed"));
    println!("allocations: {bare} by the handler, {replayed} by its replay from memory");
    assert!(replayed <= bare + MOST, "{replayed} beside {bare}");
}
