//! The client's own key, by the rules of the Idempotency-Key draft.

use std::borrow::Cow;

use actix_web::HttpRequest;
use actix_web::http::header::HeaderName;
use sfv::{BareItem, Item, Parser};

use super::fields::Digest;
use super::{Asked, Fingerprint, KeyError};

impl Asked<'_> {
    pub(super) fn by_client_key(&self, header: &'static str) -> Result<String, KeyError> {
        let key = client_key(self.request, header, self.rules.client_key_limit)?;
        Ok(self.rules.encode(|fields| {
            fields.single("client-key", key.as_bytes());
            self.principal(fields);
        }))
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        let mut digest = Digest::default();
        self.method(&mut digest);
        self.path(&mut digest);
        self.query(&mut digest);
        self.content_type(&mut digest);
        self.body(&mut digest);
        Fingerprint(digest.into_bytes())
    }
}

fn client_key<'a>(
    request: &'a HttpRequest,
    header: &'static str,
    limit: usize,
) -> Result<Cow<'a, str>, KeyError> {
    let invalid = |why| KeyError::Invalid { header, why };
    // One pass costs less than to make a name of the text, and is right whatever case that is in.
    let named = |(name, _): &(&HeaderName, _)| name.as_str().eq_ignore_ascii_case(header);
    let mut values = request.headers().iter().filter(named);
    let (_, value) = values.next().ok_or(KeyError::Missing { header })?;
    if values.next().is_some() {
        return Err(invalid("was sent more than once"));
    }
    let text = value
        .to_str()
        .map_err(|_| invalid("holds other than visible ASCII characters"))?;
    let key = unquote(text.trim_matches([' ', '\t'])).map_err(invalid)?;
    match key.len() {
        0 => Err(invalid("is empty")),
        length if length > limit => Err(KeyError::TooLong { header, limit }),
        _ => Ok(key),
    }
}

/// The draft wants a quoted string, but many clients send a bare UUID: that is the same key.
fn unquote(text: &str) -> Result<Cow<'_, str>, &'static str> {
    if text.starts_with('"') {
        return quoted(text).ok_or("is not one structured-field string");
    }
    // A space is what a joined list of several keys has.
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(text.into())
    } else {
        Err("holds a space outside quotation marks")
    }
}

fn quoted(text: &str) -> Option<Cow<'_, str>> {
    let item: Item = Parser::new(text).parse().ok()?;
    match item.bare_item {
        BareItem::String(key) => Some(String::from(key).into()),
        _ => None,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use actix_web::test::TestRequest;

    use super::*;

    const NAME: &str = "Idempotency-Key";

    fn key_of(value: &str) -> Result<String, KeyError> {
        let request = TestRequest::default()
            .insert_header((NAME, value))
            .to_http_request();
        client_key(&request, NAME, 8).map(Cow::into_owned)
    }

    #[test]
    fn a_quoted_string_is_the_key() {
        assert_eq!(key_of(r#""8e03978e""#).unwrap(), "8e03978e");
        assert_eq!(key_of(r#""a \\ \"b\"""#).unwrap(), r#"a \ "b""#);
        assert_eq!(key_of("  \"a\"\t").unwrap(), "a");
    }

    #[test]
    fn a_bare_key_is_the_same_as_the_quoted_one() {
        for key in ["token", "8e03978e", "a/b=c", "?1", ":YQ==:", "12", "-"] {
            assert_eq!(key_of(key).unwrap(), key);
            assert_eq!(key_of(&format!("\"{key}\"")).unwrap(), key);
        }
    }

    #[test]
    fn parameters_of_a_string_are_not_part_of_the_key() {
        assert_eq!(key_of(r#""a";v=1;w"#).unwrap(), "a");
    }

    #[test]
    fn h41_a_missing_key_is_refused() {
        let request = TestRequest::default().to_http_request();
        let error = client_key(&request, NAME, 8).unwrap_err();
        assert!(matches!(error, KeyError::Missing { header: NAME }));
        assert_eq!(error.status(), 400);
        assert!(error.detail().contains(NAME));
    }

    #[test]
    fn h41_a_repeated_key_is_refused_even_if_it_says_the_same() {
        let request = TestRequest::default()
            .append_header((NAME, "a"))
            .append_header((NAME, "a"))
            .to_http_request();
        let error = client_key(&request, NAME, 8).unwrap_err();
        assert!(matches!(
            error,
            KeyError::Invalid {
                why: "was sent more than once",
                ..
            }
        ));
        assert_eq!(error.status(), 400);
    }

    #[test]
    fn h41_a_key_that_is_no_single_string_is_refused() {
        for value in [
            "",
            "  ",
            r#""""#,
            r#""a"#,
            r#""a" "b""#,
            r#""a", "b""#,
            r#""a\x""#,
            r#""a"b"#,
            r#""a";"#,
            "a, b",
            "a b",
            "a\tb",
        ] {
            let error = key_of(value).unwrap_err();
            assert!(
                matches!(error, KeyError::Invalid { .. }),
                "{value:?}: {error}"
            );
            assert_eq!(error.status(), 400);
        }
    }

    #[test]
    fn h41_a_key_beyond_ascii_is_refused() {
        for bytes in ["ключ".as_bytes(), b"\xff", b"\"\xc3\xa9\""] {
            let request = TestRequest::default()
                .insert_header((NAME, HeaderValue::from_bytes(bytes).unwrap()))
                .to_http_request();
            let error = client_key(&request, NAME, 8).unwrap_err();
            assert!(matches!(error, KeyError::Invalid { .. }));
        }
    }

    #[test]
    fn h47_a_key_over_the_limit_is_refused() {
        assert_eq!(key_of("12345678").unwrap(), "12345678");
        for value in ["123456789", "\"123456789\""] {
            let error = key_of(value).unwrap_err();
            assert!(matches!(error, KeyError::TooLong { limit: 8, .. }));
            assert_eq!(error.status(), 400);
        }
    }

    #[test]
    fn a_problem_never_repeats_what_the_client_sent() {
        for value in ["\"<script>", "<script> <script>", "<script>123456789"] {
            let error = key_of(value).unwrap_err();
            assert!(!error.detail().contains("script"));
        }
    }

    #[test]
    fn an_error_of_the_applications_function_keeps_its_own_status() {
        let error = KeyError::Function(actix_web::error::ErrorForbidden("no"));
        assert_eq!(error.status(), 403);
    }
}
