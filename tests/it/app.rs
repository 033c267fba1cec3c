//! A real actix server in this process, and what its handlers and a test say to each other.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

use actix_web::body::MessageBody;
use actix_web::dev::{Payload, ServerHandle, ServiceRequest, ServiceResponse};
use actix_web::middleware::{Next, from_fn};
use actix_web::web::ServiceConfig;
use actix_web::{App, FromRequest, HttpRequest, HttpServer, web};
use idempotent_runtime::Idempotent;
use support::http::{self, Response};
use tokio::sync::Semaphore;

/// A server with two workers; stopped on drop.
pub struct Served {
    pub address: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

/// How a server treats its clients.
#[derive(Clone, Copy)]
pub struct Options {
    pub workers: usize,
    /// Whether a client that has sent its FIN still gets a reply.
    pub half_closed: bool,
}

/// One worker: requests are taken one after the other, each up to its first wait.
pub const ONE_WORKER: Options = Options {
    workers: 1,
    half_closed: true,
};

pub const TWO_WORKERS: Options = Options {
    workers: 2,
    half_closed: true,
};

/// Starts a server with these services.
pub fn serve(configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static) -> Served {
    serve_with(TWO_WORKERS, configure)
}

/// Starts a server for handlers that need no database; they find the gate, and it counts their requests.
pub fn serve_gated(
    options: Options,
    idempotent: &Idempotent,
    gate: &Gate,
    services: fn(&mut ServiceConfig),
) -> Served {
    let (idempotent, gate) = (idempotent.clone(), web::Data::new(gate.clone()));
    serve_with(options, move |config| {
        config.app_data(idempotent.clone()).app_data(gate.clone());
        config.service(
            web::scope("")
                .wrap(from_fn(note_departure))
                .configure(services),
        );
    })
}

async fn note_departure(
    gate: web::Data<Gate>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let _departs = gate.will_depart();
    next.call(request).await
}

pub fn serve_with(
    options: Options,
    configure: impl Fn(&mut ServiceConfig) + Clone + Send + 'static,
) -> Served {
    let (sender, receiver) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server = HttpServer::new(move || App::new().configure(configure.clone()))
                .workers(options.workers)
                .h1_allow_half_closed(options.half_closed)
                .disable_signals()
                .bind(("127.0.0.1", 0))
                .unwrap();
            let address = server.addrs()[0];
            let server = server.run();
            sender.send((address, server.handle())).unwrap();
            server.await.unwrap();
        });
    });
    let (address, handle) = receiver.recv().unwrap();
    Served {
        address,
        handle,
        thread: Some(thread),
    }
}

impl Served {
    pub fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response {
        http::send(self.address, method, target, headers, body.as_bytes())
    }

    pub fn get(&self, target: &str) -> Response {
        self.send("GET", target, &[], "")
    }

    pub fn post(&self, target: &str, body: &str) -> Response {
        self.send(
            "POST",
            target,
            &[("content-type", "application/json")],
            body,
        )
    }

    pub fn put(&self, target: &str, body: &str) -> Response {
        self.send("PUT", target, &[("content-type", "application/json")], body)
    }

    /// Sends a request and gives the connection, before there is a reply.
    pub fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> http::Connection {
        let mut connection = http::Connection::open(self.address);
        connection.send(http::request(method, target, headers, b""));
        connection
    }

    pub fn handle(&self) -> &ServerHandle {
        &self.handle
    }

    /// Tells the server to stop at once; its threads may go on for a while.
    pub fn stop(&self) {
        // The future only has to be made: the command is sent by that.
        drop(self.handle.stop(false));
    }

    /// A request on a thread of its own; what it sends, if anything, is JSON.
    pub fn in_background(&self, method: &str, target: &str, body: &str) -> JoinHandle<Response> {
        let (address, method, target, body) = (
            self.address,
            method.to_owned(),
            target.to_owned(),
            body.to_owned(),
        );
        std::thread::spawn(move || {
            let json = [("content-type", "application/json")];
            let headers = if body.is_empty() { &[][..] } else { &json };
            http::send(address, &method, &target, headers, body.as_bytes())
        })
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Whether a reply came from an earlier run.
pub fn is_replay(response: &Response) -> bool {
    response.header("idempotent-replayed") == Some("true")
}

/// What `Cache-Status` says; empty if there is none.
pub fn cache_status(response: &Response) -> &str {
    response.header("cache-status").unwrap_or_default()
}

/// Counts the runs of a handler and can hold them at one point.
#[derive(Clone)]
pub struct Gate {
    runs: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
    arrivals: Arc<AtomicUsize>,
    departures: Arc<AtomicUsize>,
    permits: Arc<Semaphore>,
}

/// An extractor that counts the requests. With [`ONE_WORKER`] a request that was counted has also come to wait for
/// whatever it waits for.
pub struct Arrival;

impl FromRequest for Arrival {
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        if let Some(gate) = request.app_data::<web::Data<Gate>>() {
            gate.arrivals.fetch_add(1, Ordering::SeqCst);
        }
        std::future::ready(Ok(Self))
    }
}

/// Counts on drop.
struct Departure(Arc<AtomicUsize>);

impl Drop for Departure {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Gate {
    /// A gate that lets everyone through.
    pub fn open() -> Self {
        Self::with(Semaphore::MAX_PERMITS)
    }

    /// A gate that holds everyone until [`let_through`](Self::let_through).
    pub fn closed() -> Self {
        Self::with(0)
    }

    fn with(permits: usize) -> Self {
        Self {
            runs: Arc::default(),
            ended: Arc::default(),
            arrivals: Arc::default(),
            departures: Arc::default(),
            permits: Arc::new(Semaphore::new(permits)),
        }
    }

    /// Called by a handler: counts, then waits; the number of this run, from 1.
    pub async fn pass(&self) -> usize {
        let run = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
        self.permits.acquire().await.unwrap().forget();
        self.ended.fetch_add(1, Ordering::SeqCst);
        run
    }

    /// The same from blocking code.
    pub fn pass_blocking(&self) -> usize {
        let run = self.runs.fetch_add(1, Ordering::SeqCst) + 1;
        support::eventually("the gate opens", || match self.permits.try_acquire() {
            Ok(permit) => {
                permit.forget();
                true
            }
            Err(_) => false,
        });
        self.ended.fetch_add(1, Ordering::SeqCst);
        run
    }

    pub fn let_through(&self, handlers: usize) {
        self.permits.add_permits(handlers);
    }

    /// How many handlers have come to the gate.
    pub fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }

    /// How many have passed it.
    pub fn passed(&self) -> usize {
        self.ended.load(Ordering::SeqCst)
    }

    /// Waits until that many have come.
    pub fn await_runs(&self, runs: usize) {
        support::eventually("the handler runs", || self.runs() >= runs);
    }

    /// Waits until that many requests have an [`Arrival`].
    pub fn await_arrivals(&self, arrivals: usize) {
        support::eventually("the requests arrive", || {
            self.arrivals.load(Ordering::SeqCst) >= arrivals
        });
    }

    /// Waits until the server has done with that many requests: replied, or dropped them with their connections.
    pub fn await_departures(&self, departures: usize) {
        support::eventually("the server drops the requests", || {
            self.departures.load(Ordering::SeqCst) >= departures
        });
    }

    fn will_depart(&self) -> Departure {
        Departure(Arc::clone(&self.departures))
    }
}

/// An application without a database.
pub fn plain() -> Idempotent {
    Idempotent::builder("it").explain(true).build()
}
