//! The handler with nothing around it, and with one GET.

use actix_web::{Responder, web};
use deadpool_redis::redis::{AsyncCommands, Client, aio::MultiplexedConnection};
use tokio::sync::OnceCell;

use crate::Result;
use crate::serve::{environment, failed, routes};
use crate::work::{Order, receipt};

/// What a record of the replaying candidates takes, about.
const VALUE: [u8; 420] = [b'v'; 420];

async fn order(order: web::Json<Order>) -> impl Responder {
    web::Json(receipt(order.into_inner(), 0))
}

#[actix_web::main]
pub(crate) async fn serve() -> Result<()> {
    routes(|app| {
        app.route("/orders", web::post().to(order));
    })
    .await
}

/// A worker's own connection.
type Line = web::Data<OnceCell<MultiplexedConnection>>;

async fn order_after_a_get(
    order: web::Json<Order>,
    client: web::Data<Client>,
    line: Line,
) -> actix_web::Result<impl Responder> {
    let connection = line
        .get_or_try_init(|| client.get_multiplexed_async_connection())
        .await
        .map_err(failed)?;
    let value: Vec<u8> = connection.clone().get("limit").await.map_err(failed)?;
    if value.len() != VALUE.len() {
        return Err(failed("not what was set"));
    }
    Ok(web::Json(receipt(order.into_inner(), 0)))
}

/// The least that anything must do that asks Redis once.
#[actix_web::main]
pub(crate) async fn serve_with_a_get() -> Result<()> {
    let client = Client::open(environment("REDIS")?)?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    let () = connection.set("limit", &VALUE[..]).await?;
    routes(move |app| {
        app.app_data(web::Data::new(client.clone()))
            .app_data(Line::new(OnceCell::new()))
            .route("/orders", web::post().to(order_after_a_get));
    })
    .await
}
