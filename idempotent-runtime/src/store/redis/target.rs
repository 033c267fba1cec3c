//! Addresses, and how connections to them are made.

use std::fmt;

use deadpool_redis::redis::{AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo};
use deadpool_redis::{Manager, Pool};

use super::trouble::Trouble;

/// How many commands of one connection wait to be written before who sends one waits, too.
const BUFFER: usize = 1_024;

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Address {
    /// From a server's word, which leaves out the host where it is that of the server itself.
    pub(super) fn told(word: &str, by: &Self) -> Option<Self> {
        let (host, port) = word.rsplit_once(':')?;
        Some(Self::of(host, port.parse().ok()?, by))
    }

    /// The same, in two words.
    pub(super) fn of(host: &str, port: u16, by: &Self) -> Self {
        let host = host.trim_matches(['[', ']']);
        let host = if host.is_empty() || host == "?" {
            &by.host
        } else {
            host
        };
        Self {
            host: host.to_owned(),
            port,
        }
    }

    /// `None` if it is not in a network.
    pub(super) fn from_info(info: &ConnectionInfo) -> Option<Self> {
        let (host, port) = match info.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                (host.clone(), *port)
            }
            _ => return None,
        };
        Some(Self { host, port })
    }
}

/// What the connections to several servers have in common.
#[derive(Clone)]
pub(super) struct Target {
    /// With the address of any of them.
    pub(super) info: ConnectionInfo,
    /// The most connections to each.
    pub(super) pool_size: usize,
}

impl Target {
    /// A client of one of them.
    pub(super) fn client(&self, address: &Address) -> Result<Client, Trouble> {
        let mut addr = self.info.addr().clone();
        match &mut addr {
            ConnectionAddr::TcpTls { host, port, .. } => {
                (*host, *port) = (address.host.clone(), address.port);
            }
            _ => addr = ConnectionAddr::Tcp(address.host.clone(), address.port),
        }
        Ok(Client::open(self.info.clone().set_addr(addr))?)
    }

    /// Its connections.
    pub(super) fn pool(&self, client: &Client) -> Result<Pool, Trouble> {
        let manager = Manager::new_with_config(client.get_connection_info().clone(), config())?;
        Pool::builder(manager)
            .max_size(self.pool_size)
            .build()
            .map_err(|error| Trouble::Away(error.to_string().into()))
    }
}

/// Calls have a deadline as a whole, and so no part of them needs one.
pub(super) fn config() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new()
        .set_connection_timeout(None)
        .set_response_timeout(None)
        .set_pipeline_buffer_size(BUFFER)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_say_is_an_address() {
        let by = Address {
            host: "here".to_owned(),
            port: 1,
        };
        for (word, host) in [
            ("10.0.0.1:7", "10.0.0.1"),
            ("::1:7", "::1"),
            ("[::1]:7", "::1"),
            (":7", "here"),
            ("?:7", "here"),
        ] {
            let address = Address::told(word, &by).unwrap();
            assert_eq!((&*address.host, address.port), (host, 7));
        }
        assert_eq!(Address::told("nothing", &by), None);
        assert_eq!(Address::told("here:99999", &by), None);
    }
}
