//! Whichever server Sentinel names.

use std::pin::pin;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use deadpool_redis::Pool;
use deadpool_redis::redis::{Client, cmd};
use futures_util::{StreamExt, stream};

use super::target::{Address, Target, config};
use super::trouble::Trouble;
use super::within::within;
use crate::sync::lock;

/// For so long an answer is good enough for whoever only wants to see that nothing has changed.
const FRESH: Duration = Duration::from_millis(500);

/// Several Sentinels, of which one is enough, and the server that they name.
pub(super) struct Sentinel {
    pub(super) name: String,
    /// Of the Sentinels themselves.
    pub(super) clients: Vec<Client>,
    pub(super) target: Target,
    pub(super) deadline: Duration,
    pub(super) state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    told: Option<(Instant, Address)>,
    pool: Option<(Address, Pool)>,
}

impl Sentinel {
    /// The connections to the primary, and its address.
    pub(super) async fn pool(&self) -> Result<(Address, Pool), Trouble> {
        let address = self.primary().await?;
        let mut state = lock(&self.state);
        if let Some((known, pool)) = &state.pool
            && *known == address
        {
            return Ok((address, pool.clone()));
        }
        let pool = self.target.pool(&self.target.client(&address)?)?;
        state.pool = Some((address.clone(), pool.clone()));
        Ok((address, pool))
    }

    /// For connections of another kind to the primary, and its address.
    pub(super) async fn client(&self) -> Result<(Address, Client), Trouble> {
        let address = self.primary().await?;
        let client = self.target.client(&address)?;
        Ok((address, client))
    }

    /// Whether another server is the primary by now. If nobody can be asked, nothing is known to have changed.
    pub(super) async fn has_left(&self, address: &Address) -> bool {
        let told = lock(&self.state).told.clone();
        match told.filter(|(when, _)| when.elapsed() < FRESH) {
            Some((_, now)) => now != *address,
            None => self.primary().await.is_ok_and(|now| now != *address),
        }
    }

    /// What the first Sentinel says that says anything.
    async fn primary(&self) -> Result<Address, Trouble> {
        let mut trouble = Trouble::Away("there is no Sentinel".into());
        let mut answers = stream::iter(self.clients.clone())
            .map(|client| async move { self.ask(&client).await })
            .buffer_unordered(self.clients.len().max(1));
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(address) => {
                    lock(&self.state).told = Some((Instant::now(), address.clone()));
                    return Ok(address);
                }
                Err(other) => trouble = other,
            }
        }
        Err(trouble)
    }

    async fn ask(&self, client: &Client) -> Result<Address, Trouble> {
        let (config, mut ask) = (config(), cmd("SENTINEL"));
        ask.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.name);
        let asked = pin!(async {
            let mut connection = client
                .get_multiplexed_async_connection_with_config(&config)
                .await?;
            ask.query_async::<Option<(String, u16)>>(&mut connection)
                .await
        });
        let told = within(self.deadline, asked)
            .await
            .ok_or(Trouble::Late(self.deadline))??;
        let (host, port) = told.ok_or_else(|| {
            Trouble::Away(format!("Sentinel knows no primary {:?}", self.name).into())
        })?;
        Ok(Address { host, port })
    }
}
