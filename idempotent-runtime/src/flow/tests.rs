#![allow(clippy::unwrap_used)]

use futures_util::future::join;
use support::eventually_async;

use super::*;
use crate::Idempotent;
use crate::dependencies::{Kind, Stamped};
use crate::owed::deliver;
use crate::store::gated::{Ask, Gated};
use crate::store::{Stamp, TagStamp};

/// A writer could not announce what it then committed. A retry looks, and while the answer is on its way, what was owed
/// is delivered: by the time that the answer is read, nothing is owed any more.
#[tokio::test]
async fn what_was_owed_at_the_look_ends_a_hit_even_if_it_was_delivered_since() {
    let store = Gated::new(&[Ask::Look], None);
    store.open(true);
    let idempotent = Idempotent::builder("shop")
        .store(Arc::clone(&store))
        .build();
    let engine = &idempotent.0;
    let spec = Spec::new("orders").cache(60_000);
    let identified = Identified {
        id: RequestId::from_text("shop:orders:1"),
        fingerprint: None,
    };
    let first = engine.execution(&spec);
    let asked = |execution| Asked {
        spec: &spec,
        identified: &identified,
        execution,
    };
    let Entry::Run(run) = engine.enter(asked(&first)).await else {
        panic!("there was no record");
    };
    let tags = [TagStamp {
        tag: "shop:users:1".into(),
        renew: true,
    }];
    let stamped = store.stamp(&Stamp {
        tags: &tags,
        create: true,
        life: Duration::from_secs(60),
        nonce: 1,
    });
    let stamped = stamped.unwrap();
    let row = Stamped {
        table: "users".into(),
        kind: Kind::Row,
        tag: Tag::clone(&tags[0].tag),
        before: None,
        now: stamped.versions[0].1,
    };
    first.committed(stamped.epoch, vec![row]);
    run.finish(Reply::new(200)).await.unwrap();

    engine.owed.add(tags.to_vec());
    store.open(false);
    let gate = Arc::clone(&store);
    let retry = engine.execution(&spec);
    let delivered = async {
        let (store, owed) = (Arc::clone(&engine.store), Arc::clone(&engine.owed));
        engine.keeper.spawn(deliver(store, owed));
        eventually_async("it is delivered", async || !engine.owed.any()).await;
        gate.open(true);
    };
    let (entry, ()) = join(engine.enter(asked(&retry)), delivered).await;
    assert!(matches!(entry, Entry::Run(_)));
}
