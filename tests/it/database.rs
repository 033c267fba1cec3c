//! Tables, models and fresh databases.

use std::sync::atomic::{AtomicUsize, Ordering};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use idempotent_runtime::Tracked;
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

diesel::table! {
    users (id) {
        id -> Integer,
        email -> Text,
        name -> Text,
    }
}

diesel::table! {
    memberships (team, member) {
        team -> Integer,
        member -> Text,
        role -> Text,
    }
}

diesel::table! {
    /// No model tracks it.
    audits (id) {
        id -> Integer,
        what -> Text,
    }
}

#[derive(
    Clone,
    Debug,
    PartialEq,
    Queryable,
    Selectable,
    Identifiable,
    AsChangeset,
    Tracked,
    Serialize,
    Deserialize,
)]
#[diesel(table_name = users)]
pub struct User {
    pub id: i32,
    pub email: String,
    pub name: String,
}

#[derive(Clone, Debug, Insertable, Serialize, Deserialize)]
#[diesel(table_name = users)]
pub struct NewUser {
    pub email: String,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Queryable, Selectable, Identifiable, Insertable, Tracked)]
#[diesel(table_name = memberships, primary_key(team, member))]
pub struct Membership {
    pub team: i32,
    pub member: String,
    pub role: String,
}

const SQLITE: &str = "
    CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT NOT NULL);
    CREATE TABLE memberships (team INTEGER NOT NULL, member TEXT NOT NULL, role TEXT NOT NULL, PRIMARY KEY (team, member));
    CREATE TABLE audits (id INTEGER PRIMARY KEY, what TEXT NOT NULL);
";

const POSTGRES: &str = "
    CREATE TABLE users (id SERIAL PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT NOT NULL);
    CREATE TABLE memberships (team INTEGER NOT NULL, member TEXT NOT NULL, role TEXT NOT NULL, PRIMARY KEY (team, member));
    CREATE TABLE audits (id SERIAL PRIMARY KEY, what TEXT NOT NULL);
";

/// Texts are told apart by all of their bytes, as in the other databases.
const MYSQL: &str = "
    ALTER DATABASE CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
    CREATE TABLE users (id INTEGER AUTO_INCREMENT PRIMARY KEY, email VARCHAR(191) NOT NULL UNIQUE, name TEXT NOT NULL);
    CREATE TABLE memberships (team INTEGER NOT NULL, member VARCHAR(191) NOT NULL, role TEXT NOT NULL, PRIMARY KEY (team, member));
    CREATE TABLE audits (id INTEGER AUTO_INCREMENT PRIMARY KEY, what TEXT NOT NULL);
";

/// A SQLite file with the tables; gone on drop.
pub struct Sqlite {
    directory: TempDir,
}

impl Sqlite {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let sqlite = Self { directory };
        sqlite.execute(SQLITE);
        sqlite
    }

    pub fn url(&self) -> String {
        self.directory
            .path()
            .join("test.db")
            .to_str()
            .unwrap()
            .to_owned()
    }

    /// A connection of Diesel's own, that nobody tracks. It waits for a process that ends just now: the last
    /// connection to be closed has the file to itself while it writes the log back.
    pub fn bare(&self) -> SqliteConnection {
        let mut conn = SqliteConnection::establish(&self.url()).unwrap();
        conn.batch_execute("PRAGMA busy_timeout = 5000").unwrap();
        conn
    }

    pub fn execute(&self, sql: &str) {
        self.bare().batch_execute(sql).unwrap();
    }
}

/// A new PostgreSQL database with the tables; its URL.
pub fn postgres() -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!(
        "it_{}_{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::SeqCst)
    );
    let url = support::postgres().database(&name);
    PgConnection::establish(&url)
        .unwrap()
        .batch_execute(POSTGRES)
        .unwrap();
    url
}

/// A new MariaDB database with the tables; its URL.
pub fn mysql() -> String {
    let url = support::mariadb().database("it");
    MysqlConnection::establish(&url)
        .unwrap()
        .batch_execute(MYSQL)
        .unwrap();
    url
}
