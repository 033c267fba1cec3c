//! Replies of `once` that the application encrypts at rest.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use actix_web::post;
use aes_gcm::aead::Payload;
use aes_gcm::{Aes256Gcm, KeyInit, aead::Aead};
use deadpool_redis::redis;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary};
use idempotent_runtime::once::{Seal, SealError, migrate};
use idempotent_runtime::{
    Builder, Db, Error, Idempotent, Principal, RedisStore, Reply, idempotent,
};
use support::Redis;
use support::http::Response;

use crate::app::{Served, is_replay, serve};
use crate::database::{Sqlite, users};
use crate::logs;

/// A real cipher, which can be told to fail.
struct Cipher {
    aead: Aes256Gcm,
    fails: Arc<Fails>,
}

#[derive(Default)]
struct Fails {
    /// How many more times sealing fails.
    seal: AtomicUsize,
    /// How many more times what is sealed is none.
    wrongly: AtomicUsize,
}

fn takes_one(from: &AtomicUsize) -> bool {
    from.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
        left.checked_sub(1)
    })
    .is_ok()
}

impl Cipher {
    fn new(key: u8) -> Self {
        Self {
            aead: Aes256Gcm::new(&[key; 32].into()),
            fails: Arc::default(),
        }
    }
}

impl Seal for Cipher {
    fn seal(&self, id: &str, clear: &[u8]) -> Result<Vec<u8>, SealError> {
        static NONCES: AtomicU64 = AtomicU64::new(0);
        if takes_one(&self.fails.seal) {
            return Err("the key is away".into());
        }
        if takes_one(&self.fails.wrongly) {
            return Ok(clear.to_vec());
        }
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&NONCES.fetch_add(1, Ordering::SeqCst).to_be_bytes());
        let payload = Payload {
            msg: clear,
            aad: id.as_bytes(),
        };
        let sealed = self.aead.encrypt(&nonce.into(), payload);
        let sealed = sealed.map_err(|_| "no ciphertext")?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    fn open(&self, id: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (nonce, msg) = sealed.split_first_chunk::<12>().ok_or("too short")?;
        let aad = id.as_bytes();
        let clear = self.aead.decrypt(nonce.into(), Payload { msg, aad });
        Ok(clear.map_err(|_| "not sealed by this key, or for another row")?)
    }
}

/// Adds a user with the body as its name, and replies with it.
#[post("/users")]
#[idempotent(once = "1h", key = header("Idempotency-Key"))]
async fn add(name: String, db: Db<SqliteConnection>) -> actix_web::Result<Reply> {
    let reply = db.once(move |conn| {
        let values = (users::email.eq(&name), users::name.eq(&name));
        diesel::insert_into(users::table)
            .values(values)
            .execute(conn)?;
        Ok::<_, Error>(
            Reply::json(201, &name)?
                .header("Location", "/users/1")
                .header("X-Secret", name.clone()),
        )
    });
    Ok(reply.await?)
}

const SECRET: &str = "4242-4242";

fn process(sqlite: &Sqlite, settings: impl FnOnce(Builder) -> Builder) -> Served {
    logs::collect();
    let builder = Idempotent::builder("sealed").principal(Principal::Anonymous);
    let idempotent = settings(builder).build();
    let pool = idempotent.pool::<SqliteConnection>(sqlite.url()).unwrap();
    migrate(&mut pool.get().unwrap()).unwrap();
    idempotent.once_on(&pool).unwrap();
    let registered = idempotent.configure(&pool);
    serve(move |config| {
        config.configure(registered.clone()).service(add);
    })
}

fn sealed_by(sqlite: &Sqlite, key: u8) -> Served {
    process(sqlite, |builder| builder.seal(Cipher::new(key)))
}

fn send(to: &Served, key: &str) -> Response {
    to.send("POST", "/users", &[("Idempotency-Key", key)], SECRET)
}

fn stored(sqlite: &Sqlite) -> Vec<Vec<u8>> {
    sql::<Binary>("SELECT reply FROM idempotent_once WHERE reply IS NOT NULL ORDER BY id")
        .load(&mut sqlite.bare())
        .unwrap()
}

