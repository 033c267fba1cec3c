//! Whichever server Sentinel names.

use support::RedisSentinels;

use super::*;

on_both![
    it_keeps_the_contract_by_sentinel,
    h24_a_failover_by_sentinel_ends_records,
    h24_a_primary_that_sentinel_names_no_more_is_left,
    an_unknown_name_is_told,
    sentinels_and_their_servers_have_passwords_of_their_own,
];

async fn find(sentinels: &RedisSentinels) -> RedisStore {
    RedisStore::sentinel(RedisSentinels::NAME, sentinels.urls())
        .await
        .unwrap()
}

async fn it_keeps_the_contract_by_sentinel(flavor: Flavor) {
    let sentinels = flavor.start_sentinels();
    suite::check(async || find(&sentinels).await).await;
}

async fn h24_a_failover_by_sentinel_ends_records(flavor: Flavor) {
    let sentinels = flavor.start_sentinels();
    let store = find(&sentinels).await;
    // One that hangs costs nothing, as the others answer.
    sentinels.sentinels()[0].server().pause();
    run(&store, "a", &["t"]).await;
    assert!(is_hit(&store, "a").await);
    let [primary, replica] = sentinels.servers();
    eventually_async("the record is replicated", async || {
        replica.ask(&["EXISTS", "idempotent:{a}:record"])[0] == "1"
    })
    .await;
    primary.server().kill();
    comes_back(&store).await;
    assert_eq!(miss(&store, "a").await, Miss::Epoch);
    run(&store, "a", &["t"]).await;
    assert!(is_hit(&store, "a").await);
    stamp(&store, &["t"], LONG, 1);
    assert_eq!(miss(&store, "a").await, Miss::Changed("t".into()));
    eventually_async("who waits is woken by the new one", async || {
        is_waking(&store).await
    })
    .await;
}

async fn h24_a_primary_that_sentinel_names_no_more_is_left(flavor: Flavor) {
    let sentinels = flavor.start_sentinels();
    let store = find(&sentinels).await;
    run(&store, "a", &["t"]).await;
    assert!(is_hit(&store, "a").await);
    // As when it is cut off, and does not know yet that it was replaced.
    let other = flavor.start();
    let port = other.port().to_string();
    for sentinel in sentinels.sentinels() {
        let name = RedisSentinels::NAME;
        sentinel.ask(&["SENTINEL", "REMOVE", name]);
        sentinel.ask(&["SENTINEL", "MONITOR", name, "127.0.0.1", &port, "2"]);
    }
    eventually_async("the other one is asked", async || {
        matches!(look(&store, "a").await, Looked::Claimed(Miss::Absent))
    })
    .await;
    run(&store, "a", &["t"]).await;
    let is_there = other.ask(&["EXISTS", "idempotent:{a}:record"]);
    assert_eq!(is_there[0], "1");
    eventually_async("who waits is woken by it", async || is_waking(&store).await).await;
}

async fn an_unknown_name_is_told(flavor: Flavor) {
    let sentinels = flavor.start_sentinels();
    let error = RedisStore::sentinel("other", sentinels.urls())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("\"other\""), "{error}");
}

async fn sentinels_and_their_servers_have_passwords_of_their_own(flavor: Flavor) {
    let sentinels = flavor.start_sentinels_with("s3ntinels", "s3rvers");
    let of = |urls: Vec<String>, servers: &str| {
        RedisStore::sentinel_builder(RedisSentinels::NAME, urls)
            .servers(format!("redis://{servers}any/"))
    };
    suite::check(async || {
        let store = of(sentinels.urls(), ":s3rvers@").connect().await;
        store.unwrap()
    })
    .await;
    // Neither is taken for the other, none is not enough, and no message tells them.
    let without = sentinels.sentinels().iter();
    let without: Vec<_> = without
        .map(|one| format!("redis://127.0.0.1:{}/", one.port()))
        .collect();
    for (urls, servers, why) in [
        (sentinels.urls(), "", "NOAUTH"),
        (sentinels.urls(), ":s3ntinels@", "password"),
        (without, ":s3rvers@", "NOAUTH"),
    ] {
        let error = of(urls, servers).connect().await.unwrap_err();
        let message = format!("{error} {error:?}");
        assert!(
            message.to_lowercase().contains(&why.to_lowercase()),
            "{message}"
        );
        assert!(
            !message.contains("s3ntinels") && !message.contains("s3rvers"),
            "{message}"
        );
    }
    // A user of the Sentinels needs no more than is documented.
    let mut urls = Vec::new();
    for sentinel in sentinels.sentinels() {
        let rights = "+sentinel|get-master-addr-by-name";
        sentinel.ask(&["ACL", "SETUSER", "shop", "on", ">asks", "-@all", rights]);
        urls.push(ways::url(sentinel, "shop:asks"));
    }
    let store = of(urls, ":s3rvers@").connect().await.unwrap();
    run(&store, "a", &["t"]).await;
    sentinels.servers()[0].server().kill();
    comes_back(&store).await;
    assert!(!is_hit(&store, "a").await);
    run(&store, "a", &["t"]).await;
    assert!(is_hit(&store, "a").await);
    eventually_async("who waits is woken", async || is_waking(&store).await).await;
}

/// Whether a lock that is freed wakes who waits for it, long before the second look.
async fn is_waking(store: &RedisStore) -> bool {
    let (holder, next) = (claim("lock"), claim("lock"));
    assert!(store.lock(&holder, Duration::ZERO).await.unwrap());
    let mut waiting = store.lock(&next, LONG);
    begin(&mut waiting).await;
    let since = Instant::now();
    assert!(store.unlock(&holder).await.unwrap());
    assert!(waiting.await.unwrap() && store.unlock(&next).await.unwrap());
    since.elapsed() < SOON
}
