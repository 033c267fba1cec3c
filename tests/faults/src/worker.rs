//! One of the processes that are killed: an application over the Redis and the database that it is told.

use std::io::Write;
use std::time::Duration;

use actix_web::{App, HttpServer, web};
use diesel::PgConnection;
use diesel::r2d2::{ConnectionManager, Pool};
use idempotent_runtime::__private::faults::{Fault, switch_on};
use idempotent_runtime::{Idempotent, RedisStore};
use metrics_util::debugging::DebuggingRecorder;

use crate::history::{CLAIM, CLAIM_CAP};
use crate::setup::Copies;

mod handlers;
mod owing;
mod tables;

pub use tables::SCHEMA;

/// The environment variables that say what a worker is to do.
pub const DATABASE: &str = "FAULTS_DATABASE";
/// See [`DATABASE`].
pub const REDIS: &str = "FAULTS_REDIS";
/// Which process of the whole run it is.
pub const PROCESS: &str = "FAULTS_PROCESS";
/// The rule that it breaks, if any.
pub const BROKEN: &str = "FAULTS_BROKEN";

/// What it has copies of, see [`Copies::as_str`].
pub const COPIES: &str = "FAULTS_COPIES";

/// The application's name in keys.
pub const APPLICATION: &str = "faults";

/// The deadline of each call of the store.
const DEADLINE: Duration = Duration::from_millis(200);

/// The database beside the tracked pool: what is written through it is committed at once, whatever becomes of the
/// handler.
type Notes = Pool<ConnectionManager<PgConnection>>;

/// Serves until it is killed; says where on a line of its output.
///
/// # Errors
///
/// If it cannot begin.
#[actix_web::main]
pub async fn serve() -> Result<(), Box<dyn std::error::Error>> {
    owing::install()?;
    if let Ok(name) = std::env::var(BROKEN) {
        switch_on(fault(&name).ok_or("no such fault")?);
    }
    let recorder = DebuggingRecorder::new();
    let meters = recorder.snapshotter();
    recorder.install()?;
    let copies = Copies::read(&std::env::var(COPIES)?).ok_or("no such copies")?;
    let (database, redis) = (std::env::var(DATABASE)?, std::env::var(REDIS)?);
    let process: u64 = std::env::var(PROCESS)?.parse()?;
    let notes = Notes::builder()
        .max_size(4)
        .build(ConnectionManager::new(&database))?;
    let idempotent = Idempotent::builder(APPLICATION)
        .store(connected(&redis, copies).await)
        .claim(
            Duration::from_micros(CLAIM),
            Duration::from_micros(CLAIM_CAP),
        )
        .wait(Duration::from_secs(4))
        .build();
    let pool = idempotent
        .pool_builder::<PgConnection>()
        .max_size(8)
        .build(&database)?;
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(notes.clone()))
            .app_data(web::Data::new(handlers::Process(process)))
            .app_data(web::Data::new(meters.clone()))
            .configure(idempotent.configure(&pool))
            .configure(handlers::all)
    })
    .workers(1)
    .worker_max_blocking_threads(8)
    .bind(("127.0.0.1", 0))?;
    let port = server.addrs().first().ok_or("no address")?.port();
    println!("listening on {port}");
    std::io::stdout().flush()?;
    Ok(server.run().await?)
}

/// A worker may be started while the store is away.
async fn connected(url: &str, copies: Copies) -> RedisStore {
    loop {
        let mut store = RedisStore::builder(url).deadline(DEADLINE);
        if let Some(local) = copies.local() {
            store = store.local(local);
        }
        match store.connect().await {
            Ok(store) => return store,
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

/// The rule of this name.
#[must_use]
pub fn fault(name: &str) -> Option<Fault> {
    let named = |fault: &&Fault| format!("{fault:?}") == name;
    Fault::ALL.iter().find(named).copied()
}
