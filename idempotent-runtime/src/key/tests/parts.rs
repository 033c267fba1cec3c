//! Each part of a request, on and off.

use std::net::SocketAddr;

use super::*;

/// One part of a request, which [`changed`] changes and nothing else.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Part {
    Method,
    Host,
    Path,
    Query,
    Body,
    BodyLength,
    Tenant,
    ContentType,
    Accept,
    Cookie,
    Token,
    Address,
    Trace,
}

const PARTS: [Part; 13] = [
    Part::Method,
    Part::Host,
    Part::Path,
    Part::Query,
    Part::Body,
    Part::BodyLength,
    Part::Tenant,
    Part::ContentType,
    Part::Accept,
    Part::Cookie,
    Part::Token,
    Part::Address,
    Part::Trace,
];

fn changed(part: Option<Part>) -> (TestRequest, &'static str) {
    let pick = |of, changed, same| if part == Some(of) { changed } else { same };
    let path = pick(Part::Path, "/orders/2", "/orders/1");
    let query = pick(Part::Query, "x=2", "x=1");
    let address = pick(Part::Address, "192.0.2.2:1", "192.0.2.1:1");
    let request = TestRequest::with_uri(&format!("{path}?{query}"))
        .method(pick(Part::Method, "PUT", "POST").parse().unwrap())
        .peer_addr(address.parse::<SocketAddr>().unwrap())
        .insert_header(("Host", pick(Part::Host, "b.example", "a.example")))
        .insert_header(("X-Tenant", pick(Part::Tenant, "2", "1")))
        .insert_header((
            "Content-Type",
            pick(Part::ContentType, "text/csv", "text/plain"),
        ))
        .insert_header(("Accept", pick(Part::Accept, "text/html", "text/plain")))
        .insert_header(("Cookie", pick(Part::Cookie, "sid=2", "sid=1")))
        .insert_header(("Authorization", pick(Part::Token, "Bearer 2", "Bearer 1")))
        .insert_header(("Traceparent", pick(Part::Trace, "00-2", "00-1")));
    let body = pick(
        Part::BodyLength,
        "amount=100",
        pick(Part::Body, "amount=99", "amount=10"),
    );
    (request, body)
}

const DIMENSIONS: [(&[Dimension], &[Part]); 12] = [
    (&[Dimension::Method], &[Part::Method]),
    (&[Dimension::Host], &[Part::Host]),
    (&[Dimension::Path], &[Part::Path]),
    (&[Dimension::Query], &[Part::Query]),
    (&[Dimension::Body], &[Part::Body, Part::BodyLength]),
    (&[Dimension::Headers(&["x-tenant"])], &[Part::Tenant]),
    (&[Dimension::ContentType], &[Part::ContentType]),
    (&[Dimension::ContentLength], &[Part::BodyLength]),
    (&[Dimension::Accept], &[Part::Accept]),
    (&[Dimension::Session], &[Part::Cookie]),
    (&[Dimension::RemoteAddress], &[Part::Address]),
    (&[Dimension::Principal], &[Part::Cookie, Part::Token]),
];

#[test]
fn a_part_of_the_request_counts_if_and_only_if_its_dimension_is_listed() {
    for rules in both_forms() {
        for (dimensions, counting) in DIMENSIONS {
            let of = |part| {
                let (request, body) = changed(part);
                id(&rules, &keyed(LOCKED, dimensions), request, body)
            };
            for part in PARTS {
                let differs = of(None) != of(Some(part));
                assert_eq!(differs, counting.contains(&part), "{dimensions:?} {part:?}");
            }
        }
    }
}

#[test]
fn by_default_all_counts_but_chosen_headers_and_the_address_behind_credentials() {
    for spec in [LOCKED, CACHED] {
        let of = |part| {
            let (request, body) = changed(part);
            id(&Rules::new("shop"), &spec, request, body)
        };
        for part in PARTS {
            let counts = !matches!(part, Part::Tenant | Part::Address | Part::Trace);
            assert_eq!(of(None) != of(Some(part)), counts, "{part:?}");
        }
    }
}

#[test]
fn h41_a_clients_key_is_the_id_and_its_payload_the_fingerprint() {
    let of = |part| {
        let (request, body) = changed(part);
        let request = request.insert_header(("Idempotency-Key", "\"k\""));
        identified(&Rules::new("shop"), &CLIENT, request, body)
    };
    let first = of(None);
    for part in PARTS {
        let next = of(Some(part));
        let owner = matches!(part, Part::Cookie | Part::Token);
        assert_eq!(first.id != next.id, owner, "{part:?}");
        let payload = matches!(
            part,
            Part::Method
                | Part::Path
                | Part::Query
                | Part::ContentType
                | Part::Body
                | Part::BodyLength
        );
        assert_eq!(first.fingerprint != next.fingerprint, payload, "{part:?}");
    }
    assert_eq!(first.fingerprint, of(None).fingerprint);
}
