//! What an operator sees: metrics and spans.
//!
//! Each test collects its own, which is possible for what happens on its own thread. So there is no server here, and
//! the handlers call Diesel in place.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ::metrics::set_default_local_recorder;
use actix_web::dev::ServiceResponse;
use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, get, post, put, web};
use deadpool_redis::redis::{Client, Commands};
use diesel::prelude::*;
use futures_util::future::join3;
use idempotent_runtime::store::{RedisStore, Store};
use idempotent_runtime::{Db, Error, Idempotent, Outage, Pool, Principal, Reply, idempotent, once};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use support::Flavor;

use crate::app::Gate;
use crate::database::{Sqlite, users};
use crate::unsteady::{Ask, Unsteady};

#[put("/rename/{name}")]
#[idempotent(cache = "1h", name = "rename")]
async fn rename(
    name: web::Path<String>,
    pool: web::Data<Pool<SqliteConnection>>,
) -> actix_web::Result<String> {
    set_name(&name, &pool)?;
    Ok(name.into_inner())
}

#[put("/plainly/{name}")]
async fn plainly(
    name: web::Path<String>,
    pool: web::Data<Pool<SqliteConnection>>,
) -> actix_web::Result<String> {
    set_name(&name, &pool)?;
    Ok(name.into_inner())
}

fn set_name(name: &str, pool: &Pool<SqliteConnection>) -> actix_web::Result<()> {
    let mut conn = pool
        .get()
        .map_err(actix_web::error::ErrorInternalServerError)?;
    let renamed = diesel::update(users::table.find(1)).set(users::name.eq(name));
    renamed
        .execute(&mut conn)
        .map_err(actix_web::error::ErrorInternalServerError)?;
    Ok(())
}

#[get("/slow")]
#[idempotent(cache = "1h", name = "slow")]
async fn slow(gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

#[post("/alone")]
#[idempotent(lock = 30, name = "alone")]
async fn alone(gate: web::Data<Gate>) -> String {
    format!("run {}", gate.pass().await)
}

#[post("/anyway")]
#[idempotent(cache = "1h", outage = "run", name = "anyway")]
async fn anyway() -> &'static str {
    "ran"
}

#[post("/cookie")]
#[idempotent(cache = "1h", name = "cookie")]
async fn cookie() -> actix_web::HttpResponse {
    actix_web::HttpResponse::Ok()
        .insert_header(("Set-Cookie", "a=b"))
        .finish()
}

#[post("/keyed")]
#[idempotent(cache = "1h", key = header("Idempotency-Key"), name = "keyed")]
async fn keyed(body: String) -> String {
    body
}

#[post("/pay")]
#[idempotent(once = "1h", key = header("Idempotency-Key"), name = "pay")]
async fn pay(body: String, db: Db<SqliteConnection>) -> actix_web::Result<Reply> {
    let paid = db.once(move |conn| {
        diesel::update(users::table.find(1))
            .set(users::name.eq(&body))
            .execute(conn)?;
        if body == "nobody" {
            return Err(diesel::result::Error::NotFound.into());
        }
        Ok::<_, Error>(Reply::created(body.clone()))
    });
    Ok(paid.await?)
}

/// The service that all of this is in.
macro_rules! app {
    ($idempotent:expr, $sqlite:expr, $gate:expr) => {{
        let idempotent = &$idempotent;
        let pool = idempotent.pool::<SqliteConnection>($sqlite.url()).unwrap();
        let app = App::new()
            .configure(idempotent.configure(&pool))
            .app_data(web::Data::new(pool.clone()))
            .app_data(web::Data::new($gate.clone()))
            .service((rename, plainly, slow, alone, anyway, cookie, keyed, pay));
        init_service(app).await
    }};
}

macro_rules! ask {
    ($app:expr, $method:ident $target:expr) => {
        call_service(&$app, TestRequest::$method().uri($target).to_request())
    };
}

mod cluster;

fn sqlite() -> Sqlite {
    let sqlite = Sqlite::new();
    sqlite.execute("INSERT INTO users (email, name) VALUES ('a', 'Ann')");
    sqlite
}

fn idempotent(store: impl Store) -> Idempotent {
    Idempotent::builder("it").store(store).build()
}

async fn redis(url: String) -> RedisStore {
    let store = RedisStore::builder(url).deadline(Duration::from_millis(300));
    store.connect().await.unwrap()
}

/// By name and labels, how often a counter counted, how often a histogram was given something, or what a gauge says.
#[derive(Debug)]
struct Seen(BTreeMap<String, f64>);

