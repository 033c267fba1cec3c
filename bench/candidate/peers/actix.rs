//! `actix-idempotent`, which keeps replies in the client's session.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use actix_idempotent::{IdempotentFactory, IdempotentOptions};
use actix_session::SessionMiddleware;
use actix_session::storage::{
    LoadError, RedisSessionStore, SaveError, SessionKey, SessionStore, UpdateError,
};
use actix_web::cookie::{Key, time::Duration};
use actix_web::{App, Responder, web};

use crate::Result;
use crate::serve::{app, environment};
use crate::work::{Order, receipt};

async fn order(order: web::Json<Order>) -> impl Responder {
    web::Json(receipt(order.into_inner(), 0))
}

/// With one connection for all, and without a longer life at each request: both faster than what its README shows.
async fn serve<S: SessionStore + Clone + Send + 'static>(store: S) -> Result<()> {
    let key = Key::generate();
    app(move || {
        App::new()
            .wrap(
                SessionMiddleware::builder(store.clone(), key.clone())
                    .cookie_secure(false)
                    .build(),
            )
            .route(
                "/orders",
                web::post()
                    .to(order)
                    .wrap(IdempotentFactory::new(IdempotentOptions::default())),
            )
    })
    .await
}

#[actix_web::main]
pub(crate) async fn redis() -> Result<()> {
    serve(RedisSessionStore::new(environment("REDIS")?).await?).await
}

#[actix_web::main]
pub(crate) async fn memory() -> Result<()> {
    serve(Sessions::default()).await
}

type State = HashMap<String, String>;

/// actix-session has no store in memory: this is the least that one can do.
#[derive(Clone, Debug, Default)]
struct Sessions(Arc<Mutex<HashMap<String, State>>>);

impl Sessions {
    fn with<T>(&self, act: impl FnOnce(&mut HashMap<String, State>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl SessionStore for Sessions {
    async fn load(&self, key: &SessionKey) -> std::result::Result<Option<State>, LoadError> {
        Ok(self.with(|sessions| sessions.get(key.as_ref()).cloned()))
    }

    async fn save(&self, state: State, _: &Duration) -> std::result::Result<SessionKey, SaveError> {
        let name = self.with(|sessions| {
            let name = format!("session-{}", sessions.len());
            sessions.insert(name.clone(), state);
            name
        });
        name.try_into()
            .map_err(|error| SaveError::Other(anyhow::Error::new(error)))
    }

    async fn update(
        &self,
        key: SessionKey,
        state: State,
        _: &Duration,
    ) -> std::result::Result<SessionKey, UpdateError> {
        self.with(|sessions| sessions.insert(key.as_ref().to_owned(), state));
        Ok(key)
    }

    async fn update_ttl(&self, _: &SessionKey, _: &Duration) -> anyhow::Result<()> {
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> anyhow::Result<()> {
        self.with(|sessions| sessions.remove(key.as_ref()));
        Ok(())
    }
}
