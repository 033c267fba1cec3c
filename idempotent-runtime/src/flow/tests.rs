#![allow(clippy::unwrap_used)]

use futures_util::FutureExt;
use futures_util::future::join;
use support::eventually_async;

use super::*;
use crate::Idempotent;
use crate::dependencies::{Kind, Stamped};
use crate::key::RequestId;
#[cfg(feature = "sqlite")]
use crate::once::{Look, Promise, Sealing, Table};
use crate::owed::deliver;
use crate::spec::Changed;
use crate::store::gated::{Ask, Gated};
use crate::store::{ExecutionId, MemoryStore, Stamp, TagStamp};

/// The same key each time, with one payload or another, or with the payload in the key.
fn order(payload: Option<u8>) -> Identified {
    Identified {
        id: RequestId::from_text("shop:orders:1"),
        fingerprint: payload.map(|payload| Fingerprint::from_bytes([payload; 32])),
    }
}

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
    let identified = order(None);
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

/// The one that two wait for leaves nothing, and another process is at the same key with another payload before one of
/// them has looked again. Who comes with that payload is one of its duplicates, and must not be told that it has another.
#[tokio::test]
async fn another_payload_is_another_one_than_that_of_the_last_look() {
    let store = Arc::new(MemoryStore::new());
    let idempotent = Idempotent::builder("shop")
        .store(Arc::clone(&store))
        .build();
    let engine = &idempotent.0;
    let spec = Spec::new("orders").cache(60_000);
    let [one, other] = [1, 2].map(|payload| order(Some(payload)));
    let elsewhere = [(1, &one), (2, &other)].map(|(execution, identified)| Claim {
        id: identified.id.clone(),
        execution: ExecutionId(execution),
        fingerprint: identified.fingerprint,
        lease: Duration::from_secs(60),
    });
    let executions = [(); 3].map(|()| engine.execution(&spec));
    let [first, second, third] = [(&one, 0), (&one, 1), (&other, 2)].map(|(identified, number)| {
        engine.enter(Asked {
            spec: &spec,
            identified,
            execution: &executions[number],
        })
    });
    let looked = store.look(&elsewhere[0], Changed::Run).await.unwrap();
    assert!(matches!(looked, Looked::Claimed(_)));
    tokio::pin!(first, second, third);
    assert!(first.as_mut().now_or_never().is_none());
    assert!(second.as_mut().now_or_never().is_none());

    store.release(&elsewhere[0]).await.unwrap();
    let looked = store.look(&elsewhere[1], Changed::Run).await.unwrap();
    assert!(matches!(looked, Looked::Claimed(_)));
    let refused = first.await;
    assert!(matches!(refused, Entry::Refused(Refusal::OtherPayload)));
    // The second one has not looked yet.
    assert!(third.as_mut().now_or_never().is_none());
    assert!(matches!(
        second.await,
        Entry::Refused(Refusal::OtherPayload)
    ));
}

/// A record that is kept, of a store whose looks wait.
async fn kept_behind_a_gate(spec: &Spec, identified: &Identified) -> (Arc<Gated>, Idempotent) {
    let store = Gated::new(&[Ask::Look], None);
    store.open(true);
    let idempotent = Idempotent::builder("shop")
        .store(Arc::clone(&store))
        .build();
    let execution = idempotent.0.execution(spec);
    let asked = Asked {
        spec,
        identified,
        execution: &execution,
    };
    let Entry::Run(run) = idempotent.0.enter(asked).await else {
        panic!("there was no record");
    };
    run.finish(Reply::new(200)).await.unwrap();
    store.open(false);
    (store, idempotent)
}

/// As when a process has just come to its store: the first look takes as long as the connection.
#[tokio::test]
async fn many_that_come_while_one_looks_do_not_look_each() {
    let spec = Spec::new("orders").cache(60_000);
    let identified = order(None);
    let (store, idempotent) = kept_behind_a_gate(&spec, &identified).await;
    let before = store.looks();
    let executions = [(); 20].map(|()| idempotent.0.execution(&spec));
    let retries = executions.each_ref().map(|execution| {
        Box::pin(idempotent.0.enter(Asked {
            spec: &spec,
            identified: &identified,
            execution,
        }))
    });
    let mut all = futures_util::future::join_all(retries);
    assert!((&mut all).now_or_never().is_none());
    assert_eq!(store.looks() - before, 2);
    store.open(true);
    assert!(
        all.await
            .iter()
            .all(|entry| matches!(entry, Entry::Replay(Replay::Kept(..))))
    );
    // One that came after the second look was sent has looked for all that did.
    assert_eq!(store.looks() - before, 3);
}

/// As long as it is not known that the key is in use, another payload is no reason to look one after the other.
#[tokio::test]
async fn a_record_is_for_the_others_too_where_it_refuses_the_one_that_looked() {
    let spec = Spec::new("orders").cache(60_000);
    let [one, other] = [1, 2].map(|payload| order(Some(payload)));
    let (store, idempotent) = kept_behind_a_gate(&spec, &one).await;
    let before = store.looks();
    let executions = [(); 20].map(|()| idempotent.0.execution(&spec));
    let mut number = 0;
    let retries = executions.each_ref().map(|execution| {
        number += 1;
        Box::pin(idempotent.0.enter(Asked {
            spec: &spec,
            identified: if number % 2 == 0 { &one } else { &other },
            execution,
        }))
    });
    let mut all = futures_util::future::join_all(retries);
    assert!((&mut all).now_or_never().is_none());
    store.open(true);
    for (number, entry) in all.await.iter().enumerate() {
        match number % 2 {
            1 => assert!(matches!(entry, Entry::Replay(Replay::Kept(..)))),
            _ => assert!(matches!(entry, Entry::Refused(Refusal::OtherPayload))),
        }
    }
    assert_eq!(store.looks() - before, 3);
}

