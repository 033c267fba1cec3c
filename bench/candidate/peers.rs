//! Other crates that do something like it, each as fast as its documentation says it can be set up.

pub(crate) mod actix;
pub(crate) mod axum;
