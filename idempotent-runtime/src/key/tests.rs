//! Ids as a whole, and what the tests of the parts share.
#![allow(clippy::unwrap_used)]

use actix_web::test::{TestRequest, call_and_read_body, init_service};
use actix_web::{App, HttpResponse, web};

use super::*;
use crate::key::Dimension;
use crate::spec::Spec;

mod parts;

/// What a part of a request became.
pub(super) type Lines = String;

/// Writes a part of this request as the rules say.
pub(super) fn lines(
    rules: &Rules,
    request: TestRequest,
    write: impl FnOnce(&Asked<'_>, &mut dyn Fields),
) -> Lines {
    let (request, mut payload) = request.to_http_parts();
    let body = futures_util::FutureExt::now_or_never(payload_bytes(&mut payload)).unwrap();
    let asked = Asked {
        rules,
        request: &request,
        body: &body,
    };
    rules.encode(|fields| write(&asked, fields))
}

async fn payload_bytes(payload: &mut actix_web::dev::Payload) -> Bytes {
    use futures_util::StreamExt;

    let mut bytes = Vec::new();
    while let Some(chunk) = payload.next().await {
        bytes.extend_from_slice(&chunk.unwrap());
    }
    bytes.into()
}

fn id(rules: &Rules, spec: &Spec, request: TestRequest, body: &'static str) -> RequestId {
    identified(rules, spec, request, body).id
}

fn identified(rules: &Rules, spec: &Spec, request: TestRequest, body: &'static str) -> Identified {
    let request = request.to_http_request();
    identify(
        rules,
        &spec.identity(),
        &request,
        &Bytes::from_static(body.as_bytes()),
    )
    .unwrap()
}

fn both_forms() -> [Rules; 2] {
    let readable = Rules {
        checksum: false,
        ..Rules::new("shop")
    };
    [Rules::new("shop"), readable]
}

const LOCKED: Spec = Spec::new("orders::create").lock(3000);
const CACHED: Spec = Spec::new("orders::create").cache(15_000);

const fn keyed(spec: Spec, dimensions: &'static [Dimension]) -> Spec {
    spec.key(Key::Dimensions(dimensions))
}

#[test]
fn h10_a_form_with_another_amount_is_another_request() {
    let of = |body| id(&Rules::new("shop"), &CACHED, TestRequest::post(), body);
    assert_ne!(of("amount=10"), of("amount=99"));
}

#[test]
fn h42_a_kept_reply_is_its_principals_own_unless_it_is_shared() {
    let of = |spec: &Spec, token| {
        let request = TestRequest::default().insert_header(("Authorization", token));
        id(&Rules::new("shop"), spec, request, "")
    };
    let own = keyed(CACHED, &[Dimension::Path]);
    assert_ne!(of(&own, "alice"), of(&own, "bob"));
    let both = keyed(CACHED.lock(1), &[Dimension::Path]);
    assert_ne!(of(&both, "alice"), of(&both, "bob"));
    let contradictory = keyed(CACHED, &[Dimension::Shared, Dimension::Principal]);
    assert_ne!(of(&contradictory, "alice"), of(&contradictory, "bob"));
    let shared = keyed(CACHED, &[Dimension::Path, Dimension::Shared]);
    assert_eq!(of(&shared, "alice"), of(&shared, "bob"));
    let locked = keyed(LOCKED, &[Dimension::Path]);
    assert_eq!(of(&locked, "alice"), of(&locked, "bob"));
}

#[test]
fn h43_a_forged_address_does_not_make_another_principal() {
    let of = |forwarded| {
        let request = TestRequest::default()
            .peer_addr("192.0.2.1:1".parse().unwrap())
            .insert_header(("X-Forwarded-For", forwarded))
            .insert_header(("X-Forwarded-Host", forwarded))
            .insert_header(("Forwarded", format!("for={forwarded};host={forwarded}")));
        id(&Rules::new("shop"), &CACHED, request, "")
    };
    assert_eq!(of("198.51.100.7"), of("198.51.100.8"));
}

#[test]
fn h46_a_colon_in_a_name_does_not_move_the_border() {
    for checksum in [true, false] {
        let of = |application: &str, handler| {
            let rules = Rules {
                checksum,
                ..Rules::new(application)
            };
            id(
                &rules,
                &Spec::new(handler).lock(1),
                TestRequest::default(),
                "",
            )
        };
        assert_ne!(of("a:b", "c"), of("a", "b:c"));
        assert_ne!(of("a%3Ab", "c"), of("a:b", "c"));
        assert_ne!(of("a", "b"), of("a", "c"));
        assert_ne!(of("a", "b"), of("b", "b"));
    }
}

#[test]
fn an_id_begins_with_the_prefix_of_its_application_and_shows_the_handler() {
    let id = id(&Rules::new("a:b"), &LOCKED, TestRequest::default(), "");
    let rest = id.as_str().strip_prefix(&RequestId::prefix("a:b")).unwrap();
    let (handler, digest) = rest.rsplit_once(':').unwrap();
    assert_eq!(handler, "orders::create");
    assert_eq!(digest.len(), 64);
    assert!(!id.as_str().starts_with(&RequestId::prefix("a")));
    assert_eq!(RequestId::from_text(id.as_str()), id);
}

#[test]
fn h46_path_and_query_count_as_the_client_wrote_them() {
    let of = |uri| id(&Rules::new("shop"), &LOCKED, TestRequest::with_uri(uri), "");
    assert_ne!(of("/a/b"), of("/a%2Fb"));
    assert_ne!(of("/a"), of("/a?"));
    assert_ne!(of("/?x=1&y=2"), of("/?y=2&x=1"));
    assert_ne!(of("/%3Fx=1"), of("/?x=1"));
}

#[test]
fn h46_repeated_joined_empty_and_absent_headers_are_four_things() {
    const SPEC: Spec = keyed(LOCKED, &[Dimension::Headers(&["x-a", "x-b"])]);
    for rules in both_forms() {
        let of = |headers: &[(&str, &str)]| {
            let request = headers
                .iter()
                .fold(TestRequest::default(), |request, header| {
                    request.append_header(*header)
                });
            id(&rules, &SPEC, request, "")
        };
        let all = [
            of(&[]),
            of(&[("x-a", "")]),
            of(&[("x-a", ""), ("x-a", "")]),
            of(&[("x-a", "1,2")]),
            of(&[("x-a", "1"), ("x-a", "2")]),
            of(&[("x-a", "2"), ("x-a", "1")]),
            of(&[("x-a", "1"), ("x-b", "2")]),
            of(&[("x-b", "1"), ("x-a", "2")]),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(!all[..index].contains(one), "{one:?}");
        }
        assert_eq!(all[6], of(&[("X-B", "2"), ("X-A", "1")]));
    }
}

#[test]
fn neither_order_nor_case_nor_repetition_of_listed_names_counts() {
    let of = |dimensions| {
        let request = TestRequest::default()
            .insert_header(("X-A", "1"))
            .insert_header(("X-B", "2"));
        id(&Rules::new("shop"), &keyed(LOCKED, dimensions), request, "")
    };
    assert_eq!(
        of(&[Dimension::Headers(&["x-a", "x-b"])]),
        of(&[Dimension::Headers(&["X-B", "X-A", "x-b"])]),
    );
}

#[test]
fn a_listed_credential_does_not_show_in_a_readable_id() {
    let [_, readable] = both_forms();
    let spec = keyed(LOCKED, &[Dimension::Headers(&["Authorization", "x-a"])]);
    let request = TestRequest::default()
        .insert_header(("Authorization", "hunter2"))
        .insert_header(("X-A", "seen"));
    let id = id(&readable, &spec, request, "");
    assert!(!id.as_str().contains("hunter2"));
    assert!(id.as_str().contains("header=x-a=seen"));
}

#[test]
fn the_authority_of_the_request_line_is_the_host() {
    let spec = keyed(LOCKED, &[Dimension::Host]);
    let of = |request| id(&Rules::new("shop"), &spec, request, "");
    let named = of(TestRequest::with_uri("/a").insert_header(("Host", "a.example")));
    assert_eq!(named, of(TestRequest::with_uri("http://a.example/a")));
    let both = TestRequest::with_uri("http://a.example/a").insert_header(("Host", "b.example"));
    assert_eq!(named, of(both));
    assert_ne!(named, of(TestRequest::with_uri("/a")));
}

#[actix_web::test]
async fn the_endpoint_is_the_pattern_of_the_route() {
    async fn endpoint(request: HttpRequest) -> HttpResponse {
        let spec = keyed(LOCKED, &[Dimension::Endpoint]);
        let id = identify(
            &Rules::new("shop"),
            &spec.identity(),
            &request,
            &Bytes::new(),
        )
        .unwrap();
        HttpResponse::Ok().body(id.id.as_str().to_owned())
    }
    let app = init_service(
        App::new()
            .route("/users/{id}", web::to(endpoint))
            .service(web::scope("/v1").route("/users/{id}", web::to(endpoint))),
    )
    .await;
    let mut seen = Vec::new();
    for uri in ["/users/1", "/users/2", "/v1/users/1"] {
        seen.push(call_and_read_body(&app, TestRequest::with_uri(uri).to_request()).await);
    }
    assert_eq!(seen[0], seen[1]);
    assert_ne!(seen[0], seen[2]);
}

const CLIENT: Spec = CACHED.key(Key::Header("Idempotency-Key"));

#[test]
fn h42_a_clients_key_is_its_own_handlers_and_principals() {
    for rules in both_forms() {
        let of = |spec: &Spec, key: &str, token: &str| {
            let request = TestRequest::default()
                .insert_header(("Idempotency-Key", key))
                .insert_header(("Authorization", token));
            id(&rules, spec, request, "")
        };
        let first = of(&CLIENT, "k", "alice");
        assert_eq!(first, of(&CLIENT, "\"k\"", "alice"));
        assert_ne!(first, of(&CLIENT, "l", "alice"));
        assert_ne!(first, of(&CLIENT, "k", "bob"));
        let other = Spec::new("other").key(Key::Header("Idempotency-Key"));
        assert_ne!(first, of(&other, "k", "alice"));
    }
}

#[test]
fn a_clients_key_has_no_owner_where_all_are_anonymous() {
    let rules = Rules {
        principal: Principal::Anonymous,
        ..Rules::new("shop")
    };
    let of = |token| {
        let request = TestRequest::default()
            .insert_header(("Idempotency-Key", "k"))
            .insert_header(("Authorization", token));
        id(&rules, &CLIENT, request, "")
    };
    assert_eq!(of("old"), of("new"));
}

#[test]
fn the_applications_key_is_for_handlers_that_name_none() {
    let rules = Rules {
        key: Key::Header("Idempotency-Key"),
        ..Rules::new("shop")
    };
    let request = || TestRequest::default().to_http_request();
    let error = identify(&rules, &CACHED.identity(), &request(), &Bytes::new()).unwrap_err();
    assert!(matches!(error, KeyError::Missing { .. }));
    let own = keyed(CACHED, &[Dimension::Path]);
    assert!(identify(&rules, &own.identity(), &request(), &Bytes::new()).is_ok());
}

#[test]
fn a_function_says_which_requests_are_the_same_within_its_handler() {
    fn by_query(request: &HttpRequest, body: &Bytes) -> Result<RequestId, actix_web::Error> {
        match request.query_string() {
            "" => Err(actix_web::error::ErrorForbidden("no")),
            query => Ok(RequestId::of([query.as_bytes(), body])),
        }
    }
    let rules = Rules::new("shop");
    let of = |name, uri| {
        id(
            &rules,
            &Spec::new(name).key(Key::Function(by_query)),
            TestRequest::with_uri(uri),
            "",
        )
    };
    assert_eq!(of("a", "/1?x"), of("a", "/2?x"));
    assert_ne!(of("a", "/1?x"), of("a", "/1?y"));
    assert_ne!(of("a", "/1?x"), of("b", "/1?x"));
    let request = TestRequest::default().to_http_request();
    let spec = Spec::new("a").key(Key::Function(by_query));
    let error = identify(&rules, &spec.identity(), &request, &Bytes::new()).unwrap_err();
    assert_eq!(error.status(), 403);
}

#[test]
fn a_functions_id_is_never_a_readable_one() {
    let [_, readable] = both_forms();
    let spec = LOCKED.key(Key::Function(|_, _| Ok(RequestId::new("path=/"))));
    let by_path = keyed(LOCKED, &[Dimension::Path]);
    let request = || TestRequest::with_uri("/");
    assert_ne!(
        id(&readable, &spec, request(), ""),
        id(&readable, &by_path, request(), "")
    );
}

#[test]
fn h47_a_large_body_does_not_make_a_large_id() {
    let large: &'static str = "a".repeat(100_000).leak();
    let larger: &'static str = "a".repeat(100_001).leak();
    for rules in both_forms() {
        let of = |body| id(&rules, &CACHED, TestRequest::post(), body);
        assert!(of(large).as_str().len() < 1200);
        assert_ne!(of(large), of(larger));
    }
}

#[test]
fn a_fingerprint_survives_storage_in_few_bytes() {
    let fingerprint = Fingerprint([200; 32]);
    let bytes = rmp_serde::to_vec(&fingerprint).unwrap();
    assert_eq!(bytes.len(), 34);
    assert_eq!(
        rmp_serde::from_slice::<Fingerprint>(&bytes).unwrap(),
        fingerprint
    );
    assert_eq!(fingerprint.0, [200; 32]);
}
