//! Effects that happen exactly once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use actix_web::{HttpRequest, HttpResponse, post, web};
use diesel::connection::{InstrumentationEvent, SimpleConnection};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::{BigInt, Text};
use diesel::{insert_into, update};
use futures_util::future::LocalBoxFuture;
use idempotent_runtime::{
    Builder, Db, Error, Idempotent, Pool, Principal, Reply, TrackedConnection, idempotent, once,
};
use support::http::{self, Response};

use super::C;
use crate::app::{Arrival, Gate, Served, cache_status, is_replay, serve};
use crate::bench::Kind;
use crate::database::users;
use crate::logs;

#[path = "once_closures.rs"]
mod closures;
#[path = "once_requests.rs"]
mod requests;
#[path = "once_tables.rs"]
mod tables;

type Conn = TrackedConnection<C>;
type Act = Arc<dyn Fn(&mut Conn) -> Result<Reply, Error> + Send + Sync>;
type Free = Arc<dyn Fn(Db<C>) -> LocalBoxFuture<'static, actix_web::Result<Reply>> + Send + Sync>;

/// What the handlers do, by the last part of the path.
#[derive(Clone, Default)]
struct Acts {
    acts: Arc<Mutex<HashMap<String, Act>>>,
    free: Arc<Mutex<HashMap<String, Free>>>,
    /// How many handlers have begun.
    begun: Arc<AtomicUsize>,
}

impl Acts {
    async fn run(&self, request: &HttpRequest, db: Db<C>) -> actix_web::Result<Reply> {
        let name = request.match_info().query("name");
        self.begun.fetch_add(1, Ordering::SeqCst);
        let free = self.free.lock().unwrap().get(name).cloned();
        if let Some(free) = free {
            return free(db).await;
        }
        let act = self.acts.lock().unwrap().get(name).cloned().unwrap();
        Ok(db.once(move |conn| act(conn)).await?)
    }
}

#[post("/once/{name}")]
#[idempotent(once = 86400, key = header("Idempotency-Key"))]
async fn done_once(
    request: HttpRequest,
    acts: web::Data<Acts>,
    db: Db<C>,
) -> actix_web::Result<Reply> {
    acts.run(&request, db).await
}

#[post("/impatient/{name}")]
#[idempotent(once = "1h", key = header("Idempotency-Key"), wait = 0, name = "once")]
async fn impatient(
    _: Arrival,
    request: HttpRequest,
    acts: web::Data<Acts>,
    db: Db<C>,
) -> actix_web::Result<Reply> {
    acts.run(&request, db).await
}

#[post("/cache/{name}")]
#[idempotent(cache = "1h", key = header("Idempotency-Key"))]
async fn cached(
    request: HttpRequest,
    acts: web::Data<Acts>,
    db: Db<C>,
) -> actix_web::Result<Reply> {
    acts.run(&request, db).await
}

#[post("/plain/{name}")]
async fn plain(request: HttpRequest, acts: web::Data<Acts>, db: Db<C>) -> HttpResponse {
    match acts.run(&request, db).await {
        Ok(reply) => actix_web::Responder::respond_to(reply, &request),
        Err(error) => error.error_response(),
    }
}

/// One process: a store of its own, and the database that it shares.
struct Process {
    served: Served,
    idempotent: Idempotent,
    pool: Pool<C>,
    acts: Acts,
}

/// A database, and what every process on it does.
struct Shop {
    url: String,
    acts: Acts,
    /// Counts the requests that do not wait.
    gate: Gate,
    _home: <C as Kind>::Home,
}

impl Shop {
    fn new() -> Self {
        logs::collect();
        let (home, url) = C::fresh("");
        Self {
            url,
            acts: Acts::default(),
            gate: Gate::open(),
            _home: home,
        }
    }

    /// A process that has just started.
    fn process(&self) -> Process {
        self.built(|builder| builder.principal(Principal::Anonymous), true)
    }

