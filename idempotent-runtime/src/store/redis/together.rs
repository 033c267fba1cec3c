//! Questions that only read, put to the server together: those of all the requests that a thread has come to in one turn.
//!
//! A worker that serves many requests reads them off their connections one after the other before it waits again. Each that
//! is asked by itself costs a command, a deadline and a place in the driver's queue; all of them together cost that once.
//! Who asks alone is asked for at once, too: nothing waits for others to come.
//!
//! ```text
//! asked ──→ queued ── the queue's task has its turn ──→ sent with all that are queued ──→ answered, or failed
//!              └── the runtime ends, and the task with it ──→ failed
//! ```
//!
//! # Interleavings
//!
//! * One comes while others are under way: it is the first of the next ones, which have a task of their own.
//! * Whoever asked is gone: the question is put all the same, and nobody hears the answer. It only reads. If all of a batch
//!   are gone, it is given up.
//! * The task is dropped before its turn: it empties the queue, and everyone who waits in it hears of that. It is dropped
//!   after it: so are its batches, with the same effect.
//! * All of one batch share its failure, which the breaker counts once. What would hold up the others is asked by itself, as
//!   far as it is known: a large value, or very many tags. A value that has grown since it was seen holds them up once.
//! * On a runtime of several threads the task could be queued behind one that blocks its thread, while who waits for it is on
//!   another. There everything is asked by itself.
//!
//! The task has the spans of none of its askers.

use std::sync::{Arc, Mutex};

use deadpool_redis::redis::{self, Cmd, Pipeline, Value};
use futures_util::future::join_all;
use tokio::sync::oneshot;

use super::convert::read_each;
use super::line::Line;
use super::server::Server;
use super::trouble::Trouble;
use crate::sync::lock;

/// So many keys are asked for at once: the server does nothing else meanwhile.
const KEYS: usize = 256;

/// About so many bytes are answered at once, as the first one waits for the last.
const BYTES: usize = 64 << 10;

/// What is asked about a record.
pub(super) struct Question<'a> {
    pub(super) record: &'a str,
    /// Of which it is only to give these bytes, before the tags are read. Otherwise it is read at the same moment as they.
    pub(super) part: Option<[usize; 2]>,
    /// The keys of its tags.
    pub(super) tags: &'a [String],
    /// About how many bytes of the record will be answered.
    pub(super) size: usize,
}

/// What the server has said.
pub(super) struct Answer {
    pub(super) epoch: u64,
    /// Not its bytes, if it is of a type that none of ours is.
    pub(super) record: Value,
    pub(super) tags: Vec<Value>,
}

type Answered = Result<Answer, Trouble>;

impl Question<'_> {
    fn keys(&self) -> usize {
        1 + self.tags.len()
    }

    fn is_small(&self) -> bool {
        self.keys() <= KEYS / 4 && self.size <= BYTES / 4
    }
}

/// Questions that are sent as one. In the askers' order, each is answered by one of `parts` or one of `values` for its record,
/// and then by so many of `values` for its tags.
struct Batch {
    parts: Pipeline,
    values: Cmd,
    keys: usize,
    size: usize,
    askers: Vec<Asker>,
}

struct Asker {
    wants_part: bool,
    tags: usize,
    answer: oneshot::Sender<Answered>,
}

impl Batch {
    fn new() -> Self {
        let mut parts = Pipeline::new();
        parts.ignore_errors();
        Self {
            parts,
            values: redis::cmd("MGET"),
            keys: 0,
            size: 0,
            askers: Vec::new(),
        }
    }

    fn has_room_for(&self, question: &Question<'_>) -> bool {
        self.keys + question.keys() <= KEYS && self.size + question.size <= BYTES
    }

    fn add(&mut self, question: &Question<'_>) -> oneshot::Receiver<Answered> {
        let (sender, answer) = oneshot::channel();
        match question.part {
            Some([from, to]) => {
                let part = self.parts.cmd("GETRANGE");
                part.arg(question.record).arg(from).arg(to);
            }
            None => {
                self.values.arg(question.record);
            }
        }
        self.values.arg(question.tags);
        self.keys += question.keys();
        self.size += question.size;
        self.askers.push(Asker {
            wants_part: question.part.is_some(),
            tags: question.tags.len(),
            answer: sender,
        });
        answer
    }

    async fn ask(mut self, server: &Server) {
        let has_values = self
            .askers
            .iter()
            .any(|asker| !asker.wants_part || asker.tags > 0);
        if has_values {
            self.parts.add_command(self.values);
        }
        let (commands, mut askers) = (&self.parts, self.askers);
        let answer = server.ask(|link| async move {
            let answer = read_each(commands, link.connection()).await?;
            Ok((link.epoch, answer))
        });
        let all_are_gone = async {
            for asker in &mut askers {
                asker.answer.closed().await;
            }
        };
        let answer = tokio::select! {
            biased;
            answer = answer => answer,
            () = all_are_gone => return,
        };
        let answers = answer.map(|(epoch, mut answers)| {
            let values = has_values.then(|| answers.pop()).flatten();
            (epoch, answers, values)
        });
        tell(askers, answers);
    }
}

