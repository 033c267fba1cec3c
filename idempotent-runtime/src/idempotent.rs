//! [`Idempotent`], the application's handle, and its [`Builder`].

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use ipnet::IpNet;

use crate::execution::{self, Scope};
use crate::flow::Engine;
use crate::keeper::Keeper;
use crate::key::{Key, Principal, RequestId, Rules};
use crate::meters;
use crate::observed::Observed;
use crate::once::{Seal, Sealing};
use crate::running::Running;
use crate::settings::{Settings, Unattributed};
use crate::spec::Outage;
use crate::store::{MemoryStore, Store, StoreError};

/// What all annotated handlers of an application share: the store, the rules and the limits.
///
/// Cheap to clone; made once, before the server starts, and handed to each worker by
/// [`configure`](Self::configure).
///
/// ```
/// use idempotent_runtime::Idempotent;
///
/// let idempotent = Idempotent::builder("shop").build();
/// ```
#[derive(Clone)]
pub struct Idempotent(pub(crate) Arc<Engine>);

impl fmt::Debug for Idempotent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idempotent")
            .field("application", &self.0.rules.application)
            .finish_non_exhaustive()
    }
}

impl Idempotent {
    /// Begins with the application's name, which is the first part of every key in the store.
    pub fn builder(application: impl Into<String>) -> Builder {
        Builder {
            rules: Rules::new(application),
            settings: Settings::default(),
            store: None,
        }
    }

    /// Waits until no annotated handler runs any more, nor anything that a handler has left behind.
    ///
    /// Handlers run detached from their clients' connections, and a server that stops drops them with its workers. So
    /// call it before the workers stop; [`stop`](Self::stop) does.
    pub async fn drain(&self) {
        self.0.runs.none().await;
    }

    /// Stops a server without cutting a handler short: no new connections, [`drain`](Self::drain) (for at most the longest
    /// time of a [claim](Builder::claim)), then the workers. Annotated handlers answer 503 from then on, so that clients
    /// on open connections cannot keep it waiting.
    ///
    /// ```no_run
    /// # use actix_web::{App, HttpServer};
    /// # use idempotent_runtime::Idempotent;
    /// # async fn run(idempotent: Idempotent) -> std::io::Result<()> {
    /// let server = HttpServer::new(App::new).disable_signals().bind("127.0.0.1:8080")?.run();
    /// let handle = server.handle();
    /// actix_web::rt::spawn(async move {
    ///     if actix_web::rt::signal::ctrl_c().await.is_ok() {
    ///         idempotent.stop(&handle).await;
    ///     }
    /// });
    /// server.await
    /// # }
    /// ```
    pub async fn stop(&self, server: &ServerHandle) {
        self.0.stopping.store(true, Ordering::Release);
        server.pause().await;
        // No run outlives its claim's longest time; what is parked somewhere must not keep the server up.
        let _ = tokio::time::timeout(self.0.settings.claim_cap, self.drain()).await;
        server.stop(true).await;
    }

    /// Forgets all records, tags, claims and locks of this application. For tests.
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub async fn clear(&self) -> Result<(), StoreError> {
        self.0.store.clear(&self.0.prefix).await
    }

    /// Removes the kept reply of one request, so that its next try runs again; `false` if there was none.
    ///
    /// `id` is the `key` that `Cache-Status` carries with [`explain`](Builder::explain).
    ///
    /// # Errors
    ///
    /// If the store fails.
    pub async fn forget(&self, id: &str) -> Result<bool, StoreError> {
        // Another application's records are not ours to remove.
        if !id.starts_with(&self.0.prefix) {
            return Ok(false);
        }
        self.0.store.forget(&RequestId::from_text(id)).await
    }

    /// Says that a task belongs to no request: what it changes in the database ends the replies that depend on it,
    /// and is not taken for the change of a handler that happens to run meanwhile.
    pub fn background<F: Future>(&self, work: F) -> impl Future<Output = F::Output> + use<F> {
        execution::on_task(Scope::Background, work)
    }

    /// The same for blocking work, on this thread.
    pub fn background_blocking<R>(&self, work: impl FnOnce() -> R) -> R {
        execution::on_thread(Some(Scope::Background), work)
    }
}

/// Builds an [`Idempotent`]; each setting has a default.
pub struct Builder {
    rules: Rules,
    settings: Settings,
    store: Option<Arc<dyn Store>>,
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// Where records, tags, claims and locks live. Default: a [`MemoryStore`], for a single process.
    #[must_use]
    pub fn store(mut self, store: impl Store) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// What makes two requests the same, for handlers that name no `key`. Default: endpoint, method, host, path,
    /// query, body, content type, `Accept` and principal.
    #[must_use]
    pub fn key(mut self, key: Key) -> Self {
        self.rules.key = key;
        self
    }

