//! The processes: one Redis, one PostgreSQL, some workers, and a proxy between each worker and the Redis.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard};

use support::{Flavor, Postgres, Proxy, Redis, Server, eventually, free_port};
use tempfile::TempDir;

use crate::client;
use crate::clock::now;
use crate::history::{Span, Way};
use crate::setup::{Copies, Setup};
use crate::worker;

/// How many workers there are.
pub const WORKERS: usize = 3;

/// Where the Redis has what it has saved.
const DUMP: &str = "dump.rdb";

/// All servers.
#[derive(Debug)]
pub struct World {
    program: PathBuf,
    broken: Option<String>,
    postgres: Postgres,
    database: String,
    port: u16,
    data: TempDir,
    setup: Mutex<Setup>,
    redis: RwLock<Redis>,
    proxies: Vec<Proxy>,
    workers: Vec<RwLock<Worker>>,
    processes: AtomicU64,
    pings: AtomicU64,
}

/// One of the workers.
#[derive(Debug)]
pub struct Worker {
    server: Server,
    /// Where it listens.
    pub port: u16,
    /// Which process it is.
    pub process: u64,
    /// What it has copies of.
    pub copies: Copies,
}

impl World {
    /// Starts all. `program` is the worker's, which may break a rule.
    #[must_use]
    pub fn start(program: PathBuf, broken: Option<&str>) -> Self {
        let postgres = Postgres::start();
        let database = postgres.database("faults");
        postgres.execute_in(&database, worker::SCHEMA);
        let data = tempfile::tempdir().expect("a directory for what Redis saves");
        let port = free_port();
        let setup = Setup::all(Copies::None);
        let redis = RwLock::new(redis(setup.flavor, port, &data));
        let mut world = Self {
            program,
            broken: broken.map(str::to_owned),
            postgres,
            database,
            port,
            data,
            setup: Mutex::new(setup),
            redis,
            proxies: (0..WORKERS).map(|_| Proxy::start(port)).collect(),
            workers: Vec::new(),
            processes: AtomicU64::new(0),
            pings: AtomicU64::new(0),
        };
        world.workers = (0..WORKERS)
            .map(|number| RwLock::new(world.worker_at(number)))
            .collect();
        world
    }

    /// Has the servers be as they are to be from now on.
    pub fn set_up(&self, setup: Setup) {
        let before = self.setup();
        *self.setup.lock().unwrap_or_else(PoisonError::into_inner) = setup;
        if before.flavor != setup.flavor {
            self.forget_saved();
            self.restart_redis(|| ());
        }
        for number in 0..WORKERS {
            if before.copies[number] != setup.copies[number] {
                self.restart_worker(number);
            }
        }
    }

    fn setup(&self) -> Setup {
        *self.setup.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The proxy between a worker and the Redis.
    #[must_use]
    pub fn proxy(&self, worker: usize) -> &Proxy {
        &self.proxies[worker]
    }

    /// A worker, as it is now.
    pub fn worker(&self, number: usize) -> RwLockReadGuard<'_, Worker> {
        self.workers[number]
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The Redis, as it is now.
    pub fn redis(&self) -> RwLockReadGuard<'_, Redis> {
        self.redis.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs SQL, beside everything.
    pub fn sql(&self, sql: &str) -> String {
        self.postgres.execute_in(&self.database, sql)
    }

    /// Where the database is.
    #[must_use]
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Kills a worker, if it has not died, and starts another in its place.
    pub fn restart_worker(&self, number: usize) {
        let place = &self.workers[number];
        self.worker(number).server.kill();
        let worker = self.worker_at(number);
        *place.write().unwrap_or_else(PoisonError::into_inner) = worker;
    }

    fn worker_at(&self, number: usize) -> Worker {
        let process = self.processes.fetch_add(1, Ordering::Relaxed) + 1;
        let copies = self.setup().copies[number];
        let mut command = Command::new(&self.program);
        command
            .arg("worker")
            .env(worker::DATABASE, &self.database)
            .env(
                worker::REDIS,
                format!("redis://127.0.0.1:{}/", self.proxies[number].port()),
            )
            .env(worker::PROCESS, process.to_string())
            .env(worker::COPIES, copies.as_str());
        if let Some(broken) = &self.broken {
            command.env(worker::BROKEN, broken);
        }
        let server = Server::start(&command);
        let line = server.await_line("listening on ");
        let port = line.rsplit(' ').next().and_then(|port| port.parse().ok());
        Worker {
            server,
            port: port.expect("a worker says its port"),
            process,
            copies,
        }
    }

    /// Kills the Redis and starts it anew with what it has saved, if anything; `gone` is called in between. From then
    /// on what it had is lost.
    pub fn restart_redis(&self, gone: impl FnOnce()) -> Span {
        let from = now();
        let mut place = self.redis.write().unwrap_or_else(PoisonError::into_inner);
        place.server().kill();
        gone();
        *place = redis(self.setup().flavor, self.port, &self.data);
        Span { from, to: now() }
    }

    /// The Redis has nothing saved.
    pub fn forget_saved(&self) {
        let _ = std::fs::remove_file(self.data.path().join(DUMP));
    }

    /// How many replays a worker has made by copies since it was asked for the last time: those that the Redis was
    /// asked about, and those that it was not.
    #[must_use]
    pub fn by_copies(&self, number: usize) -> [u64; 2] {
        let port = self.worker(number).port;
        let told = client::command(port, "POST", "/copies").map(|reply| reply.body);
        let told = told.and_then(|told| {
            let (asked, trusted) = told.split_once(' ')?;
            Some([asked.parse().ok()?, trusted.parse().ok()?])
        });
        told.unwrap_or_default()
    }

    /// Returns when each worker replies, keeps its reply, and owes nothing.
    pub fn await_ready(&self) {
        for number in 0..WORKERS {
            let port = self.worker(number).port;
            eventually("a worker replays", || {
                let name = self.pings.fetch_add(1, Ordering::Relaxed) * 6;
                let target = format!("/cached/0/{name}?sent=0&inside=0&after=0");
                let way = || client::command(port, "PUT", &target).map(|reply| reply.way);
                way() == Some(Way::Own) && way() == Some(Way::Hit)
            });
        }
    }
}

/// It keeps nothing unless it is told to, but reads what there is.
fn redis(flavor: Flavor, port: u16, data: &TempDir) -> Redis {
    let directory = data.path().display().to_string();
    flavor.start_on(port, &["--dir", &directory, "--dbfilename", DUMP])
}
