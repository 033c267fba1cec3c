//! The handlers, each of which writes its execution in the transaction of its effects.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::error::ErrorInternalServerError;
use actix_web::web::{Data, Path, Query, ServiceConfig};
use actix_web::{HttpResponse, get, post, put};
use diesel::prelude::*;
use idempotent_runtime::__private::faults::{Point, die_at};
use idempotent_runtime::{Db, Lease, TrackedConnection, idempotent};
use metrics_util::debugging::{DebugValue, Snapshotter};
use serde::Deserialize;

use super::tables::{Item, changes, items, turns};
use super::{Notes, owing};
use crate::clock::now;
use crate::history::Body;
use crate::request::{Kind, Request, row, transactions};

type Done<T> = actix_web::Result<T>;

/// Which process of the whole run this is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process(pub(super) u64);

/// How a request is to be handled, see [`Manner`](crate::client::Manner).
#[derive(Clone, Copy, Debug, Deserialize)]
struct Manner {
    sent: i64,
    inside: u64,
    after: u64,
}

/// One execution.
#[derive(Clone)]
struct Run {
    name: String,
    request: Request,
    process: u64,
    manner: Manner,
}

impl Run {
    fn new(kind: Kind, path: &Path<(u64, u32)>, process: Process, manner: Manner) -> Self {
        static RUNS: AtomicU64 = AtomicU64::new(0);
        let (history, name) = **path;
        Self {
            name: format!("{}-{}", process.0, RUNS.fetch_add(1, Ordering::Relaxed)),
            request: Request {
                kind,
                history,
                name,
            },
            process: process.0,
            manner,
        }
    }

    /// Changes its rows.
    async fn work(&self, db: &Db<PgConnection>) -> Done<HttpResponse> {
        let (mut rows, mut owed) = (Vec::new(), false);
        for ids in transactions(self.request) {
            let run = self.clone();
            let (changed, owes) = db
                .run(move |conn| {
                    let (changed, owes) =
                        owing::watched(|| conn.transaction(|conn| run.change(conn, &ids)));
                    changed.map(|changed| (changed, owes))
                })
                .await?;
            rows.extend(changed);
            owed |= owes;
        }
        tokio::time::sleep(Duration::from_millis(self.manner.after)).await;
        Ok(self.reply(rows, owed))
    }

    fn change(
        &self,
        conn: &mut TrackedConnection<PgConnection>,
        ids: &[i64],
    ) -> QueryResult<Vec<(i64, i64)>> {
        let mut changed = Vec::new();
        for id in ids {
            let version = diesel::update(items::table.find(id))
                .set(items::version.eq(items::version + 1))
                .returning(items::version)
                .get_result::<i64>(conn)?;
            diesel::insert_into(changes::table)
                .values((
                    changes::run.eq(&self.name),
                    changes::kind.eq(self.request.kind.as_str()),
                    changes::history.eq(signed(self.request.history)),
                    changes::name.eq(i32::try_from(self.request.name).unwrap_or_default()),
                    changes::process.eq(signed(self.process)),
                    changes::item.eq(id),
                    changes::version.eq(version),
                ))
                .execute(conn)?;
            changed.push((*id, version));
        }
        std::thread::sleep(Duration::from_micros(self.manner.inside));
        Ok(changed)
    }

    fn reply(&self, rows: Vec<(i64, i64)>, owed: bool) -> HttpResponse {
        HttpResponse::Ok()
            .insert_header(("X-Run", self.name.as_str()))
            .content_type("application/json")
            .body(Body::new(&self.name, &self.request.to_string(), rows, owed).to_text())
    }

    /// The same behind a lock, whose holders are written down as they come and go.
    async fn work_locked(
        &self,
        db: &Db<PgConnection>,
        notes: &Data<Notes>,
        lease: &Lease,
    ) -> Done<HttpResponse> {
        let (run, entered) = (self.clone(), signed(now()));
        note(notes, move |conn| {
            let Request {
                kind,
                history,
                name,
            } = run.request;
            diesel::insert_into(turns::table)
                .values((
                    turns::run.eq(run.name),
                    turns::history.eq(signed(history)),
                    turns::lock.eq(format!("{}/{name}", kind.as_str())),
                    turns::asked.eq(run.manner.sent),
                    turns::entered.eq(entered),
                    turns::lost.eq(false),
                ))
                .execute(conn)
        })
        .await?;
        let done = self.work(db).await;
        let (run, left, lost) = (self.name.clone(), signed(now()), lease.is_lost());
        note(notes, move |conn| {
            diesel::update(turns::table.find(run))
                .set((turns::left_at.eq(left), turns::lost.eq(lost)))
                .execute(conn)
        })
        .await?;
        done
    }
}