    fn built(&self, settings: impl FnOnce(Builder) -> Builder, on: bool) -> Process {
        let idempotent = settings(Idempotent::builder("it").explain(true)).build();
        let pool = idempotent
            .pool_builder::<C>()
            .max_size(6)
            .with(|r2d2| r2d2.min_idle(Some(1)))
            .build(&self.url)
            .unwrap();
        once::migrate(&mut pool.get().unwrap()).unwrap();
        if on {
            idempotent.once_on(&pool).unwrap();
        }
        let acts = self.acts.clone();
        let (data, registered) = (web::Data::new(acts.clone()), idempotent.configure(&pool));
        let gate = web::Data::new(self.gate.clone());
        let served = serve(move |config| {
            config
                .configure(registered.clone())
                .app_data(data.clone())
                .app_data(gate.clone())
                .service(done_once)
                .service(requests::guarded)
                .service(impatient)
                .service(cached)
                .service(plain);
        });
        Process {
            served,
            idempotent,
            pool,
            acts,
        }
    }

    fn act(
        &self,
        name: &str,
        act: impl Fn(&mut Conn) -> Result<Reply, Error> + Send + Sync + 'static,
    ) {
        let mut acts = self.acts.acts.lock().unwrap();
        acts.insert(name.to_owned(), Arc::new(act));
    }

    fn free<F>(&self, name: &str, act: impl Fn(Db<C>) -> F + Send + Sync + 'static)
    where
        F: Future<Output = actix_web::Result<Reply>> + 'static,
    {
        let mut free = self.acts.free.lock().unwrap();
        free.insert(name.to_owned(), Arc::new(move |db| Box::pin(act(db))));
    }

    /// Each run adds a user.
    fn adds_a_user(&self, name: &str) {
        self.act(name, add);
    }

    /// A connection that nobody tracks.
    fn bare(&self) -> C {
        let mut conn = C::establish(&self.url).unwrap();
        // SQLite's, for a process that is just ending may hold the lock; the others know no such word.
        let _ = conn.batch_execute("PRAGMA busy_timeout = 5000");
        conn
    }

    fn users(&self) -> i64 {
        users::table.count().get_result(&mut self.bare()).unwrap()
    }

    fn records(&self) -> i64 {
        sql::<BigInt>("SELECT COUNT(*) FROM idempotent_once WHERE reply IS NOT NULL")
            .get_result(&mut self.bare())
            .unwrap()
    }

    fn execute(&self, sql: &str) {
        self.bare().batch_execute(sql).unwrap();
    }
}

impl Process {
    fn send(&self, path: &str, key: &str, body: &str) -> Response {
        self.served
            .send("POST", path, &[("Idempotency-Key", key)], body)
    }

    fn once(&self, name: &str, key: &str) -> Response {
        self.send(&format!("/once/{name}"), key, "{}")
    }

    /// A request on a thread of its own.
    fn in_background(&self, name: &str, key: &str) -> std::thread::JoinHandle<Response> {
        let (address, path, key) = (self.served.address, format!("/once/{name}"), key.to_owned());
        std::thread::spawn(move || {
            http::send(address, "POST", &path, &[("Idempotency-Key", &key)], b"{}")
        })
    }
}

fn new_email() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("{}@once", COUNT.fetch_add(1, Ordering::SeqCst))
}

/// One more user, and a reply that no other run would give.
fn add(conn: &mut Conn) -> Result<Reply, Error> {
    let email = new_email();
    insert_into(users::table)
        .values((users::email.eq(&email), users::name.eq("x")))
        .execute(conn)?;
    Ok(Reply::json(201, &email)?.header("X-Of", "this run"))
}

fn transient() -> Error {
    let kind = DatabaseErrorKind::SerializationFailure;
    DieselError::DatabaseError(kind, Box::new("on purpose".to_owned())).into()
}

#[track_caller]
fn is_the_same(replay: &Response, first: &Response) {
    assert!(is_replay(replay), "{replay:?}");
    assert_eq!(replay.status, first.status);
    assert_eq!(replay.body, first.body);
    assert_eq!(replay.header("x-of"), first.header("x-of"));
    assert_eq!(replay.header("content-type"), first.header("content-type"));
}

