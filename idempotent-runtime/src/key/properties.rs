//! Ids are injective: equal for equal requests, and for no others.
#![allow(clippy::unwrap_used)]

use std::net::{Ipv4Addr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::test::TestRequest;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::{Asked, RequestId, Rules};
use crate::key::Dimension;

/// The parts of a request that count, each from few enough values that two requests often share some.
#[derive(Clone, Debug, PartialEq)]
struct Given {
    method: &'static str,
    host: Option<&'static str>,
    path: &'static str,
    query: Option<&'static str>,
    content_type: Option<&'static str>,
    accept: Vec<&'static str>,
    tenant: Vec<&'static str>,
    token: Vec<&'static str>,
    cookie: Option<&'static str>,
    peer: u8,
    body: &'static [u8],
}

const VALUES: [&str; 7] = ["", "a", "a,a", "a=a", "a;path=b", "%3D", ":"];

fn values() -> impl Strategy<Value = Vec<&'static str>> {
    vec(select(&VALUES), 0..3)
}

prop_compose! {
    fn given()(
        method in select(&["GET", "PUT"]),
        host in option::of(select(&["a", "a:80"])),
        path in select(&["/", "/a", "/a%3F", "/a;query=b"]),
        query in option::of(select(&["", "a", "a?", "a=a;b"])),
        content_type in option::of(select(&["", "text/plain", "text/plain;a=b"])),
        accept in values(),
        tenant in values(),
        token in values(),
        cookie in option::of(select(&["a=1", "a=1; b=2"])),
        peer in 1_u8..3,
        body in select(&[b"" as &[u8], b"a", b"a=a", b";path=/", b"\0", b"\xff"]),
    ) -> Given {
        Given { method, host, path, query, content_type, accept, tenant, token, cookie, peer, body }
    }
}

/// Another request, or the same with some parts of another.
fn pair() -> impl Strategy<Value = (Given, Given)> {
    (given(), given(), any::<[bool; 5]>()).prop_map(|(one, other, [a, b, c, d, e])| {
        let mut near = other.clone();
        if a {
            (near.method, near.path, near.host) = (one.method, one.path, one.host);
        }
        if b {
            (near.query, near.content_type) = (one.query, one.content_type);
        }
        if c {
            (near.accept, near.tenant) = (one.accept.clone(), one.tenant.clone());
        }
        if d {
            (near.token, near.cookie) = (one.token.clone(), one.cookie);
        }
        if e {
            (near.peer, near.body) = (one.peer, one.body);
        }
        (one, near)
    })
}

impl Given {
    fn request(&self) -> HttpRequest {
        let query = self
            .query
            .map_or(String::new(), |query| format!("?{query}"));
        let single = [
            ("host", self.host),
            ("content-type", self.content_type),
            ("cookie", self.cookie),
        ];
        let repeated = [
            ("accept", &self.accept),
            ("x-tenant", &self.tenant),
            ("authorization", &self.token),
        ];
        let repeated = repeated
            .iter()
            .flat_map(|(name, values)| values.iter().map(move |value| (*name, *value)));
        let headers = single
            .iter()
            .filter_map(|(name, value)| value.map(|value| (*name, value)))
            .chain(repeated);
        let request = TestRequest::with_uri(&format!("{}{query}", self.path))
            .method(self.method.parse().unwrap())
            .peer_addr(SocketAddr::from((Ipv4Addr::new(192, 0, 2, self.peer), 1)));
        headers
            .fold(request, TestRequest::append_header)
            .to_http_request()
    }

    fn rest(&self, listed: &[Dimension], cached: bool, checksum: bool) -> String {
        let rules = Rules {
            checksum,
            ..Rules::new("shop")
        };
        let asked = Asked {
            rules: &rules,
            request: &self.request(),
            body: self.body,
        };
        asked.by_dimensions(listed, cached)
    }

    /// What the id is to tell apart, by other means than those of the id.
    fn value(&self, dimension: Dimension) -> String {
        match dimension {
            Dimension::Method => format!("{:?}", self.method),
            Dimension::Host => format!("{:?}", self.host),
            Dimension::Path => format!("{:?}", self.path),
            Dimension::Query => format!("{:?}", self.query),
            Dimension::Body => format!("{:?}", self.body),
            Dimension::Headers(_) => format!("{:?}", self.tenant),
            Dimension::ContentType => format!("{:?}", self.content_type),
            Dimension::ContentLength => format!("{:?}", self.body.len()),
            Dimension::Accept => format!("{:?}", self.accept),
            Dimension::Session => format!("{:?}", self.cookie),
            Dimension::RemoteAddress => format!("{:?}", self.peer),
            Dimension::Principal => self.principal(),
            _ => String::new(),
        }
    }

