//! PostgreSQL.

use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use crate::programs::{find, run};
use crate::server::Stop;
use crate::user::User;
use crate::{Server, free_port, home, template};

const PACKAGE: &str = "postgresql";

/// What makes a server quick whose data nobody keeps. `synchronous_commit` and the isolation levels stay as they are
/// in production: a COMMIT is acknowledged as late as there, only that nothing waits for the disk.
const SETTINGS: [&str; 7] = [
    "fsync=off",
    "full_page_writes=off",
    "autovacuum=off",
    "max_connections=200",
    "shared_buffers=32MB",
    "max_prepared_transactions=20",
    "unix_socket_directories=.",
];

/// A PostgreSQL server of one's own; its superuser is `postgres`, without a password.
#[derive(Debug)]
pub struct Postgres {
    server: Server,
    settings: Vec<String>,
    port: u16,
    databases: AtomicUsize,
}

/// One server for all tests of this process.
///
/// # Panics
///
/// As [`Postgres::start`] does.
pub fn postgres() -> &'static Postgres {
    static SHARED: OnceLock<Postgres> = OnceLock::new();
    SHARED.get_or_init(Postgres::start)
}

impl Postgres {
    /// Starts a server: a quarter of a second, but for the very first one.
    ///
    /// # Panics
    ///
    /// When PostgreSQL is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with further settings, such as `"lock_timeout=100ms"`.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start) does.
    #[must_use]
    pub fn start_with(settings: &[&str]) -> Self {
        let user = User::unprivileged("postgres");
        let home = home::new(user);
        template::copy(&template_name(user), &home.path().join("data"), || {
            initialized(user)
        });
        let port = free_port();
        let settings: Vec<_> = settings.iter().map(ToString::to_string).collect();
        Self {
            server: started(home, user, port, &settings),
            settings,
            port,
            databases: AtomicUsize::new(0),
        }
    }

    /// Kills it (SIGKILL) and starts it again, with its data, on the same port.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn killed_and_restarted(self) -> Self {
        let user = User::unprivileged("postgres");
        let home = self.server.killed_but_for("data", user);
        Self {
            server: started(home, user, self.port, &self.settings),
            ..self
        }
    }

    /// The URL of the database `postgres`, which is for administration.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// Makes an empty database and gives its URL. `name` may come twice: each call makes another database.
    ///
    /// # Panics
    ///
    /// When the database cannot be made.
    #[must_use]
    pub fn database(&self, name: &str) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("{name}_{number}");
        self.execute(&format!(
            "CREATE DATABASE \"{name}\" TEMPLATE template0 STRATEGY wal_log"
        ));
        self.url_of(&name)
    }

    /// Runs SQL in the database `postgres`, with a connection that nothing of ours is in the way of.
    ///
    /// # Panics
    ///
    /// With the server's message, when the SQL fails.
    pub fn execute(&self, sql: &str) -> String {
        self.execute_in(&self.url(), sql)
    }

    /// [`execute`](Self::execute) in the database at `url`; gives the rows, a column's values parted by `|`.
    ///
    /// # Panics
    ///
    /// With the server's message, when the SQL fails.
    pub fn execute_in(&self, url: &str, sql: &str) -> String {
        run(Command::new(find("psql", PACKAGE))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", sql])
            .arg(url))
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process, to be paused or killed.
    #[must_use]
    pub fn server(&self) -> &Server {
        &self.server
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

fn started(home: TempDir, user: User, port: u16, settings: &[String]) -> Server {
    let mut command = Command::new(find("postgres", PACKAGE));
    command.args(["-D", "data", "-h", "127.0.0.1", "-p", &port.to_string()]);
    for setting in SETTINGS
        .into_iter()
        .chain(settings.iter().map(String::as_str))
    {
        command.args(["-c", setting]);
    }
    command.current_dir(home.path()).env("LC_ALL", "C");
    let server = Server::start_in(home, &command, user, Stop::Int);
    server.await_line("ready to accept connections");
    server
}

/// A data directory belongs to one version of the server and to one user.
fn template_name(user: User) -> String {
    let version = run(Command::new(find("postgres", PACKAGE)).arg("--version"));
    let version = version.split_whitespace().nth(2).unwrap_or("unknown");
    match user {
        User::Same => format!("postgres-{version}"),
        User::Other { uid, .. } => format!("postgres-{version}-{uid}"),
    }
}

/// WAL in small segments: they are most of an empty data directory, and it is copied for every server.
fn initialized(user: User) -> TempDir {
    let data = home::new(user);
    let mut command = Command::new(find("initdb", PACKAGE));
    command
        .args(["--username=postgres", "--auth=trust", "--no-sync"])
        .args(["--encoding=UTF8", "--locale=C", "--wal-segsize=1"])
        .arg("-D")
        .arg(data.path())
        .current_dir(data.path());
    run(&mut user.command(&command));
    data
}
