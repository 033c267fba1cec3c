//! Multipart bodies without their boundary, which clients draw anew for every try.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::mime::{BOUNDARY, Mime};
use actix_web::{HttpMessage, HttpRequest};
use memchr::memmem;

use super::fields::Fields;

/// A multipart media type with its boundary.
pub(super) struct Multipart {
    media_type: Mime,
    delimiter: Vec<u8>,
}

impl Multipart {
    /// `None` if the body is not multipart, or so badly declared that it can only count as it is.
    pub(super) fn of(request: &HttpRequest) -> Option<Self> {
        let mut types = request.headers().get_all(CONTENT_TYPE);
        let looks_like_it = types
            .next()
            .is_some_and(|value| is_multipart(value.as_bytes()));
        if !looks_like_it || types.next().is_some() {
            return None;
        }
        let media_type = request.mime_type().ok()??;
        let boundary = media_type.get_param(BOUNDARY)?;
        if boundary.as_str().is_empty() {
            return None;
        }
        let delimiter = [b"--", boundary.as_str().as_bytes()].concat();
        Some(Self {
            media_type,
            delimiter,
        })
    }

    /// Adds the media type and its parameters but for the boundary.
    pub(super) fn put_media_type(&self, fields: &mut dyn Fields) {
        fields.field("multipart-type");
        fields.value(self.media_type.essence_str().as_bytes());
        for (name, value) in self.media_type.params() {
            if name != BOUNDARY {
                fields.value(name.as_str().as_bytes());
                fields.value(value.as_str().as_bytes());
            }
        }
    }

    /// Adds what stands between the delimiters, one by one. Two bodies with the same pieces differ in nothing but the
    /// boundary.
    pub(super) fn put_body(&self, body: &[u8], fields: &mut dyn Fields) {
        fields.field("multipart-body");
        let mut start = 0;
        for at in memmem::find_iter(body, &self.delimiter) {
            let end = at + self.delimiter.len();
            if begins_line(&body[..at]) && ends_delimiter(&body[end..]) {
                fields.value(&body[start..at]);
                start = end;
            }
        }
        fields.value(&body[start..]);
    }
}

fn is_multipart(media_type: &[u8]) -> bool {
    const PREFIX: &[u8] = b"multipart/";
    media_type
        .get(..PREFIX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

fn begins_line(before: &[u8]) -> bool {
    before.last().is_none_or(|byte| *byte == b'\n')
}

// Another character would make it another, longer boundary: that of a multipart body inside this one, perhaps.
fn ends_delimiter(after: &[u8]) -> bool {
    after.starts_with(b"--")
        || after
            .first()
            .is_none_or(|byte| matches!(byte, b'\r' | b'\n' | b' ' | b'\t'))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::super::tests::{Lines, lines};
    use crate::key::Rules;

    fn id(content_type: &str, body: &str) -> Lines {
        let request = TestRequest::post()
            .insert_header(("Content-Type", content_type))
            .set_payload(body.to_owned());
        lines(&Rules::new("shop"), request, |asked, fields| {
            asked.content_type(fields);
            asked.body(fields);
        })
    }

    fn upload(boundary: &str, content: &str) -> Lines {
        let body = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n{content}\r\n--{boundary}--\r\n"
        );
        id(&format!("multipart/form-data; boundary={boundary}"), &body)
    }

    #[test]
    fn two_tries_with_boundaries_of_their_own_are_the_same() {
        assert_eq!(upload("----abc123", "milk"), upload("----def456", "milk"));
        assert_eq!(upload("a", "milk"), upload("b", "milk"));
    }

    #[test]
    fn h10_another_file_is_another_request() {
        assert_ne!(upload("abc", "milk"), upload("abc", "beer"));
        assert_ne!(upload("abc", "milk"), upload("abc", "milk\r\n"));
    }

    #[test]
    fn h10_the_boundary_inside_a_file_is_part_of_the_file() {
        assert_ne!(upload("abc", "x --abc y"), upload("abc", "x  y"));
        assert_ne!(upload("abc", "x --abc y"), upload("def", "x --def y"));
        assert_ne!(
            upload("abc", "\r\n--abcdef\r\n"),
            upload("xyz", "\r\n--xyzdef\r\n")
        );
    }

    #[test]
    fn h46_a_delimiter_cannot_be_smuggled_between_files() {
        assert_ne!(upload("abc", "x\r\n--abc\r\ny"), upload("abc", "x\r\ny"));
        assert_ne!(
            upload("abc", "x\r\n--abc\r\ny"),
            upload("def", "x\r\n--abc\r\ny")
        );
    }

    #[test]
    fn quotation_marks_and_letter_case_of_the_type_do_not_count() {
        let body = "--abc\r\n\r\nx\r\n--abc--";
        let plain = id("multipart/form-data; boundary=abc", body);
        assert_eq!(plain, id("multipart/form-data; boundary=\"abc\"", body));
        assert_eq!(plain, id("Multipart/Form-Data; Boundary=abc", body));
    }

    #[test]
    fn another_type_or_parameter_is_another_request() {
        let body = "--abc\r\n\r\nx\r\n--abc--";
        let plain = id("multipart/form-data; boundary=abc", body);
        assert_ne!(plain, id("multipart/mixed; boundary=abc", body));
        assert_ne!(
            plain,
            id("multipart/form-data; boundary=abc; charset=utf-8", body)
        );
    }

    #[test]
    fn without_a_boundary_that_can_be_read_the_body_counts_as_it_is() {
        for broken in [
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"abc",
            "multipart/",
            "application/json; boundary=abc",
        ] {
            let other = broken.replace("abc", "abd");
            let id_of_other = id(&other, "--abd\r\nx");
            assert_ne!(id(broken, "--abc\r\nx"), id_of_other, "{broken}");
            assert_ne!(id(&other, "--abd\r\ny"), id_of_other, "{broken}");
        }
    }
}
