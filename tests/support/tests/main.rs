//! The servers of `support` start, do not clash, and do not outlive their tests.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod http;
mod proxy;
mod servers;
mod survivors;
