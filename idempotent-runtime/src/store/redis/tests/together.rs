//! Many looks in one turn of a runtime.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use futures_util::future::join_all;
use tokio::runtime::Builder;

use super::local::MUCH;
use super::servers::Way;
use super::*;

on_both![
    what_is_asked_in_one_turn_is_one_command,
    small_and_large_copies_are_asked_about_together,
    on_several_threads_everyone_asks_alone,
    h49_of_those_that_are_asked_together_only_the_void_ones_are_missed,
    who_leaves_is_missed_by_nobody,
    what_nobody_waits_for_any_more_is_given_up,
    no_command_asks_for_too_much,
    what_fails_fails_for_all_and_the_next_ones_are_asked_anew,
    a_runtime_that_ends_leaves_nobody_waiting,
];

/// A store with or without copies, and so many records, each of which was seen. Every other one has a tag of its own.
async fn seen(redis: &Redis, copies: bool, records: usize) -> (Arc<RedisStore>, Vec<String>) {
    let store = RedisStore::builder(redis.url());
    let store = match copies {
        true => store.local(Local::strict(MUCH)),
        false => store,
    };
    let store = store.connect().await.unwrap();
    let names: Vec<_> = (0..records).map(|number| format!("r{number}")).collect();
    for (number, name) in names.iter().enumerate() {
        let tag = format!("t{number}");
        let tags = if number % 2 == 0 { &[&*tag][..] } else { &[] };
        run(&store, name, tags).await;
        assert!(is_hit(&store, name).await);
    }
    (Arc::new(store), names)
}

/// All at once.
async fn look_at_all(store: &RedisStore, names: &[String]) -> Vec<Result<Looked, StoreError>> {
    let looks = names.iter().map(async |name| {
        let claim = claim(name);
        let looked = store.look(&claim, Changed::Run).await;
        if !matches!(looked, Ok(Looked::Hit(..))) {
            let _ = store.release(&claim).await;
        }
        looked
    });
    join_all(looks).await
}

fn is_the_reply_of(name: &str, looked: &Result<Looked, StoreError>) -> bool {
    matches!(looked, Ok(Looked::Hit(record, _)) if record.reply == Reply::new(200).body(name.to_owned()))
}

fn all_are_replayed(names: &[String], looked: &[Result<Looked, StoreError>]) {
    assert_eq!(names.len(), looked.len());
    for (name, looked) in names.iter().zip(looked) {
        assert!(is_the_reply_of(name, looked), "{name}: {looked:?}");
    }
}

