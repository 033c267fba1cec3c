//! Examples of `idempotent-runtime`, one file or directory a story:
//!
//! * `quickstart`: users, visits and orders on SQLite, to be tried with `curl`;
//! * `todo`: an application in the usual actix style (`web::Data<Pool>`, `web::block`) that only adds attributes;
//! * `payments`: calls to another service that happen exactly once, by an outbox;
//! * `shop`: two server processes behind one Redis and one PostgreSQL (feature `shop`).
