//! The handler with nothing around it.

use actix_web::{Responder, web};

use crate::Result;
use crate::serve::routes;
use crate::work::{Order, receipt};

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
