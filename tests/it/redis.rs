//! Two applications over one Redis and one database, which share nothing else: as two processes would.

use std::time::Duration;

use actix_web::web::ServiceConfig;
use actix_web::{get, post, put, web};
use diesel::prelude::*;
use idempotent_runtime::store::RedisStore;
use idempotent_runtime::{Db, Idempotent, Outage, Pool, idempotent};
use support::http::Response;
use support::{Flavor, Redis};

use crate::app::{Arrival, Gate, Served, TWO_WORKERS, cache_status, is_replay, serve_with};
use crate::database::{Sqlite, users};

// The host is no part of these ids: it is the address of one of the applications here.

#[put("/rename/{name}")]
#[idempotent(cache = "1h", key(method, path))]
async fn rename(name: web::Path<String>, db: Db<SqliteConnection>) -> actix_web::Result<String> {
    set_name(name.into_inner(), db).await
}

/// Calls Diesel on the worker's thread, on which the stamp is made as well.
#[put("/rename-in-place/{name}")]
#[idempotent(cache = "1h", key(method, path))]
async fn rename_in_place(
    name: web::Path<String>,
    pool: web::Data<Pool<SqliteConnection>>,
) -> actix_web::Result<String> {
    let mut conn = pool
        .get()
        .map_err(actix_web::error::ErrorInternalServerError)?;
    let renamed = diesel::update(users::table.find(1))
        .set(users::name.eq(&*name))
        .execute(&mut conn);
    renamed.map_err(actix_web::error::ErrorInternalServerError)?;
    Ok(name.into_inner())
}

/// In a handler without the attribute.
#[put("/plainly/{name}")]
async fn plainly(name: web::Path<String>, db: Db<SqliteConnection>) -> actix_web::Result<String> {
    set_name(name.into_inner(), db).await
}

async fn set_name(name: String, db: Db<SqliteConnection>) -> actix_web::Result<String> {
    let set = db.run(move |conn| {
        diesel::update(users::table.find(1))
            .set(users::name.eq(name))
            .returning(users::name)
            .get_result(conn)
    });
    Ok(set.await?)
}

