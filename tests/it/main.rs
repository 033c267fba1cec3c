//! What a user would notice, against a real server, SQLite and PostgreSQL.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests fail by panicking"
)]

mod app;
mod database;
mod logs;
mod unsteady;

mod bench;
mod bodies;
mod ids;
mod keeping;
mod lifecycle;
mod locks;
mod metrics;
mod multi;
mod mysql;
mod originals;
mod outage;
mod payments;
mod postgres;
mod quickstart;
mod redis;
mod redis_once;
mod replay;
mod replies;
mod sealed;
mod setup;
mod shapes;
mod shop;
mod sqlite;
mod statuses;
mod streams;
mod tables;
mod waiting;
