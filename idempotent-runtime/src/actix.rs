//! Between actix-web and the flow: the buffered request, the detached run, the reply with its headers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::Payload;
use actix_web::{
    FromRequest, Handler, HttpRequest, HttpResponse, Responder, http::StatusCode, rt, web,
};

use tracing::Instrument;

use crate::error::Error;
use crate::execution::{self, Execution, Scope, Unkept};
use crate::flow::{Asked, Engine, Entry, Refusal, Replay, Run, Why};
use crate::idempotent::Idempotent;
use crate::key::{self, Identified};
use crate::meters;
use crate::reply::Reply;
use crate::spec::Spec;

mod once;
mod request;
mod response;
mod status;

use request::{Body, Unbuffered};

/// A request whose body is buffered and whose handler has not been called yet.
#[derive(Debug)]
pub struct Call {
    request: HttpRequest,
    body: Body,
    idempotent: Idempotent,
}

impl FromRequest for Call {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Self::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let idempotent = find(&request)?;
            let body = Body::buffer(&request, payload, idempotent.0.settings.body).await?;
            Ok(Self {
                request,
                body,
                idempotent,
            })
        })
    }
}

fn find(request: &HttpRequest) -> Result<Idempotent, Error> {
    request
        .app_data::<Idempotent>()
        .or_else(|| request.app_data::<web::Data<Idempotent>>().map(|data| &***data))
        .cloned()
        .ok_or_else(|| {
            Error::setup(
                "no Idempotent in app_data: an annotated handler needs `App::new().configure(idempotent.configure(&pool))`, or `.app_data(idempotent.clone())` where there is no pool",
            )
        })
}

impl Call {
    /// Runs the handler, or replays what it replied to the same request before.
    ///
    /// # Cancellation
    ///
    /// Once the handler has begun it runs to its end, whether the client waits for it or not.
    pub async fn run<H, Args>(self, spec: &Spec, handler: H) -> HttpResponse
    where
        H: Handler<Args>,
        Args: FromRequest + 'static,
        H::Output: Responder + 'static,
        <H::Output as Responder>::Body: MessageBody + 'static,
    {
        let Self {
            request,
            body,
            idempotent,
        } = self;
        let engine = idempotent.0;
        if (spec.cache.is_some() || spec.once.is_some())
            && let Err(error) = engine.names.claim(spec.name, std::any::type_name::<H>())
        {
            return HttpResponse::from_error(error);
        }
        let body = match body.whole::<Args>() {
            Ok(body) => body,
            // To let it past would be a way around the lock, or around `once`.
            Err(Unbuffered::Stream(_)) if spec.lock.is_some() || spec.once.is_some() => {
                return response::too_large(engine.settings.body);
            }
            Err(Unbuffered::Stream(payload)) => {
                return Box::pin(bypass(spec, &engine, &request, payload, handler)).await;
            }
            Err(Unbuffered::Conversation) => return response::no_conversation(),
            Err(Unbuffered::TooLarge) => return response::too_large(engine.settings.body),
        };
        // Asked together with the id, and told after the extractors, which may turn away who is not logged in.
        let stable = once::check(spec, &engine, &request);
        let identified = match key::identify(&engine.rules, &spec.identity(), &request, &body) {
            Ok(identified) => identified,
            Err(error) => return response::no_key(error),
        };
        let execution = engine.execution(spec);
        let promised = match once::promise(spec, &engine, &request, &identified, &execution) {
            Ok(promised) => promised,
            Err(error) => return HttpResponse::from_error(error),
        };
        let scope = Scope::Execution(Arc::clone(&execution));
        let args = match execution::on_task(
            scope.clone(),
            extract::<Args>(&request, request::again(body)),
        )
        .await
        {
            Ok(args) => args,
            Err(error) => return HttpResponse::from_error(error),
        };
        if let Err(error) = stable {
            return HttpResponse::from_error(error);
        }
        let asked = Asked {
            spec,
            identified: &identified,
            execution: &execution,
        };
        let entry = match promised {
            Some(looks) => Box::pin(engine.enter_once(asked, looks)).await,
            None => Box::pin(engine.enter(asked)).await,
        };
        match entry {
            Entry::Replay(replay) => replayed(&engine, &identified, &replay),
            Entry::Refused(refusal) => refused(&engine, &identified, &refusal),
            Entry::Run(run) => {
                let running = Running {
                    engine,
                    identified,
                    request,
                    cached: spec.cache.is_some(),
                    run,
                };
                let span = tracing::info_span!("idempotent.run", handler = spec.name, execution = %execution.id);
                // In its place from the beginning: what follows is put around it, and moved to a task of its own.
                let run = Box::pin(running.call(meters::Run::begin(spec.name), handler, args));
                // Where that one is not recorded, the request's own is still around it.
                let run = execution::on_task(scope, run).instrument(span);
                detached(spec.name, run.in_current_span()).await
            }
        }
    }
}

async fn extract<Args: FromRequest>(
    request: &HttpRequest,
    mut payload: Payload,
) -> Result<Args, actix_web::Error> {
    Args::from_request(request, &mut payload)
        .await
        .map_err(Into::into)
}

