//! Who asks: the principal and the session.

use actix_web::HttpRequest;
use actix_web::http::header::{AUTHORIZATION, COOKIE, HeaderName, PROXY_AUTHORIZATION};

use super::fields::Fields;
use super::{Asked, Principal};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Whether the values of this header must not be seen in clear.
pub(super) fn is_secret(name: &str) -> bool {
    [AUTHORIZATION, PROXY_AUTHORIZATION, API_KEY, COOKIE]
        .iter()
        .any(|secret| secret.as_str().eq_ignore_ascii_case(name))
}

impl Asked<'_> {
    pub(super) fn principal(&self, fields: &mut dyn Fields) {
        match &self.rules.principal {
            Principal::Anonymous => fields.field("anonymous"),
            Principal::Default => self.credentials(fields),
            Principal::Function(function) => match function(self.request) {
                Some(name) => fields.single("principal", name.as_bytes()),
                None => self.credentials(fields),
            },
        }
    }

    // All together, for which of them the application believes is not known here.
    fn credentials(&self, fields: &mut dyn Fields) {
        let mut found = put_secret(self.request, "authorization", &AUTHORIZATION, fields);
        found |= put_secret(
            self.request,
            "proxy-authorization",
            &PROXY_AUTHORIZATION,
            fields,
        );
        found |= put_secret(self.request, "x-api-key", &API_KEY, fields);
        found |= self.cookies(fields);
        if !found {
            self.address("peer", fields);
        }
    }

    fn cookies(&self, fields: &mut dyn Fields) -> bool {
        if self.rules.session_cookies.is_empty() {
            return put_secret(self.request, "cookie", &COOKIE, fields);
        }
        // A header that actix cannot decode holds no session for the application either, yet it must not turn two
        // clients into one.
        let Ok(cookies) = self.request.cookies() else {
            return put_secret(self.request, "cookie", &COOKIE, fields);
        };
        let mut found = false;
        fields.field("session-cookie");
        for name in &self.rules.session_cookies {
            for cookie in cookies.iter().filter(|cookie| cookie.name() == name) {
                fields.value(name.as_bytes());
                fields.secret(cookie.value().as_bytes());
                found |= !cookie.value().is_empty();
            }
        }
        found
    }

    #[cfg(feature = "session")]
    pub(super) fn session(&self, fields: &mut dyn Fields) {
        use actix_session::SessionExt;

        let session = self.request.get_session();
        let entries = session.entries();
        let mut entries: Vec<_> = entries.iter().collect();
        // An empty session, or one whose middleware is missing, tells nobody apart; the cookies may.
        if entries.is_empty() {
            self.cookies(fields);
            return;
        }
        entries.sort_unstable();
        fields.field("session");
        for (name, value) in entries {
            fields.value(name.as_bytes());
            fields.secret(value.as_bytes());
        }
    }

    #[cfg(not(feature = "session"))]
    pub(super) fn session(&self, fields: &mut dyn Fields) {
        self.cookies(fields);
    }
}

