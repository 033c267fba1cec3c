//! Between Rust's values and Redis'.

use std::time::Duration;

use deadpool_redis::redis::{Pipeline, RedisResult, Value};

use super::line::jittered;
use super::wire::Wire;

/// The longest life that is asked for. Redis refuses what does not fit into its own clock.
const LONGEST: u64 = 1_000 * 86_400 * 365 * 100;

/// Whole milliseconds, at least one.
pub(super) fn millis(length: Duration) -> u64 {
    let millis = length.as_nanos().div_ceil(1_000_000);
    u64::try_from(millis).unwrap_or(LONGEST).clamp(1, LONGEST)
}

/// What Redis says that something has left.
pub(super) fn duration(millis: i64) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}

/// Who waits for a message looks by itself after so long, in case it was lost.
pub(super) fn second_look() -> Duration {
    jittered(Duration::from_secs(1))
}

/// The bytes of an answer; none where it has none.
pub(super) fn as_bytes(value: &Value) -> &[u8] {
    match value {
        Value::BulkString(bytes) => bytes,
        Value::SimpleString(text) => text.as_bytes(),
        _ => &[],
    }
}

/// The text of an answer.
pub(super) fn as_text(value: &Value) -> Option<&str> {
    std::str::from_utf8(as_bytes(value)).ok()
}

/// Sends commands that only read; `None` if a key holds something of a type that none of ours is.
pub(super) async fn read_all(
    commands: &Pipeline,
    connection: Wire,
) -> RedisResult<Option<Vec<Value>>> {
    let answers = read_each(commands, connection).await?;
    let is_ours = |answer: &Value| !matches!(answer, Value::ServerError(_));
    Ok(answers.iter().all(is_ours).then_some(answers))
}

/// The same, where each answer counts by itself: an error is the answer about what is of such a type.
pub(super) async fn read_each(
    commands: &Pipeline,
    mut connection: Wire,
) -> RedisResult<Vec<Value>> {
    let answers: Vec<Value> = commands.query_async(&mut connection).await?;
    for answer in &answers {
        match answer {
            Value::ServerError(error) if error.code() != "WRONGTYPE" => {
                return Err(error.clone().into());
            }
            _ => {}
        }
    }
    Ok(answers)
}