/// A request that cannot be buffered: its handler runs as if it had no attribute.
async fn bypass<H, Args>(
    spec: &Spec,
    engine: &Arc<Engine>,
    request: &HttpRequest,
    payload: Payload,
    handler: H,
) -> HttpResponse
where
    H: Handler<Args>,
    Args: FromRequest + 'static,
    H::Output: Responder + 'static,
    <H::Output as Responder>::Body: MessageBody + 'static,
{
    tracing::debug!(
        handler = spec.name,
        "the request cannot be buffered, so it is neither replayed nor kept"
    );
    let mut response = match extract::<Args>(request, payload).await {
        Ok(args) => handler
            .call(args)
            .await
            .respond_to(request)
            .map_into_boxed_body(),
        Err(error) => HttpResponse::from_error(error),
    };
    if spec.cache.is_some() {
        status::bypassed(&engine.settings).put(&mut response);
    }
    response
}

/// Runs on the same worker, whatever becomes of the connection.
async fn detached(
    name: &'static str,
    run: impl Future<Output = HttpResponse> + 'static,
) -> HttpResponse {
    match rt::spawn(run).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(handler = name, %error, "the handler panicked");
            HttpResponse::new(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

fn replayed(engine: &Engine, identified: &Identified, replay: &Replay) -> HttpResponse {
    let (reply, status) = match replay {
        Replay::Kept(record, ttl) => (
            &record.reply,
            status::hit(&engine.settings, identified, *ttl),
        ),
        Replay::Followed(reply) => (&**reply, status::collapsed(&engine.settings, identified)),
    };
    let mut response = response::rebuilt(reply);
    status::mark_replayed(&mut response);
    status.put(&mut response);
    response
}

fn refused(engine: &Engine, identified: &Identified, refusal: &Refusal) -> HttpResponse {
    let mut response = response::refusal(refusal);
    if let Refusal::Changed(tag) = refusal {
        status::changed(engine, identified, tag).put(&mut response);
    }
    response
}

/// A handler's run, with what is needed to answer.
struct Running {
    engine: Arc<Engine>,
    identified: Identified,
    request: HttpRequest,
    /// The handler keeps replies.
    cached: bool,
    run: Box<Run>,
}

impl Running {
    async fn call<H, Args>(self, metered: meters::Run, handler: H, args: Args) -> HttpResponse
    where
        H: Handler<Args>,
        Args: 'static,
        H::Output: Responder,
        <H::Output as Responder>::Body: MessageBody + 'static,
    {
        let response = handler
            .call(args)
            .await
            .respond_to(&self.request)
            .map_into_boxed_body();
        metered.replied();
        if self.run.is_once() {
            return Box::pin(once::answer(self, response)).await;
        }
        if !self.run.is_cached() {
            return self.unkept(response);
        }
        let settings = &self.engine.settings;
        match response::take(response, settings.reply, settings.patience).await {
            response::Taken::Whole(response, reply) => Box::pin(self.keep(response, reply)).await,
            response::Taken::Streaming(response, why) => self.stream(response, &why),
        }
    }

    /// The handler keeps no replies, or the store is away.
    fn unkept(self, mut response: HttpResponse) -> HttpResponse {
        if self.run.why == Why::Unprotected && self.cached {
            meters::kept(self.run.handler(), 0, Err(&Unkept::StoreAway));
            status::stored(
                &self.engine,
                &self.identified,
                &self.run.why,
                &Err(Unkept::StoreAway),
            )
            .put(&mut response);
        }
        response
    }

    async fn keep(self, mut response: HttpResponse, reply: Reply) -> HttpResponse {
        let Self {
            engine,
            identified,
            run,
            ..
        } = self;
        let why = run.why.clone();
        let kept = Box::pin(run.finish(reply)).await;
        warn_unattributed(&kept);
        status::stored(&engine, &identified, &why, &kept).put(&mut response);
        response
    }

    fn stream(self, mut response: HttpResponse, why: &Unkept) -> HttpResponse {
        meters::kept(self.run.handler(), 0, Err(why));
        status::stored(
            &self.engine,
            &self.identified,
            &self.run.why,
            &Err(why.clone()),
        )
        .put(&mut response);
        response
    }
}

/// At most once in ten seconds: under load it would be said for every request.
fn warn_unattributed(kept: &Result<std::time::Duration, Unkept>) {
    use std::sync::atomic::{AtomicU64, Ordering};
    static LAST: AtomicU64 = AtomicU64::new(0);
    if kept.as_ref().err() != Some(&Unkept::Unattributed) {
        return;
    }
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let last = LAST.load(Ordering::Relaxed);
    if now >= last + 10
        && LAST
            .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    {
        tracing::warn!(
            "a reply was not kept: while its handler ran, tracked rows were changed by a connection that belongs to no request. Use the request's `Db`, \
             the attribute's `web::block`, or `Idempotent::background` for work that belongs to none"
        );
    }
}

impl Responder for Reply {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        response::rebuilt(&self)
    }
}

/// Lets a handler ask whether it still holds its claim and its lock.
#[derive(Clone, Debug)]
pub struct Lease(Option<Arc<Execution>>);

impl Lease {
    /// Whether a lease ran out while the handler was running, so that another may be running, too.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.0
            .as_ref()
            .and_then(|execution| execution.hold())
            .is_some_and(|hold| hold.is_lost())
    }
}

impl FromRequest for Lease {
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Self, Self::Error>>;

    fn from_request(_: &HttpRequest, _: &mut Payload) -> Self::Future {
        let execution = match execution::current() {
            Some(Scope::Execution(execution)) => Some(execution),
            _ => None,
        };
        std::future::ready(Ok(Self(execution)))
    }
}
