//! The provider: as much of Stripe's API as charging takes, so that Stripe's own clients can be pointed at it.
//! It keeps its promise about `Idempotency-Key` in the same way as the shop does.

use actix_web::dev::Server;
use actix_web::{App, HttpRequest, HttpServer, Responder, get, http::header, post, web};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use idempotent_runtime::{Db, Error, Idempotent, Reply, Tracked, idempotent, once};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Failure, Places, stop_on_signal};

diesel::table! {
    charges (id) {
        id -> Integer,
        amount -> Integer,
        currency -> Text,
        key -> Text,
    }
}

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS charges (
        id INTEGER PRIMARY KEY,
        amount INTEGER NOT NULL,
        currency TEXT NOT NULL,
        key TEXT NOT NULL
    );
";

#[derive(Queryable, Selectable, Identifiable, Tracked, Serialize)]
#[diesel(table_name = charges)]
struct Charge {
    id: i32,
    amount: i32,
    currency: String,
    /// Under which it was asked for. Not unique: that there is one per key is what is to be shown.
    key: String,
}

#[derive(Deserialize)]
struct NewCharge {
    amount: i32,
    currency: String,
}

impl Charge {
    fn to_json(&self) -> Value {
        json!({
            "id": format!("ch_{}", self.id),
            "object": "charge",
            "amount": self.amount,
            "currency": self.currency,
            "paid": true,
            "status": "succeeded",
            "metadata": { "key": self.key },
        })
    }
}

#[post("/v1/charges")]
#[idempotent(once = "24h", key = header("Idempotency-Key"))]
async fn create_charge(
    request: HttpRequest,
    form: web::Form<NewCharge>,
    db: Db<SqliteConnection>,
) -> actix_web::Result<Reply> {
    let key = text(&request, "idempotency-key");
    let reply = db.once(move |conn| {
        let charge: Charge = diesel::insert_into(charges::table)
            .values((
                charges::amount.eq(form.amount),
                charges::currency.eq(&form.currency),
                charges::key.eq(&key),
            ))
            .returning(Charge::as_returning())
            .get_result(conn)?;
        Ok::<_, Error>(Reply::json(200, &charge.to_json())?)
    });
    Ok(reply.await?)
}

#[get("/v1/charges")]
async fn list_charges(db: Db<SqliteConnection>) -> actix_web::Result<impl Responder> {
    let charges = db.run(|conn| charges::table.select(Charge::as_select()).load(conn));
    let data: Vec<_> = charges.await?.iter().map(Charge::to_json).collect();
    Ok(web::Json(json!({ "object": "list", "data": data })))
}

fn text(request: &HttpRequest, header: impl header::AsHeaderName) -> String {
    let value = request.headers().get(header);
    String::from_utf8_lossy(value.map_or(b"", |value| value.as_bytes())).into_owned()
}

/// Starts the provider.
pub(crate) fn start(places: &Places) -> Result<Server, Failure> {
    // Who asks is the account, and a secret key is its name here.
    let account = |request: &HttpRequest| Some(text(request, header::AUTHORIZATION));
    let idempotent = Idempotent::builder("provider").principal(account).build();
    let pool = idempotent.pool::<SqliteConnection>(places.database("provider.db"))?;
    let mut conn = pool.get()?;
    conn.batch_execute(SCHEMA)?;
    once::migrate(&mut conn)?;
    drop(conn);
    idempotent.once_on(&pool)?;

    let app = idempotent.clone();
    let server = HttpServer::new(move || {
        App::new()
            .configure(app.configure(&pool))
            .service(create_charge)
            .service(list_charges)
    })
    .bind(("127.0.0.1", places.provider_port))?
    .disable_signals()
    .run();
    println!(
        "Provider: listening on http://127.0.0.1:{}",
        places.provider_port
    );
    stop_on_signal(idempotent, &server);
    Ok(server)
}
