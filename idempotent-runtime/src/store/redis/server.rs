//! One server and how it is asked: with a deadline, through the breaker, on the runtime's own connection.

use std::collections::HashMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

use deadpool_redis::redis::{RedisResult, Value};
use tokio::runtime::{Handle, Id};

use super::breaker::Breaker;
use super::line::{Dial, Line, Link};
use super::scripts::FREE;
use super::trouble::Trouble;
use super::value::CALL;
use super::within::within;

/// One server, or whichever one Sentinel names.
pub(super) struct Server {
    pub(super) dial: Arc<Dial>,
    breaker: Breaker,
    lines: RwLock<HashMap<Id, (u64, Arc<Line>)>>,
    /// Numbers the lines.
    opened: AtomicU64,
    /// To be found by the tasks that must not keep it alive.
    me: Weak<Server>,
}

impl Server {
    pub(super) fn new(dial: Dial) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            dial: Arc::new(dial),
            breaker: Breaker::default(),
            lines: RwLock::default(),
            opened: AtomicU64::default(),
            me: Weak::clone(me),
        })
    }

    /// Asks the server; once more if the connection turns out to be lost, as it may have been for long. So whatever is
    /// asked must be the same when it is done twice.
    ///
    /// # Errors
    ///
    /// If there is no answer in time, or it is an error. It may have done what it was asked all the same.
    pub(super) async fn ask<T, F>(&self, ask: impl Fn(Arc<Link>) -> F) -> Result<T, Trouble>
    where
        F: Future<Output = RedisResult<T>>,
    {
        self.ask_within(self.dial.deadline, ask).await
    }

    /// The same, when some of the time is over already.
    pub(super) async fn ask_within<T, F>(
        &self,
        deadline: Duration,
        ask: impl Fn(Arc<Link>) -> F,
    ) -> Result<T, Trouble>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let line = self.line()?;
        let pass = self.breaker.pass(|| line.is_ready());
        let pass = pass.ok_or(Trouble::Resting)?;
        let mut connected = false;
        let answer = {
            let asked = pin!(async {
                let mut again = false;
                loop {
                    let link = line.link().await?;
                    connected = true;
                    let answer = ask(Arc::clone(&link)).await.map_err(Trouble::from);
                    if !answer.as_ref().is_err_and(Trouble::breaks_connection) {
                        return answer;
                    }
                    link.give_up();
                    if again {
                        return answer;
                    }
                    again = true;
                }
            });
            within(deadline, asked).await
        };
        let answer = answer.unwrap_or(Err(Trouble::Late(self.dial.deadline)));
        match &answer {
            Err(trouble) if trouble.is_away() => pass.failed(connected),
            // It was not asked.
            Err(Trouble::NoRuntime | Trouble::Full(_)) => {}
            _ => pass.answered(),
        }
        answer
    }

    /// The current runtime's line.
    pub(super) fn line(&self) -> Result<Arc<Line>, Trouble> {
        let runtime = Handle::try_current().map_err(|_| Trouble::NoRuntime)?;
        let id = runtime.id();
        let lines = self.lines.read().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, line)) = lines.get(&id) {
            return Ok(Arc::clone(line));
        }
        drop(lines);
        let number = self.opened.fetch_add(1, Ordering::Relaxed);
        let server = Weak::clone(&self.me);
        let hang_up = HangUp { server, id, number };
        // Not under the lock: a runtime that shuts down drops the task, and with it `hang_up`, at once.
        let line = Arc::new(Line::open(&runtime, Arc::clone(&self.dial), hang_up));
        if line.is_over() {
            return Err(Trouble::NoRuntime);
        }
        let mut lines = self.lines.write().unwrap_or_else(PoisonError::into_inner);
        let (_, line) = lines.entry(id).or_insert((number, line));
        Ok(Arc::clone(line))
    }

    #[cfg(test)]
    pub(super) fn lines(&self) -> usize {
        self.lines
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }
}

/// Removes the line of a runtime that ends.
struct HangUp {
    server: Weak<Server>,
    id: Id,
    number: u64,
}

impl Drop for HangUp {
    fn drop(&mut self) {
        let Some(server) = self.server.upgrade() else {
            return;
        };
        let mut lines = server.lines.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread of the runtime may have been faster to open a line.
        if lines
            .get(&self.id)
            .is_some_and(|(number, _)| *number == self.number)
        {
            let line = lines.remove(&self.id);
            drop(lines);
            drop(line);
        }
    }
}

/// Ends the claim or lock that a call may have set which was dropped, or was not answered in time: on the same
/// connection, so that it comes after it.
pub(super) struct Undo<'a> {
    link: &'a Link,
    key: &'a str,
    call: [u8; CALL],
    armed: bool,
}

impl<'a> Undo<'a> {
    pub(super) fn new(link: &'a Link, key: &'a str, call: [u8; CALL]) -> Self {
        Self {
            link,
            key,
            call,
            armed: true,
        }
    }

    /// There is an answer, and the caller gets it.
    pub(super) fn disarm(mut self) {
        self.armed = false;
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        let (mut connection, key, call) = (self.link.connection(), self.key.to_owned(), self.call);
        let mut undoing: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
            let free = FREE.call(1).arg(key).arg(&call);
            let _ = free.send::<Value>(&mut connection).await;
        });
        let _inside = self.link.runtime.enter();
        // Its place on the connection is behind the call that it undoes, and before whatever comes next.
        let begun = undoing
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        if begun.is_pending() {
            self.link
                .runtime
                .spawn(async move { within(PATIENCE, undoing).await });
        }
    }
}

/// For how long an undoing waits for its place on a connection that may be stuck.
const PATIENCE: Duration = Duration::from_secs(2);
