//! Whose write it is: by the handle, by the task, by the thread; and what becomes of those of nobody.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::ServiceConfig;
use actix_web::{FromRequest, HttpMessage, HttpRequest, get, web};
use diesel::prelude::*;
use diesel::update;
use idempotent_runtime::{Db, Idempotent, Pool, Unattributed, idempotent};
use support::http::Response;

use super::C;
use crate::app::{Gate, is_replay};
use crate::bench::{Bench as AnyBench, Tracked, USERS, detail, is_stored};
use crate::database::users;

type Bench = AnyBench<C>;

fn rename(conn: &mut Tracked<C>, id: i32) -> QueryResult<usize> {
    update(users::table.find(id))
        .set(users::name.eq("x"))
        .execute(conn)
}

async fn db(request: &HttpRequest) -> Db<C> {
    Db::extract(request).await.unwrap()
}

fn pool(request: &HttpRequest) -> Pool<C> {
    request.app_data::<Pool<C>>().unwrap().clone()
}

#[get("/own-block/db")]
#[idempotent(cache = "1h")]
async fn own_block_with_db(db: Db<C>) -> actix_web::Result<String> {
    web::block(move || rename(&mut db.get().unwrap(), 1))
        .await?
        .unwrap();
    Ok("done".to_owned())
}

#[get("/own-block/pool")]
#[idempotent(cache = "1h")]
async fn own_block_with_pool(request: HttpRequest) -> actix_web::Result<String> {
    let pool = pool(&request);
    actix_web::web::block(move || rename(&mut pool.get().unwrap(), 1))
        .await?
        .unwrap();
    Ok("done".to_owned())
}

