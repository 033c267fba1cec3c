//! Real servers and exact bytes for the tests of idempotent.
//!
//! * [`Postgres`], [`Redis`], [`MariaDb`]: a server of its own on a free port, in a directory of its own.
//!   A [`Redis`] may be a Valkey, see [`Flavor`]; a [`RedisCluster`] is six of them, and
//!   [`RedisSentinels`] watch over two.
//!   [`postgres()`], [`redis()`] and [`mariadb()`] share one among the tests of a process.
//! * [`Server`]: a program under test, its output read line by line, to be paused or killed.
//! * [`Proxy`]: between a client and its server, to cut, delay and swallow.
//! * [`http`]: HTTP/1.1 by hand, for exact bytes and connections that are cut.
//! * [`eventually`]: waiting for what can only be asked for.
//!
//! No server outlives the process that started it, however that ends; see [`Server`].
//!
//! # Panics
//!
//! Everything here. A missing program or a server that does not start fails the test that needs it and says
//! what to install; nothing is skipped.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod home;
pub mod http;
mod mariadb;
mod output;
mod port;
mod postgres;
mod programs;
mod proxy;
mod redis;
mod server;
mod template;
mod user;
mod wait;

pub use mariadb::{MariaDb, mariadb};
pub use port::free_port;
pub use postgres::{Postgres, postgres};
pub use proxy::Proxy;
pub use redis::{Flavor, Redis, RedisCluster, RedisSentinels, redis};
pub use server::Server;
pub use wait::{DEADLINE, eventually, eventually_async};
