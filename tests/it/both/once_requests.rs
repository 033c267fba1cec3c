//! Who gets which answer, before anything runs.

use actix_web::{FromRequest, dev::Payload, error};

use super::*;

/// The user of a request; nobody else gets in.
struct Login;

impl FromRequest for Login {
    type Error = actix_web::Error;
    type Future = std::future::Ready<Result<Self, Self::Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let user = user(request).ok_or_else(|| error::ErrorUnauthorized("who?"));
        std::future::ready(user.map(|_| Self))
    }
}

fn user(request: &HttpRequest) -> Option<String> {
    let user = request.headers().get("User")?;
    user.to_str().ok().map(str::to_owned)
}

#[post("/guarded/{name}")]
#[idempotent(once = 86400, key = header("Idempotency-Key"))]
pub(super) async fn guarded(
    _: Login,
    request: HttpRequest,
    acts: web::Data<Acts>,
    db: Db<C>,
) -> actix_web::Result<Reply> {
    acts.run(&request, db).await
}

#[test]
fn h42_who_is_not_logged_in_is_told_so_and_gets_nobody_s_reply() {
    let shop = Shop::new();
    shop.adds_a_user("a");
    let process = shop.built(|builder| builder.principal(user), true);
    let ask = |user: &[(&str, &str)]| {
        let headers = [&[("Idempotency-Key", "k")], user].concat();
        process.served.send("POST", "/guarded/a", &headers, "{}")
    };
    assert_eq!(ask(&[]).status, 401);
    let ann = ask(&[("User", "ann")]);
    assert_eq!(ann.status, 201);
    assert_eq!(ask(&[]).status, 401);
    let bob = ask(&[("User", "bob")]);
    assert_eq!((bob.status, is_replay(&bob)), (201, false));
    assert_ne!(bob.body, ann.body);
    is_the_same(&ask(&[("User", "ann")]), &ann);
    assert_eq!((shop.users(), shop.records()), (2, 2));
}

#[test]
fn h41_who_does_not_wait_still_gets_what_was_done_long_ago() {
    let shop = Shop::new();
    shop.adds_a_user("a");
    let first = shop.process().send("/impatient/a", "k", "{}");
    assert_eq!(first.status, 201);
    let process = shop.process();
    // So that a look takes its time.
    let taken: Vec<_> = (0..6).map(|_| process.pool.get().unwrap()).collect();
    let ask = |body: &'static str| {
        let address = process.served.address;
        std::thread::spawn(move || {
            let key = [("Idempotency-Key", "k")];
            http::send(address, "POST", "/impatient/a", &key, body.as_bytes())
        })
    };
    let (same, other) = ([ask("{}"), ask("{}"), ask("{}")], ask("{\"other\":1}"));
    shop.gate.await_arrivals(5);
    drop(taken);
    for replay in same {
        is_the_same(&replay.join().unwrap(), &first);
    }
    assert_eq!(other.join().unwrap().status, 422);
    assert_eq!(shop.users(), 1);
}