#[test]
fn a_retry_is_answered_by_the_first_reply() {
    let shop = Shop::new();
    shop.adds_a_user("a");
    let process = shop.process();
    let first = process.once("a", "k");
    assert_eq!(first.status, 201, "{first:?}");
    assert!(!is_replay(&first));
    assert!(
        cache_status(&first).contains("fwd=uri-miss; stored; ttl=86400"),
        "{first:?}"
    );
    let retry = process.once("a", "k");
    is_the_same(&retry, &first);
    assert!(cache_status(&retry).contains("hit; ttl=8"), "{retry:?}");
    assert_eq!((shop.users(), shop.records()), (1, 1));
    assert_eq!(process.acts.begun.load(Ordering::SeqCst), 1);
}

#[test]
fn another_key_is_another_effect() {
    let shop = Shop::new();
    shop.adds_a_user("a");
    let process = shop.process();
    let (first, second) = (process.once("a", "k"), process.once("a", "l"));
    assert_ne!(first.body, second.body);
    assert_eq!(shop.users(), 2);
}

#[test]
fn h01_another_s_change_does_not_end_it_and_a_store_that_lost_everything_neither() {
    let shop = Shop::new();
    shop.adds_a_user("a");
    let first = shop.process().once("a", "k");
    shop.execute("UPDATE users SET name = 'changed'");
    let process = shop.process();
    is_the_same(&process.once("a", "k"), &first);
    // From its store by now.
    is_the_same(&process.once("a", "k"), &first);
    assert_eq!(process.acts.begun.load(Ordering::SeqCst), 1);
    assert_eq!(shop.users(), 1);
}

#[test]
fn duplicates_in_one_process_have_one_effect() {
    let shop = Shop::new();
    let gate = Gate::closed();
    let held = gate.clone();
    shop.act("a", move |conn| {
        held.pass_blocking();
        add(conn)
    });
    let process = shop.process();
    let all: Vec<_> = (0..6).map(|_| process.in_background("a", "k")).collect();
    gate.await_runs(1);
    gate.let_through(6);
    let replies: Vec<_> = all.into_iter().map(|one| one.join().unwrap()).collect();
    let first = replies.iter().find(|reply| !is_replay(reply)).unwrap();
    let replays: Vec<_> = replies.iter().filter(|reply| is_replay(reply)).collect();
    assert_eq!(replays.len(), 5);
    replays.iter().for_each(|replay| is_the_same(replay, first));
    assert_eq!((shop.users(), gate.runs()), (1, 1));
}

#[test]
fn h37_duplicates_in_two_processes_have_one_effect() {
    let shop = Shop::new();
    let gate = Gate::closed();
    let held = gate.clone();
    shop.act("a", move |conn| {
        held.pass_blocking();
        add(conn)
    });
    let (one, other) = (shop.process(), shop.process());
    let first = one.in_background("a", "k");
    gate.await_runs(1);
    let second = other.in_background("a", "k");
    support::eventually("the other handler begins", || {
        shop.acts.begun.load(Ordering::SeqCst) == 2
    });
    gate.let_through(2);
    let (first, second) = (first.join().unwrap(), second.join().unwrap());
    assert_eq!(first.status, 201, "{first:?}");
    is_the_same(&second, &first);
    assert_eq!((shop.users(), gate.runs()), (1, 1));
}

