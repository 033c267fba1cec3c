//! How actix's candidates listen: one worker, on a port that the system chose.

use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::{App, Error, HttpResponse, HttpServer, Responder, get, web};

use crate::Result;
use crate::work::counts;

/// Tells how often handlers have run.
#[get("/counts")]
async fn tell_counts() -> impl Responder {
    web::Json(counts())
}

/// Serves until it is killed; `configure` adds the candidate's own routes.
pub(crate) async fn routes(
    configure: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
) -> Result<()> {
    app(move || App::new().configure(configure.clone())).await
}

/// The same, for an application with middleware.
pub(crate) async fn app<T, B>(make: impl Fn() -> App<T> + Clone + Send + 'static) -> Result<()>
where
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<B>,
            Error = Error,
            InitError = (),
        > + 'static,
    B: actix_web::body::MessageBody + 'static,
{
    let server = HttpServer::new(move || make().service(tell_counts))
        .workers(1)
        .backlog(4096)
        .bind(("127.0.0.1", 0))?;
    announce(server.addrs()[0].port());
    Ok(server.run().await?)
}

/// What the bench waits for.
pub(crate) fn announce(port: u16) {
    println!("listening on {port}");
}

/// An address that the bench gave in the environment.
pub(crate) fn environment(name: &str) -> Result<String> {
    std::env::var(name).map_err(|_| format!("{name} is not set").into())
}

pub(crate) fn failed(error: impl std::fmt::Display) -> Error {
    actix_web::error::InternalError::from_response(
        error.to_string(),
        HttpResponse::InternalServerError().body(error.to_string()),
    )
    .into()
}
