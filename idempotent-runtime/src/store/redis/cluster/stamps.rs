//! Stamps in a cluster: a script for each slot, with a counter of the slot.

use deadpool_redis::redis::Value;
use futures_util::future::try_join_all;

use super::slots::{by_slot, counter};
use super::{Cluster, of_epoch};
use crate::store::Stamped;
use crate::store::redis::stamps::Job;
use crate::store::redis::trouble::Trouble;

/// A cluster has no epoch as a whole: each version has that of the server that made it.
pub(super) const EPOCH: u64 = 0;

impl Cluster {
    /// Every slot's script must answer: a stamp that was done in part is an error, and has ended some records in vain.
    pub(in crate::store::redis) async fn stamp(&self, job: &Job) -> Result<Stamped, Trouble> {
        let mut slots = by_slot(job.keys());
        if slots.is_empty() {
            // Whoever stamps nothing still wants to know whether it could.
            slots.insert(0, Vec::new());
        }
        let parts = try_join_all(slots.iter().map(|(slot, places)| async move {
            let (part, counter) = (job.part(places), counter(*slot));
            let answer = self.ask(&counter, |link| {
                let (part, counter) = (&part, &counter);
                async move {
                    let reply: Vec<Value> = part.send(counter, &link).await?;
                    Ok((link.epoch, reply))
                }
            });
            let (epoch, reply) = answer.await?;
            let versions = part.understand(epoch, &reply)?.versions;
            Ok::<_, Trouble>((places, epoch, versions))
        }));
        let mut versions = vec![(None, None); job.keys().len()];
        for (places, epoch, stamped) in parts.await? {
            for (place, (before, after)) in places.iter().zip(stamped) {
                versions[*place] = (
                    before.map(|version| of_epoch(version, epoch)),
                    after.map(|version| of_epoch(version, epoch)),
                );
            }
        }
        Ok(Stamped {
            epoch: EPOCH,
            versions,
        })
    }
}