/// Makes the request's `Db` before there is a handler.
async fn with_db(
    db: Db<C>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> actix_web::Result<ServiceResponse<impl MessageBody>> {
    request.extensions_mut().insert(db);
    next.call(request).await
}

#[get("/handed-down")]
#[idempotent(cache = "1h")]
async fn handed_down(db: web::ReqData<Db<C>>) -> actix_web::Result<String> {
    db.run(|conn| rename(conn, 1)).await?;
    Ok("done".to_owned())
}

fn services(config: &mut ServiceConfig) {
    config
        .service(own_block_with_db)
        .service(own_block_with_pool)
        .service(
            web::scope("/with-db")
                .wrap(from_fn(with_db))
                .service(handed_down),
        );
}

fn bench() -> Bench {
    Bench::serving(USERS, |builder| builder, services, 8)
}

/// The reply is kept, outlives a change of another row, and is ended by a change of the row that its handler changed.
fn is_attributed(bench: &Bench, target: &str) {
    let first = bench.served.get(target);
    assert!(is_stored(&first), "{first:?}");
    rename(&mut bench.conn(), 2).unwrap();
    assert!(is_replay(&bench.served.get(target)));
    rename(&mut bench.conn(), 1).unwrap();
    let again = bench.served.get(target);
    assert_eq!(detail(&again), "users:1", "{again:?}");
}

#[test]
fn a_change_by_the_requests_db_in_the_handlers_body_is_the_handlers() {
    let bench = bench();
    bench.handler("body", |request| async move {
        rename(&mut db(&request).await.get().unwrap(), 1).unwrap();
        Ok("done".to_owned())
    });
    is_attributed(&bench, "/kept/body");
}

#[test]
fn a_change_by_the_requests_db_in_the_handlers_own_block_is_the_handlers() {
    is_attributed(&bench(), "/own-block/db");
}

#[test]
fn a_change_by_a_middlewares_db_is_the_handlers_that_uses_it() {
    is_attributed(&bench(), "/with-db/handed-down");
}

/// A service that knows nothing of the attribute.
async fn service(db: Db<C>, depth: usize) {
    if depth > 0 {
        return Box::pin(service(db, depth - 1)).await;
    }
    let done = actix_web::web::block(move || rename(&mut db.get().unwrap(), 1)).await;
    assert_eq!(done.unwrap(), Ok(1));
}

#[test]
fn a_change_by_the_requests_db_three_calls_deep_is_the_handlers() {
    let bench = bench();
    bench.handler("deep", |request| async move {
        service(db(&request).await, 3).await;
        Ok("done".to_owned())
    });
    is_attributed(&bench, "/kept/deep");
}

#[test]
fn a_change_by_the_requests_db_on_a_plain_thread_is_the_handlers() {
    let bench = bench();
    bench.handler("thread", |request| async move {
        let db = db(&request).await;
        let thread = std::thread::spawn(move || rename(&mut db.get().unwrap(), 1));
        assert_eq!(thread.join().unwrap(), Ok(1));
        Ok("done".to_owned())
    });
    is_attributed(&bench, "/kept/thread");
}

#[test]
fn a_change_by_the_pool_in_the_handlers_body_is_the_handlers() {
    let bench = bench();
    bench.handler("body", |request| async move {
        rename(&mut pool(&request).get().unwrap(), 1).unwrap();
        Ok("done".to_owned())
    });
    is_attributed(&bench, "/kept/body");
}

#[test]
fn a_change_by_the_pool_in_the_handlers_own_block_is_the_handlers() {
    is_attributed(&bench(), "/own-block/pool");
}

#[test]
fn a_change_by_the_pool_in_our_block_is_the_handlers() {
    let bench = bench();
    bench.handler("block", |request| async move {
        let pool = pool(&request);
        let done = idempotent_runtime::block(move || rename(&mut pool.get().unwrap(), 1)).await;
        assert_eq!(done.unwrap(), Ok(1));
        Ok("done".to_owned())
    });
    is_attributed(&bench, "/kept/block");
}

/// Changes a row by a connection that belongs to nobody.
async fn foreign(pool: Pool<C>, id: i32) -> actix_web::Result<String> {
    web::block(move || rename(&mut pool.get().unwrap(), id))
        .await?
        .unwrap();
    Ok("done".to_owned())
}

#[test]
fn a_change_by_the_pool_on_a_foreign_thread_is_nobodys_and_its_reply_is_not_kept() {
    let bench = bench();
    bench.handler("foreign", |request| foreign(pool(&request), 1));
    for _ in 0..2 {
        let reply = bench.get("foreign");
        assert!(
            reply.status == 200 && !is_stored(&reply) && !is_replay(&reply),
            "{reply:?}"
        );
        assert_eq!(detail(&reply), "unattributed-write");
    }
    // Said at most once in ten seconds, by whichever test came first.
    support::eventually("the log says why", || {
        bench.get("foreign");
        crate::logs::has_line(&["a reply was not kept"])
    });
}

#[test]
fn a_change_of_nobody_ends_replies_all_the_same() {
    let bench = bench();
    bench.handler("foreign", |request| foreign(pool(&request), 1));
    bench.watch_users();
    bench.get("foreign");
    assert_eq!(bench.ended(), ["users:1"]);
}

/// A handler that changes nothing is held; meanwhile this is done; its reply.
fn reply_of_a_reader_during(bench: &Bench, meanwhile: impl FnOnce()) -> Response {
    held(bench, |_| async {}, meanwhile)
}

/// A handler that does this is held afterwards; meanwhile that is done; its reply.
fn held<F>(bench: &Bench, first: fn(HttpRequest) -> F, meanwhile: impl FnOnce()) -> Response
where
    F: Future<Output = ()> + 'static,
{
    let gate = Gate::closed();
    let inside = gate.clone();
    bench.handler("held", move |request| {
        let gate = inside.clone();
        async move {
            first(request).await;
            gate.pass().await;
            Ok("done".to_owned())
        }
    });
    let reply = bench.served.in_background("GET", "/kept/held", "");
    gate.await_runs(1);
    meanwhile();
    gate.let_through(1);
    reply.join().unwrap()
}

#[test]
fn a_plain_handlers_foreign_change_leaves_a_handler_with_changes_of_its_own_alone() {
    let bench = bench();
    bench.handler("foreign", |request| foreign(pool(&request), 2));
    let own = |request: HttpRequest| async move {
        rename(&mut db(&request).await.get().unwrap(), 1).unwrap();
    };
    let reply = held(&bench, own, || {
        assert_eq!(bench.get_plain("foreign").status, 200)
    });
    assert!(is_stored(&reply), "{reply:?}");
}

#[test]
fn a_plain_handlers_foreign_change_may_be_that_of_a_handler_without_any() {
    let bench = bench();
    bench.handler("foreign", |request| foreign(pool(&request), 2));
    let reply = reply_of_a_reader_during(&bench, || drop(bench.get_plain("foreign")));
    assert_eq!(detail(&reply), "unattributed-write", "{reply:?}");
}

#[test]
fn a_plain_handlers_change_by_its_own_db_is_nobody_elses() {
    let bench = bench();
    bench.handler("by-db", |request| async move {
        service(db(&request).await, 1).await;
        Ok("done".to_owned())
    });
    let reply = reply_of_a_reader_during(&bench, || drop(bench.get_plain("by-db")));
    assert!(is_stored(&reply), "{reply:?}");
}

#[test]
fn background_work_is_nobodys_handler() {
    let bench = bench();
    let reply = reply_of_a_reader_during(&bench, || {
        let change = || rename(&mut bench.conn(), 1);
        assert_eq!(bench.idempotent.background_blocking(change), Ok(1));
        let task = bench
            .idempotent
            .background(async { rename(&mut bench.conn(), 2) });
        assert_eq!(actix_web::rt::System::new().block_on(task), Ok(1));
    });
    assert!(is_stored(&reply), "{reply:?}");
}

#[test]
fn background_work_within_a_handler_is_not_the_handlers() {
    let bench = bench();
    bench.handler("audits", |request| async move {
        let idempotent = request.app_data::<Idempotent>().unwrap();
        rename(&mut db(&request).await.get().unwrap(), 1).unwrap();
        let audit = || rename(&mut pool(&request).get().unwrap(), 2);
        assert_eq!(idempotent.background_blocking(audit), Ok(1));
        Ok("done".to_owned())
    });
    assert!(is_stored(&bench.get("audits")));
    rename(&mut bench.conn(), 2).unwrap();
    assert!(is_replay(&bench.get("audits")));
    rename(&mut bench.conn(), 1).unwrap();
    assert_eq!(detail(&bench.get("audits")), "users:1");
}

#[test]
fn h02_background_work_ends_replies() {
    let bench = bench();
    bench.watch_users();
    let change = || rename(&mut bench.conn(), 1);
    assert_eq!(bench.idempotent.background_blocking(change), Ok(1));
    assert_eq!(bench.ended(), ["users:1"]);
}

#[test]
fn h02_a_writer_outside_handlers_ends_replies() {
    let bench = bench();
    bench.watch_users();
    let pool = bench.pool.clone();
    let thread = std::thread::spawn(move || rename(&mut pool.get().unwrap(), 3));
    assert_eq!(thread.join().unwrap(), Ok(1));
    assert_eq!(bench.ended(), ["users:3"]);
}

#[test]
fn h02_a_handler_without_the_attribute_ends_replies() {
    let bench = bench();
    bench.watch_users();
    bench.handler_on_db("by-db", |conn| rename(conn, 2));
    assert_eq!(bench.get_plain("by-db").status, 200);
    assert_eq!(bench.ended(), ["users:2"]);
}

#[test]
fn trusted_foreign_changes_keep_no_reply_from_being_kept() {
    let trusting = |builder: idempotent_runtime::Builder| builder.unattributed(Unattributed::Trust);
    let bench = Bench::built(USERS, trusting);
    let reply =
        reply_of_a_reader_during(&bench, || assert_eq!(rename(&mut bench.conn(), 1), Ok(1)));
    assert!(is_stored(&reply), "{reply:?}");
}

/// The pool has one connection: the second handler gets the one that the first has used.
#[test]
fn a_connection_comes_back_without_its_owner() {
    let bench = Bench::serving(USERS, |builder| builder, |_| {}, 1);
    bench.handler_on_db("first", |conn| rename(conn, 1));
    bench.handler("second", |request| async move {
        rename(&mut pool(&request).get().unwrap(), 2).unwrap();
        Ok("done".to_owned())
    });
    assert!(is_stored(&bench.get("first")) && is_stored(&bench.get("second")));
    rename(&mut bench.conn(), 2).unwrap();
    assert_eq!(bench.ended_by("first"), None);
    assert_eq!(bench.ended_by("second").as_deref(), Some("users:2"));
}
