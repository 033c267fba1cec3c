//! Replies that depend on rows: how they are made, and what ends them. One bench for both databases.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use actix_web::web::ServiceConfig;
use actix_web::{FromRequest, HttpRequest, HttpResponse, get, web};
use diesel::connection::{InstrumentationEvent, SimpleConnection};
use diesel::prelude::*;
use diesel::r2d2::PooledConnection;
use futures_util::future::LocalBoxFuture;
use idempotent_runtime::{
    Builder, Db, Idempotent, Manager, Pool, Trackable, TrackedConnection, idempotent,
};
use support::http::Response;

use crate::app::{Served, cache_status, is_replay, serve};
use crate::database::{self, Sqlite};

/// A database that the bench can make.
pub trait Kind: Trackable {
    /// Whatever must live as long as the database.
    type Home: Send;

    /// A database with the tables of [`database`] and these, and its URL.
    fn fresh(schema: &str) -> (Self::Home, String);

    /// Runs one statement.
    fn sql(conn: &mut TrackedConnection<Self>, sql: &str) -> QueryResult<usize>;
}

impl Kind for SqliteConnection {
    type Home = Sqlite;

    fn fresh(schema: &str) -> (Sqlite, String) {
        let sqlite = Sqlite::new();
        // As the pools do, so that a bare connection may read while another one writes.
        sqlite.execute("PRAGMA journal_mode = WAL");
        sqlite.execute(schema);
        let url = sqlite.url();
        (sqlite, url)
    }

    fn sql(conn: &mut TrackedConnection<Self>, sql: &str) -> QueryResult<usize> {
        diesel::sql_query(sql).execute(conn)
    }
}

impl Kind for PgConnection {
    type Home = ();

    fn fresh(schema: &str) -> ((), String) {
        let url = database::postgres();
        if !schema.is_empty() {
            let mut conn = PgConnection::establish(&url).unwrap();
            conn.batch_execute(schema).unwrap();
        }
        ((), url)
    }

    fn sql(conn: &mut TrackedConnection<Self>, sql: &str) -> QueryResult<usize> {
        diesel::sql_query(sql).execute(conn)
    }
}

impl Kind for MysqlConnection {
    type Home = ();

    fn fresh(schema: &str) -> ((), String) {
        let url = database::mysql();
        if !schema.is_empty() {
            let mut conn = MysqlConnection::establish(&url).unwrap();
            conn.batch_execute(schema).unwrap();
        }
        ((), url)
    }

    fn sql(conn: &mut TrackedConnection<Self>, sql: &str) -> QueryResult<usize> {
        diesel::sql_query(sql).execute(conn)
    }
}

/// A tracked connection.
pub type Tracked<C> = TrackedConnection<C>;

/// A tracked connection from a pool.
pub type Pooled<C> = PooledConnection<Manager<C>>;

type Work =
    Arc<dyn Fn(HttpRequest) -> LocalBoxFuture<'static, actix_web::Result<String>> + Send + Sync>;

/// What the handlers of a bench do, by the last part of the path.
#[derive(Clone, Default)]
struct Works(Arc<Mutex<HashMap<String, Work>>>);

impl Works {
    async fn run(&self, request: HttpRequest) -> actix_web::Result<HttpResponse> {
        let name = request.match_info().query("name").to_owned();
        let work = self.0.lock().unwrap().get(&name).cloned();
        match work {
            Some(work) => Ok(HttpResponse::Ok().body(work(request).await?)),
            None => Ok(HttpResponse::Ok().body("again")),
        }
    }

    fn set(&self, name: &str, work: Work) {
        self.0.lock().unwrap().insert(name.to_owned(), work);
    }

    fn forget(&self, name: &str) {
        self.0.lock().unwrap().remove(name);
    }
}

#[get("/kept/{name}")]
#[idempotent(cache = "1h")]
async fn kept(request: HttpRequest, works: web::Data<Works>) -> actix_web::Result<HttpResponse> {
    works.run(request).await
}

#[get("/plain/{name}")]
async fn plain(request: HttpRequest, works: web::Data<Works>) -> actix_web::Result<HttpResponse> {
    works.run(request).await
}

/// A server whose handlers do what a test tells them.
pub struct Bench<C: Kind> {
    pub served: Served,
    pub idempotent: Idempotent,
    pub pool: Pool<C>,
    pub url: String,
    works: Works,
    watched: Mutex<Vec<String>>,
    _home: C::Home,
}

impl<C: Kind> Bench<C> {
    pub fn new() -> Self {
        Self::with("")
    }

    /// With further tables, which models may track.
    pub fn with(schema: &str) -> Self {
        Self::built(schema, |builder| builder)
    }

