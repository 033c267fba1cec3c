//! The least that must be done to end a reply with the row that its handler changed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use actix_web::{HttpRequest, HttpResponse, web};
use diesel::Connection;

use super::{Id, read};
use crate::Result;
use crate::rows::{BarePool, Database, bare_pool};
use crate::serve::{failed, routes};
use crate::work::receipt;

/// A reply, and what it depends on: a row in a version.
struct Kept {
    reply: web::Bytes,
    row: i32,
    version: u64,
}

/// The replies by what their requests were, none while the handler runs, and the versions of changed rows.
#[derive(Default)]
struct Shelf {
    replies: HashMap<Id, Option<Kept>>,
    versions: HashMap<i32, u64>,
    count: u64,
}

type Shared = web::Data<Mutex<Shelf>>;

fn open(shelf: &Shared) -> MutexGuard<'_, Shelf> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Looks and claims, changes the row and learns which it was, notes that before it is committed, and keeps the reply.
async fn order_kept_with_its_row<C: Database>(
    request: HttpRequest,
    body: web::Bytes,
    pool: web::Data<BarePool<C>>,
    shelf: Shared,
) -> actix_web::Result<HttpResponse> {
    let (order, id) = read(&request, &body)?;
    {
        let mut shelf = open(&shelf);
        match shelf.replies.get(&id) {
            Some(Some(kept)) if shelf.versions.get(&kept.row) == Some(&kept.version) => {
                return Ok(HttpResponse::Ok()
                    .content_type("application/json")
                    .body(kept.reply.clone()));
            }
            Some(None) => return Err(failed("someone is at it")),
            _ => shelf.replies.insert(id, None),
        };
    }
    let (row, notes) = (order.id, shelf.clone());
    let changed = web::block(move || {
        let mut conn = pool.get().map_err(|error| error.to_string())?;
        let changed = conn.transaction(|conn| {
            let (balance, row) = C::change_and_tell(conn, row)?;
            let mut shelf = open(&notes);
            shelf.count += 1;
            let version = shelf.count;
            shelf.versions.insert(row, version);
            diesel::QueryResult::Ok((balance, row, version))
        });
        changed.map_err(|error| error.to_string())
    });
    let (balance, row, version) = changed.await?.map_err(failed)?;
    let reply = web::Bytes::from(serde_json::to_vec(&receipt(order, balance))?);
    let kept = Kept {
        reply: reply.clone(),
        row,
        version,
    };
    open(&shelf).replies.insert(id, Some(kept));
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .body(reply))
}

#[actix_web::main]
pub(crate) async fn serve<C: Database>() -> Result<()> {
    let pool = web::Data::new(bare_pool::<C>()?);
    let shelf = Shared::default();
    routes(move |app| {
        app.app_data(pool.clone())
            .app_data(shelf.clone())
            .route("/orders", web::post().to(order_kept_with_its_row::<C>));
    })
    .await
}
