//! Two server processes behind one Redis and one PostgreSQL, so that a retry may come to either:
//!
//! ```text
//! cargo run --example shop --features shop
//!
//! # a PUT to one server is replayed by the other: see `Idempotent-Replayed` and `Cache-Status`
//! curl -i -X PUT localhost:8080/products/1 -H 'content-type: application/json' -d '{"name":"tea","stock":100}'
//! curl -i -X PUT localhost:8081/products/1 -H 'content-type: application/json' -d '{"name":"tea","stock":100}'
//!
//! # a change at one ends the record of the other: the same PUT runs again
//! curl -i -X PATCH localhost:8081/products/1 -H 'content-type: application/json' -d '{"name":"green tea"}'
//! curl -i -X PUT localhost:8080/products/1 -H 'content-type: application/json' -d '{"name":"tea","stock":100}'
//!
//! # a lock across both: twenty at once, and the stock is less by twenty
//! seq 20 | xargs -P 20 -I{} sh -c 'curl -s -X POST localhost:808$(({} % 2))/products/1/take'
//!
//! # once across both: one order, and its reply from either server
//! curl -i localhost:8080/orders -H 'idempotency-key: "o-1"' -H 'content-type: application/json' -d '{"product":1}'
//! curl -i localhost:8081/orders -H 'idempotency-key: "o-1"' -H 'content-type: application/json' -d '{"product":1}'
//! ```
//!
//! It starts a Redis and a PostgreSQL of its own, in temporary directories that it removes, and needs them installed
//! (`apt-get install redis-server postgresql libpq-dev`); with `REDIS_URL` and `DATABASE_URL` it uses those instead. `PORT` and
//! `PORT_B` are the servers' ports.

#![allow(missing_docs, reason = "an application, not a library")]

mod server;

use std::process::Command;

use support::{Postgres, Redis, Server};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    match std::env::args().nth(1).as_deref() {
        None => start(),
        Some("server") => actix_web::rt::System::new().block_on(server::run()),
        Some(other) => Err(format!("`{other}` is not `server`").into()),
    }
}

/// Starts all that is needed, and ends it with this process, however that ends.
fn start() -> Result<(), Failure> {
    let (mut redis, mut postgres) = (None, None);
    let redis_url =
        std::env::var("REDIS_URL").unwrap_or_else(|_| redis.insert(Redis::start()).url());
    let database_url =
        std::env::var("DATABASE_URL").unwrap_or_else(|_| postgres.insert(Postgres::start()).url());
    server::prepare(&database_url)?;

    let mut servers = Vec::new();
    for (name, default) in [("PORT", "8080"), ("PORT_B", "8081")] {
        let port = std::env::var(name).unwrap_or_else(|_| default.to_owned());
        let server = Server::start(
            Command::new(std::env::current_exe()?)
                .arg("server")
                .env("PORT", &port)
                .env("REDIS_URL", &redis_url)
                .env("DATABASE_URL", &database_url),
        );
        println!("{}", server.await_line("Listening on"));
        servers.push(server);
    }
    println!("Both serve one shop; what to try is at the top of examples/shop/main.rs.");
    actix_web::rt::System::new().block_on(actix_web::rt::signal::ctrl_c())?;
    Ok(())
}