#[test]
fn h37_duplicates_in_serializable_transactions_have_one_effect() {
    let shop = Shop::new();
    let gate = Gate::closed();
    let held = gate.clone();
    shop.act("a", move |conn| {
        if crate::bench::dooms::<C>() {
            let level = sql::<Text>("SELECT current_setting('transaction_isolation')");
            assert_eq!(level.get_result::<String>(conn)?, "serializable");
        }
        held.pass_blocking();
        add(conn)
    });
    let (one, other) = (shop.process(), shop.process());
    for process in [&one, &other] {
        let all: Vec<_> = (0..6).map(|_| process.pool.get().unwrap()).collect();
        for mut conn in all {
            // Each database knows one of them, or is always so.
            let level = "TRANSACTION ISOLATION LEVEL SERIALIZABLE";
            for session in ["SESSION CHARACTERISTICS AS", "SESSION"] {
                let _ = conn.batch_execute(&format!("SET {session} {level}"));
            }
        }
    }
    let first = one.in_background("a", "k");
    gate.await_runs(1);
    let second = other.in_background("a", "k");
    support::eventually("the other handler begins", || {
        shop.acts.begun.load(Ordering::SeqCst) == 2
    });
    gate.let_through(2);
    let first = first.join().unwrap();
    assert_eq!(first.status, 201, "{first:?}");
    is_the_same(&second.join().unwrap(), &first);
    assert_eq!((shop.users(), gate.runs()), (1, 1));
}

#[test]
fn h37_whoever_waits_for_one_that_is_rolled_back_runs() {
    let shop = Shop::new();
    let gate = Gate::closed();
    let held = gate.clone();
    shop.act("a", move |conn| {
        let run = held.pass_blocking();
        let reply = add(conn)?;
        match run {
            1 => Err(DieselError::RollbackTransaction.into()),
            _ => Ok(reply),
        }
    });
    let processes: Vec<_> = (0..4).map(|_| shop.process()).collect();
    let first = processes[0].in_background("a", "k");
    gate.await_runs(1);
    let others: Vec<_> = processes[1..]
        .iter()
        .map(|process| process.in_background("a", "k"))
        .collect();
    support::eventually("the others begin", || {
        shop.acts.begun.load(Ordering::SeqCst) == 4
    });
    gate.let_through(9);
    assert_eq!(first.join().unwrap().status, 500);
    let others: Vec<_> = others.into_iter().map(|one| one.join().unwrap()).collect();
    for other in &others {
        assert_eq!((other.status, &other.body), (201, &others[0].body));
    }
    assert_eq!(others.iter().filter(|other| !is_replay(other)).count(), 1);
    assert_eq!((shop.users(), shop.records()), (1, 1));
}

#[test]
fn a_run_that_fails_leaves_nothing_and_the_retry_runs() {
    let shop = Shop::new();
    let process = shop.process();
    shop.act("a", |conn| {
        add(conn)?;
        Err(DieselError::NotFound.into())
    });
    let failed = process.once("a", "k");
    assert_eq!(failed.status, 404);
    assert!(cache_status(&failed).contains("not-recorded"), "{failed:?}");
    assert_eq!((shop.users(), shop.records()), (0, 0));
    shop.adds_a_user("a");
    let retry = process.once("a", "k");
    assert_eq!((retry.status, is_replay(&retry)), (201, false));
    is_the_same(&process.once("a", "k"), &retry);
    assert_eq!((shop.users(), shop.records()), (1, 1));
}

#[test]
fn h17_a_transaction_that_was_lost_records_nothing() {
    let shop = Shop::new();
    let process = shop.process();
    shop.act("a", |conn| {
        add(conn)?;
        // As a swallowed deadlock does.
        conn.untracked().batch_execute("ROLLBACK")?;
        Ok(Reply::new(200))
    });
    assert_eq!(process.once("a", "k").status, 500);
    assert_eq!((shop.users(), shop.records()), (0, 0));
    shop.adds_a_user("a");
    assert_eq!(process.once("a", "k").status, 201);
    assert_eq!(shop.users(), 1);
}

#[test]
fn effects_that_were_committed_unseen_have_their_record() {
    let shop = Shop::new();
    shop.act("a", |conn| {
        let reply = add(conn)?;
        // As a statement that commits implicitly does.
        conn.untracked().batch_execute("COMMIT")?;
        Ok(reply)
    });
    // It may have failed, as its end was not what was asked for.
    let _ = shop.process().once("a", "k");
    let retry = shop.process().once("a", "k");
    assert_eq!((retry.status, is_replay(&retry)), (201, true));
    assert_eq!((shop.users(), shop.records()), (1, 1));
}

