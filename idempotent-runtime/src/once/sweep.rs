//! Removing what has expired. Nothing depends on it: an expired row is as none, and the next request takes it.

use std::time::Duration;

use super::table::Table;
use crate::error::Error;
use crate::idempotent::Idempotent;
use crate::pool::Pool;
use crate::sync::random;
use crate::track::backend::Trackable;
use crate::track::connection::TrackedConnection;

/// How many rows one statement of the task removes at most.
const BATCH: u32 = 500;

/// Removes expired records, so many at most; how many there were. Several processes may do it at once.
///
/// # Errors
///
/// If the database fails.
pub fn sweep<C: Trackable>(
    connection: &mut TrackedConnection<C>,
    most: u32,
) -> Result<usize, Error> {
    Table::default().sweep(connection, most)
}

impl Table {
    /// [`sweep`] for a table of another name.
    ///
    /// # Errors
    ///
    /// If the database fails.
    pub fn sweep<C: Trackable>(
        &self,
        connection: &mut TrackedConnection<C>,
        most: u32,
    ) -> Result<usize, Error> {
        // Nobody tracks this table.
        Ok(connection.untracked().sweep(self, most.into())?)
    }
}

impl Idempotent {
    /// A task for `actix_web::rt::spawn`: removes expired records in batches, at first now and then about `every` so
    /// often, for ever. Each process may run one.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use idempotent_runtime::{Idempotent, Pool, Trackable};
    /// # async fn start<C: Trackable>(idempotent: Idempotent, pool: Pool<C>) {
    /// actix_web::rt::spawn(async move {
    ///     idempotent.sweep_once(&pool, Duration::from_secs(600)).await
    /// });
    /// # }
    /// ```
    ///
    /// # Cancellation
    ///
    /// Dropped, it ends after the batch that it is at.
    pub async fn sweep_once<C: Trackable, M: 'static>(&self, pool: &Pool<C, M>, every: Duration) {
        let table = self.0.once_on.get().map(|on| on.table.clone());
        let table = table.unwrap_or_default();
        loop {
            let (pool, table) = (pool.clone(), table.clone());
            let batch = move || table.sweep(&mut *pool.get()?, BATCH);
            match tokio::task::spawn_blocking(batch).await {
                Ok(Ok(swept)) if swept == BATCH as usize => continue,
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, "expired records could not be removed; trying again later");
                }
                Err(_) => tracing::warn!("removing expired records was cut short"),
            }
            tokio::time::sleep(about(every)).await;
        }
    }
}

/// Between three quarters and five quarters of it, so that processes which were started together do not go on together.
fn about(every: Duration) -> Duration {
    let every = every.max(Duration::from_secs(1));
    let half = u64::try_from(every.as_millis() / 2)
        .unwrap_or(u64::MAX)
        .max(1);
    (every / 4 * 3).saturating_add(Duration::from_millis(random() % half))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_about_as_long_as_asked_for_however_long_that_is() {
        for every in [Duration::ZERO, Duration::from_secs(600), Duration::MAX] {
            let pause = about(every);
            assert!(pause >= every / 4 * 3 && pause >= Duration::from_millis(750));
        }
    }
}
