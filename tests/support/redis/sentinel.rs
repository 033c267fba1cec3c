//! Sentinels, and what they watch over.

use std::process::Command;

use super::{Flavor, Redis};
use crate::server::Stop;
use crate::user::User;
use crate::{Server, eventually, free_port, home};

/// Three Sentinels, of which two are enough, a primary and its replica.
#[derive(Debug)]
pub struct RedisSentinels {
    sentinels: Vec<Redis>,
    servers: [Redis; 2],
}

impl Flavor {
    /// Starts Sentinels and what they watch over, and returns when all know all.
    ///
    /// # Panics
    ///
    /// When the server is not installed, or they do not find each other.
    #[must_use]
    pub fn start_sentinels(self) -> RedisSentinels {
        self.start_sentinels_behind(None)
    }

    /// The same, where the Sentinels have a password, and the servers another one.
    ///
    /// # Panics
    ///
    /// As [`start_sentinels`](Self::start_sentinels) does.
    #[must_use]
    pub fn start_sentinels_with(self, sentinels: &str, servers: &str) -> RedisSentinels {
        self.start_sentinels_behind(Some([sentinels, servers]))
    }

    fn start_sentinels_behind(self, passwords: Option<[&str; 2]>) -> RedisSentinels {
        let mut options = vec!["--repl-diskless-sync-delay", "0"];
        if let Some([_, servers]) = passwords {
            options.extend(["--requirepass", servers, "--masterauth", servers]);
        }
        let primary = self.start_with(&options);
        let port = primary.port().to_string();
        let replica =
            self.start_with(&[&options[..], &["--replicaof", "127.0.0.1", &port]].concat());
        eventually("it follows its primary", || {
            replica.ask(&["INFO", "replication"])[0].contains("master_link_status:up")
        });
        let sentinels: Vec<_> = (0..3)
            .map(|_| self.start_sentinel(&port, passwords))
            .collect();
        for sentinel in &sentinels {
            eventually("all know all", || {
                sentinel.ask(&["INFO", "sentinel"])[0].contains("slaves=1,sentinels=3")
            });
        }
        RedisSentinels {
            sentinels,
            servers: [primary, replica],
        }
    }

    fn start_sentinel(self, primary: &str, passwords: Option<[&str; 2]>) -> Redis {
        let (home, port) = (home::new(User::Same), free_port());
        let name = RedisSentinels::NAME;
        let mut settings = format!(
            "port {port}\nbind 127.0.0.1\n\
             sentinel monitor {name} 127.0.0.1 {primary} 2\n\
             sentinel down-after-milliseconds {name} 1000\n\
             sentinel failover-timeout {name} 3000\n"
        );
        if let Some([sentinels, servers]) = passwords {
            settings += &format!(
                "requirepass {sentinels}\nsentinel sentinel-pass {sentinels}\n\
                 sentinel auth-pass {name} {servers}\n"
            );
        }
        let file = home.path().join("sentinel.conf");
        std::fs::write(&file, settings).expect("a file in one's own directory");
        let mut command = Command::new(self.program());
        command.arg(&file).arg("--sentinel");
        command.current_dir(home.path());
        let server = Server::start_in(home, &command, User::Same, Stop::Term);
        server.await_line("+monitor master");
        Redis {
            server,
            port,
            password: passwords.map(|[sentinels, _]| sentinels.to_owned()),
        }
    }
}

impl RedisSentinels {
    /// The name of what they watch over.
    pub const NAME: &str = "shop";

    /// The URLs of the Sentinels.
    #[must_use]
    pub fn urls(&self) -> Vec<String> {
        self.sentinels.iter().map(Redis::url).collect()
    }

    /// The Sentinels.
    #[must_use]
    pub fn sentinels(&self) -> &[Redis] {
        &self.sentinels
    }

    /// The servers; the first one was the primary at first.
    #[must_use]
    pub fn servers(&self) -> &[Redis; 2] {
        &self.servers
    }
}
