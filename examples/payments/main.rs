//! Payments that are charged once, though the charging is done by another service: a server whose effects and outbox are in
//! one transaction, a worker that sends what is in the outbox, and a small provider that takes the money.
//!
//! ```text
//! cargo run --example payments
//!
//! # twice: the second reply is the first one, byte for byte
//! curl -i localhost:8080/payments -H 'idempotency-key: "p-1"' -H 'content-type: application/json' -d '{"amount":500}'
//!
//! # soon it is charged
//! curl localhost:8080/payments/1
//!
//! # what the provider has charged: one charge per payment, however often the example was killed and started again
//! curl localhost:8081/v1/charges -H 'authorization: Bearer sk_test_shop'
//! ```
//!
//! Kill it (`kill -9`) wherever you like and start it again: it goes on where it was, in the directory that it prints.
//! `payments server` and `payments provider` run one of the two alone. `PORT` and `PROVIDER_PORT` are their ports, and `DATA` is the
//! directory of their databases.
//!
//! # States of a payment
//!
//! | `payments.status` | row in `outbox` | provider |
//! | --- | --- | --- |
//! | – | – | knows nothing: the transaction is not committed |
//! | `pending` | yes | knows nothing, or has charged and was not heard: the next try, with the same key, tells |
//! | `charged`, `refused` | no | has charged, or has not and never will |
//!
//! Each arrow between them is one transaction in one database, so wherever the process dies, it is in one of these states.
//! What is between two databases, sending, may happen twice; the provider answers the second time as the first.

#![allow(missing_docs, reason = "an application, not a library")]

mod provider;
mod server;
mod worker;

use std::path::PathBuf;

use actix_web::dev::{Server, ServerHandle};
use idempotent_runtime::Idempotent;

type Failure = Box<dyn std::error::Error>;

/// Where everything is.
struct Places {
    port: u16,
    provider_port: u16,
    data: PathBuf,
}

impl Places {
    fn from_environment() -> Result<Self, Failure> {
        let data = std::env::var_os("DATA").map_or_else(
            || std::env::temp_dir().join("idempotent-payments"),
            PathBuf::from,
        );
        std::fs::create_dir_all(&data)?;
        Ok(Self {
            port: port("PORT", 8080)?,
            provider_port: port("PROVIDER_PORT", 8081)?,
            data,
        })
    }

    fn database(&self, name: &str) -> String {
        self.data.join(name).to_string_lossy().into_owned()
    }
}

fn port(name: &str, default: u16) -> Result<u16, Failure> {
    Ok(std::env::var(name).map_or(Ok(default), |port| port.parse())?)
}

#[actix_web::main]
async fn main() -> Result<(), Failure> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let places = Places::from_environment()?;
    println!("Data in {}", places.data.display());
    match std::env::args().nth(1).as_deref() {
        None => {
            let provider = actix_web::rt::spawn(provider::start(&places)?);
            server::start(&places)?.await?;
            provider.await??;
        }
        Some("server") => server::start(&places)?.await?,
        Some("provider") => provider::start(&places)?.await?,
        Some(other) => return Err(format!("`{other}` is neither `server` nor `provider`").into()),
    }
    Ok(())
}

/// Handlers go on without their clients, so a server's own stop does not wait for all of them.
fn stop_on_signal(idempotent: Idempotent, server: &Server) {
    let handle: ServerHandle = server.handle();
    actix_web::rt::spawn(async move {
        if actix_web::rt::signal::ctrl_c().await.is_ok() {
            idempotent.stop(&handle).await;
        }
    });
}
