//! The work that every candidate does: to parse about 100 bytes of JSON and to answer about 300.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// How often a handler of this process has run. Each reply tells its number, so that a replay can be told from a run.
static RUNS: AtomicU64 = AtomicU64::new(0);

/// How many requests have come to a handler or to what is around it, where that is counted.
pub(crate) static ARRIVALS: AtomicU64 = AtomicU64::new(0);

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Order {
    /// Which row is changed, where there is a database.
    pub(crate) id: i32,
    item: String,
    amount: u32,
    price: u32,
    note: String,
    /// So many rows, from `id` on, are changed at once.
    #[serde(default = "one")]
    pub(crate) rows: i32,
    /// So many bytes more are answered.
    #[serde(default)]
    size: usize,
}

fn one() -> i32 {
    1
}

#[derive(Debug, Serialize)]
pub(crate) struct Receipt {
    run: u64,
    order: i32,
    item: String,
    amount: u32,
    price: u32,
    total: u32,
    /// What the changed row has now, where there is a database.
    balance: i64,
    status: &'static str,
    delivery: &'static str,
    message: String,
    terms: &'static str,
}

#[derive(Debug, Serialize)]
pub(crate) struct Counts {
    runs: u64,
    arrivals: u64,
}

pub(crate) fn counts() -> Counts {
    Counts {
        runs: RUNS.load(Ordering::Relaxed),
        arrivals: ARRIVALS.load(Ordering::Relaxed),
    }
}

pub(crate) fn receipt(order: Order, balance: i64) -> Receipt {
    let mut message = order.note;
    message.extend(std::iter::repeat_n('.', order.size));
    Receipt {
        run: RUNS.fetch_add(1, Ordering::Relaxed) + 1,
        order: order.id,
        item: order.item,
        amount: order.amount,
        price: order.price,
        total: order.amount * order.price,
        balance,
        status: "accepted",
        delivery: "within three working days, to the address that the account names",
        message,
        terms: "https://shop.example/terms/2024-11, as they stood when it was ordered",
    }
}