    /// Who asks: a function that knows the user's id from the request's extensions or session, or
    /// [`Principal::Anonymous`]. Default: the request's credentials, all together.
    ///
    /// ```
    /// # use actix_web::{HttpMessage, HttpRequest};
    /// # use idempotent_runtime::Idempotent;
    /// let idempotent = Idempotent::builder("shop")
    ///     .principal(|request: &HttpRequest| {
    ///         request.extensions().get::<String>().cloned()
    ///     })
    ///     .build();
    /// ```
    #[must_use]
    pub fn principal(mut self, principal: impl Into<Principal>) -> Self {
        self.rules.principal = principal.into();
        self
    }

    /// The cookies that say who asks. Without it every cookie counts, so that a changed preference is another client.
    #[must_use]
    pub fn session_cookies<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.rules.session_cookies = names.into_iter().map(Into::into).collect();
        self
    }

    /// The proxies whose `X-Forwarded-For` is believed.
    #[must_use]
    pub fn proxies(mut self, proxies: impl IntoIterator<Item = IpNet>) -> Self {
        self.rules.proxies = proxies.into_iter().collect();
        self
    }

    /// `false` makes request ids readable instead of digests. They hold credentials and bodies then: for debugging.
    #[must_use]
    pub fn checksum(mut self, checksum: bool) -> Self {
        self.rules.checksum = checksum;
        self
    }

    /// How many characters a client's own key may have. Default: 255.
    #[must_use]
    pub fn client_key_limit(mut self, characters: usize) -> Self {
        self.rules.client_key_limit = characters;
        self
    }

    /// How long a duplicate waits for the first one, and for a lock, where the handler does not say. Default: 30 s.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.settings.wait = wait;
        self
    }

    /// What happens when the store is away, where the handler does not say. Default: [`Outage::Reject`].
    #[must_use]
    pub fn outage(mut self, outage: Outage) -> Self {
        self.settings.outage = outage;
        self
    }

    /// `Cache-Status` also carries the request id and the row that ended a record. Default: off.
    #[must_use]
    pub fn explain(mut self, explain: bool) -> Self {
        self.settings.explain = explain;
        self
    }

    /// What to think of tracked writes that belong to no request. Default: [`Unattributed::Distrust`].
    #[must_use]
    pub fn unattributed(mut self, unattributed: Unattributed) -> Self {
        self.settings.unattributed = unattributed;
        self
    }

    /// The claim's lease, which is renewed at a third of it, and the longest that it lives altogether. Defaults: 10 s,
    /// 10 min.
    #[must_use]
    pub fn claim(mut self, lease: Duration, cap: Duration) -> Self {
        self.settings.claim_lease = lease.max(Duration::from_millis(1));
        self.settings.claim_cap = cap;
        self
    }

    /// The largest request body of an annotated handler, in bytes; a larger one gets 413. Default: 1 MiB.
    #[must_use]
    pub fn body_limit(mut self, bytes: usize) -> Self {
        self.settings.body = bytes;
        self
    }

    /// The largest reply that is kept, in bytes; a larger one streams through. Default: 1 MiB.
    #[must_use]
    pub fn reply_limit(mut self, bytes: usize) -> Self {
        self.settings.reply = bytes;
        self
    }

    /// How long a reply that is not there as a whole may take to end; a slower one streams through unkept. Until then
    /// nothing of it is sent, because its headers say whether it is kept: an endless one, such as server-sent events,
    /// begins that much later. Default: 1 s.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self
    }

    /// On how many rows of a table a record may depend; with more it depends on the whole table. Default: 1,000.
    #[must_use]
    pub fn rows_limit(mut self, rows: usize) -> Self {
        self.settings.rows = rows;
        self
    }

    /// Encrypts the replies of `once` handlers at rest. They are in their table only then, and not in the store: each replay
    /// is one query. Default: they are stored as they are.
    ///
    /// Replies of `cache` go to the store as they are.
    #[must_use]
    pub fn seal(mut self, seal: impl Seal) -> Self {
        self.settings.sealing = Sealing::by(seal);
        self
    }

    /// Done.
    ///
    /// # Panics
    ///
    /// If the thread that renews leases cannot be started.
    #[must_use]
    pub fn build(self) -> Idempotent {
        meters::describe();
        let store = self.store.unwrap_or_else(|| Arc::new(MemoryStore::new()));
        let store: Arc<dyn Store> = Arc::new(Observed(store));
        #[allow(
            clippy::expect_used,
            reason = "at start-up, and documented: without threads nothing works"
        )]
        let keeper = Keeper::start(Arc::clone(&store))
            .expect("could not start the thread that renews leases");
        Idempotent(Arc::new(Engine {
            prefix: RequestId::prefix(&self.rules.application),
            rules: self.rules,
            settings: self.settings,
            store,
            keeper,
            running: Arc::new(Running::default()),
            waiting: Default::default(),
            runs: Arc::default(),
            owed: Arc::default(),
            once_on: Default::default(),
            names: Default::default(),
            stopping: Default::default(),
        }))
    }
}
