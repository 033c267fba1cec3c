//! Safe retries for actix-web and Diesel. (scaffold)

pub mod key;
pub mod reply;
pub mod spec;
pub mod store;
