//! A server for one row of the table: `candidate NAME`, on a free port of 127.0.0.1, which its one line of output tells.
//!
//! All do the same work with one worker; what they put around it is the difference.

mod bare;
mod fill;
mod limits;
mod lock;
mod peers;
mod replay;
mod rows;
mod serve;
mod work;

/// What can go wrong before a server listens.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let name = std::env::args().nth(1).ok_or("usage: candidate NAME")?;
    match name.as_str() {
        "bare" => bare::serve(),
        "limit-memory" => limits::serve_map(),
        "limit-one-get" => limits::serve_get(),
        "limit-lock" => limits::serve_turn(),
        "limit-miss" => limits::serve_kept(),
        "limit-sqlite" => limits::rows::serve::<diesel::SqliteConnection>(),
        "limit-postgres" => limits::rows::serve::<diesel::PgConnection>(),
        "memory" => replay::serve_memory(),
        "redis" => replay::serve_redis(None),
        "redis-strict" => replay::serve_redis(Some(replay::Copies::Strict)),
        "redis-tracking" => replay::serve_redis(Some(replay::Copies::Tracking)),
        "redis-cluster" => replay::serve_cluster(),
        "lock-redis" => lock::serve(),
        "handover-redis" => lock::serve_handover(),
        "waiters-redis" => lock::serve_waiters(),
        "sqlite-bare" => rows::serve_bare::<diesel::SqliteConnection>(),
        "sqlite" => rows::serve::<diesel::SqliteConnection>(),
        "postgres-bare" => rows::serve_bare::<diesel::PgConnection>(),
        "postgres" => rows::serve::<diesel::PgConnection>(),
        "postgres-redis" => rows::serve_with_redis::<diesel::PgConnection>(None),
        "sqlite-redis" => rows::serve_with_redis::<diesel::SqliteConnection>(None),
        "sqlite-redis-strict" => {
            rows::serve_with_redis::<diesel::SqliteConnection>(Some(replay::Copies::Strict))
        }
        "once-postgres" => rows::serve_once(),
        "fill-memory" => fill::memory(),
        "fill-redis" => fill::with_redis(),
        "axum-idempotent" => peers::axum::session_redis(),
        "axum-idempotent-memory" => peers::axum::session_memory(),
        "idempotent" => peers::axum::claim_redis(),
        "idempotent-memory" => peers::axum::claim_memory(),
        "actix-idempotent" => peers::actix::redis(),
        "actix-idempotent-memory" => peers::actix::memory(),
        other => Err(format!("no candidate `{other}`").into()),
    }
}
