//! Removing what begins with a prefix.

use deadpool_redis::redis;

use super::names::{Kind, name, pattern};
use super::server::Server;
use super::trouble::Trouble;

/// How many keys the server looks at in one step, during which it does nothing else.
const STEP: usize = 1_000;

impl Server {
    pub(super) async fn clear(&self, prefix: &str) -> Result<(), Trouble> {
        let pattern = &pattern(prefix);
        let mut cursor = 0_u64;
        loop {
            let step = self.ask(|link| async move {
                let mut scan = redis::cmd("SCAN");
                scan.arg(cursor)
                    .arg("MATCH")
                    .arg(pattern)
                    .arg("COUNT")
                    .arg(STEP);
                scan.query_async::<(u64, Vec<Vec<u8>>)>(&mut link.connection())
                    .await
            });
            let (next, keys) = step.await?;
            self.remove(prefix, keys).await?;
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    async fn remove(&self, prefix: &str, keys: Vec<Vec<u8>>) -> Result<(), Trouble> {
        let mut remove = redis::Pipeline::with_capacity(keys.len());
        for key in keys
            .into_iter()
            .filter_map(|key| String::from_utf8(key).ok())
        {
            match name(&key) {
                Some((kind, name)) if name.starts_with(prefix) => {
                    remove.cmd("UNLINK").arg(&key).ignore();
                    if matches!(kind, Kind::Claim | Kind::Lock) {
                        remove.cmd("PUBLISH").arg(&key).arg("").ignore();
                    }
                }
                _ => {}
            }
        }
        if remove.is_empty() {
            return Ok(());
        }
        let remove = &remove;
        self.ask(|link| async move { remove.query_async(&mut link.connection()).await })
            .await
    }
}
