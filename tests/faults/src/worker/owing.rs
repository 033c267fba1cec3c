//! Whether what this thread has committed just now is yet to be announced: the runtime says so in its log.

use std::cell::Cell;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

thread_local! {
    static OWED: Cell<bool> = const { Cell::new(false) };
}

/// Reads the log from now on.
pub(super) fn install() -> Result<(), tracing::subscriber::SetGlobalDefaultError> {
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Listens))
}

/// Does something, and says whether it left a stamp owed.
pub(super) fn watched<R>(work: impl FnOnce() -> R) -> (R, bool) {
    OWED.set(false);
    let result = work();
    (result, OWED.get())
}

struct Listens;

impl<S: Subscriber> Layer<S> for Listens {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let of = event.metadata();
        // The only error that it tells.
        if *of.level() == Level::ERROR && of.target() == "idempotent_runtime::stamp" {
            OWED.set(true);
        }
    }
}
