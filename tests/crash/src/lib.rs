//! Whether effects happen exactly once, whatever is killed: real servers, real databases, SIGKILL.
//!
//! A [round](mod@round) starts several [servers](mod@serve) over one [database](kind) and kills them again and again, each at a
//! named point or at any time, and the database and Redis too, while [clients](client) send transfers and retry them.
//! When all have their answers, the [checker] holds these against what the database has.
//!
//! | word | meaning |
//! | --- | --- |
//! | key | an `Idempotency-Key`: one transfer, sent until it is answered, by several senders at once |
//! | effect | a row that a transfer has written beside the two accounts |
//! | doubled | a key with more effects than it was answered |
//! | lost | a key that was answered an effect which is not there |
//! | differing | a key with two answers that are not the same bytes |
//! | stuck | a key that gets no answer any more |

pub mod bank;
pub mod checker;
pub mod client;
pub mod deck;
pub mod kind;
pub mod round;
pub mod run;
pub mod serve;