#[test]
fn h38_effects_whose_record_is_gone_are_rolled_back() {
    let shop = Shop::new();
    let process = shop.process();
    shop.act("a", |conn| {
        let reply = add(conn)?;
        conn.batch_execute("DELETE FROM idempotent_once")?;
        Ok(reply)
    });
    assert_eq!(process.once("a", "k").status, 500);
    assert_eq!((shop.users(), shop.records()), (0, 0));
    shop.adds_a_user("a");
    assert_eq!(process.once("a", "k").status, 201);
    assert_eq!((shop.users(), shop.records()), (1, 1));
}

#[test]
fn h16_an_error_that_was_swallowed_records_all_or_nothing() {
    let shop = Shop::new();
    let process = shop.process();
    shop.act("a", |conn| {
        let reply = add(conn)?;
        let _ = diesel::sql_query("INSERT INTO users VALUES (1, NULL, NULL)").execute(conn);
        Ok(reply)
    });
    let reply = process.once("a", "k");
    // PostgreSQL's transaction is lost by it; the others have undone the statement alone.
    let committed = i64::from(reply.status == 201);
    assert_eq!((shop.users(), shop.records()), (committed, committed));
    assert_eq!(committed == 0, crate::bench::dooms::<C>());
}

#[test]
fn h40_an_expired_key_runs_anew() {
    let shop = Shop::new();
    shop.adds_a_user("a");
    let first = shop.process().once("a", "k");
    shop.execute("UPDATE idempotent_once SET expires = 1");
    let process = shop.process();
    let anew = process.once("a", "k");
    assert_eq!((anew.status, is_replay(&anew)), (201, false));
    assert_ne!(anew.body, first.body);
    is_the_same(&shop.process().once("a", "k"), &anew);
    assert_eq!((shop.users(), shop.records()), (2, 1));
}

/// Has each connection of a process, while it is armed, lose the record before it reads what its claim has found: swept where
/// nothing is locked yet, and elsewhere expired.
fn loses_records(shop: &Shop, process: &Process, armed: &Arc<AtomicBool>) {
    let all: Vec<_> = (0..6).map(|_| process.pool.get().unwrap()).collect();
    for mut conn in all {
        let (mut bare, armed) = (shop.bare(), Arc::clone(armed));
        conn.set_instrumentation(move |event: InstrumentationEvent<'_>| {
            let InstrumentationEvent::StartQuery { query, .. } = event else {
                return;
            };
            let query = query.to_string();
            if !query.starts_with("SELECT fingerprint") || !armed.swap(false, Ordering::SeqCst) {
                return;
            }
            if query.contains("FOR UPDATE") {
                return bare.batch_execute("DELETE FROM idempotent_once").unwrap();
            }
            let expires = sql::<BigInt>("SELECT expires FROM idempotent_once");
            let expires = expires.get_result::<i64>(&mut bare).unwrap();
            support::eventually("it expires", || unix_now() >= expires);
        });
    }
}

fn unix_now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_secs().cast_signed()
}

#[test]
fn h54_a_record_that_is_gone_between_claim_and_read_begins_anew() {
    let shop = Shop::new();
    let (process, other) = (shop.process(), shop.process());
    let rival = other.served.address;
    let (armed, runs) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicUsize::new(0)),
    );
    loses_records(&shop, &process, &armed);
    let (arms, url) = (Arc::clone(&armed), shop.url.clone());
    shop.free("a", move |db| {
        let (arms, url, run) = (
            Arc::clone(&arms),
            url.clone(),
            runs.fetch_add(1, Ordering::SeqCst),
        );
        async move {
            if run == 0 {
                // The record was not there when this one came, and is now, for a moment.
                let key = [("Idempotency-Key", "k")];
                let send = move || http::send(rival, "POST", "/once/a", &key, b"{}");
                assert_eq!(web::block(send).await.unwrap().status, 201);
                let short = format!("UPDATE idempotent_once SET expires = {}", unix_now() + 3);
                C::establish(&url).unwrap().batch_execute(&short).unwrap();
                arms.store(true, Ordering::SeqCst);
            }
            Ok(db.once(add).await?)
        }
    });
    let reply = process.once("a", "k");
    assert_eq!((reply.status, is_replay(&reply)), (201, false), "{reply:?}");
    assert!(!armed.load(Ordering::SeqCst));
    assert_eq!((shop.users(), shop.records()), (2, 1));
    is_the_same(&shop.process().once("a", "k"), &reply);
}

