//! Which copies are trusted to answer by themselves, and the one connection on which this process hears that they must
//! not any more.
//!
//! The server tracks what this connection reads (`CLIENT TRACKING ON`), and pushes the name of a key that it has read
//! when that is changed, expires or is evicted; and a name for all when the server is emptied. Not `BCAST`: of the keys
//! of this library most are claims, locks and counters, which would all be told to everyone, whoever has copies of what.
//!
//! # States of a copy
//!
//! ```text
//! not trusted ── replayed, by the server's word ──→ asked for ── valid, watch unbroken ──→ trusted
//!      ▲                                                │ void, or the watch is broken        │
//!      └────────────────────────────────────────────────┴──── its watch is broken ───────────┘
//! ```
//!
//! A watch is on the keys of the record and of its tags. It begins before the question is sent, and is broken by a push
//! that names one of them, by a stamp, a keeping or a removal of this process, and by any doubt about the connection. Once
//! broken it stays so, and its number never recurs.
//!
//! # Interleavings
//!
//! * A change before the server answers the question: the answer shows it. It answers in three steps; a change between two
//!   of them is pushed before the last.
//! * A change after that, but its push is handled before the answer is: the push finds the watch, which is older than the
//!   question, and breaks it. So the answer gives no trust.
//! * A change whose push comes after the answer: it finds the trust, and ends it.
//! * A push is handled by the connection's own task as it is read, and not behind a queue. So when the answer to a sign of
//!   life is there, every change before it was asked for has been heard; and a copy answers only for so long after that as
//!   was said. A stalled thread, network or server, or this process' own pause, ends trust by that.
//! * This process' own stamp: it breaks watches when the server has answered or was given up, and before the transaction
//!   commits. A question that was answered before the stamp has a watch, too. A stamp that was given up and is yet to be
//!   done is owed, and while any is, the flow replays nothing, wherever it comes from.
//! * The connection is lost: its questions are dropped, and every watch is broken. A push that comes on it later breaks
//!   some in vain.
//! * Two servers answer by one name (a failover behind a proxy): whoever gets an answer of another epoch than the one that
//!   is tracked ends all trust, and the connection is made anew.

use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{Client, PushInfo, PushKind, Value, cmd};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep};

use super::convert::{as_text, duration, read_all};
use super::line::{ask_epoch, jittered};
use super::local::{Asking, Copies};
use super::target::config;
use super::trouble::Trouble;
use super::wire::Wire;
use super::within::within;
use crate::faults::Fault;

/// How often a sign of life is asked for at least, and how soon a connection that was lost is made anew.
const CHECK: Duration = Duration::from_secs(1);

/// Keeps the connection, for ever.
pub(super) async fn track(copies: &Arc<Copies>, client: &Client, deadline: Duration) {
    let Some(staleness) = copies.staleness else {
        return;
    };
    let deadline = deadline.min(staleness);
    loop {
        let trouble = match within(deadline, pin!(connect(copies, client))).await {
            Some(Ok((connection, epoch))) => {
                let tracker = Tracker {
                    copies,
                    connection,
                    epoch,
                    deadline,
                };
                let trouble = tracker.run(CHECK.min(staleness / 4)).await;
                copies.lose();
                trouble
            }
            Some(Err(trouble)) => trouble,
            None => Trouble::Late(deadline),
        };
        tracing::warn!(%trouble, "Redis does not say what is changed; local copies are not trusted meanwhile");
        sleep(jittered(CHECK)).await;
    }
}

async fn connect(
    copies: &Arc<Copies>,
    client: &Client,
) -> Result<(MultiplexedConnection, u64), Trouble> {
    let heard = Arc::downgrade(copies);
    let config = config().set_push_sender(move |push| hear(&heard, &push));
    let mut connection = client
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    let mut on = cmd("CLIENT");
    on.arg("TRACKING").arg("ON");
    on.query_async::<()>(&mut connection).await?;
    let epoch = ask_epoch(&mut connection, false).await?;
    Ok((connection, epoch))
}

/// Handles what the server says unasked.
fn hear(copies: &Weak<Copies>, push: &PushInfo) -> Result<(), ()> {
    let copies = copies.upgrade().ok_or(())?;
    if Fault::ChangesUnheard.is_on() && push.kind == PushKind::Invalidate {
        return Ok(());
    }
    match (&push.kind, &push.data[..]) {
        (PushKind::Invalidate, [Value::Array(keys)]) => {
            copies.changed(keys.iter().filter_map(as_text));
        }
        (PushKind::Invalidate, _) => copies.doubt(),
        (PushKind::Disconnection, _) => copies.lose(),
        _ => {}
    }
    Ok(())
}

/// A server that is tracked.
struct Tracker<'a> {
    copies: &'a Copies,
    connection: MultiplexedConnection,
    epoch: u64,
    deadline: Duration,
}

impl Tracker<'_> {
    /// Returns when the connection is of no use any more.
    async fn run(&self, pause: Duration) -> Trouble {
        tokio::select! {
            trouble = self.prove(pause) => trouble,
            trouble = self.answer() => trouble,
            () = self.copies.parted.notified() => Trouble::Away("another server answers".into()),
        }
    }

    /// Sees again and again that it is heard, and that it is the same.
    async fn prove(&self, pause: Duration) -> Trouble {
        let mut connection = self.connection.clone();
        loop {
            let asked = Instant::now();
            match within(self.deadline, pin!(ask_epoch(&mut connection, false))).await {
                Some(Ok(epoch)) if epoch == self.epoch => self.copies.heard(epoch, asked),
                Some(Ok(_)) => return Trouble::Away("another server answers".into()),
                Some(Err(trouble)) => return trouble,
                None => return Trouble::Late(self.deadline),
            }
            sleep(pause).await;
        }
    }

    /// Asks for the copies that would be trusted.
    async fn answer(&self) -> Trouble {
        let mut asked = FuturesUnordered::new();
        loop {
            tokio::select! {
                () = self.copies.wanted.notified() => {
                    asked.extend(self.copies.take_wanted().into_iter().map(|copy| self.ask(copy)));
                }
                Some(()) = asked.next(), if !asked.is_empty() => {}
            }
        }
    }

    async fn ask(&self, asking: Asking<'_>) {
        // Somebody else may have put its end forward, which no look asks.
        let mut question = asking.copy.question(&asking.key);
        question.cmd("PTTL").arg(&asking.key);
        let since = Instant::now();
        let wire = Wire::new(self.connection.clone(), false);
        // Whatever goes wrong, it is not trusted, and the next sign of life says why.
        if let Some(Ok(Some(answer))) = within(self.deadline, pin!(read_all(&question, wire))).await
            && let Some((Value::Int(left), answer)) = answer.split_last()
            && *left >= 0
            && asking.copy.is_valid_by(self.epoch, answer)
        {
            asking.trust(since, duration(*left));
        }
    }
}