fn count(sqlite: &Sqlite) -> i64 {
    sql::<BigInt>("SELECT COUNT(*) FROM users")
        .get_result(&mut sqlite.bare())
        .unwrap()
}

fn holds_secret(bytes: &[u8]) -> bool {
    bytes
        .windows(SECRET.len())
        .any(|window| window == SECRET.as_bytes())
}

#[test]
fn what_is_sealed_is_replayed_and_is_nowhere_in_the_clear() {
    let (sqlite, redis) = (Sqlite::new(), Redis::start());
    let with_redis = |builder: Builder| {
        let connected = actix_web::rt::System::new().block_on(RedisStore::connect(redis.url()));
        builder.store(connected.unwrap()).seal(Cipher::new(1))
    };
    let (one, other) = (process(&sqlite, with_redis), process(&sqlite, with_redis));
    let first = send(&one, "k");
    assert_eq!((first.status, is_replay(&first)), (201, false), "{first:?}");
    for retry in [send(&one, "k"), send(&other, "k")] {
        assert!(is_replay(&retry), "{retry:?}");
        assert_eq!((retry.status, &retry.body), (201, &first.body));
        assert_eq!(retry.header("x-secret"), Some(SECRET));
    }
    let rows = stored(&sqlite);
    assert!(rows.len() == 1 && !holds_secret(&rows[0]));
    let client = redis::Client::open(redis.url()).unwrap();
    let mut connection = client.get_connection().unwrap();
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("sealed*")
        .query(&mut connection)
        .unwrap();
    assert!(keys.is_empty(), "{keys:?}");
    assert_eq!(count(&sqlite), 1);
}

#[test]
fn without_a_seal_the_table_has_it_in_the_clear() {
    let sqlite = Sqlite::new();
    send(&process(&sqlite, |builder| builder), "k");
    assert!(holds_secret(&stored(&sqlite)[0]));
}

#[test]
fn another_payload_is_refused_as_ever() {
    let sqlite = Sqlite::new();
    let process = sealed_by(&sqlite, 1);
    send(&process, "k");
    let other = process.send("POST", "/users", &[("Idempotency-Key", "k")], "other");
    assert_eq!(other.status, 422);
}

#[test]
fn what_cannot_be_sealed_or_opened_again_is_rolled_back_and_the_retry_runs() {
    let sqlite = Sqlite::new();
    let cipher = Cipher::new(1);
    let fails = Arc::clone(&cipher.fails);
    let process = process(&sqlite, |builder| builder.seal(cipher));
    for fail in [&fails.seal, &fails.wrongly] {
        fail.store(1, Ordering::SeqCst);
        let failed = send(&process, "k");
        assert_eq!(failed.status, 500);
        assert!(!String::from_utf8_lossy(&failed.body).contains("key"));
        assert_eq!((count(&sqlite), stored(&sqlite).len()), (0, 0));
    }
    assert!(logs::has_line(&["cannot be recorded", "the key is away"]));
    assert_eq!(send(&process, "k").status, 201);
    assert_eq!((count(&sqlite), stored(&sqlite).len()), (1, 1));
}

#[test]
fn what_another_key_has_sealed_is_not_taken_for_none() {
    let sqlite = Sqlite::new();
    send(&sealed_by(&sqlite, 1), "k");
    assert_eq!(send(&sealed_by(&sqlite, 2), "k").status, 503);
    assert_eq!(count(&sqlite), 1);
    assert!(is_replay(&send(&sealed_by(&sqlite, 1), "k")));
}

#[test]
fn a_reply_that_was_moved_to_another_row_is_not_given_out() {
    let sqlite = Sqlite::new();
    let process = sealed_by(&sqlite, 1);
    send(&process, "k");
    process.send("POST", "/users", &[("Idempotency-Key", "l")], "another");
    let rows = stored(&sqlite);
    assert_ne!(rows[0], rows[1]);
    sqlite.execute("UPDATE idempotent_once SET reply = (SELECT reply FROM idempotent_once ORDER BY id LIMIT 1)");
    let answers = [
        send(&process, "k").status,
        process
            .send("POST", "/users", &[("Idempotency-Key", "l")], "another")
            .status,
    ];
    assert!(
        answers.contains(&201) && answers.contains(&503),
        "{answers:?}"
    );
}