#[test]
fn h41_another_payload_under_the_same_key_is_refused() {
    let shop = Shop::new();
    shop.adds_a_user("a");
    let process = shop.process();
    let first = process.once("a", "k");
    assert_eq!(process.send("/once/a", "k", "{\"other\":1}").status, 422);
    let fresh = shop.process();
    assert_eq!(fresh.send("/once/a", "k", "{\"other\":1}").status, 422);
    is_the_same(&fresh.once("a", "k"), &first);
    assert_eq!(shop.users(), 1);
}

#[test]
fn h41_another_payload_is_refused_by_the_claim_too() {
    let shop = Shop::new();
    let gate = Gate::closed();
    let held = gate.clone();
    shop.act("a", move |conn| {
        held.pass_blocking();
        add(conn)
    });
    let (one, other) = (shop.process(), shop.process());
    let first = one.in_background("a", "k");
    gate.await_runs(1);
    let address = other.served.address;
    let second = std::thread::spawn(move || {
        http::send(
            address,
            "POST",
            "/once/a",
            &[("Idempotency-Key", "k")],
            b"other",
        )
    });
    support::eventually("the other handler begins", || {
        shop.acts.begun.load(Ordering::SeqCst) == 2
    });
    gate.let_through(2);
    assert_eq!(first.join().unwrap().status, 201);
    assert_eq!(second.join().unwrap().status, 422);
    assert_eq!(shop.users(), 1);
}

#[test]
fn h36_who_does_not_wait_gets_409() {
    let shop = Shop::new();
    let gate = Gate::closed();
    let held = gate.clone();
    shop.act("a", move |conn| {
        held.pass_blocking();
        add(conn)
    });
    let process = shop.process();
    let address = process.served.address;
    let first = std::thread::spawn(move || {
        http::send(
            address,
            "POST",
            "/impatient/a",
            &[("Idempotency-Key", "k")],
            b"{}",
        )
    });
    gate.await_runs(1);
    let busy = process.send("/impatient/a", "k", "{}");
    assert_eq!((busy.status, busy.header("retry-after")), (409, Some("1")));
    // Another process meets it at the row.
    let busy = shop.process().send("/impatient/a", "k", "{}");
    assert_eq!((busy.status, busy.header("retry-after")), (409, Some("1")));
    gate.let_through(1);
    let first = first.join().unwrap();
    is_the_same(&process.send("/impatient/a", "k", "{}"), &first);
    assert_eq!((shop.users(), gate.runs()), (1, 1));
}

#[test]
fn a_serialization_failure_begins_the_whole_transaction_anew() {
    let shop = Shop::new();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    shop.act("a", move |conn| {
        let reply = add(conn)?;
        match counted.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => Err(transient()),
            _ => Ok(reply),
        }
    });
    assert_eq!(shop.process().once("a", "k").status, 201);
    assert_eq!((runs.load(Ordering::SeqCst), shop.users()), (3, 1));
}

#[test]
fn a_transaction_that_fails_again_and_again_is_given_up() {
    let shop = Shop::new();
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&runs);
    shop.act("a", move |conn| {
        add(conn)?;
        counted.fetch_add(1, Ordering::SeqCst);
        Err(transient())
    });
    assert_eq!(shop.process().once("a", "k").status, 500);
    assert_eq!((runs.load(Ordering::SeqCst), shop.users()), (9, 0));
}

