//! Redis and Valkey.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::programs::{find, find_valkey};
use crate::server::Stop;
use crate::user::User;
use crate::{Server, free_port, home};

mod cluster;
mod command;
mod sentinel;

pub use cluster::RedisCluster;
pub use sentinel::RedisSentinels;

/// Whose server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// Redis, Debian's.
    Redis,
    /// Valkey 9.
    Valkey,
}

impl Flavor {
    fn program(self) -> PathBuf {
        match self {
            Self::Redis => find("redis-server", "redis-server"),
            Self::Valkey => find_valkey(),
        }
    }

    /// Starts a server.
    ///
    /// # Panics
    ///
    /// When it is not installed or does not start.
    #[must_use]
    pub fn start(self) -> Redis {
        self.start_with(&[])
    }

    /// Starts a server with further arguments, such as `&["--maxmemory", "1mb"]`.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start) does.
    #[must_use]
    pub fn start_with(self, arguments: &[&str]) -> Redis {
        self.start_on(free_port(), arguments)
    }

    /// Starts a server on a known port: the one of a server that was killed, to play its restart.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start) does.
    #[must_use]
    pub fn start_on(self, port: u16, arguments: &[&str]) -> Redis {
        let home = home::new(User::Same);
        let mut command = Command::new(self.program());
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no"])
            .args(arguments)
            .current_dir(home.path());
        let server = Server::start_in(home, &command, User::Same, Stop::Term);
        server.await_line("Ready to accept connections");
        let password = arguments.windows(2).find(|pair| pair[0] == "--requirepass");
        Redis {
            server,
            port,
            password: password.map(|pair| pair[1].to_owned()),
        }
    }
}

/// A Redis or Valkey server of one's own, empty and without persistence.
#[derive(Debug)]
pub struct Redis {
    server: Server,
    port: u16,
    password: Option<String>,
}

/// One server for all tests of this process, which must not share keys, nor flush.
///
/// # Panics
///
/// As [`Redis::start`] does.
pub fn redis() -> &'static Redis {
    static SHARED: OnceLock<Redis> = OnceLock::new();
    SHARED.get_or_init(Redis::start)
}

impl Redis {
    /// Starts a server.
    ///
    /// # Panics
    ///
    /// When Redis is not installed or does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with further arguments, such as `&["--maxmemory", "1mb"]`.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start) does.
    #[must_use]
    pub fn start_with(arguments: &[&str]) -> Self {
        Self::start_on(free_port(), arguments)
    }

    /// Starts a server on a known port: the one of a server that was killed, to play its restart.
    ///
    /// # Panics
    ///
    /// As [`start`](Self::start) does.
    #[must_use]
    pub fn start_on(port: u16, arguments: &[&str]) -> Self {
        Flavor::Redis.start_on(port, arguments)
    }

    /// The URL of its database 0, with the password if it has one.
    #[must_use]
    pub fn url(&self) -> String {
        let password = self.password.as_ref();
        let user = password.map_or_else(String::new, |password| format!(":{password}@"));
        format!("redis://{user}127.0.0.1:{}/", self.port)
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
