//! A server: a process of its own, that may be told where to die and which rule to break.

use std::io;
use std::time::Duration;

use actix_web::{App, HttpServer, web};
use diesel::{MysqlConnection, PgConnection, SqliteConnection};
use idempotent_runtime::__private::faults::{Fault, Point, die_at, switch_on};
use idempotent_runtime::{Idempotent, Pool, Principal, RedisStore};
use serde::{Deserialize, Serialize};

use crate::kind::Kind;

/// What a server prints when it listens.
pub const READY: &str = "listening";

/// What a server prints when it ends by anything else than a kill.
pub const FAILED: &str = "failed";

/// All that a server is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Life {
    /// Where it listens.
    pub port: u16,
    /// [`Kind::NAME`].
    pub kind: String,
    /// The database.
    pub url: String,
    /// Where its store is; without it, in its memory.
    pub redis: Option<String>,
    /// At which of [`Point::ALL`] it dies, and at which visit.
    pub dies: Option<(usize, u64)>,
    /// Which of [`Fault::ALL`] it has.
    pub fault: Option<usize>,
}

/// Serves until it is killed.
///
/// # Errors
///
/// If it cannot begin.
pub fn serve(life: &Life) -> Result<(), Box<dyn std::error::Error>> {
    let served = match life.kind.as_str() {
        SqliteConnection::NAME => serve_on::<SqliteConnection>(life),
        PgConnection::NAME => serve_on::<PgConnection>(life),
        MysqlConnection::NAME => serve_on::<MysqlConnection>(life),
        _ => return Err("no such database".into()),
    };
    served.map_err(|error| {
        println!("{FAILED}: {error}");
        error
    })
}

fn serve_on<C: Kind>(life: &Life) -> Result<(), Box<dyn std::error::Error>> {
    if let Some(fault) = life.fault.and_then(|fault| Fault::ALL.get(fault)) {
        switch_on(*fault);
    }
    if let Some((point, visit)) = life.dies {
        die_at(*Point::ALL.get(point).ok_or("no such point")?, visit);
    }
    Ok(actix_web::rt::System::new().block_on(listen::<C>(life))?)
}

async fn listen<C: Kind>(life: &Life) -> io::Result<()> {
    let mut builder = Idempotent::builder("crash")
        .principal(Principal::Anonymous)
        .wait(Duration::from_secs(10));
    if let Some(redis) = &life.redis {
        let store = RedisStore::builder(redis).deadline(Duration::from_millis(300));
        builder = builder.store(store.build().map_err(io::Error::other)?);
    }
    let idempotent = builder.build();
    let pool = connected::<C>(&idempotent, &life.url);
    let url = web::Data::new(life.url.clone());
    let server = HttpServer::new(move || {
        App::new()
            .configure(idempotent.configure(&pool))
            .app_data(url.clone())
            .configure(C::services)
    });
    let server = server.workers(2).disable_signals();
    let server = server.bind(("127.0.0.1", life.port))?;
    println!("{READY}");
    server.run().await
}

/// The database may just be away.
fn connected<C: Kind>(idempotent: &Idempotent, url: &str) -> Pool<C> {
    loop {
        let pool = idempotent
            .pool_builder::<C>()
            .max_size(6)
            .connection_timeout(Duration::from_secs(2))
            .with(|r2d2| r2d2.min_idle(Some(1)))
            .build(url);
        let placed = pool.and_then(|pool| idempotent.once_on(&pool).map(|()| pool));
        match placed {
            Ok(pool) => return pool,
            Err(error) => eprintln!("{error}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
