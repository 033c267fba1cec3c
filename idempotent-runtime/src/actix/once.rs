//! `once` between actix-web and the flow: what such a handler needs, and what its client gets.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse};

use super::{Running, refused, response, status};
use crate::error::Error;
use crate::execution::Execution;
use crate::flow::{Engine, Refusal};
use crate::key::{self, Identified};
use crate::once::{Answer, Look, Promise};
use crate::spec::Spec;

/// Whether the application is made for it.
pub(super) fn check(spec: &Spec, engine: &Engine, request: &HttpRequest) -> Result<(), Error> {
    match spec.once.is_none() || key::is_stable(&engine.rules, spec.key, request) {
        true => Ok(()),
        false => Err(Error::setup(format!(
            "`once` on {} needs to know who asks, in the same words at every try, and credentials change between two: name the user by \
             `Idempotent::builder(…).principal(|request| …)`, for this request, too, or say `.principal(Principal::Anonymous)` if the client's key alone is enough",
            spec.name
        ))),
    }
}

/// Makes the promise of a `once` handler's run, and gives what looks for its record; nothing for other handlers.
pub(super) fn promise(
    spec: &Spec,
    engine: &Engine,
    request: &HttpRequest,
    identified: &Identified,
    execution: &Arc<Execution>,
) -> Result<Option<Box<dyn Look>>, Error> {
    let Some(life) = spec.once else {
        return Ok(None);
    };
    let on = engine.once_on.get().ok_or_else(|| {
        Error::setup(format!(
            "`once` on {} needs a place for its records: call `idempotent.once_on(&pool)?` before the server starts",
            spec.name
        ))
    })?;
    let look = on.look(request)?;
    let wait = spec.wait.unwrap_or(engine.settings.wait);
    execution.set_promise(Promise::new(
        on.clone(),
        identified,
        execution.id,
        life,
        wait,
    ));
    Ok(Some(look))
}

/// What is recorded is the answer, whatever the handler has made of it, for a retry will get that and nothing else.
pub(super) async fn answer(running: Running, response: HttpResponse) -> HttpResponse {
    let Running {
        engine,
        identified,
        run,
        ..
    } = running;
    let settings = &engine.settings;
    match run.finish_once().await {
        None => {
            let mut response = response;
            status::once(settings, &identified, None).put(&mut response);
            response
        }
        Some(Answer::Recorded(reply, life)) => {
            if response.status().as_u16() != reply.status() {
                tracing::warn!(handler = identified.id.as_str(), status = %response.status(), "a handler has answered otherwise than its `db.once`; the client gets what is recorded");
            }
            let mut recorded = response::rebuilt(&reply);
            status::once(settings, &identified, Some(life)).put(&mut recorded);
            recorded
        }
        Some(Answer::Found(reply, left)) => {
            let mut found = response::rebuilt(&reply);
            status::mark_replayed(&mut found);
            status::hit(settings, &identified, left).put(&mut found);
            found
        }
        Some(Answer::OtherPayload) => refused(&engine, &identified, &Refusal::OtherPayload),
        Some(Answer::InProgress) => refused(&engine, &identified, &Refusal::InProgress),
    }
}
