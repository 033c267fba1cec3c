//! What a program prints, line by line, while it runs.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::DEADLINE;

/// All lines so far, and whether more may come.
#[derive(Debug, Default)]
struct Lines {
    seen: Vec<String>,
    ended: bool,
}

/// Cheap to clone; the reading goes on in a thread of its own until the program ends.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output(Arc<(Mutex<Lines>, Condvar)>);

impl Output {
    pub(crate) fn of(stream: impl Read + Send + 'static) -> Self {
        let output = Self::default();
        let writer = output.clone();
        std::thread::spawn(move || writer.read(stream));
        output
    }

    fn read(&self, stream: impl Read) {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            self.change(|lines| lines.seen.push(line));
        }
        self.change(|lines| lines.ended = true);
    }

    fn change(&self, change: impl FnOnce(&mut Lines)) {
        change(&mut self.lines());
        self.0.1.notify_all();
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn seen(&self) -> Vec<String> {
        self.lines().seen.clone()
    }

    /// The first line for which `wanted` holds, or `None` when the output ended or the time is up before it.
    pub(crate) fn find(&self, mut wanted: impl FnMut(&str) -> bool) -> Option<String> {
        let mut next = 0;
        self.wait(|lines| {
            let found = lines.seen[next..].iter().find(|line| wanted(line)).cloned();
            next = lines.seen.len();
            found.map(Some).or(lines.ended.then_some(None))
        })
        .flatten()
    }

    /// Whether the output ended in time.
    pub(crate) fn end(&self) -> bool {
        self.wait(|lines| lines.ended.then_some(())).is_some()
    }

    /// The first answer of `look`, asked again whenever there is more.
    fn wait<T>(&self, mut look: impl FnMut(&Lines) -> Option<T>) -> Option<T> {
        let end = Instant::now() + DEADLINE;
        let mut lines = self.lines();
        loop {
            if let Some(answer) = look(&lines) {
                return Some(answer);
            }
            let left = end.checked_duration_since(Instant::now())?;
            lines = self
                .0
                .1
                .wait_timeout(lines, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}
