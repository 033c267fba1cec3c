//! A handler's run: what becomes of its reply.

use std::sync::Arc;
use std::time::Duration;

use super::{Engine, Why};
use crate::execution::{Execution, Unkept};
use crate::hold::Hold;
use crate::key::{Fingerprint, RequestId};
use crate::meters;
use crate::policy::{is_of_its_headers, kept_form};
use crate::reply::Reply;
use crate::running::Ticket;
use crate::spec::Keep;
use crate::store::Record;

/// A handler's run, from the claim to the keeping.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) why: Why,
    pub(super) handler: &'static str,
    pub(super) engine: Arc<Engine>,
    pub(super) keep: Option<(Duration, Keep)>,
    pub(super) id: RequestId,
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) execution: Arc<Execution>,
    pub(super) hold: Arc<Hold>,
    pub(super) ticket: Option<Ticket>,
}

impl Run {
    /// Whether its reply may be kept at all.
    pub(crate) fn is_cached(&self) -> bool {
        self.keep.is_some()
    }

    pub(crate) fn handler(&self) -> &'static str {
        self.handler
    }

    /// The handler has replied: keeps the reply if it may be kept, gives it to those who wait, and ends the claim.
    pub(crate) async fn finish(mut self: Box<Self>, reply: Reply) -> Result<Duration, Unkept> {
        let Some((life, keep)) = self.keep else {
            return Err(Unkept::StoreAway);
        };
        let (handler, size) = (self.handler, reply.size());
        let reply = Arc::new(reply);
        let kept = match kept_form(keep, &reply) {
            Ok(form) => self.store(form, life).await,
            Err(why) => Err(why),
        };
        let shared = match (&kept, reply.sets_cookie()) {
            _ if is_of_its_headers(reply.status()) => None,
            // What another one gets is what a replay would be.
            (Ok(()), true) => Some(Arc::new(reply.without_cookies())),
            (Err(_), true) => None,
            (_, false) => Some(reply),
        };
        if let Some(ticket) = self.ticket.take() {
            ticket.publish(shared);
        }
        let kept = kept.map(|()| life);
        meters::kept(handler, size, kept.as_ref().map(|_| ()));
        kept
    }

    async fn store(&self, reply: Reply, life: Duration) -> Result<(), Unkept> {
        // A closure of this execution that still runs may commit what no tag of the record says.
        if Arc::strong_count(&self.hold) > 1 {
            return Err(Unkept::StillRunning);
        }
        let (epoch, tags) = self.execution.seal(&self.id)?;
        let record = Record {
            execution: self.execution.id,
            fingerprint: self.fingerprint,
            epoch,
            tags,
            reply,
        };
        match self.hold.keep(&*self.engine.store, record, life).await {
            // It was removed before it was there.
            Ok(true) if self.execution.is_late() => {
                let _ = self.engine.store.forget(&self.id).await;
                Err(Unkept::StillRunning)
            }
            Ok(true) => Ok(()),
            Ok(false) if self.hold.is_lost() => Err(Unkept::ClaimLost),
            Ok(false) => Err(Unkept::Refused),
            Err(error) => {
                // Not the id, which holds credentials and bodies where it is no digest.
                tracing::warn!(%error, handler = self.handler, execution = %self.execution.id, "a reply could not be kept");
                Err(Unkept::StoreAway)
            }
        }
    }
}