#[test]
fn a_second_transaction_is_refused_and_the_first_one_is_the_answer() {
    let shop = Shop::new();
    shop.free("a", |db| async move {
        let first = db.once(add).await?;
        let second = db.once(add).await.unwrap_err().to_string();
        assert!(second.contains("one closure"), "{second}");
        drop(first);
        Ok(Reply::new(500))
    });
    let process = shop.process();
    let first = process.once("a", "k");
    assert_eq!(first.status, 201, "{first:?}");
    is_the_same(&shop.process().once("a", "k"), &first);
    assert_eq!(shop.users(), 1);
}

#[test]
fn a_tracked_write_beside_it_is_refused_and_rolled_back() {
    let shop = Shop::new();
    shop.free("a", |db| async move {
        let alone = db.run(add).await.unwrap_err().to_string();
        let swallowed = db.transaction(|conn| {
            diesel::sql_query("INSERT INTO audits (what) VALUES ('x')").execute(conn)?;
            let _ = add(conn);
            Ok::<_, Error>(())
        });
        let swallowed = swallowed.await.is_err();
        match alone.contains("move this into that closure") && swallowed {
            true => Ok(Reply::new(200)),
            false => Ok(Reply::new(500)),
        }
    });
    let reply = shop.process().once("a", "k");
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(cache_status(&reply).contains("not-recorded"));
    let audits: i64 = crate::database::audits::table
        .count()
        .get_result(&mut shop.bare())
        .unwrap();
    assert_eq!((shop.users(), audits, shop.records()), (0, 0, 0));
}

#[test]
fn what_would_end_the_transaction_is_refused_inside() {
    let shop = Shop::new();
    shop.act("a", |conn| {
        add(conn)?;
        for sql in [
            "COMMIT",
            "ROLLBACK",
            "BEGIN",
            "INSERT INTO audits (what) VALUES ('x'); COMMIT",
        ] {
            let refused = conn.batch_execute(sql).unwrap_err().to_string();
            assert!(refused.contains("is one transaction"), "{sql}: {refused}");
        }
        // A savepoint is none of these.
        let undone: Result<(), DieselError> = conn.transaction(|conn| {
            insert_into(users::table)
                .values((users::email.eq("undone"), users::name.eq("x")))
                .execute(conn)?;
            Err(DieselError::RollbackTransaction)
        });
        assert!(undone.is_err());
        conn.transaction(|conn| update(users::table).set(users::name.eq("y")).execute(conn))?;
        Ok(Reply::no_content())
    });
    let first = shop.process().once("a", "k");
    assert_eq!(first.status, 204, "{first:?}");
    is_the_same(&shop.process().once("a", "k"), &first);
    let names: Vec<String> = users::table
        .select(users::name)
        .load(&mut shop.bare())
        .unwrap();
    assert_eq!(names, ["y"]);
}

#[test]
fn an_answer_without_it_is_not_recorded() {
    let shop = Shop::new();
    shop.free("a", |_| async { Ok(Reply::new(400)) });
    let process = shop.process();
    for _ in 0..2 {
        let reply = process.once("a", "k");
        assert_eq!((reply.status, is_replay(&reply)), (400, false));
    }
    assert_eq!(process.acts.begun.load(Ordering::SeqCst), 2);
    assert_eq!(shop.records(), 0);
}

#[test]
fn a_reply_that_cannot_be_replayed_is_rolled_back() {
    let shop = Shop::new();
    shop.act("cookie", |conn| Ok(add(conn)?.header("Set-Cookie", "a=b")));
    shop.act("split", |conn| Ok(add(conn)?.header("X-Of", "a\r\nb: c")));
    let process = shop.process();
    assert_eq!(process.once("cookie", "k").status, 500);
    assert_eq!(process.once("split", "k").status, 500);
    assert_eq!((shop.users(), shop.records()), (0, 0));
}

#[test]
fn without_a_principal_it_does_not_run_and_says_so() {
    let shop = Shop::new();
    shop.adds_a_user("a");
    let process = shop.built(|builder| builder, true);
    assert_eq!(process.once("a", "k").status, 500);
    assert!(logs::has_line(&["Principal::Anonymous", "`once` on"]));
    assert_eq!(shop.users(), 0);
}

