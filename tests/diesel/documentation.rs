//! The examples of Diesel's documentation, and the connections in them are tracked.
#![allow(warnings, clippy::all, reason = "what Diesel's examples do is theirs")]
#![doc = include_str!(concat!(env!("OUT_DIR"), "/exceptions.md"))]

extern crate diesel;

/// rustdoc compiles no example with its `cfg(test)` either.
#[cfg(not(test))]
pub mod examples {
    include!(concat!(env!("OUT_DIR"), "/examples.rs"));
}

// Examples are crates to rustdoc and modules here; some say `crate::schema`. It comes after them, because its macros
// would be theirs, too.
include!(concat!(
    env!("OUT_DIR"),
    "/tracked/diesel/src/doctest_setup.rs"
));

/// Panics if an example's `main` has failed.
fn finish(result: impl std::process::Termination) {
    assert_eq!(result.report(), std::process::ExitCode::SUCCESS);
}
