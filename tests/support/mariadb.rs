//! MariaDB.

use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use crate::programs::{find, run};
use crate::server::Stop;
use crate::user::User;
use crate::{Server, free_port, home, template};

const PACKAGE: &str = "mariadb-server";

/// The redo log is most of an empty data directory, and it is copied for every server.
const LOG_SIZE: &str = "--innodb-log-file-size=4M";

/// A MariaDB server of one's own; its superuser is `root`, without a password.
#[derive(Debug)]
pub struct MariaDb {
    server: Server,
    arguments: Vec<String>,
    port: u16,
    databases: AtomicUsize,
}

/// One server for all tests of this process.
///
/// # Panics
///
/// As [`MariaDb::start`] does.
pub fn mariadb() -> &'static MariaDb {
    static SHARED: OnceLock<MariaDb> = OnceLock::new();
    SHARED.get_or_init(MariaDb::start)
}

impl MariaDb {
    /// Starts a server.
    ///
    /// # Panics
    ///
    /// When MariaDB is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with further arguments, such as `"--innodb-rollback-on-timeout"`.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start) does.
    #[must_use]
    pub fn start_with(arguments: &[&str]) -> Self {
        let user = User::unprivileged("mysql");
        let home = home::new(user);
        template::copy(&template_name(user), &home.path().join("data"), || {
            initialized(user)
        });
        let port = free_port();
        let arguments: Vec<_> = arguments.iter().map(ToString::to_string).collect();
        Self {
            server: started(home, user, port, &arguments),
            arguments,
            port,
            databases: AtomicUsize::new(0),
        }
    }

    /// Kills it (SIGKILL) and starts it again, with its data, on the same port. What was committed in its last second is
    /// lost, unless it was started with `--innodb-flush-log-at-trx-commit=2`.
    ///
    /// # Panics
    ///
    /// When it does not start.
    #[must_use]
    pub fn killed_and_restarted(self) -> Self {
        let user = User::unprivileged("mysql");
        let home = self.server.killed_but_for("data", user);
        Self {
            server: started(home, user, self.port, &self.arguments),
            ..self
        }
    }

    /// Makes an empty database and gives its URL. `name` may come twice: each call makes another database.
    ///
    /// # Panics
    ///
    /// When the database cannot be made.
    #[must_use]
    pub fn database(&self, name: &str) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        self.execute(&format!("CREATE DATABASE `{name}_{number}`"));
        format!("mysql://root@127.0.0.1:{}/{name}_{number}", self.port)
    }

    /// Runs SQL with a connection that nothing of ours is in the way of, and gives the rows, parted by tabs.
    ///
    /// # Panics
    ///
    /// With the server's message, when the SQL fails.
    pub fn execute(&self, sql: &str) -> String {
        run(Command::new(find("mariadb", PACKAGE))
            .args(["--no-defaults", "-h", "127.0.0.1", "-u", "root", "-N", "-B"])
            .args(["-P", &self.port.to_string(), "-e", sql]))
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
}

fn started(home: TempDir, user: User, port: u16, arguments: &[String]) -> Server {
    let mut command = Command::new(find("mariadbd", PACKAGE));
    command
        .args(["--no-defaults", "--bind-address=127.0.0.1", LOG_SIZE])
        .args(["--innodb-flush-log-at-trx-commit=0", "--socket=socket"])
        .arg(format!("--datadir={}", home.path().join("data").display()))
        // A server that starts removes what it takes for its last run's from there, and one that runs may need it:
        // without its temporary table, it crashes.
        .arg(format!("--tmpdir={}", home.path().display()))
        .arg(format!("--port={port}"))
        .args(arguments)
        .current_dir(home.path());
    let server = Server::start_in(home, &command, user, Stop::Term);
    server.await_line("ready for connections");
    server
}

/// A data directory belongs to one version of the server and to one user.
fn template_name(user: User) -> String {
    let version = run(Command::new(find("mariadbd", PACKAGE)).arg("--version"));
    let version = version.split_whitespace().nth(2).unwrap_or("unknown");
    match user {
        User::Same => format!("mariadb-{version}"),
        User::Other { uid, .. } => format!("mariadb-{version}-{uid}"),
    }
}

fn initialized(user: User) -> TempDir {
    let data = home::new(user);
    let mut command = Command::new(find("mariadb-install-db", PACKAGE));
    command
        .args(["--no-defaults", "--auth-root-authentication-method=normal"])
        .args(["--skip-test-db", LOG_SIZE])
        .arg(format!("--datadir={}", data.path().display()))
        .current_dir(data.path());
    run(&mut user.command(&command));
    data
}
