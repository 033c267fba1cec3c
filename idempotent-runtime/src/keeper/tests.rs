#![allow(clippy::unwrap_used)]

use metrics::set_default_local_recorder;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use super::*;
use crate::key::RequestId;
use crate::store::MemoryStore;

/// The thread's work, on this thread.
#[tokio::test]
async fn a_claim_that_another_ended_is_a_lease_that_was_lost() {
    let recorder = DebuggingRecorder::new();
    let _local = set_default_local_recorder(&recorder);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let claim = Claim {
        id: RequestId::from_text("a"),
        execution: ExecutionId(1),
        fingerprint: None,
        lease: Duration::from_secs(10),
    };
    let (leases, name) = (
        Mutex::new(Leases::default()),
        (claim.execution, Kind::Claim),
    );
    let (now, lost) = (Instant::now(), Arc::<AtomicBool>::default());
    let lease = Lease {
        due: now,
        held: after(now, claim.lease),
        cap: after(now, claim.lease),
        lost: Arc::clone(&lost),
        claim,
    };
    lock(&leases).all.insert(name, lease.clone());
    renew(&store, &leases, name, lease).await;
    assert!(lost.load(Ordering::Acquire));
    let seen = recorder.snapshotter().snapshot().into_vec();
    let counted: Vec<_> = seen
        .iter()
        .map(|(key, _, _, value)| (key.key().name(), value))
        .collect();
    assert_eq!(
        counted,
        [("idempotent_lease_losses_total", &DebugValue::Counter(1))]
    );
}