#[get("/slow")]
#[idempotent(cache = "1h", key(method, path))]
async fn slow(_: Arrival, gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

#[get("/anyway")]
#[idempotent(cache = "1h", key(method, path), outage = "run")]
async fn anyway(gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

#[post("/alone")]
#[idempotent(lock = 30, key(method, path))]
async fn alone(gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

#[post("/alone-anyway")]
#[idempotent(lock = 30, key(method, path), outage = "run")]
async fn alone_anyway(gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

#[get("/slow-and-alone")]
#[idempotent(cache = "1h", lock = 30, key(method, path))]
async fn slow_and_alone(_: Arrival, gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

#[get("/both-anyway")]
#[idempotent(cache = "1h", lock = 30, key(method, path), outage = "run")]
async fn both_anyway(gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

#[post("/keyed")]
#[idempotent(cache = "1h", key = header("Idempotency-Key"))]
async fn keyed(_: Arrival, gate: web::Data<Gate>, body: String) -> String {
    format!("{body} in run {}", gate.pass().await)
}

fn services(config: &mut ServiceConfig) {
    config
        .service((rename, rename_in_place, plainly))
        .service((slow, anyway, alone))
        .service((alone_anyway, slow_and_alone, both_anyway, keyed));
}

struct Fixture {
    redis: Redis,
    sqlite: Sqlite,
    gate: Gate,
    apps: [Served; 2],
}

fn fixture(flavor: Flavor, gate: Gate) -> Fixture {
    let (redis, sqlite) = (flavor.start(), Sqlite::new());
    sqlite.execute("INSERT INTO users (email, name) VALUES ('a', 'Ann')");
    let apps = [(); 2].map(|()| serve(&redis, &sqlite, &gate));
    Fixture {
        redis,
        sqlite,
        gate,
        apps,
    }
}

fn serve(redis: &Redis, sqlite: &Sqlite, gate: &Gate) -> Served {
    let store = RedisStore::builder(redis.url())
        .deadline(Duration::from_millis(300))
        .build()
        .unwrap();
    let idempotent = Idempotent::builder("it")
        .store(store)
        .outage(Outage::Reject)
        .explain(true)
        .build();
    let pool = idempotent.pool::<SqliteConnection>(sqlite.url()).unwrap();
    let gate = web::Data::new(gate.clone());
    serve_with(TWO_WORKERS, move |config| {
        config
            .configure(idempotent.configure(&pool))
            .app_data(web::Data::new(pool.clone()))
            .app_data(gate.clone())
            .configure(services);
    })
}

impl Fixture {
    fn put(&self, app: usize, target: &str) -> Response {
        self.apps[app].send("PUT", target, &[], "")
    }

    fn name(&self) -> String {
        let name = users::table.select(users::name);
        name.first(&mut self.sqlite.bare()).unwrap()
    }
}

macro_rules! on_both {
    ($($case:ident),+ $(,)?) => {
        mod redis { $(#[test] fn $case() { super::$case(support::Flavor::Redis); })+ }
        mod valkey { $(#[test] fn $case() { super::$case(support::Flavor::Valkey); })+ }
    };
}

on_both![
    a_reply_is_replayed_by_another_process,
    a_row_that_another_process_changed_ends_the_reply,
    a_write_on_the_workers_own_thread_is_stamped,
    duplicates_in_two_processes_run_once,
    many_duplicates_of_one_in_another_process_ask_little,
    another_payload_is_refused_before_anyone_waits_for_another_process,
    one_lock_holder_among_two_processes,
    each_handler_says_what_happens_while_redis_is_away,
    h24_a_restarted_redis_replays_nothing,
    while_redis_stalls_requests_are_rejected_or_run_and_plain_writers_go_on,
];

fn a_reply_is_replayed_by_another_process(flavor: Flavor) {
    let f = fixture(flavor, Gate::open());
    assert_eq!(f.put(0, "/rename/Bob").text(), "Bob");
    for app in [1, 0] {
        let again = f.put(app, "/rename/Bob");
        assert!(is_replay(&again), "{again:?}");
        assert_eq!(again.text(), "Bob");
    }
}

fn a_row_that_another_process_changed_ends_the_reply(flavor: Flavor) {
    let f = fixture(flavor, Gate::open());
    for writer in ["/plainly/Eve", "/rename/Dan", "/rename-in-place/Fay"] {
        f.put(0, "/rename/Bob");
        assert!(is_replay(&f.put(0, "/rename/Bob")));
        f.put(1, writer);
        let again = f.put(0, "/rename/Bob");
        assert!(cache_status(&again).contains("fwd=stale"), "{again:?}");
        assert!(cache_status(&again).contains("users:1"), "{again:?}");
        assert_eq!(f.name(), "Bob");
    }
}

fn a_write_on_the_workers_own_thread_is_stamped(flavor: Flavor) {
    let f = fixture(flavor, Gate::open());
    for app in [0, 1, 0, 1] {
        assert_eq!(f.put(app, "/rename-in-place/Bob").text(), "Bob");
    }
    assert!(is_replay(&f.put(1, "/rename-in-place/Bob")));
    f.put(1, "/plainly/Eve");
    assert!(!is_replay(&f.put(0, "/rename-in-place/Bob")));
}

fn duplicates_in_two_processes_run_once(flavor: Flavor) {
    let f = fixture(flavor, Gate::closed());
    let first = f.apps[0].in_background("GET", "/slow", "");
    f.gate.await_runs(1);
    let others: Vec<_> = (0..6)
        .map(|n| f.apps[n % 2].in_background("GET", "/slow", ""))
        .collect();
    f.gate.await_arrivals(7);
    f.gate.let_through(1);
    assert_eq!(first.join().unwrap().text(), "run 1");
    for other in others {
        let other = other.join().unwrap();
        assert_eq!(other.text(), "run 1");
        assert!(is_replay(&other), "{other:?}");
    }
    assert_eq!(f.gate.runs(), 1);
}

/// What the server was asked, and what its scripts asked in turn; but for what is asked without requests.
fn commands(redis: &Redis) -> u64 {
    let beside = ["client", "config", "hello", "info", "ping", "script"];
    let stats = redis.ask(&["INFO", "commandstats"]).concat();
    let calls = stats.lines().filter_map(|line| {
        let (command, line) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let command = command.split('|').next()?;
        let calls = line.split(',').next()?.parse::<u64>().ok()?;
        (!beside.contains(&command)).then_some(calls)
    });
    calls.sum()
}

fn many_duplicates_of_one_in_another_process_ask_little(flavor: Flavor) {
    const MANY: usize = 200;
    for target in ["/slow", "/slow-and-alone"] {
        let f = fixture(flavor, Gate::closed());
        let first = f.apps[0].in_background("GET", target, "");
        f.gate.await_runs(1);
        // It asks for all, and leaves.
        let asks = f.apps[1].ask("GET", target, &[]);
        support::eventually("it waits", || {
            !f.redis.ask(&["PUBSUB", "CHANNELS"]).is_empty()
        });
        f.redis.ask(&["CONFIG", "RESETSTAT"]);
        let others: Vec<_> = (0..MANY)
            .map(|_| f.apps[1].in_background("GET", target, ""))
            .collect();
        f.gate.await_arrivals(MANY + 2);
        asks.reset();
        f.gate.let_through(1);
        assert_eq!(first.join().unwrap().text(), "run 1");
        for other in others {
            let other = other.join().unwrap();
            assert_eq!(other.text(), "run 1");
            assert!(is_replay(&other), "{other:?}");
        }
        assert_eq!(f.gate.runs(), 1);
        let commands = commands(&f.redis);
        println!("{target}: {commands} commands for {MANY} duplicates");
        assert!(commands < MANY as u64, "{target}: {commands}");
    }
}

fn another_payload_is_refused_before_anyone_waits_for_another_process(flavor: Flavor) {
    let f = fixture(flavor, Gate::closed());
    let send = |app: usize, body: &str| {
        let headers = [("idempotency-key", "k")];
        f.apps[app].send("POST", "/keyed", &headers, body)
    };
    std::thread::scope(|scope| {
        let first = scope.spawn(|| send(0, "a"));
        f.gate.await_runs(1);
        let waits = [(); 3].map(|()| scope.spawn(|| send(1, "a")));
        f.gate.await_arrivals(4);
        for app in [1, 0] {
            assert_eq!(send(app, "b").status, 422);
        }
        f.gate.let_through(1);
        assert_eq!(first.join().unwrap().text(), "a in run 1");
        for one in waits {
            assert_eq!(one.join().unwrap().text(), "a in run 1");
        }
        assert_eq!(send(1, "b").status, 422);
    });
}

fn each_handler_says_what_happens_while_redis_is_away(flavor: Flavor) {
    let f = fixture(flavor, Gate::open());
    f.redis.server().kill();
    for (method, target, status) in [
        ("GET", "/slow", 503),
        ("POST", "/alone", 503),
        ("GET", "/slow-and-alone", 503),
        ("GET", "/anyway", 200),
        ("POST", "/alone-anyway", 200),
        ("GET", "/both-anyway", 200),
    ] {
        for app in [0, 1] {
            let reply = f.apps[app].send(method, target, &[], "");
            assert_eq!(reply.status, status, "{target}: {reply:?}");
            assert!(!is_replay(&reply), "{target}");
            if status == 503 {
                assert_eq!(reply.header("retry-after"), Some("1"), "{target}");
            }
        }
    }
    assert_eq!(f.gate.runs(), 6);
}

fn one_lock_holder_among_two_processes(flavor: Flavor) {
    let f = fixture(flavor, Gate::closed());
    let clients: Vec<_> = (0..6)
        .map(|n| f.apps[n % 2].in_background("POST", "/alone", ""))
        .collect();
    for run in 1..=6 {
        f.gate.await_runs(run);
        assert_eq!((f.gate.runs(), f.gate.passed()), (run, run - 1));
        f.gate.let_through(1);
    }
    for client in clients {
        assert_eq!(client.join().unwrap().status, 200);
    }
}

fn h24_a_restarted_redis_replays_nothing(flavor: Flavor) {
    let f = fixture(flavor, Gate::open());
    f.put(0, "/rename/Bob");
    assert!(is_replay(&f.put(1, "/rename/Bob")));
    f.redis.server().kill();
    let away = f.put(0, "/rename/Bob");
    assert_eq!(away.status, 503);
    assert_eq!(away.header("retry-after"), Some("1"));
    let _again = flavor.start_on(f.redis.port(), &[]);
    // Each worker finds it in its own time, and until then refuses.
    let mut runs = 0;
    for app in [0, 1, 0, 1, 0, 1] {
        support::eventually("it is found again", || {
            let reply = f.put(app, "/rename/Bob");
            assert!([200, 503].contains(&reply.status), "{reply:?}");
            runs += usize::from(reply.status == 200 && !is_replay(&reply));
            reply.status == 200
        });
    }
    assert_eq!(runs, 1);
}

fn while_redis_stalls_requests_are_rejected_or_run_and_plain_writers_go_on(flavor: Flavor) {
    let f = fixture(flavor, Gate::open());
    f.put(0, "/rename/Bob");
    assert!(is_replay(&f.put(1, "/rename/Bob")));
    f.redis.server().pause();
    assert_eq!(f.put(0, "/rename/Bob").status, 503);
    let reply = f.apps[0].get("/anyway");
    assert_eq!((reply.status, reply.text()), (200, "run 1"));
    assert!(cache_status(&reply).contains("store-away"), "{reply:?}");
    assert_eq!(f.put(0, "/plainly/Eve").text(), "Eve");
    assert_eq!(f.name(), "Eve");
    f.redis.server().resume();
    // What the plain writer changed is told at last, to the other process as well.
    support::eventually("the reply is ended", || {
        let again = f.put(1, "/rename/Bob");
        again.status == 200 && !is_replay(&again)
    });
    assert_eq!(f.name(), "Bob");
}