fn calls(redis: &Redis, command: &str) -> u64 {
    let stats: String = send(redis, "INFO commandstats");
    let head = format!("cmdstat_{command}:calls=");
    let line = stats.lines().find_map(|line| line.strip_prefix(&head));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

async fn what_is_asked_in_one_turn_is_one_command(flavor: Flavor) {
    let redis = flavor.start();
    let commands = || ["mget", "getrange", "evalsha"].map(|command| calls(&redis, command));
    for copies in [false, true] {
        let _: () = send(&redis, "FLUSHALL");
        let (store, names) = seen(&redis, copies, 40).await;
        let [values, parts, scripts] = commands();
        all_are_replayed(&names, &look_at_all(&store, &names).await);
        assert_eq!(commands(), [values + 1, parts, scripts]);
    }
}

/// Of a large copy only a part is asked for, in the same round trip.
async fn small_and_large_copies_are_asked_about_together(flavor: Flavor) {
    let redis = flavor.start();
    let (store, mut names) = seen(&redis, true, 10).await;
    for number in 0..10 {
        let name = format!("large {number} {}", "x".repeat(4_000));
        let tag = format!("of large {number}");
        let tags = if number < 5 { &[&*tag][..] } else { &[] };
        run(&store, &name, tags).await;
        assert!(is_hit(&store, &name).await);
        names.insert(2 * number, name);
    }
    let before = ["mget", "getrange"].map(|command| calls(&redis, command));
    all_are_replayed(&names, &look_at_all(&store, &names).await);
    let after = ["mget", "getrange"].map(|command| calls(&redis, command));
    assert_eq!(after, [before[0] + 1, before[1] + 10]);
    // And each is its own.
    stamp(
        &connect(&redis).await,
        &["of large 3", "t4"],
        LONG,
        crate::sync::random(),
    );
    let looked = look_at_all(&store, &names).await;
    for (name, looked) in names.iter().zip(&looked) {
        let is_void = name.starts_with("large 3") || name == "r4";
        assert_ne!(is_the_reply_of(name, looked), is_void, "{name}");
    }
}

async fn on_several_threads_everyone_asks_alone(flavor: Flavor) {
    let redis = flavor.start();
    let (store, names) = seen(&redis, false, 10).await;
    let before = calls(&redis, "mget");
    let looks = std::thread::spawn(move || {
        let runtime = Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(async { all_are_replayed(&names, &look_at_all(&store, &names).await) });
    });
    eventually_async("they have looked", async || looks.is_finished()).await;
    looks.join().unwrap();
    assert_eq!(calls(&redis, "mget"), before + 10);
}

async fn h49_of_those_that_are_asked_together_only_the_void_ones_are_missed(flavor: Flavor) {
    let redis = flavor.start();
    for copies in [false, true] {
        let _: () = send(&redis, "FLUSHALL");
        let (store, names) = seen(&redis, copies, 20).await;
        // Another process changes a row, deletes a record, and puts there what is none of ours.
        let other = connect(&redis).await;
        stamp(&other, &["t4"], LONG, crate::sync::random());
        let _: () = send(&redis, "DEL idempotent:{r7}:record");
        let _: () = send(&redis, "DEL idempotent:{r9}:record");
        let _: () = send(&redis, "RPUSH idempotent:{r9}:record x");
        let _: () = send(&redis, "SET idempotent:{r12}:record x");
        let _: () = send(&redis, "DEL idempotent:tag:t14");
        let looked = look_at_all(&store, &names).await;
        for (number, (name, looked)) in names.iter().zip(&looked).enumerate() {
            let missed = match number {
                4 => Some(Miss::Changed("t4".into())),
                7 => Some(Miss::Absent),
                9 | 12 => Some(Miss::Unreadable),
                14 => Some(Miss::Changed("t14".into())),
                _ => None,
            };
            match missed {
                Some(miss) => assert!(
                    matches!(looked, Ok(Looked::Claimed(why)) if *why == miss),
                    "{name}: {looked:?}"
                ),
                None => assert!(is_the_reply_of(name, looked), "{name}: {looked:?}"),
            }
        }
    }
}

async fn who_leaves_is_missed_by_nobody(flavor: Flavor) {
    let redis = flavor.start();
    let (store, names) = seen(&redis, false, 20).await;
    let (gone, stay) = names.split_at(10);
    let mut leave = Box::pin(look_at_all(&store, gone));
    let mut others = Box::pin(look_at_all(&store, stay));
    poll_fn(|context| {
        // They have asked first, and so have begun what the others are part of.
        assert!(leave.as_mut().poll(context).is_pending());
        assert!(others.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
    drop(leave);
    let looked = others.await;
    all_are_replayed(stay, &looked);
    all_are_replayed(&names, &look_at_all(&store, &names).await);
}

async fn what_nobody_waits_for_any_more_is_given_up(flavor: Flavor) {
    let redis = flavor.start();
    let store = RedisStore::builder(redis.url()).deadline(LONG);
    let store = store.connect().await.unwrap();
    run(&store, "a", &[]).await;
    assert!(is_hit(&store, "a").await);
    let Way::One(server) = &store.server.way else {
        panic!("it is one server")
    };
    let server = Arc::downgrade(server);
    redis.server().pause();
    {
        let claim = claim("a");
        begin(&mut store.look(&claim, Changed::Run)).await;
    }
    drop(store);
    // Long before the deadline.
    eventually_async("nothing is asked", async || server.strong_count() == 0).await;
    redis.server().resume();
}

/// Keeps a record of so many bytes that depends on so many rows of its own, and sees it.
async fn keep(store: &RedisStore, name: &str, size: usize, rows: usize) {
    let claim = claim(name);
    store.look(&claim, Changed::Run).await.unwrap();
    let rows: Vec<_> = (0..rows).map(|row| format!("{name}:{row}")).collect();
    let rows: Vec<_> = rows.iter().map(String::as_str).collect();
    let stamped = (!rows.is_empty()).then(|| stamp(store, &rows, LONG, crate::sync::random()));
    let versions = stamped.iter().flat_map(|stamped| &stamped.versions);
    let record = Record {
        execution: claim.execution,
        fingerprint: None,
        epoch: stamped.as_ref().map(|stamped| stamped.epoch),
        tags: std::iter::zip(&rows, versions)
            .map(|(row, (_, now))| (Tag::from(*row), now.unwrap()))
            .collect(),
        reply: Reply::new(200).body(name.repeat(size / name.len())),
    };
    assert!(store.keep(&claim, record, LONG).await.unwrap());
    assert!(is_hit(store, name).await);
}

/// Many records, large ones, and ones on many rows: all arrive, by no more commands than that takes.
async fn no_command_asks_for_too_much(flavor: Flavor) {
    let redis = flavor.start();
    // However long that takes on a loaded machine.
    let store = RedisStore::builder(redis.url()).deadline(LONG);
    let store = store.connect().await.unwrap();
    for (records, size, rows, commands) in [
        (300, 8, 0, 2),
        (40, 8_000, 0, 5),
        (10, 100_000, 0, 10),
        (2, 8, 63, 1),
        (2, 8, 64, 2),
    ] {
        let names: Vec<_> = (0..records)
            .map(|number| format!("{commands}-{size}-{rows}-{number:03}"))
            .collect();
        for name in &names {
            keep(&store, name, size.max(name.len()), rows).await;
        }
        let before = calls(&redis, "mget");
        let looked = look_at_all(&store, &names).await;
        for (name, looked) in names.iter().zip(&looked) {
            let body = name.repeat(size.max(name.len()) / name.len());
            assert!(
                matches!(looked, Ok(Looked::Hit(record, _)) if record.reply.bytes() == body.as_bytes()),
                "{name}"
            );
        }
        let sent = calls(&redis, "mget") - before;
        assert_eq!(sent, commands, "{records} of {size} bytes on {rows} rows");
    }
}

async fn what_fails_fails_for_all_and_the_next_ones_are_asked_anew(flavor: Flavor) {
    let redis = flavor.start();
    let (store, names) = seen(&redis, false, 10).await;
    redis.server().pause();
    let looked = timeout(LONG, look_at_all(&store, &names)).await.unwrap();
    assert!(looked.iter().all(Result::is_err), "{looked:?}");
    redis.server().resume();
    comes_back(&store).await;
    // What failed is not guessed again, but asked of the script, and then together as before.
    all_are_replayed(&names, &look_at_all(&store, &names).await);
    let before = calls(&redis, "mget");
    all_are_replayed(&names, &look_at_all(&store, &names).await);
    assert_eq!(calls(&redis, "mget"), before + 1);
}

async fn a_runtime_that_ends_leaves_nobody_waiting(flavor: Flavor) {
    let redis = flavor.start();
    let (store, names) = seen(&redis, false, 2).await;
    let asks = Arc::clone(&store);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let thread = std::thread::spawn(move || {
        let (claim, stays) = (claim(&names[0]), claim(&names[1]));
        let mut looks = asks.look(&claim, Changed::Run);
        let mut later = asks.look(&stays, Changed::Run);
        // What holds the runtime's connection keeps its queue, too.
        let mut holds = asks.renew(&stays);
        runtime.block_on(async {
            // It is asked, and its turn has not come.
            poll_fn(|context| {
                assert!(looks.as_mut().poll(context).is_pending());
                assert!(holds.as_mut().poll(context).is_pending());
                Poll::Ready(())
            })
            .await;
        });
        drop(runtime);
        let other = Builder::new_current_thread().enable_all().build().unwrap();
        other.block_on(async {
            assert!(timeout(LONG, looks).await.unwrap().is_err());
            assert!(timeout(LONG, &mut later).await.unwrap().is_ok());
        });
    });
    eventually_async("it has heard", async || thread.is_finished()).await;
    thread.join().unwrap();
}
