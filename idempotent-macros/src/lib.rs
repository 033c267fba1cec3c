//! The macros of `idempotent-runtime`, which re-exports them.
//!
//! Depend on `idempotent-runtime`: what the macros expand to names it.

mod args;
mod block;
mod errors;
mod handler;
mod runtime;
mod tracked;

use proc_macro::TokenStream;

/// Makes retries of an actix-web handler safe.
///
/// ```ignore
/// #[put("/user")]
/// #[idempotent(cache = 15)]
/// async fn put_user(form: web::Json<NewUser>, db: Db<SqliteConnection>) -> actix_web::Result<impl Responder> {
///     let user = db.run(move |conn| insert(conn, form.into_inner())).await?;
///     Ok(web::Json(user))
/// }
/// ```
///
/// With `cache`, a request that is the same as an earlier one gets the first one's reply, until a row that the first run
/// changed is changed by someone else. With `lock`, only one such request runs at a time. With both, the lock is taken
/// first. With `once`, what the handler does in its `db.once(|conn| …)` happens once, and its [`Reply`] is the answer to every
/// retry, whatever is changed in between; the record of it is in the same transaction.
///
/// [`Reply`]: https://docs.rs/idempotent-runtime/latest/idempotent_runtime/struct.Reply.html
///
/// The attribute stands above or below `#[get]`, `#[post]`, `#[route]`, …, on handlers given to `web::to`, and on
/// associated functions whose signature does without `Self`. The handler takes any extractors.
///
/// # Arguments
///
/// In any order; `cache`, `lock` or both must be there, or `once` with none of `cache`, `lock`, `keep`, `changed` and `outage`.
///
/// | argument | meaning | if left out |
/// | --- | --- | --- |
/// | `cache = 15` | how long a reply may be replayed | no reply is kept |
/// | `lock = 3` | one at a time; how long the lock outlives a holder that has died | no lock |
/// | `once = 86400` | how long it is known what was done and answered; a retry after that runs again | |
/// | `key(path, body, …)` | the parts of a request that make it the same as another | the application's default |
/// | `key = header("Idempotency-Key")` | the client says which requests are the same | |
/// | `key = path::to::function` | `fn(&HttpRequest, &Bytes) -> Result<RequestId, E>` says it, for any `E: Into<actix_web::Error>` | |
/// | `wait = 30` | how long a duplicate waits for the first one; `0`: not at all | the application's default |
/// | `keep = "final"` | which replies are kept: `"final"`, `"success"`, `"all"`, or the path of a `fn(&Reply) -> bool` | `"final"` |
/// | `changed = "run"` | after another's change a retry runs again (`"run"`) or is told so (`"reject"`) | `"run"` |
/// | `outage = "reject"` | without a store a request is refused (`"reject"`) or runs unprotected (`"run"`) | the application's default |
/// | `name = "create_user"` | the handler's name in keys, which then survives a renaming | its module and function |
/// | `crate = path` | where the runtime crate is found | `::idempotent_runtime` |
///
/// Times are whole seconds or strings: `"500ms"`, `"15s"`, `"5m"`, `"24h"`, `"2d"`. `keep` and `changed` need `cache`.
///
/// The parts of a request are `path`, `method`, `query`, `body`, `host`, `endpoint` (the route's pattern),
/// `content_type`, `content_length`, `accept`, `session`, `remote_address`, `principal` (who asks) and
/// `headers("A", "B")`. Under `cache` and `once` the principal is always one of them, unless `shared` is there: then all users get
/// each other's replies.
///
/// # Expansion
///
/// One function with the handler inside; all that happens, happens in the runtime:
///
/// ```ignore
/// #[put("/user")]
/// async fn put_user(
///     __call: ::idempotent_runtime::__private::Call,
/// ) -> ::idempotent_runtime::__private::HttpResponse {
///     async fn put_user(
///         form: web::Json<NewUser>,
///         db: Db<SqliteConnection>,
///     ) -> actix_web::Result<impl Responder> {
///         let user = db.run(move |conn| insert(conn, form.into_inner())).await?;
///         Ok(web::Json(user))
///     }
///     const __SPEC: ::idempotent_runtime::__private::Spec = ::idempotent_runtime::__private::Spec::new(
///             ::core::concat!(::core::module_path!(), "::", "put_user"),
///         )
///         .cache(15000);
///     __call.run(&__SPEC, put_user).await
/// }
/// ```
///
/// Attributes above `#[idempotent]` have seen the handler as it was written. Of those below, docs, `cfg`, lints,
/// `deprecated`, `must_use` and actix-web's routes stay outside; the others, such as `#[instrument]`, go to the function
/// inside. Those that must see the handler's own parameters (`#[utoipa::path]`) belong above.
///
/// In the handler's body, calls of `web::block(…)` and `actix_web::web::block(…)` become
/// `::idempotent_runtime::block(…)`, which carries the request to the blocking thread, so that its writes are known as
/// the handler's own.
///
/// The handler runs in a task of its own, on the same worker: a client that goes away does not stop it. The current
/// `tracing` span goes with it; other task-locals that a middleware has set do not.
///
/// # What is not rewritten
///
/// `block` imported by itself, `web::block` inside the arguments of other macros, in items nested in the body or in
/// functions that the body calls, and other ways to a thread (`spawn_blocking`). Use `Db` there: it knows its request
/// wherever it goes.
#[proc_macro_attribute]
pub fn idempotent(args: TokenStream, item: TokenStream) -> TokenStream {
    handler::expand(args.into(), item.into()).into()
}

/// Says that changes of a model's table end the replies that depend on its rows.
///
/// ```ignore
/// #[derive(Queryable, Selectable, Identifiable, Tracked)]
/// #[diesel(table_name = users)]
/// struct User {
///     id: i32,
///     email: String,
/// }
/// ```
///
/// It registers the table for the whole process, wherever the model is used. Several models of one table are one
/// resource. The struct may be generic, and need not have the key among its fields.
///
/// # Attributes
///
/// | attribute | meaning | if left out |
/// | --- | --- | --- |
/// | `#[diesel(table_name = path::to::users)]` | the table, as for Diesel's derives | the struct's name in snake case, with an `s` |
/// | `#[diesel(primary_key(team_id, user_id))]` | the key's columns, as for `Identifiable` | `id` |
/// | `#[tracked(crate = path)]` | where the runtime crate is found | `::idempotent_runtime` |
///
/// All other options of `#[diesel(…)]` are left to Diesel.
///
/// # Expansion
///
/// ```ignore
/// impl ::idempotent_runtime::Tracked for User {
///     const TABLE: ::idempotent_runtime::TrackedTable = ::idempotent_runtime::TrackedTable::new(
///         ::idempotent_runtime::__private::table_name::<users::table>,
///         &[<users::id as ::idempotent_runtime::__private::diesel::Column>::NAME],
///     );
/// }
/// ::idempotent_runtime::__private::inventory::submit! {
///     ::idempotent_runtime::TrackedTable::new(/* the same */)
/// }
/// ```
#[proc_macro_derive(Tracked, attributes(diesel, tracked))]
pub fn derive_tracked(input: TokenStream) -> TokenStream {
    tracked::expand(&syn::parse_macro_input!(input)).into()
}