/// A worker may be kept by another request while the store's answer waits to be read.
#[tokio::test]
async fn who_looks_on_a_thread_that_is_kept_does_not_keep_the_others() {
    let spec = Spec::new("orders").cache(60_000);
    let identified = order(None);
    let (store, idempotent) = kept_behind_a_gate(&spec, &identified).await;
    let executions = [(); 3].map(|()| idempotent.0.execution(&spec));
    let [first, second, third] = executions.each_ref().map(|execution| {
        Box::pin(idempotent.0.enter(Asked {
            spec: &spec,
            identified: &identified,
            execution,
        }))
    });
    tokio::pin!(first, second);
    assert!(first.as_mut().now_or_never().is_none());
    assert!(second.as_mut().now_or_never().is_none());
    store.open(true);
    let began = Instant::now();
    assert!(matches!(third.await, Entry::Replay(Replay::Kept(..))));
    assert!(began.elapsed() < Duration::from_secs(1));
}

/// It is not the other's turn to wait for that run, as long as it does not read its answer.
#[tokio::test]
async fn who_has_found_a_run_hears_of_its_end_though_another_has_the_turn() {
    let store = Gated::new(&[Ask::Look], None);
    let idempotent = Idempotent::builder("shop")
        .store(Arc::clone(&store))
        .build();
    let engine = &idempotent.0;
    let spec = Spec::new("orders").cache(60_000);
    let identified = order(None);
    let elsewhere = Claim {
        id: identified.id.clone(),
        execution: ExecutionId(1),
        fingerprint: None,
        lease: Duration::from_secs(60),
    };
    store.open(true);
    let looked = store.look(&elsewhere, Changed::Run).await.unwrap();
    assert!(matches!(looked, Looked::Claimed(_)));
    store.open(false);
    let executions = [(); 2].map(|()| engine.execution(&spec));
    let [first, second] = executions.each_ref().map(|execution| {
        engine.enter(Asked {
            spec: &spec,
            identified: &identified,
            execution,
        })
    });
    tokio::pin!(first, second);
    assert!(first.as_mut().now_or_never().is_none());
    assert!(second.as_mut().now_or_never().is_none());
    store.open(true);
    assert!(first.as_mut().now_or_never().is_none());
    store.release(&elsewhere).await.unwrap();
    let soon = tokio::time::timeout(Duration::from_secs(5), first).await;
    assert!(matches!(soon, Ok(Entry::Run(_))));
}

/// Who would not wait for a run is not refused because another one looks.
#[tokio::test]
async fn who_does_not_wait_looks_alone() {
    let spec = Spec::new("orders").cache(60_000).wait(0);
    let identified = order(None);
    let (store, idempotent) = kept_behind_a_gate(&spec, &identified).await;
    let before = store.looks();
    let executions = [(); 3].map(|()| idempotent.0.execution(&spec));
    let [first, second, third] = executions.each_ref().map(|execution| {
        idempotent.0.enter(Asked {
            spec: &spec,
            identified: &identified,
            execution,
        })
    });
    let opens = async {
        eventually_async("all look", async || store.looks() - before == 3).await;
        store.open(true);
    };
    let (first, second, third, ()) = tokio::join!(first, second, third, opens);
    for entry in [first, second, third] {
        assert!(matches!(entry, Entry::Replay(Replay::Kept(..))));
    }
}

/// One in this process has left nothing, and another process has the row: both together are waited for for `wait`.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn who_has_followed_waits_for_a_row_as_long_as_is_left() {
    struct NoRecord;

    impl Look for NoRecord {
        fn find(&self, _id: &str) -> Result<Option<(Record, i64)>, crate::error::Error> {
            Ok(None)
        }
    }

    let idempotent = Idempotent::builder("shop").build();
    let engine = &idempotent.0;
    let spec = Spec::new("orders").once(60_000);
    let identified = order(None);
    let on = On::new::<diesel::SqliteConnection, ()>(Table::default(), Sealing::default());
    let wait = engine.settings.wait;
    let executions = [(); 2].map(|()| {
        let execution = engine.execution(&spec);
        execution.set_promise(Promise::new(
            on.clone(),
            &identified,
            execution.id,
            wait,
            wait,
        ));
        execution
    });
    let [first, second] = executions.each_ref().map(|execution| {
        let asked = Asked {
            spec: &spec,
            identified: &identified,
            execution,
        };
        engine.enter_once(asked, Box::new(NoRecord))
    });
    tokio::pin!(first, second);
    let Entry::Run(first) = first.await else {
        panic!("there was no record");
    };
    assert!(second.as_mut().now_or_never().is_none());
    drop(first);
    assert!(matches!(second.await, Entry::Run(_)));
    let left = executions[1].promise().unwrap().wait();
    assert!(left < wait, "{left:?}");
}
