//! What is done once, with a Redis beside the table: it answers sooner, and nothing depends on it.

use std::time::Duration;

use actix_web::{post, web};
use diesel::prelude::*;
use idempotent_runtime::store::RedisStore;
use idempotent_runtime::{Db, Error, Idempotent, Pool, Principal, Reply, idempotent, once};
use support::http::{self, Response};
use support::{Flavor, Redis};

use crate::app::{Gate, Served, is_replay, serve};
use crate::database::{Sqlite, users};

#[post("/add")]
#[idempotent(once = 86400, key = header("Idempotency-Key"), name = "add")]
async fn add(gate: web::Data<Gate>, db: Db<SqliteConnection>) -> actix_web::Result<Reply> {
    let reply = db.once(move |conn| {
        let run = gate.pass_blocking();
        let email = format!("{run}@once");
        diesel::insert_into(users::table)
            .values((users::email.eq(&email), users::name.eq("x")))
            .execute(conn)?;
        Ok::<_, Error>(Reply::json(201, &email)?.header("X-Of", "this run"))
    });
    Ok(reply.await?)
}

struct Process {
    served: Served,
    pool: Pool<SqliteConnection>,
}

struct Shop {
    redis: Redis,
    sqlite: Sqlite,
    gate: Gate,
}

impl Shop {
    fn new(flavor: Flavor, gate: Gate) -> Self {
        crate::logs::collect();
        let (redis, sqlite) = (flavor.start(), Sqlite::new());
        Self {
            redis,
            sqlite,
            gate,
        }
    }

    fn process(&self) -> Process {
        let store = RedisStore::builder(self.redis.url())
            .deadline(Duration::from_millis(300))
            .build()
            .unwrap();
        let idempotent = Idempotent::builder("it")
            .store(store)
            .principal(Principal::Anonymous)
            .build();
        let pool = idempotent
            .pool_builder::<SqliteConnection>()
            .max_size(3)
            .build(self.sqlite.url())
            .unwrap();
        once::migrate(&mut pool.get().unwrap()).unwrap();
        idempotent.once_on(&pool).unwrap();
        let (gate, registered) = (
            web::Data::new(self.gate.clone()),
            idempotent.configure(&pool),
        );
        let served = serve(move |config| {
            config
                .configure(registered.clone())
                .app_data(gate.clone())
                .service(add);
        });
        Process { served, pool }
    }

    fn users(&self) -> i64 {
        users::table
            .count()
            .get_result(&mut self.sqlite.bare())
            .unwrap()
    }

    /// How many records Redis has.
    fn kept(&self) -> usize {
        self.redis.ask(&["KEYS", "*:record"]).len()
    }
}

impl Process {
    fn ask(&self, body: &str) -> Response {
        let key = [("Idempotency-Key", "k")];
        self.served.send("POST", "/add", &key, body)
    }

    fn ask_in_background(&self) -> std::thread::JoinHandle<Response> {
        let address = self.served.address;
        let key = [("Idempotency-Key", "k")];
        std::thread::spawn(move || http::send(address, "POST", "/add", &key, b"{}"))
    }

    /// Asks while nobody can ask the database.
    fn ask_without_database(&self, body: &str) -> Response {
        let _taken: Vec<_> = (0..3).map(|_| self.pool.get().unwrap()).collect();
        self.ask(body)
    }
}

#[track_caller]
fn is_the_same(replay: &Response, first: &Response) {
    assert!(is_replay(replay), "{replay:?}");
    assert_eq!((replay.status, &replay.body), (first.status, &first.body));
    for header in ["content-type", "x-of"] {
        assert_eq!(replay.header(header), first.header(header));
    }
}