impl Seen {
    /// What was collected since it was asked last.
    fn now(recorder: &DebuggingRecorder) -> Self {
        let all = recorder.snapshotter().snapshot().into_vec();
        let all = all.into_iter().map(|(key, _, _, value)| {
            let (name, labels) = key.key().clone().into_parts();
            let mut labels: Vec<_> = labels
                .iter()
                .map(|label| format!("{}={}", label.key(), label.value()))
                .collect();
            labels.sort();
            let value = match value {
                DebugValue::Counter(count) => count as f64,
                DebugValue::Gauge(value) => value.0,
                DebugValue::Histogram(values) => values.len() as f64,
            };
            (format!("{}{{{}}}", name.as_str(), labels.join(",")), value)
        });
        Self(all.collect())
    }

    #[track_caller]
    fn assert(&self, name: &str, value: f64) {
        let name = format!("idempotent_{name}");
        assert_eq!(self.0.get(&name), Some(&value), "{name} in {self:#?}");
    }

    fn has(&self, start: &str) -> bool {
        self.0.keys().any(|name| name.contains(start))
    }
}

fn status(response: &ServiceResponse) -> u16 {
    response.status().as_u16()
}

/// The only record that there is.
fn record(raw: &mut deadpool_redis::redis::Connection) -> String {
    let keys: Vec<String> = raw.keys("*:record").unwrap();
    let [key] = keys.as_slice() else {
        panic!("{keys:?}")
    };
    key.clone()
}

#[actix_web::test]
async fn a_hit_and_a_miss_by_each_reason() {
    let recorder = DebuggingRecorder::new();
    let _local = set_default_local_recorder(&recorder);
    let (server, sqlite, gate) = (Flavor::Redis.start(), sqlite(), Gate::open());
    let app = app!(idempotent(redis(server.url()).await), sqlite, gate);
    let mut raw = Client::open(server.url())
        .unwrap()
        .get_connection()
        .unwrap();

    ask!(app, put "/rename/Bob").await;
    let first = Seen::now(&recorder);
    first.assert("misses_total{handler=rename,reason=absent}", 1.0);
    first.assert("kept_total{handler=rename}", 1.0);
    first.assert("reply_bytes{handler=rename}", 1.0);
    first.assert("run_seconds{handler=rename,outcome=replied}", 1.0);
    first.assert("running{handler=rename}", 0.0);
    first.assert("store_seconds{operation=look}", 1.0);
    first.assert("store_seconds{operation=stamp}", 1.0);
    first.assert("store_seconds{operation=keep}", 1.0);
    first.assert("stamp_tags{}", 1.0);

    ask!(app, put "/rename/Bob").await;
    let hit = Seen::now(&recorder);
    hit.assert("hits_total{from=store,handler=rename}", 1.0);
    hit.assert("misses_total{handler=rename,reason=absent}", 0.0);

    ask!(app, put "/plainly/Eve").await;
    ask!(app, put "/rename/Bob").await;
    let changed = Seen::now(&recorder);
    changed.assert("misses_total{handler=rename,reason=changed}", 1.0);

    let key = record(&mut raw);
    let _: i64 = raw.setrange(&key, 21, "anothers").unwrap();
    ask!(app, put "/rename/Bob").await;
    let epoch = Seen::now(&recorder);
    epoch.assert("misses_total{handler=rename,reason=epoch}", 1.0);

    let _: () = raw.pset_ex(&key, "not a record", 60_000).unwrap();
    ask!(app, put "/rename/Bob").await;
    let unreadable = Seen::now(&recorder);
    unreadable.assert("misses_total{handler=rename,reason=unreadable}", 1.0);
    unreadable.assert("kept_total{handler=rename}", 1.0);
    assert!(!unreadable.has("store_errors"), "{unreadable:?}");
}

#[actix_web::test]
async fn a_reply_that_is_not_kept_says_why() {
    let recorder = DebuggingRecorder::new();
    let _local = set_default_local_recorder(&recorder);
    let (sqlite, gate) = (sqlite(), Gate::open());
    let app = app!(idempotent(Unsteady::default()), sqlite, gate);
    ask!(app, post "/cookie").await;
    let seen = Seen::now(&recorder);
    seen.assert("unkept_total{handler=cookie,reason=sets-cookie}", 1.0);
    assert!(!seen.has("idempotent_kept"));
}