    fn principal(&self) -> String {
        let credentials = self.cookie.is_some() || self.token.iter().any(|token| !token.is_empty());
        let peer = (!credentials).then_some(self.peer);
        format!("{:?} {:?} {peer:?}", self.token, self.cookie)
    }

    fn same(&self, other: &Self, listed: &[Dimension], cached: bool) -> bool {
        let owned = cached && !listed.contains(&Dimension::Shared);
        let implied = owned.then_some(Dimension::Principal);
        let mut counting = listed.iter().copied().chain(implied);
        counting.all(|dimension| self.value(dimension) == other.value(dimension))
    }
}

const DIMENSIONS: [Dimension; 13] = [
    Dimension::Method,
    Dimension::Host,
    Dimension::Path,
    Dimension::Query,
    Dimension::Body,
    Dimension::Headers(&["X-Tenant"]),
    Dimension::ContentType,
    Dimension::ContentLength,
    Dimension::Accept,
    Dimension::Session,
    Dimension::RemoteAddress,
    Dimension::Principal,
    Dimension::Shared,
];

fn dimensions() -> impl Strategy<Value = Vec<Dimension>> {
    subsequence(&DIMENSIONS, 0..DIMENSIONS.len()).prop_filter("a contradiction", |listed| {
        !(listed.contains(&Dimension::Shared) && listed.contains(&Dimension::Principal))
    })
}

fn multipart(pieces: &[String], boundary: &str) -> String {
    let body = pieces.join(&format!("\r\n--{boundary}\r\n"));
    let request = TestRequest::default()
        .insert_header((
            "Content-Type",
            format!("multipart/mixed; boundary={boundary}"),
        ))
        .to_http_request();
    let rules = Rules::new("shop");
    let asked = Asked {
        rules: &rules,
        request: &request,
        body: body.as_bytes(),
    };
    asked.by_dimensions(&[Dimension::ContentType, Dimension::Body], false)
}

proptest! {
    #[test]
    fn h46_requests_have_one_id_if_and_only_if_all_listed_dimensions_are_equal(
        (one, other) in pair(),
        listed in dimensions(),
        cached in any::<bool>(),
    ) {
        let same = one.same(&other, &listed, cached);
        for checksum in [true, false] {
            let ids = [&one, &other].map(|given| given.rest(&listed, cached, checksum));
            prop_assert_eq!(ids[0] == ids[1], same, "{:?}", ids);
        }
    }

    #[test]
    fn a_readable_id_holds_no_mark_of_the_stores(given in given(), listed in dimensions()) {
        let text = given.rest(&listed, true, false);
        prop_assert!(text.is_ascii());
        prop_assert!(!text.contains([':', '{', '}', ' ']), "{}", text);
    }

    #[test]
    fn a_multipart_body_is_its_pieces_whatever_the_boundary(
        one in vec("[-x\r\n]{0,4}", 1..3),
        other in vec("[-x\r\n]{0,4}", 1..3),
    ) {
        prop_assert_eq!(multipart(&one, "left") == multipart(&other, "right"), one == other);
    }
}

proptest! {
    // These are small and quick, and two that ought to collide are rare.
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn h46_no_two_names_share_an_id(
        one in ("[a:%]{0,3}", "[a:%]{0,3}", "[a=;%]{0,2}"),
        other in ("[a:%]{0,3}", "[a:%]{0,3}", "[a=;%]{0,2}"),
    ) {
        let full = |(application, handler, rest): &(String, String, String)| {
            RequestId::full(application, handler, rest)
        };
        prop_assert_eq!(full(&one) == full(&other), one == other);
    }

    #[test]
    fn h46_no_two_lists_of_parts_share_an_id(
        one in vec("[ab]{0,2}", 0..3),
        other in vec("[ab]{0,2}", 0..3),
    ) {
        prop_assert_eq!(RequestId::of(&one) == RequestId::of(&other), one == other);
    }
}
