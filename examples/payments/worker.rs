//! Sends what is in the outbox until the provider has said what came of it. Several may do so at once: the provider
//! knows what it has done by the key.
//!
//! It may send for no longer than the provider remembers keys (this one, and Stripe: a day). If yours can be away for longer than
//! that, note when a row was first sent, and ask the provider before you send an older one.

use std::time::Duration;

use actix_web::web;
use awc::Client;
use awc::http::StatusCode;
use diesel::prelude::*;
use idempotent_runtime::{Error, block};
use serde::Deserialize;
use tokio::sync::Notify;

use crate::server::{outbox, payments};

type Pool = idempotent_runtime::Pool<SqliteConnection>;

/// How long after a failure, or with nothing to do and no word, the outbox is read again.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Queryable, Selectable)]
#[diesel(table_name = outbox)]
struct Due {
    payment_id: i32,
    amount: i32,
    key: String,
}

/// What of the provider's answer is needed.
#[derive(Deserialize)]
struct Charge {
    id: String,
}

/// What became of a payment.
struct Outcome {
    status: &'static str,
    charge: Option<String>,
}

/// Works for ever.
pub(crate) async fn run(pool: Pool, filled: web::Data<Notify>, provider_port: u16) {
    let url = format!("http://127.0.0.1:{provider_port}/v1/charges");
    let client = Client::default();
    loop {
        if let Err(error) = empty(&pool, &client, &url).await {
            tracing::warn!(%error, "the outbox is not empty yet; trying again");
        }
        let _ = tokio::time::timeout(PAUSE, filled.notified()).await;
    }
}

async fn empty(pool: &Pool, client: &Client, url: &str) -> Result<(), Box<dyn std::error::Error>> {
    for due in due(pool.clone()).await? {
        let outcome = send(client, url, &due).await?;
        mark(pool.clone(), due.payment_id, outcome).await?;
    }
    Ok(())
}

async fn due(pool: Pool) -> Result<Vec<Due>, Box<dyn std::error::Error>> {
    let due = block(move || {
        outbox::table
            .order(outbox::payment_id)
            .limit(100)
            .select(Due::as_select())
            .load(&mut pool.get()?)
            .map_err(Error::from)
    });
    Ok(due.await??)
}

/// An error where it is not known what the provider has done, or will do.
async fn send(
    client: &Client,
    url: &str,
    due: &Due,
) -> Result<Outcome, Box<dyn std::error::Error>> {
    let form = [
        ("amount", due.amount.to_string()),
        ("currency", "eur".to_owned()),
    ];
    let mut answer = client
        .post(url)
        .bearer_auth("sk_test_shop")
        .insert_header(("Idempotency-Key", due.key.as_str()))
        .send_form(&form)
        .await?;
    match answer.status() {
        status if status.is_success() => Ok(Outcome {
            status: "charged",
            charge: Some(answer.json::<Charge>().await?.id),
        }),
        StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS => Err("not now".into()),
        status if status.is_client_error() => Ok(Outcome {
            status: "refused",
            charge: None,
        }),
        status => Err(format!("the provider answers {status}").into()),
    }
}

/// The payment's end and the outbox's row in one transaction.
async fn mark(
    pool: Pool,
    payment: i32,
    outcome: Outcome,
) -> Result<(), Box<dyn std::error::Error>> {
    let marked = block(move || {
        pool.get()?.transaction(|conn| {
            diesel::update(payments::table.find(payment))
                .set((
                    payments::status.eq(outcome.status),
                    payments::charge.eq(outcome.charge),
                ))
                .execute(conn)?;
            diesel::delete(outbox::table.find(payment)).execute(conn)?;
            Ok::<_, Error>(())
        })
    });
    Ok(marked.await??)
}
