//! Examples of `idempotent-runtime`, one file a story:
//!
//! * `quickstart`: users, visits and orders on SQLite, to be tried with `curl`;
//! * `todo`: an application in the usual actix style (`web::Data<Pool>`, `web::block`) that only adds attributes.