/// Adds all values of a header, if it is there; `false` if that tells nothing. An empty value does not: it must not
/// stand in for the address. One that is not there is not named, either, for most are not.
fn put_secret(
    request: &HttpRequest,
    field: &'static str,
    header: &HeaderName,
    fields: &mut dyn Fields,
) -> bool {
    let mut found = false;
    for (number, value) in request.headers().get_all(header).enumerate() {
        if number == 0 {
            fields.field(field);
        }
        fields.secret(value.as_bytes());
        found |= !value.is_empty();
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::SocketAddr;

    use actix_web::HttpMessage;
    use actix_web::test::TestRequest;

    use super::super::tests::{Lines, lines};
    use super::*;
    use crate::key::Rules;

    const PEER: &str = "192.0.2.1:50000";

    fn from(peer: &str) -> TestRequest {
        TestRequest::default().peer_addr(peer.parse::<SocketAddr>().unwrap())
    }

    fn principal(rules: &Rules, request: TestRequest) -> Lines {
        lines(rules, request, |asked, fields| asked.principal(fields))
    }

    fn with_session_cookie() -> Rules {
        Rules {
            session_cookies: vec!["sid".into()],
            ..Rules::new("shop")
        }
    }

    #[test]
    fn h42_every_credential_makes_another_principal() {
        let rules = Rules::new("shop");
        let headers = [
            "Authorization",
            "Proxy-Authorization",
            "X-Api-Key",
            "Cookie",
        ];
        let mut seen = vec![principal(&rules, from(PEER))];
        for header in headers {
            for value in ["a=1", "a=2"] {
                seen.push(principal(&rules, from(PEER).insert_header((header, value))));
            }
        }
        let all = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), all);
    }

    #[test]
    fn h42_one_credential_of_several_is_enough_to_differ() {
        let rules = Rules::new("shop");
        let alice = || from(PEER).insert_header(("Authorization", "Basic gateway"));
        assert_ne!(
            principal(&rules, alice().insert_header(("Cookie", "sid=alice"))),
            principal(&rules, alice().insert_header(("Cookie", "sid=bob"))),
        );
    }

    #[test]
    fn h42_without_credentials_the_address_is_the_principal() {
        let rules = Rules::new("shop");
        let one = principal(&rules, from(PEER));
        assert_ne!(one, principal(&rules, from("192.0.2.2:50000")));
        // Another connection of the same client.
        assert_eq!(one, principal(&rules, from("192.0.2.1:50001")));
    }

    #[test]
    fn h42_an_empty_credential_does_not_stand_in_for_the_address() {
        for rules in [Rules::new("shop"), with_session_cookie()] {
            for empty in [("Authorization", ""), ("Cookie", "sid="), ("Cookie", "")] {
                if rules.session_cookies.is_empty() && empty.1 == "sid=" {
                    continue;
                }
                assert_ne!(
                    principal(&rules, from(PEER).insert_header(empty)),
                    principal(&rules, from("192.0.2.2:1").insert_header(empty)),
                );
            }
        }
    }

    #[test]
    fn with_credentials_the_address_does_not_count() {
        let rules = Rules::new("shop");
        let token = ("Authorization", "Bearer t");
        assert_eq!(
            principal(&rules, from(PEER).insert_header(token)),
            principal(&rules, from("192.0.2.2:1").insert_header(token)),
        );
    }

    #[test]
    fn of_all_cookies_only_the_named_ones_count() {
        let rules = with_session_cookie();
        let of = |cookies| principal(&rules, from(PEER).insert_header(("Cookie", cookies)));
        assert_eq!(of("sid=1; seen=3"), of("seen=4;sid=1"));
        assert_ne!(of("sid=1"), of("sid=2"));
        assert_ne!(of("sid=1"), of("sid=1; sid=2"));
        // Decoded as the session's middleware does it.
        assert_eq!(of("sid=a"), of("s%69d=%61"));
    }

    #[test]
    fn h42_cookies_that_cannot_be_read_still_differ() {
        let rules = with_session_cookie();
        let of = |bytes: &'static [u8]| {
            let value = actix_web::http::header::HeaderValue::from_bytes(bytes).unwrap();
            principal(&rules, from(PEER).insert_header(("Cookie", value)))
        };
        assert_ne!(of(b"sid=1; x=\xff"), of(b"sid=2; x=\xff"));
    }

    #[test]
    fn the_applications_function_names_the_principal() {
        let named = Principal::from(|request: &HttpRequest| {
            request
                .extensions()
                .get::<&str>()
                .map(|user| (*user).to_owned())
        });
        let rules = Rules {
            principal: named,
            ..Rules::new("shop")
        };
        let of = |user: Option<&'static str>, token: &str| {
            let request = from(PEER).insert_header(("Authorization", token));
            lines(&rules, request, |asked, fields| {
                if let Some(user) = user {
                    asked.request.extensions_mut().insert(user);
                }
                asked.principal(fields);
            })
        };
        assert_eq!(of(Some("alice"), "old"), of(Some("alice"), "new"));
        assert_ne!(of(Some("alice"), "t"), of(Some("bob"), "t"));
        assert_ne!(of(None, "old"), of(None, "new"));
        assert_ne!(of(Some(""), "t"), of(None, "t"));
    }

    #[test]
    fn anonymous_clients_are_one() {
        let rules = Rules {
            principal: Principal::Anonymous,
            ..Rules::new("shop")
        };
        assert_eq!(
            principal(&rules, from(PEER).insert_header(("Authorization", "a"))),
            principal(&rules, from("192.0.2.2:1")),
        );
    }

    #[test]
    fn no_credential_shows_in_a_readable_id() {
        let rules = Rules {
            checksum: false,
            ..with_session_cookie()
        };
        for header in ["Authorization", "Proxy-Authorization", "X-Api-Key"] {
            let request = from(PEER)
                .insert_header((header, "hunter2"))
                .insert_header(("Cookie", "sid=hunter2"));
            let text = lines(&rules, request, |asked, fields| {
                asked.principal(fields);
                asked.session(fields);
            });
            assert!(text.contains("session-cookie=sid=#"), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }

    #[cfg(feature = "session")]
    mod session {
        use actix_session::SessionExt;

        use super::*;

        fn session(entries: &[(&str, &str)], cookie: &str) -> Lines {
            let request = from(PEER).insert_header(("Cookie", cookie));
            lines(&Rules::new("shop"), request, |asked, fields| {
                let session = asked.request.get_session();
                for (name, value) in entries {
                    session.insert(*name, value).unwrap();
                }
                asked.session(fields);
            })
        }

        #[test]
        fn what_the_session_holds_counts_and_its_cookie_does_not() {
            let mut entries = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|name| (name, name));
            let one = session(&entries, "sid=1");
            entries.reverse();
            assert_eq!(one, session(&entries, "sid=2"));
            assert_ne!(one, session(&entries[1..], "sid=1"));
            entries[0].1 = "a";
            assert_ne!(one, session(&entries, "sid=1"));
        }

        #[test]
        fn h42_an_empty_session_leaves_it_to_the_cookies() {
            assert_ne!(session(&[], "sid=1"), session(&[], "sid=2"));
        }
    }
}