    pub fn built(schema: &str, settings: impl FnOnce(Builder) -> Builder) -> Self {
        Self::serving(schema, settings, |_| {}, 8)
    }

    /// With further services, and with so many connections.
    pub fn serving(
        schema: &str,
        settings: impl FnOnce(Builder) -> Builder,
        services: fn(&mut ServiceConfig),
        connections: u32,
    ) -> Self {
        crate::logs::collect();
        let (home, url) = C::fresh(schema);
        let idempotent = settings(Idempotent::builder("it").explain(true)).build();
        let pool = idempotent
            .pool_builder::<C>()
            .max_size(connections)
            .with(|r2d2| r2d2.min_idle(Some(1)))
            .build(&url)
            .unwrap();
        let works = Works::default();
        let (data, registered) = (web::Data::new(works.clone()), idempotent.configure(&pool));
        let served = serve(move |config| {
            config
                .configure(registered.clone())
                .configure(services)
                .app_data(data.clone())
                .service(kept)
                .service(plain);
        });
        Self {
            served,
            idempotent,
            pool,
            url,
            works,
            watched: Mutex::default(),
            _home: home,
        }
    }

    /// A connection that nobody tracks.
    pub fn bare(&self) -> C {
        C::establish(&self.url).unwrap()
    }

    /// A tracked connection that belongs to no request.
    pub fn conn(&self) -> Pooled<C> {
        self.pool.get().unwrap()
    }

    /// Runs SQL through a tracked connection that belongs to no request.
    #[track_caller]
    pub fn execute(&self, sql: &str) {
        self.conn().batch_execute(sql).unwrap();
    }

    /// Says what the handlers do under this name, until it is said anew.
    pub fn handler<F>(&self, name: &str, work: impl Fn(HttpRequest) -> F + Send + Sync + 'static)
    where
        F: Future<Output = actix_web::Result<String>> + 'static,
    {
        self.works
            .set(name, Arc::new(move |request| Box::pin(work(request))));
    }

    /// The same for work with one connection of the request.
    pub fn handler_on_db<T, E>(
        &self,
        name: &str,
        work: impl Fn(&mut TrackedConnection<C>) -> Result<T, E> + Send + Sync + 'static,
    ) where
        E: idempotent_runtime::Report<Reported: Into<actix_web::Error>>,
        T: Send + 'static,
    {
        let work = Arc::new(work);
        self.handler(name, move |request| {
            let work = Arc::clone(&work);
            async move {
                let db = Db::<C>::extract(&request).await?;
                db.run(move |conn| work(conn)).await.map_err(Into::into)?;
                Ok("done".to_owned())
            }
        });
    }

    /// One request to the annotated handler.
    pub fn get(&self, name: &str) -> Response {
        self.served.get(&format!("/kept/{name}"))
    }

    /// One request to the handler without the attribute.
    pub fn get_plain(&self, name: &str) -> Response {
        self.served.get(&format!("/plain/{name}"))
    }

    /// Makes a reply that depends on what this work changes, and sees it kept. A later run under this name does nothing.
    #[track_caller]
    pub fn keep<T: Send + 'static>(
        &self,
        name: &str,
        work: impl Fn(&mut TrackedConnection<C>) -> QueryResult<T> + Send + Sync + 'static,
    ) {
        self.handler_on_db(name, work);
        let first = self.get(name);
        assert!(is_stored(&first), "{name}: {first:?}");
        self.works.forget(name);
    }

    /// [`keep`](Self::keep), and [`ended`](Self::ended) will tell of it.
    #[track_caller]
    pub fn watch<T: Send + 'static>(
        &self,
        name: &str,
        work: impl Fn(&mut TrackedConnection<C>) -> QueryResult<T> + Send + Sync + 'static,
    ) {
        // A name of its own: the reply of an earlier one may still be there.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("{name}-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.keep(&name, work);
        self.watched.lock().unwrap().push(name);
    }

    /// [`watch`](Self::watch) for a statement in SQL.
    #[track_caller]
    pub fn watch_sql(&self, name: &str, sql: &str) {
        let sql = sql.to_owned();
        self.watch(name, move |conn| C::sql(conn, &sql));
    }

    /// What ended the watched replies, as `Cache-Status` has it: one entry for each of them that is not replayed, in the
    /// order in which they were made. It watches none of them any more.
    #[track_caller]
    pub fn ended(&self) -> Vec<String> {
        let watched = std::mem::take(&mut *self.watched.lock().unwrap());
        watched
            .iter()
            .filter_map(|name| self.ended_by(name))
            .collect()
    }

    /// What ended this reply; `None` if it is replayed.
    #[track_caller]
    pub fn ended_by(&self, name: &str) -> Option<String> {
        let retry = self.get(name);
        if is_replay(&retry) {
            return None;
        }
        let status = cache_status(&retry);
        assert!(status.contains("fwd=stale"), "{name}: {retry:?}");
        Some(detail(&retry).to_owned())
    }
}

