//! One connection per runtime.

use std::sync::Arc;

use tokio::runtime::Builder;

use super::*;

on_both![
    each_runtime_has_one_connection_and_takes_it_along_when_it_ends,
    a_store_that_is_dropped_closes_its_connections,
    more_runtimes_than_connections_are_an_error_and_no_hang,
    a_runtime_without_a_connection_says_nothing_about_the_server,
    a_runtime_that_cannot_connect_does_not_keep_others_from_asking,
    a_deadline_without_an_end_is_none,
    a_blocked_thread_is_no_failure,
];

/// How many clients the server has, the one that asks left out.
fn clients(redis: &Redis) -> usize {
    send::<String>(redis, "CLIENT LIST").lines().count() - 1
}

async fn each_runtime_has_one_connection_and_takes_it_along_when_it_ends(flavor: Flavor) {
    let redis = flavor.start();
    let store = Arc::new(connect(&redis).await);
    stamp(&store, &["t"], LONG, 1);
    let own = 3; // This runtime's, that of stamps, and the one that hears.
    assert_eq!(clients(&redis), own);
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let store = Arc::clone(&store);
            let (sender, receiver) = std::sync::mpsc::channel::<()>();
            let thread = std::thread::spawn(move || {
                let runtime = Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    for _ in 0..20 {
                        assert!(!store.renew(&claim("a")).await.unwrap());
                    }
                });
                // Its connection lives as long as it does.
                let _ = receiver.recv();
            });
            (sender, thread)
        })
        .collect();
    eventually_async("all have one", async || clients(&redis) == own + 3).await;
    assert_eq!(lines(&store), 5);
    for (sender, thread) in workers {
        drop(sender);
        thread.join().unwrap();
    }
    assert_eq!(lines(&store), 2);
    eventually_async("they are closed", async || clients(&redis) == own).await;
}

async fn a_store_that_is_dropped_closes_its_connections(flavor: Flavor) {
    let redis = flavor.start();
    let store = connect(&redis).await;
    stamp(&store, &["t"], LONG, 1);
    drop(store);
    eventually_async("all are closed", async || clients(&redis) == 0).await;
}

async fn more_runtimes_than_connections_are_an_error_and_no_hang(flavor: Flavor) {
    let redis = flavor.start();
    let store = RedisStore::builder(redis.url())
        .pool_size(1)
        .connect()
        .await
        .unwrap();
    let stamp = Stamp {
        tags: &[],
        create: false,
        life: LONG,
        nonce: 1,
    };
    let since = Instant::now();
    for _ in 0..5 {
        let error = store.stamp(&stamp).unwrap_err();
        assert!(error.to_string().contains("more Tokio runtimes"), "{error}");
    }
    assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
    // Which is no reason to think that the server is away.
    assert!(!store.renew(&claim("a")).await.unwrap());
}

async fn a_runtime_without_a_connection_says_nothing_about_the_server(flavor: Flavor) {
    let redis = flavor.start();
    let store = RedisStore::builder(redis.url())
        .pool_size(1)
        .deadline(Duration::from_millis(200))
        .connect()
        .await
        .unwrap();
    let stamp = Stamp {
        tags: &[],
        create: false,
        life: LONG,
        nonce: 1,
    };
    redis.server().pause();
    for _ in 0..3 {
        assert!(store.renew(&claim("a")).await.is_err());
        assert!(store.stamp(&stamp).is_err());
    }
    let error = store.renew(&claim("a")).await.unwrap_err();
    assert!(error.to_string().contains("is not asked now"), "{error}");
    redis.server().resume();
}

async fn a_runtime_that_cannot_connect_does_not_keep_others_from_asking(flavor: Flavor) {
    let redis = flavor.start();
    let store = Arc::new(connect(&redis).await);
    // Those that are connected stay so.
    let _: () = send(&redis, "CONFIG SET maxclients 1");
    let other = Arc::clone(&store);
    let other = std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            for _ in 0..5 {
                assert!(other.renew(&claim("a")).await.is_err());
            }
        });
    });
    other.join().unwrap();
    assert!(!store.renew(&claim("a")).await.unwrap());
}

async fn a_deadline_without_an_end_is_none(flavor: Flavor) {
    let redis = flavor.start();
    let store = RedisStore::builder(redis.url()).deadline(Duration::MAX);
    let store = store.connect().await.unwrap();
    run(&store, "a", &["t"]).await;
    assert!(store.lock(&claim("a"), LONG).await.unwrap());
    assert!(is_hit(&store, "a").await);
}

async fn a_blocked_thread_is_no_failure(flavor: Flavor) {
    let redis = flavor.start();
    let store = connect(&redis).await;
    let asking = claim("a");
    // As by a synchronous query in an async handler: before what is asked is sent, and before the answer is read.
    for is_sent in [false, true] {
        let block = async {
            if is_sent {
                tokio::task::yield_now().await;
            }
            std::thread::sleep(Duration::from_millis(700));
        };
        let (renewed, ()) = futures_util::future::join(store.renew(&asking), block).await;
        assert!(!renewed.unwrap());
    }
    std::thread::sleep(Duration::from_secs(2));
    assert!(!store.renew(&asking).await.unwrap());
    // The connection has not been given up, either.
    let made: String = send(&redis, "INFO stats");
    let made = made
        .lines()
        .find_map(|line| line.strip_prefix("total_connections_received:"));
    // This store's two (it has not stamped), and those of this test.
    assert_eq!(made.unwrap().trim(), "3");
}

fn lines(store: &RedisStore) -> usize {
    match &store.server.way {
        servers::Way::One(server) => server.lines(),
        servers::Way::Cluster(_) => unreachable!("there is one server"),
    }
}
