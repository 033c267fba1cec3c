//! What can be said about a [`RedisStore`] before it is there.

use std::fmt;
use std::sync::Mutex;
use std::time::Duration;

use deadpool_redis::redis::{
    Client, ClientTlsConfig, ConnectionAddr, ErrorKind, IntoConnectionInfo, ProtocolVersion,
    RedisError, TlsCertificates,
};
use rustls::crypto::{CryptoProvider, ring};

use super::cluster::Cluster;
use super::door::Door;
use super::line::Dial;
use super::local::{Copies, Local};
use super::sentinel::Sentinel;
use super::server::Server;
use super::servers::{Servers, Way};
use super::side::Side;
use super::target::{Address, Target};
use super::{RedisStore, Trouble};
use crate::store::StoreError;

/// The longest deadline: longer ones may be more than a clock can tell.
const LONGEST: Duration = Duration::from_secs(86_400);

/// How clients and servers speak.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedisProtocol {
    /// What every server and every proxy speaks.
    Resp2,
    /// What Redis 6 and Valkey brought.
    Resp3,
}

/// Builds a [`RedisStore`]; each setting has a default.
///
/// `rediss://` is TLS by rustls, which asks the process for its cryptography: if the application has installed none, this
/// installs ring's.
///
/// ```no_run
/// use std::time::Duration;
///
/// use idempotent_runtime::store::{RedisProtocol, RedisStore};
///
/// # async fn connect() -> Result<(), idempotent_runtime::store::StoreError> {
/// let store = RedisStore::builder("rediss://shop:secret@redis.example.com/")
///     .deadline(Duration::from_millis(200))
///     .protocol(RedisProtocol::Resp3)
///     .connect()
///     .await?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct RedisBuilder {
    urls: Vec<String>,
    shape: Shape,
    server: Option<String>,
    deadline: Duration,
    pool_size: usize,
    protocol: Option<RedisProtocol>,
    local: Option<Local>,
    root: Option<Vec<u8>>,
    identity: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for RedisBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the URL, which may have a password in it.
        f.debug_struct("RedisBuilder")
            .field("deadline", &self.deadline)
            .field("pool_size", &self.pool_size)
            .finish_non_exhaustive()
    }
}

/// What is at the URLs.
enum Shape {
    One,
    Cluster,
    /// Sentinels of the primary of this name.
    Sentinel(String),
}

impl RedisBuilder {
    pub(super) fn new(url: impl Into<String>) -> Self {
        Self::with(vec![url.into()], Shape::One)
    }

    pub(super) fn cluster(urls: Vec<String>) -> Self {
        Self::with(urls, Shape::Cluster)
    }

    pub(super) fn sentinel(name: String, urls: Vec<String>) -> Self {
        Self::with(urls, Shape::Sentinel(name))
    }

    fn with(urls: Vec<String>, shape: Shape) -> Self {
        Self {
            urls,
            shape,
            server: None,
            deadline: Duration::from_millis(500),
            pool_size: 256,
            protocol: None,
            local: None,
            root: None,
            identity: None,
        }
    }