async fn note(
    notes: &Data<Notes>,
    write: impl FnOnce(&mut PgConnection) -> QueryResult<usize> + Send + 'static,
) -> Done<()> {
    let notes = notes.clone();
    let written = actix_web::web::block(move || {
        let mut conn = notes.get().map_err(|error| error.to_string())?;
        write(&mut conn).map_err(|error| error.to_string())
    });
    written.await?.map_err(ErrorInternalServerError)?;
    Ok(())
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[put("/cached/{history}/{name}")]
#[idempotent(cache = "2s", key(path, shared))]
async fn cached(
    path: Path<(u64, u32)>,
    manner: Query<Manner>,
    process: Data<Process>,
    db: Db<PgConnection>,
) -> Done<HttpResponse> {
    Run::new(Kind::Cached, &path, **process, *manner)
        .work(&db)
        .await
}

#[put("/locked/{history}/{name}")]
#[idempotent(lock = "1500ms", key(path))]
async fn locked(
    path: Path<(u64, u32)>,
    manner: Query<Manner>,
    process: Data<Process>,
    notes: Data<Notes>,
    lease: Lease,
    db: Db<PgConnection>,
) -> Done<HttpResponse> {
    let run = Run::new(Kind::Locked, &path, **process, *manner);
    run.work_locked(&db, &notes, &lease).await
}

#[put("/both/{history}/{name}")]
#[idempotent(lock = "1500ms", cache = "2s", key(path, shared))]
async fn both(
    path: Path<(u64, u32)>,
    manner: Query<Manner>,
    process: Data<Process>,
    notes: Data<Notes>,
    lease: Lease,
    db: Db<PgConnection>,
) -> Done<HttpResponse> {
    let run = Run::new(Kind::Both, &path, **process, *manner);
    run.work_locked(&db, &notes, &lease).await
}

#[put("/plain/{history}/{name}")]
async fn plain(
    path: Path<(u64, u32)>,
    manner: Query<Manner>,
    process: Data<Process>,
    db: Db<PgConnection>,
) -> Done<HttpResponse> {
    Run::new(Kind::Plain, &path, **process, *manner)
        .work(&db)
        .await
}

#[get("/read/{history}/{name}")]
async fn read(
    path: Path<(u64, u32)>,
    manner: Query<Manner>,
    process: Data<Process>,
    db: Db<PgConnection>,
) -> Done<HttpResponse> {
    let run = Run::new(Kind::Read, &path, **process, *manner);
    let id = row(run.request.history, run.request.name);
    let seen = db.run(move |conn| items::table.find(id).select(Item::as_select()).first(conn));
    let Item { id, version } = seen.await?;
    Ok(run.reply(vec![(id, version)], false))
}

/// This process ends when a point is reached for this time from now on.
#[post("/die/{point}/{visit}")]
async fn die(path: Path<(usize, u64)>) -> HttpResponse {
    let (point, visit) = *path;
    match Point::ALL.get(point) {
        Some(point) => die_at(*point, visit),
        None => return HttpResponse::NotFound().finish(),
    }
    HttpResponse::NoContent()
        .insert_header(("content-length", "0"))
        .finish()
}

/// How many replays were made by copies since this was asked for the last time, see
/// [`by_copies`](crate::world::World::by_copies).
#[post("/copies")]
async fn copies(meters: Data<Snapshotter>) -> String {
    let seen = meters.snapshot().into_vec();
    let count = |by: &str| {
        let counts = seen.iter().filter_map(|(key, .., value)| match value {
            DebugValue::Counter(count)
                if key.key().name() == "idempotent_local_hits_total"
                    && key.key().labels().any(|label| label.value() == by) =>
            {
                Some(*count)
            }
            _ => None,
        });
        counts.sum::<u64>()
    };
    format!("{} {}", count("redis"), count("tracking"))
}

pub(super) fn all(config: &mut ServiceConfig) {
    config
        .service(cached)
        .service(locked)
        .service(both)
        .service(plain)
        .service(read)
        .service(die)
        .service(copies);
}