#[actix_web::test]
async fn once_is_counted_as_the_others_are() {
    let recorder = DebuggingRecorder::new();
    let _local = set_default_local_recorder(&recorder);
    let (sqlite, gate) = (sqlite(), Gate::open());
    let idempotent = Idempotent::builder("it")
        .store(Unsteady::default())
        .principal(Principal::Anonymous)
        .build();
    let records = idempotent.pool::<SqliteConnection>(sqlite.url()).unwrap();
    once::migrate(&mut *records.get().unwrap()).unwrap();
    idempotent.once_on(&records).unwrap();
    let app = app!(idempotent, sqlite, gate);
    let send = |name: &'static str| {
        let request = TestRequest::post()
            .uri("/pay")
            .insert_header(("Idempotency-Key", "\"1\""))
            .set_payload(name);
        call_service(&app, request.to_request())
    };

    assert_eq!(status(&send("nobody").await), 404);
    let failed = Seen::now(&recorder);
    failed.assert("misses_total{handler=pay,reason=absent}", 1.0);
    failed.assert("unkept_total{handler=pay,reason=not-recorded}", 1.0);
    assert!(!failed.has("idempotent_kept"), "{failed:?}");

    assert_eq!(status(&send("Bob").await), 201);
    let paid = Seen::now(&recorder);
    paid.assert("misses_total{handler=pay,reason=absent}", 1.0);
    paid.assert("kept_total{handler=pay}", 1.0);
    paid.assert("reply_bytes{handler=pay}", 1.0);

    assert_eq!(status(&send("Bob").await), 201);
    assert_eq!(status(&send("Eve").await), 422);
    let seen = Seen::now(&recorder);
    seen.assert("hits_total{from=store,handler=pay}", 1.0);
    seen.assert("refusals_total{handler=pay,reason=other-payload}", 1.0);
    seen.assert("kept_total{handler=pay}", 0.0);
}

#[actix_web::test]
async fn a_wait_for_a_lock_and_one_for_a_duplicate() {
    let recorder = DebuggingRecorder::new();
    let _local = set_default_local_recorder(&recorder);
    let (sqlite, gate) = (sqlite(), Gate::closed());
    let app = app!(idempotent(Unsteady::default()), sqlite, gate);
    let open = async {
        while gate.runs() == 0 {
            tokio::task::yield_now().await;
        }
        Seen::now(&recorder).assert("running{handler=alone}", 1.0);
        gate.let_through(2);
    };
    let target = "/alone";
    join3(ask!(app, post target), ask!(app, post target), open).await;
    let seen = Seen::now(&recorder);
    seen.assert("wait_seconds{for=lock,handler=alone,outcome=done}", 1.0);
    seen.assert("run_seconds{handler=alone,outcome=replied}", 2.0);
}

#[actix_web::test]
async fn duplicates_that_wait_are_hits_of_their_own_kind() {
    let recorder = DebuggingRecorder::new();
    let _local = set_default_local_recorder(&recorder);
    let (sqlite, gate) = (sqlite(), Gate::closed());
    let app = app!(idempotent(Unsteady::default()), sqlite, gate);
    let open = async {
        while gate.runs() == 0 {
            tokio::task::yield_now().await;
        }
        gate.let_through(1);
    };
    join3(ask!(app, get "/slow"), ask!(app, get "/slow"), open).await;
    let seen = Seen::now(&recorder);
    seen.assert("hits_total{from=duplicate,handler=slow}", 1.0);
    seen.assert("wait_seconds{for=duplicate,handler=slow,outcome=done}", 1.0);
    seen.assert("misses_total{handler=slow,reason=absent}", 1.0);
}

#[actix_web::test]
async fn a_lock_that_was_lost() {
    let recorder = DebuggingRecorder::new();
    let _local = set_default_local_recorder(&recorder);
    let (sqlite, gate) = (sqlite(), Gate::closed());
    let idempotent = idempotent(Unsteady::default());
    let app = app!(idempotent, sqlite, gate);
    let lose = async {
        while gate.runs() == 0 {
            tokio::task::yield_now().await;
        }
        idempotent.clear().await.unwrap();
        gate.let_through(1);
    };
    join3(ask!(app, post "/alone"), async {}, lose).await;
    Seen::now(&recorder).assert("lease_losses_total{lease=lock}", 1.0);
}