macro_rules! on_both {
    ($($case:ident),+ $(,)?) => {
        mod redis { $(#[test] fn $case() { super::$case(support::Flavor::Redis); })+ }
        mod valkey { $(#[test] fn $case() { super::$case(support::Flavor::Valkey); })+ }
    };
}

on_both![
    a_replay_comes_from_redis_and_asks_no_database,
    a_flushed_redis_is_filled_again_from_the_table,
    redis_is_killed_while_it_runs_and_the_promise_holds,
    redis_stalls_and_the_promise_holds,
    two_processes_have_one_effect,
];

fn a_replay_comes_from_redis_and_asks_no_database(flavor: Flavor) {
    let shop = Shop::new(flavor, Gate::open());
    let [one, other] = [shop.process(), shop.process()];
    let first = one.ask("{}");
    assert_eq!(first.status, 201, "{first:?}");
    for process in [&one, &other] {
        is_the_same(&process.ask_without_database("{}"), &first);
        assert_eq!(process.ask_without_database("{\"other\":1}").status, 422);
    }
    assert_eq!((shop.users(), shop.gate.runs()), (1, 1));
}

fn a_flushed_redis_is_filled_again_from_the_table(flavor: Flavor) {
    let shop = Shop::new(flavor, Gate::open());
    let [one, other] = [shop.process(), shop.process()];
    let first = one.ask("{}");
    for process in [&one, &other] {
        assert_eq!(shop.kept(), 1);
        shop.redis.ask(&["FLUSHALL"]);
        is_the_same(&process.ask("{}"), &first);
        is_the_same(&process.ask_without_database("{}"), &first);
    }
    shop.redis.ask(&["FLUSHALL"]);
    assert_eq!(one.ask("{\"other\":1}").status, 422);
    assert_eq!((shop.users(), shop.gate.runs()), (1, 1));
}

fn redis_is_killed_while_it_runs_and_the_promise_holds(flavor: Flavor) {
    let shop = Shop::new(flavor, Gate::closed());
    let [one, other] = [shop.process(), shop.process()];
    let first = one.ask_in_background();
    shop.gate.await_runs(1);
    shop.redis.server().kill();
    shop.gate.let_through(9);
    let first = first.join().unwrap();
    assert_eq!((first.status, is_replay(&first)), (201, false), "{first:?}");
    for process in [&one, &other] {
        is_the_same(&process.ask("{}"), &first);
        assert_eq!(process.ask("{\"other\":1}").status, 422);
    }
    let again = flavor.start_on(shop.redis.port(), &[]);
    for process in [&one, &other] {
        is_the_same(&process.ask("{}"), &first);
    }
    support::eventually("Redis has it", || {
        is_the_same(&one.ask("{}"), &first);
        again.ask(&["KEYS", "*:record"]).len() == 1
    });
    assert_eq!((shop.users(), shop.gate.runs()), (1, 1));
}

fn redis_stalls_and_the_promise_holds(flavor: Flavor) {
    let shop = Shop::new(flavor, Gate::open());
    let [one, other] = [shop.process(), shop.process()];
    shop.redis.server().pause();
    let first = one.ask("{}");
    assert_eq!((first.status, is_replay(&first)), (201, false), "{first:?}");
    is_the_same(&other.ask("{}"), &first);
    shop.redis.server().resume();
    for process in [&one, &other] {
        is_the_same(&process.ask("{}"), &first);
    }
    assert_eq!((shop.users(), shop.gate.runs()), (1, 1));
}

fn two_processes_have_one_effect(flavor: Flavor) {
    let shop = Shop::new(flavor, Gate::closed());
    let [one, other] = [shop.process(), shop.process()];
    let all: Vec<_> = (0..4)
        .flat_map(|_| [one.ask_in_background(), other.ask_in_background()])
        .collect();
    shop.gate.await_runs(1);
    shop.gate.let_through(9);
    let replies: Vec<_> = all.into_iter().map(|one| one.join().unwrap()).collect();
    let first = replies.iter().find(|reply| !is_replay(reply)).unwrap();
    let replays: Vec<_> = replies.iter().filter(|reply| is_replay(reply)).collect();
    assert_eq!(replays.len(), 7);
    replays.iter().for_each(|replay| is_the_same(replay, first));
    assert_eq!((shop.users(), shop.gate.runs()), (1, 1));
}