/// Whether the reply comes from a run and was kept.
pub fn is_stored(response: &Response) -> bool {
    !is_replay(response) && cache_status(response).contains("; stored")
}

/// The first word of `detail` in `Cache-Status`; empty if there is none.
pub fn detail(response: &Response) -> &str {
    let detail = cache_status(response).split_once("detail=\"");
    let detail = detail.and_then(|(_, rest)| rest.split_once('"'));
    detail
        .and_then(|(detail, _)| detail.split(", ").next())
        .unwrap_or_default()
}

/// The users that [`watch_users`](Bench::watch_users) makes.
pub const USERS: &str =
    "INSERT INTO users (email, name) VALUES ('a@b.c', 'Ann'), ('b@b.c', 'Bob'), ('c@b.c', 'Cid')";

impl<C: Kind> Bench<C> {
    /// A bench with the users 1, 2 and 3.
    pub fn with_users() -> Self {
        Self::with(USERS)
    }

    /// The same and further tables.
    pub fn with_users_and(schema: &str) -> Self {
        Self::with(&format!("{schema};{USERS}"))
    }

    /// Makes a reply for each user that depends on its row alone. 4 and 5 do not exist: theirs depend on their deletion.
    #[track_caller]
    pub fn watch_users(&self) {
        for id in 1..=3 {
            let sql = format!("UPDATE users SET name = name WHERE id = {id}");
            self.watch_sql(&format!("user{id}"), &sql);
        }
        for id in 4..=5 {
            let insert = format!("INSERT INTO users (id, email, name) VALUES ({id}, 'x', 'x')");
            let delete = format!("DELETE FROM users WHERE id = {id}");
            self.watch(&format!("user{id}"), move |conn| {
                conn.transaction(|conn| {
                    C::sql(conn, &insert)?;
                    C::sql(conn, &delete)
                })
            });
        }
    }

    /// What a change ends of the replies of [`watch_users`](Self::watch_users).
    #[track_caller]
    pub fn ended_users<T>(
        &self,
        change: impl FnOnce(&mut TrackedConnection<C>) -> T,
    ) -> Vec<String> {
        self.watch_users();
        change(&mut self.conn());
        self.ended()
    }
}

/// `ended_users` if the whole table was changed.
pub const ALL_USERS: [&str; 5] = ["users:*"; 5];

/// The statements that a connection sends while this runs.
pub fn sent<C: Connection, T>(conn: &mut C, work: impl FnOnce(&mut C) -> T) -> Vec<String> {
    events(conn, work)
        .into_iter()
        .filter_map(|event| event.strip_prefix("start ").map(str::to_owned))
        .collect()
}

/// What Diesel's instrumentation sees while this runs: `start SQL`, `cache SQL`, `begin 1`, `commit 1`, `rollback 1`.
pub fn events<C: Connection, T>(conn: &mut C, work: impl FnOnce(&mut C) -> T) -> Vec<String> {
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&events);
    conn.set_instrumentation(move |event: InstrumentationEvent<'_>| {
        seen.lock().unwrap().extend(told(&event));
    });
    work(conn);
    conn.set_instrumentation(|_: InstrumentationEvent<'_>| {});
    std::mem::take(&mut *events.lock().unwrap())
}

fn told(event: &InstrumentationEvent<'_>) -> Option<String> {
    Some(match event {
        InstrumentationEvent::StartQuery { query, .. } => {
            let query = query.to_string();
            let sql = query.split(" -- binds").next().unwrap_or_default();
            format!("start {}", sql.trim())
        }
        InstrumentationEvent::CacheQuery { sql, .. } => format!("cache {sql}"),
        InstrumentationEvent::BeginTransaction { depth, .. } => format!("begin {depth}"),
        InstrumentationEvent::CommitTransaction { depth, .. } => format!("commit {depth}"),
        InstrumentationEvent::RollbackTransaction { depth, .. } => format!("rollback {depth}"),
        _ => return None,
    })
}

/// Whether an error dooms the transaction that it comes in.
pub fn dooms<C: Kind>() -> bool {
    std::any::type_name::<C>().contains("PgConnection")
}

/// Whether `#` begins a comment.
pub fn has_hash_comments<C: Kind>() -> bool {
    std::any::type_name::<C>().contains("MysqlConnection")
}