#[actix_web::test]
async fn an_outage() {
    let recorder = DebuggingRecorder::new();
    let _local = set_default_local_recorder(&recorder);
    let (server, sqlite, gate) = (Flavor::Redis.start(), sqlite(), Gate::open());
    let app = app!(idempotent(redis(server.url()).await), sqlite, gate);
    server.server().kill();
    for _ in 0..4 {
        assert_eq!(status(&ask!(app, put "/rename/Bob").await), 503);
    }
    assert_eq!(status(&ask!(app, post "/anyway").await), 200);
    let seen = Seen::now(&recorder);
    seen.assert(
        "outages_total{handler=rename,policy=reject,reason=away}",
        4.0,
    );
    seen.assert("outages_total{handler=anyway,policy=run,reason=away}", 1.0);
    seen.assert("refusals_total{handler=rename,reason=store-away}", 4.0);
    seen.assert("unkept_total{handler=anyway,reason=store-away}", 1.0);
    seen.assert("breaker_openings_total{}", 1.0);
    assert!(seen.has("store_errors_total{operation=look}"));
}

#[actix_web::test]
async fn stamps_that_are_owed() {
    let recorder = DebuggingRecorder::new();
    let _local = set_default_local_recorder(&recorder);
    let (store, sqlite, gate) = (Unsteady::default(), sqlite(), Gate::open());
    let app = app!(idempotent(store.clone()), sqlite, gate);
    ask!(app, put "/rename/Bob").await;
    store.fail(Ask::Stamp);
    assert_eq!(status(&ask!(app, put "/plainly/Eve").await), 200);
    assert_eq!(status(&ask!(app, put "/rename/Bob").await), 503);
    let seen = Seen::now(&recorder);
    seen.assert("owed_stamps{}", 2.0);
    seen.assert(
        "outages_total{handler=rename,policy=reject,reason=owing}",
        1.0,
    );
    seen.assert("store_errors_total{operation=stamp}", 1.0);
}

/// What a subscriber of everything has written.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[actix_web::test]
async fn no_key_no_body_and_nobody_who_asks_is_in_a_label_or_a_span() {
    const SECRETS: [&str; 5] = ["t0ken", "b0dy", "ch0sen", "n4me", "qu3ry"];
    let recorder = DebuggingRecorder::new();
    let _local = set_default_local_recorder(&recorder);
    let written = Written::default();
    let writer = written.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_span_events(tracing_subscriber::fmt::format::FmtSpan::FULL)
        .with_writer(move || writer.clone())
        .finish();
    let _default = tracing::subscriber::set_default(subscriber);
    let store = Unsteady::default();
    // Ids with everything in them, for anyone to read.
    let idempotent = Idempotent::builder("it")
        .store(store.clone())
        .explain(true)
        .checksum(false)
        .outage(Outage::Reject)
        .build();
    let (sqlite, gate) = (sqlite(), Gate::open());
    let app = app!(idempotent, sqlite, gate);
    let everything = |request: TestRequest| {
        request
            .insert_header(("Authorization", "Bearer t0ken"))
            .insert_header(("Idempotency-Key", "\"ch0sen\""))
            .set_payload("b0dy")
            .to_request()
    };
    let requests = || {
        [
            TestRequest::put().uri("/rename/n4me?a=qu3ry"),
            TestRequest::post().uri("/keyed?a=qu3ry"),
            TestRequest::post().uri("/alone?a=qu3ry"),
            TestRequest::post().uri("/cookie?a=qu3ry"),
        ]
    };
    for _ in 0..2 {
        for request in requests() {
            call_service(&app, everything(request)).await;
        }
    }
    ask!(app, put "/plainly/Eve").await;
    // A lock that is not freed comes last: whoever waits for it waits long.
    for ask in [Ask::Keep, Ask::Stamp, Ask::Look, Ask::Lock, Ask::Unlock] {
        for request in requests() {
            store.fail(ask);
            call_service(&app, everything(request)).await;
            store.come_back();
        }
    }
    let seen = format!("{:?}", Seen::now(&recorder));
    let written = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    // The libraries below say what they like.
    let ours: Vec<_> = written
        .lines()
        .filter(|line| line.contains("idempotent"))
        .collect();
    for part in ["idempotent.run", "idempotent.store", "handler=\"rename\""] {
        assert!(ours.iter().any(|line| line.contains(part)), "{written}");
    }
    assert!(seen.contains("handler=keyed"));
    for secret in SECRETS {
        assert!(!seen.contains(secret), "{secret} in {seen}");
        for line in &ours {
            assert!(!line.contains(secret), "{secret} in {line}");
        }
    }
}
