//! What a `once` handler's run has promised, and what came of it.

use std::any::TypeId;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::on::On;
use super::rows::Claim;
use super::seal::SealError;
use crate::error::Error;
use crate::key::{Fingerprint, Identified, RequestId};
use crate::reply::Reply;
use crate::store::{ExecutionId, Record};
use crate::sync::lock;

/// Longer ids are cut, and end in a digest of the whole.
const LONGEST_ID: usize = 512;

/// One run of a `once` handler, from the claim to the answer.
#[derive(Debug)]
pub(crate) struct Promise {
    pub(super) claim: Claim,
    pub(super) execution: ExecutionId,
    pub(super) fingerprint: Option<Fingerprint>,
    pub(super) on: On,
    waited: OnceLock<Duration>,
    state: Mutex<State>,
}

/// What `db.once` has come to.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// The effects are committed, and with them this reply, for so long.
    Recorded(Arc<Reply>, Duration),
    /// Another process was first: this is what it has answered, for so long.
    Found(Arc<Reply>, Duration),
    /// Another process was first, with another payload.
    OtherPayload,
    /// Another process is at it, longer than can be waited for.
    InProgress,
}

#[derive(Debug)]
enum State {
    Open,
    /// `db.once` runs.
    Busy,
    Ended(Answer),
}

impl Promise {
    pub(crate) fn new(
        on: On,
        identified: &Identified,
        execution: ExecutionId,
        life: Duration,
        wait: Duration,
    ) -> Self {
        Self {
            claim: Claim {
                id: row_id(&identified.id),
                execution: execution.to_string(),
                fingerprint: identified
                    .fingerprint
                    .map(|print| print.as_bytes().to_vec()),
                life: seconds(life),
                wait,
            },
            execution,
            fingerprint: identified.fingerprint,
            on,
            waited: OnceLock::new(),
            state: Mutex::new(State::Open),
        }
    }

    /// What came of it; nothing if nothing was committed, as far as is known.
    pub(crate) fn answer(&self) -> Option<Answer> {
        match &*lock(&self.state) {
            State::Ended(answer) => Some(answer.clone()),
            State::Open | State::Busy => None,
        }
    }

    /// So long it has waited already, for another one in this process.
    pub(crate) fn has_waited(&self, time: Duration) {
        let _ = self.waited.set(time);
    }

    /// How long a rival in another process may still be waited for.
    pub(crate) fn wait(&self) -> Duration {
        let waited = self.waited.get().copied().unwrap_or_default();
        self.claim.wait.saturating_sub(waited)
    }

    /// The claim as it is made now.
    pub(super) fn claim(&self) -> Claim {
        Claim {
            wait: self.wait(),
            ..self.claim.clone()
        }
    }

    pub(super) fn life(&self) -> Duration {
        Duration::from_secs(self.claim.life.unsigned_abs())
    }

    /// Begins the only transaction that the run may have, on a database of this pool's type.
    pub(super) fn begin(&self, pool: TypeId) -> Result<(), Error> {
        if pool != self.on.pool {
            return Err(Error::setup(format!(
                "`db.once` was called on another database than that of the records, {}: the record must be in the same transaction as the effects",
                self.on.name
            )));
        }
        let mut state = lock(&self.state);
        match *state {
            State::Open => {
                *state = State::Busy;
                Ok(())
            }
            State::Busy | State::Ended(_) => Err(Error::setup(
                "a `once` handler has one `db.once`, and this is the second one: put all that it changes into one closure, for a crash between two transactions would leave one of them done",
            )),
        }
    }

    /// It has come to this, or to nothing: then it may be tried again.
    pub(super) fn end(&self, answer: Option<Answer>) {
        *lock(&self.state) = answer.map_or(State::Open, State::Ended);
    }

    /// The reply as it is stored.
    pub(super) fn encode(&self, reply: &Reply) -> Result<Vec<u8>, SealError> {
        let clear = record(self.execution, self.fingerprint, reply.clone()).to_msgpack()?;
        let stored = self.on.sealing.seal(&self.claim.id, clear)?;
        // What could not be read again would be in the way of every retry.
        self.on.read(&self.claim.id, stored.clone())?;
        Ok(stored)
    }
}

/// A reply as a record of the store. It has no tags: no other's change ends it.
pub(crate) fn record(
    execution: ExecutionId,
    fingerprint: Option<Fingerprint>,
    reply: Reply,
) -> Record {
    Record {
        execution,
        fingerprint,
        epoch: None,
        tags: Vec::new(),
        reply,
    }
}

/// In full seconds, and at least one.
fn seconds(life: Duration) -> i64 {
    i64::try_from(life.as_millis().div_ceil(1_000)).map_or(i64::MAX >> 1, |seconds| seconds.max(1))
}

/// The id as the table has it.
pub(crate) fn row_id(id: &RequestId) -> String {
    let text = id.as_str();
    if text.len() <= LONGEST_ID && text.is_ascii() {
        return text.to_owned();
    }
    let digest = format!("#{}", crate::once::hex(&Sha256::digest(text.as_bytes())));
    let kept = text.chars().take_while(char::is_ascii);
    let mut cut: String = kept.take(LONGEST_ID - digest.len()).collect();
    cut.push_str(&digest);
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_ids_that_begin_alike_are_two() {
        let long = |end: &str| row_id(&RequestId::from_text(&format!("{}{end}", "x".repeat(600))));
        assert_ne!(long("a"), long("b"));
        assert_eq!(long("a").len(), LONGEST_ID);
        assert_eq!(row_id(&RequestId::from_text("shop:pay:1")), "shop:pay:1");
    }

    #[test]
    fn a_part_of_a_second_is_a_second() {
        assert_eq!(seconds(Duration::from_millis(1)), 1);
        assert_eq!(seconds(Duration::from_millis(1_001)), 2);
        assert!(seconds(Duration::MAX) > 0);
    }
}
