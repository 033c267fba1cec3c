//! What generated code may name, and nobody else.

pub use actix_web::HttpResponse;
pub use diesel;
pub use inventory;

pub use crate::actix::Call;
pub use crate::key::{Dimension, Key};
pub use crate::spec::{Changed, Keep, Outage, Spec};
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
pub use crate::track::table_name;

/// Where a process may die, and what it may break.
#[cfg(feature = "faults")]
pub mod faults {
    pub use crate::faults::{Fault, Point, die_at, switch_on};
}

/// The rules by which changes are found.
#[cfg(feature = "oracle")]
pub mod rules {
    pub use crate::track::rules::{Rule, reset, switch_off};
}

/// For the bench: the id of a request, as an annotated handler makes it.
#[must_use]
pub fn request_id(
    idempotent: &crate::Idempotent,
    spec: &Spec,
    request: &actix_web::HttpRequest,
    body: &bytes::Bytes,
) -> Option<crate::RequestId> {
    let identified = crate::key::identify(&idempotent.0.rules, &spec.identity(), request, body);
    Some(identified.ok()?.id)
}
