//! What an application must register, and what it is told if it has not.

use actix_web::web::ServiceConfig;
use actix_web::{get, web};
use diesel::prelude::*;
use diesel::r2d2::R2D2Connection;
use idempotent_runtime::{Db, Idempotent, Pool, idempotent};

use crate::app::{is_replay, plain, serve};
use crate::database::{Sqlite, users};
use crate::logs;

#[get("/bare")]
#[idempotent(cache = 15)]
async fn bare() -> &'static str {
    "ran"
}

#[get("/ping")]
#[idempotent(cache = 15)]
async fn ping(db: Db<SqliteConnection>) -> actix_web::Result<&'static str> {
    db.run(|conn| conn.ping()).await?;
    Ok("ran")
}

struct Reports;

#[get("/counts")]
#[idempotent(cache = 15)]
async fn counts(
    main: Db<SqliteConnection>,
    reports: Db<SqliteConnection, Reports>,
) -> actix_web::Result<String> {
    let main: i64 = main
        .run(|conn| users::table.count().get_result(conn))
        .await?;
    let reports: i64 = reports
        .run(|conn| users::table.count().get_result(conn))
        .await?;
    Ok(format!("{main} and {reports}"))
}

fn services(config: &mut ServiceConfig) {
    config.service((bare, ping, counts));
}

#[test]
fn without_an_idempotent_the_log_names_the_fix() {
    logs::collect();
    let served = serve(services);
    let reply = served.get("/bare");
    assert_eq!((reply.status, reply.text()), (500, ""));
    assert!(logs::has_line(&[
        "ERROR",
        "no Idempotent in app_data",
        "configure(idempotent.configure(&pool))"
    ]));
}

#[test]
fn without_a_pool_the_log_names_the_fix() {
    logs::collect();
    let idempotent = plain();
    let served = serve(move |config| {
        config.app_data(idempotent.clone()).configure(services);
    });
    let reply = served.get("/ping");
    assert_eq!((reply.status, reply.text()), (500, ""));
    assert!(logs::has_line(&[
        "ERROR",
        "no Pool<",
        "SqliteConnection",
        "configure(idempotent.configure(&pool))"
    ]));
}

#[test]
fn what_is_registered_as_data_is_found_too() {
    let (sqlite, idempotent) = (Sqlite::new(), plain());
    let pool = idempotent.pool::<SqliteConnection>(sqlite.url()).unwrap();
    let data: (web::Data<Idempotent>, web::Data<Pool<SqliteConnection>>) =
        (web::Data::new(idempotent), web::Data::new(pool));
    let served = serve(move |config| {
        config.app_data(data.0.clone()).app_data(data.1.clone());
        config.configure(services);
    });
    assert_eq!(served.get("/ping").text(), "ran");
    assert!(is_replay(&served.get("/ping")));
}

#[test]
fn two_pools_are_told_apart_by_a_marker() {
    let (main, reports, idempotent) = (Sqlite::new(), Sqlite::new(), plain());
    main.execute("INSERT INTO users (email, name) VALUES ('a', 'Ann')");
    let main_pool = idempotent.pool::<SqliteConnection>(main.url()).unwrap();
    let reports_pool = idempotent
        .pool_builder::<SqliteConnection>()
        .marker::<Reports>()
        .build(reports.url())
        .unwrap();
    let served = serve(move |config| {
        config
            .configure(idempotent.configure(&main_pool))
            .configure(idempotent.configure(&reports_pool))
            .configure(services);
    });
    assert_eq!(served.get("/counts").text(), "1 and 0");
}
