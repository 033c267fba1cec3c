//! What candidates are given: a Redis of their own each, and databases.

use std::process::Command;
use std::sync::OnceLock;

use support::{Flavor, Postgres, Redis, RedisCluster};
use tempfile::TempDir;

use crate::Result;

/// How many rows the table `accounts` has; the first one's key is the same number.
pub(crate) const ROWS: i32 = 1000;

/// Where keys and values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keys {
    None,
    Redis,
    /// For what needs `HEXPIRE`.
    Valkey,
    Cluster,
}

/// Where rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Database {
    None,
    Sqlite,
    Postgres,
}

/// The servers that candidates share: each has its own database there.
#[derive(Default)]
pub(crate) struct Parts {
    postgres: OnceLock<Postgres>,
}

/// One candidate's.
pub(crate) struct Own {
    pub(crate) keys: KeysServer,
    /// A database's URL, and a directory that lives as long.
    pub(crate) database: Option<(String, Option<TempDir>)>,
}

pub(crate) enum KeysServer {
    None,
    One(Redis),
    Cluster(RedisCluster),
}

impl Parts {
    pub(crate) fn own(&self, keys: Keys, database: Database) -> Result<Own> {
        Ok(Own {
            keys: KeysServer::start(keys),
            database: match database {
                Database::None => None,
                Database::Sqlite => Some(sqlite()?),
                Database::Postgres => Some((self.postgres()?, None)),
            },
        })
    }

    fn postgres(&self) -> Result<String> {
        let server = self.postgres.get_or_init(Postgres::start);
        let url = server.database("bench");
        let rows = format!("generate_series({ROWS}, {})", 2 * ROWS - 1);
        server.execute_in(
            &url,
            &format!("{TABLE}; INSERT INTO accounts SELECT id, 0 FROM {rows} AS id; ANALYZE"),
        );
        Ok(url)
    }
}

const TABLE: &str = "CREATE TABLE accounts (id INTEGER PRIMARY KEY, balance BIGINT NOT NULL)";

/// In memory, where there is a file system of that kind: not the disk is measured.
fn sqlite() -> Result<(String, Option<TempDir>)> {
    use diesel::{Connection, SqliteConnection, connection::SimpleConnection};
    let home = match std::path::Path::new("/dev/shm") {
        shared if shared.is_dir() => tempfile::tempdir_in(shared)?,
        _ => tempfile::tempdir()?,
    };
    let file = home.path().join("bench.db").display().to_string();
    let mut conn = SqliteConnection::establish(&file)?;
    conn.batch_execute(&format!(
        "PRAGMA journal_mode = WAL; {TABLE};
         WITH RECURSIVE ids(id) AS (SELECT {ROWS} UNION ALL SELECT id + 1 FROM ids WHERE id < {})
         INSERT INTO accounts SELECT id, 0 FROM ids",
        2 * ROWS - 1
    ))?;
    Ok((file, Some(home)))
}

impl Own {
    /// Tells the candidate where its parts are.
    pub(crate) fn tell(&self, command: &mut Command) {
        match &self.keys {
            KeysServer::None => {}
            KeysServer::One(redis) => {
                command.env("REDIS", redis.url());
            }
            KeysServer::Cluster(cluster) => {
                command.env("REDIS", cluster.urls().join(" "));
            }
        }
        if let Some((url, _)) = &self.database {
            command.env("DATABASE", url);
        }
    }
}

impl KeysServer {
    fn start(keys: Keys) -> Self {
        match keys {
            Keys::None => Self::None,
            Keys::Redis => Self::One(Flavor::Redis.start()),
            Keys::Valkey => Self::One(Flavor::Valkey.start()),
            Keys::Cluster => Self::Cluster(Flavor::Redis.start_cluster()),
        }
    }

    pub(crate) fn servers(&self) -> &[Redis] {
        match self {
            Self::None => &[],
            Self::One(redis) => std::slice::from_ref(redis),
            Self::Cluster(cluster) => cluster.nodes(),
        }
    }

    /// How many commands were run so far, those inside of scripts included.
    pub(crate) fn commands(&self) -> Result<u64> {
        self.servers().iter().map(commands).sum()
    }

    /// The CPU time of all of them, in microseconds.
    pub(crate) fn cpu(&self) -> Result<f64> {
        let pids = self.servers().iter().map(|redis| redis.server().pid());
        pids.map(crate::usage::of_process).sum()
    }

    /// Nothing of the last run is to weigh on the next one.
    pub(crate) fn empty(&self) {
        for redis in self.servers() {
            redis.ask(&["FLUSHALL"]);
        }
    }
}

/// Without what the bench itself asks.
pub(crate) fn commands(redis: &Redis) -> Result<u64> {
    let told = redis.ask(&["INFO", "commandstats"]).remove(0);
    let calls = told.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let count = rest.split(',').next()?;
        (!matches!(name, "info" | "flushall")).then(|| count.parse::<u64>())
    });
    Ok(calls.sum::<std::result::Result<u64, _>>()?)
}