#[test]
fn without_a_place_for_its_records_it_does_not_run_and_says_so() {
    let shop = Shop::new();
    shop.adds_a_user("a");
    let process = shop.built(|builder| builder.principal(Principal::Anonymous), false);
    assert_eq!(process.once("a", "k").status, 500);
    assert!(logs::has_line(&["once_on(&pool)"]));
    assert_eq!(shop.users(), 0);
    assert!(process.idempotent.once_on(&process.pool).is_ok());
    assert_eq!(process.once("a", "k").status, 201);
}

#[test]
fn a_table_that_is_not_there_is_told_at_the_start() {
    let shop = Shop::new();
    let process = shop.process();
    let table = once::Table::named("elsewhere").unwrap();
    let error = process.idempotent.once_in(table.clone(), &process.pool);
    assert!(error.unwrap_err().to_string().contains("once::migrate"));
    table.migrate(&mut process.pool.get().unwrap()).unwrap();
    let error = process.idempotent.once_in(table, &process.pool);
    assert!(error.unwrap_err().to_string().contains("already"));
}

#[test]
fn the_same_handler_works_under_cache_and_without_the_attribute() {
    let shop = Shop::new();
    shop.adds_a_user("a");
    let process = shop.process();
    let first = process.send("/cache/a", "k", "{}");
    assert_eq!(first.status, 201, "{first:?}");
    is_the_same(&process.send("/cache/a", "k", "{}"), &first);
    assert_eq!(process.send("/plain/a", "k", "{}").status, 201);
    assert_eq!(process.send("/plain/a", "k", "{}").status, 201);
    assert_eq!((shop.users(), shop.records()), (3, 0));
}

#[test]
fn expired_records_are_swept_in_batches_by_several_at_once_and_no_others() {
    let shop = Shop::new();
    shop.adds_a_user("a");
    let processes = [shop.process(), shop.process(), shop.process()];
    for key in 0..12 {
        processes[0].once("a", &format!("k{key}"));
    }
    assert_eq!(
        once::sweep(&mut processes[0].pool.get().unwrap(), 100).unwrap(),
        0
    );
    shop.execute("UPDATE idempotent_once SET expires = 1 WHERE id NOT IN (SELECT id FROM (SELECT MIN(id) AS id FROM idempotent_once) AS first)");
    assert_eq!(
        once::sweep(&mut processes[0].pool.get().unwrap(), 3).unwrap(),
        3
    );
    let all: Vec<_> = processes
        .iter()
        .map(|process| {
            let pool = process.pool.clone();
            std::thread::spawn(move || once::sweep(&mut pool.get().unwrap(), 100).unwrap())
        })
        .collect();
    let swept: usize = all.into_iter().map(|one| one.join().unwrap()).sum();
    assert_eq!((swept, shop.records()), (8, 1));
}

#[test]
fn a_task_sweeps_until_there_is_nothing_left() {
    let shop = Shop::new();
    shop.adds_a_user("a");
    let process = shop.process();
    for key in 0..5 {
        process.once("a", &format!("k{key}"));
    }
    shop.execute("UPDATE idempotent_once SET expires = 1");
    let (idempotent, pool) = (process.idempotent.clone(), process.pool.clone());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let task = runtime.spawn(async move {
        idempotent
            .sweep_once(&pool, std::time::Duration::from_secs(3_600))
            .await
    });
    support::eventually("the records are swept", || shop.records() == 0);
    task.abort();
}

#[test]
fn a_record_that_cannot_be_read_is_not_taken_for_none() {
    let shop = Shop::new();
    shop.adds_a_user("a");
    shop.process().once("a", "k");
    shop.execute("UPDATE idempotent_once SET reply = 'x'");
    let reply = shop.process().once("a", "k");
    assert_eq!(reply.status, 503);
    assert_eq!(shop.users(), 1);
}
