//! Whether the promises hold while processes are killed and Redis restarts, stalls, forgets and is cut off.
//!
//! Some [worker] processes over one Redis and one PostgreSQL are asked by [clients](client) while a [nemesis] does its
//! worst. What was asked and answered, and what the database says of it, is a [history], which is then [checked](check).
//!
//! | counted | what it is |
//! | --- | --- |
//! | stale | a replay of a reply whose rows another had changed before the replay was even asked for |
//! | overlaps | two holders of one lock, of which the first had not lost its lease |
//! | torn | a reply that is not, byte for byte, what the execution did that it is of |
//! | stuck | a request that got neither an answer nor the end of its connection |
//! | leaked | a key that has no end, or too late a one, or belongs to nothing; a record that outlived its time |
#![allow(
    clippy::expect_used,
    reason = "a proof that cannot be carried out fails by panicking"
)]

pub mod bites;
pub mod check;
pub mod client;
pub mod clock;
pub mod history;
pub mod keys;
pub mod nemesis;
pub mod request;
pub mod run;
pub mod setup;
pub mod worker;
pub mod world;