/// Gives everyone what is theirs.
fn tell(askers: Vec<Asker>, answers: Result<(u64, Vec<Value>, Option<Value>), Trouble>) {
    let (epoch, parts, values) = match answers {
        Ok(answers) => answers,
        Err(trouble) => {
            for asker in askers {
                let _ = asker.answer.send(Err(trouble.clone()));
            }
            return;
        }
    };
    let values = match values {
        Some(Value::Array(values)) => values,
        _ => Vec::new(),
    };
    let (mut parts, mut values) = (parts.into_iter(), values.into_iter());
    for asker in askers {
        let record = match asker.wants_part {
            true => parts.next(),
            false => values.next(),
        };
        let answer = Answer {
            epoch,
            record: record.unwrap_or(Value::Nil),
            tags: values.by_ref().take(asker.tags).collect(),
        };
        let _ = asker.answer.send(Ok(answer));
    }
}

/// What is to be asked in the next turn of the runtime, the last of them with room for more.
#[derive(Default)]
pub(super) struct Together(Mutex<Vec<Batch>>);

impl Together {
    /// Queues it; also whether it is the first, so that somebody must see to the queue.
    fn add(&self, question: &Question<'_>) -> (oneshot::Receiver<Answered>, bool) {
        let mut batches = lock(&self.0);
        let is_first = batches.is_empty();
        if let Some(batch) = batches
            .last_mut()
            .filter(|last| last.has_room_for(question))
        {
            return (batch.add(question), is_first);
        }
        let mut batch = Batch::new();
        let answer = batch.add(question);
        batches.push(batch);
        (answer, is_first)
    }

    fn take(&self) -> Vec<Batch> {
        std::mem::take(&mut lock(&self.0))
    }
}

/// Whoever is to see to a line's queue; empties it if that does not come to pass.
struct Due(Option<Arc<Line>>);

impl Due {
    fn take(mut self) -> Vec<Batch> {
        self.0
            .take()
            .map(|line| line.together.take())
            .unwrap_or_default()
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        if let Some(line) = self.0.take() {
            drop(line.together.take());
        }
    }
}

impl Server {
    /// Asks about a record, together with whoever else asks just now.
    ///
    /// # Errors
    ///
    /// As [`ask`](Self::ask).
    pub(super) async fn ask_about(self: &Arc<Self>, question: &Question<'_>) -> Answered {
        let line = self.line()?;
        let answer = if question.is_small() && line.has_one_thread {
            let (answer, is_first) = line.together.add(question);
            if is_first {
                let (server, due) = (Arc::clone(self), Due(Some(line)));
                tokio::spawn(async move {
                    let batches = due.take();
                    join_all(batches.into_iter().map(|batch| batch.ask(&server))).await;
                });
            }
            answer
        } else {
            let mut batch = Batch::new();
            let answer = batch.add(question);
            // The others do not carry it.
            Box::pin(batch.ask(self)).await;
            answer
        };
        answer.await.unwrap_or(Err(Trouble::NoRuntime))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    /// Everyone's own record and tags, whatever the others asked for.
    #[tokio::test]
    async fn everyone_gets_what_is_theirs() {
        let asked = [
            (false, 0),
            (true, 0),
            (true, 2),
            (false, 3),
            (true, 1),
            (false, 1),
        ];
        let mut batch = Batch::new();
        let (mut parts, mut values, mut answers) = (Vec::new(), Vec::new(), Vec::new());
        for (number, (is_part, tags)) in asked.into_iter().enumerate() {
            let record = format!("record {number}");
            let tags: Vec<_> = (0..tags)
                .map(|tag| format!("tag {tag} of {number}"))
                .collect();
            let question = Question {
                record: &record,
                part: is_part.then_some([4, 19]),
                tags: &tags,
                size: 0,
            };
            answers.push(batch.add(&question));
            if is_part { &mut parts } else { &mut values }.push(text(&record));
            values.extend(tags.iter().map(|tag| text(tag)));
        }
        // One that is missing, at the end, is not made up.
        values.pop();
        assert_eq!((batch.keys, batch.parts.len()), (13, 3));
        tell(batch.askers, Ok((7, parts, Some(Value::Array(values)))));
        for (number, (answer, (_, tags))) in answers.into_iter().zip(asked).enumerate() {
            let answer = answer.await.unwrap().unwrap();
            assert_eq!(answer.epoch, 7);
            assert_eq!(answer.record, text(&format!("record {number}")));
            let told = if number == 5 { 0 } else { tags };
            let own: Vec<_> = (0..told)
                .map(|tag| text(&format!("tag {tag} of {number}")))
                .collect();
            assert_eq!(answer.tags, own);
        }
    }

    #[tokio::test]
    async fn what_is_no_answer_is_nobodys_record() {
        let mut batch = Batch::new();
        let question = |part| Question {
            record: "a",
            part,
            tags: &[],
            size: 0,
        };
        let answers = [None, Some([4, 19])].map(|part| batch.add(&question(part)));
        tell(batch.askers, Ok((7, Vec::new(), Some(Value::Okay))));
        for answer in answers {
            let answer = answer.await.unwrap().unwrap();
            assert_eq!((answer.record, answer.tags.len()), (Value::Nil, 0));
        }
    }
}
