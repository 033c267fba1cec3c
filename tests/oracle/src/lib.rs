//! Whether every row that a transaction changed is reported: random schemas, random statements, and the database's own
//! word for what changed.
//!
//! A [`Case`](generate::Case) is made from a seed, [run](mod@run) on a fresh schema, and [compared](compare) with the
//! [truth] after each outermost step. What was missed is [made small](mod@shrink) and [shown](mod@show) as SQL.
//!
//! | word | meaning |
//! | --- | --- |
//! | missed | a row that changed and was not reported, neither by its name nor by `table:*`: a stale reply |
//! | extra | a row that was reported and did not change: a reply ended early |
//! | coarse | a `table:*` where the rows were [knowable]: many replies ended early |

mod builder;
pub mod compare;
pub mod database;
pub mod dialect;
pub mod generate;
pub mod hunt;
pub mod knowable;
pub mod models;
pub mod names;
pub mod random;
pub mod recorder;
pub mod remarks;
pub mod run;
pub mod schema;
pub mod show;
pub mod shrink;
pub mod sql;
pub mod statement;
pub mod truth;
pub mod value;