    /// How long the server may take to answer, connecting included if there is no connection. Default: 500 ms; at least
    /// one, at most a day. What takes longer is an error, and so what the handler's policy says of outages.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline.clamp(Duration::from_millis(1), LONGEST);
        self
    }

    /// The most connections for commands. Each Tokio runtime that uses the store takes one, for good: every worker of
    /// actix, and two threads of this crate. One more, beside the pool, is for waking. Default: 256.
    pub fn pool_size(mut self, connections: usize) -> Self {
        self.pool_size = connections.max(1);
        self
    }

    /// With Sentinel: a URL that has the servers' user, password and database in it, and says by `rediss://` that they want
    /// TLS. Its host means nothing. Default: none of these. Without Sentinel it is not used.
    pub fn servers(mut self, url: impl Into<String>) -> Self {
        self.server = Some(url.into());
        self
    }

    /// What the connections speak. Default: RESP2, or what the URL says by `?protocol=resp3`.
    pub fn protocol(mut self, protocol: RedisProtocol) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// Keeps copies of records in this process. Default: none. Not for a cluster, nor [`Local::tracking`] for Sentinel, and
    /// this not with [`RedisProtocol::Resp2`], as it has a connection of its own that speaks RESP3:
    /// [`build`](Self::build) refuses those.
    ///
    /// ```no_run
    /// use idempotent_runtime::store::{Local, RedisStore};
    ///
    /// let builder = RedisStore::builder("redis://127.0.0.1/").local(Local::strict(16 << 20));
    /// ```
    pub fn local(mut self, local: Local) -> Self {
        self.local = Some(local);
        self
    }

    /// The certificates, as PEM, of which one must have signed the server's. Default: those that the system trusts. For
    /// `rediss://` alone.
    pub fn root_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.root = Some(pem.into());
        self
    }

    /// The certificate and the private key, as PEM, by which the server knows this client. Default: none. For
    /// `rediss://` alone.
    pub fn client_certificate(
        mut self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.identity = Some((certificate.into(), key.into()));
        self
    }

    /// Done; the connections are made as they are needed, and until there is one, calls fail as in any outage.
    ///
    /// # Errors
    ///
    /// If the URL or a certificate makes no sense, local copies cannot be had in this way, or the store's own thread
    /// cannot be started.
    pub fn build(self) -> Result<RedisStore, StoreError> {
        let local = Copies::new(self.local);
        let server = Servers::new(self.way()?, self.tracked()?, self.deadline, local);
        let side = Side::start(&server).map_err(StoreError::new)?;
        Ok(RedisStore { server, side })
    }

    /// The same, and asks the server whether it is there.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build), and if the server does not answer in time or does not let this client do what it
    /// must.
    pub async fn connect(self) -> Result<RedisStore, StoreError> {
        let store = self.build()?;
        store.server.check().await?;
        Ok(store)
    }

    fn way(&self) -> Result<Way, Trouble> {
        let clients = self.urls.iter().map(|url| self.client(url));
        let clients = clients.collect::<Result<Vec<_>, _>>()?;
        let first = clients
            .first()
            .ok_or_else(|| senseless("there is no URL"))?;
        let target = Target {
            info: first.get_connection_info().clone(),
            pool_size: self.pool_size,
        };
        let one = |door| {
            Way::One(Server::new(Dial {
                door,
                deadline: self.deadline,
                in_cluster: false,
            }))
        };
        match &self.shape {
            Shape::One => Ok(one(Door::One {
                client: Box::new(first.clone()),
                pool: target.pool(first)?,
            })),
            Shape::Sentinel(name) => {
                let server = self.server.as_deref().unwrap_or("redis://127.0.0.1/");
                let info = self.client(server)?.get_connection_info().clone();
                Ok(one(Door::Sentinel(Box::new(Sentinel {
                    name: name.clone(),
                    clients,
                    target: Target { info, ..target },
                    deadline: self.deadline,
                    state: Mutex::default(),
                }))))
            }
            Shape::Cluster => {
                if target.info.redis_settings().db() != 0 {
                    return Err(senseless("a cluster has database 0 alone").into());
                }
                let seeds = clients
                    .iter()
                    .map(|client| Address::from_info(client.get_connection_info()));
                let seeds = seeds.collect::<Option<_>>();
                let seeds = seeds.ok_or_else(|| senseless("a cluster is in a network"))?;
                Ok(Way::Cluster(Cluster::new(target, seeds, self.deadline)))
            }
        }
    }

    /// For the connection on which the server says what is changed, if it is to.
    fn tracked(&self) -> Result<Option<Client>, Trouble> {
        let Some(local) = self.local else {
            return Ok(None);
        };
        if matches!(self.shape, Shape::Cluster) {
            return Err(senseless("a cluster has no local copies").into());
        }
        if local.staleness.is_none() {
            return Ok(None);
        }
        if matches!(self.shape, Shape::Sentinel(_)) {
            return Err(
                senseless("Sentinel's servers are not tracked: take `Local::strict`").into(),
            );
        }
        if self.protocol == Some(RedisProtocol::Resp2) {
            return Err(senseless("`Local::tracking` needs RESP3").into());
        }
        let url = self.urls.first().map_or("", String::as_str);
        Ok(Some(self.client_speaking(url, Some(RedisProtocol::Resp3))?))
    }

    fn client(&self, url: &str) -> Result<Client, RedisError> {
        self.client_speaking(url, self.protocol)
    }

    fn client_speaking(
        &self,
        url: &str,
        protocol: Option<RedisProtocol>,
    ) -> Result<Client, RedisError> {
        let mut info = url.into_connection_info()?;
        if let Some(protocol) = protocol {
            let settings = info.redis_settings().clone();
            info = info.set_redis_settings(settings.set_protocol(match protocol {
                RedisProtocol::Resp2 => ProtocolVersion::RESP2,
                RedisProtocol::Resp3 => ProtocolVersion::RESP3,
            }));
        }
        if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
            return Client::open(info);
        }
        provide_cryptography();
        let certificates = TlsCertificates {
            root_cert: self.root.clone(),
            client_tls: self
                .identity
                .clone()
                .map(|(client_cert, client_key)| ClientTlsConfig {
                    client_cert,
                    client_key,
                }),
        };
        Client::build_with_tls(info, certificates)
    }
}

fn senseless(why: &'static str) -> RedisError {
    (ErrorKind::InvalidClientConfig, why).into()
}

/// rustls has no cryptography of its own, and asks the process for one. An application's own choice stays.
fn provide_cryptography() {
    if CryptoProvider::get_default().is_none() {
        // Another thread may have been faster, which is as good.
        let _ = ring::default_provider().install_default();
    }
}
