//! One handler's body under `once`, under `cache`, and without the attribute: a `Reply` is the same response everywhere.

use actix_web::post;
use diesel::prelude::*;
use idempotent_runtime::{
    Db, Error, Idempotent, Principal, Reply, TrackedConnection, idempotent, once,
};
use support::http::Response;

use crate::app::{Served, is_replay, serve};
use crate::database::{Sqlite, users};

type C = SqliteConnection;

async fn body(form: String, db: Db<C>) -> actix_web::Result<Reply> {
    Ok(db.once(move |conn| add(conn, &form)).await?)
}

fn add(conn: &mut TrackedConnection<C>, reply: &str) -> Result<Reply, Error> {
    let before: i64 = users::table.count().get_result(conn)?;
    diesel::insert_into(users::table)
        .values((users::email.eq(before.to_string()), users::name.eq("x")))
        .execute(conn)?;
    match reply {
        "json" => Ok(Reply::json(200, &[before])?),
        "created" => Ok(Reply::created(format!("/users/{before}"))),
        _ => Ok(Reply::no_content()),
    }
}

#[post("/once")]
#[idempotent(once = "1h", key = header("Idempotency-Key"))]
async fn under_once(form: String, db: Db<C>) -> actix_web::Result<Reply> {
    body(form, db).await
}

#[post("/cache")]
#[idempotent(cache = "1h", key = header("Idempotency-Key"))]
async fn under_cache(form: String, db: Db<C>) -> actix_web::Result<Reply> {
    body(form, db).await
}

#[post("/bare")]
async fn bare(form: String, db: Db<C>) -> actix_web::Result<Reply> {
    body(form, db).await
}

fn served(sqlite: &Sqlite) -> Served {
    let idempotent = Idempotent::builder("bodies")
        .principal(Principal::Anonymous)
        .build();
    let pool = idempotent.pool::<C>(sqlite.url()).unwrap();
    once::migrate(&mut pool.get().unwrap()).unwrap();
    idempotent.once_on(&pool).unwrap();
    let registered = idempotent.configure(&pool);
    serve(move |config| {
        config
            .configure(registered.clone())
            .service((under_once, under_cache, bare));
    })
}

/// What of a response is the handler's.
fn essence(response: &Response) -> (u16, Option<&str>, Option<&str>, Option<&str>) {
    (
        response.status,
        response.header("content-type"),
        response.header("location"),
        response.header("content-length"),
    )
}

#[test]
fn one_body_gives_the_same_reply_under_once_under_cache_and_bare() {
    let expected = [
        ("json", (200, Some("application/json"), None, Some("3"))),
        ("created", (201, None, Some("/users/0"), Some("0"))),
        ("no_content", (204, None, None, None)),
    ];
    for (reply, expected) in expected {
        for (path, replays) in [("/once", true), ("/cache", true), ("/bare", false)] {
            let sqlite = Sqlite::new();
            let served = served(&sqlite);
            let send = || served.send("POST", path, &[("Idempotency-Key", "k")], reply);
            let (first, retry) = (send(), send());
            assert_eq!(essence(&first), expected, "{path} {reply}: {first:?}");
            assert_eq!(is_replay(&retry), replays, "{path} {reply}");
            if replays {
                assert_eq!(essence(&retry), essence(&first), "{path} {reply}");
                assert_eq!(retry.body, first.body);
            }
            let users: i64 = users::table.count().get_result(&mut sqlite.bare()).unwrap();
            assert_eq!(users, if replays { 1 } else { 2 }, "{path} {reply}");
        }
    }
}
