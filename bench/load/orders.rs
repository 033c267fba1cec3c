//! The requests: about 100 bytes of JSON, and a key.

use support::http;

use crate::parts::ROWS;

/// How many keys are asked for again and again.
pub(crate) const KEYS: usize = 64;

/// What the requests of a run ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Orders {
    /// How many keys there are, where the same come again.
    pub(crate) keys: usize,
    /// How many rows a run changes, where there is a database.
    pub(crate) rows: i32,
    /// How many bytes are answered beyond those 300.
    pub(crate) size: usize,
    /// All change the same row.
    pub(crate) hot: bool,
}

impl Default for Orders {
    fn default() -> Self {
        Self {
            keys: KEYS,
            rows: 1,
            size: 0,
            hot: false,
        }
    }
}

impl Orders {
    /// The `number`th request of its kind: the number decides the row.
    pub(crate) fn request(&self, key: &str, number: usize, cookie: Option<&str>) -> Vec<u8> {
        let id = if self.hot || self.rows > 1 {
            ROWS
        } else {
            ROWS + i32::try_from(number % ROWS as usize).unwrap_or(0)
        };
        post("/orders", key, &self.body(&id.to_string()), cookie)
    }

    fn body(&self, id: &str) -> String {
        let mut body = format!(
            r#"{{"id":{id},"item":"tea","amount":3,"price":1250,"note":"wrap it up as a present, please"}}"#
        );
        let more = match (self.rows, self.size) {
            (1, 0) => String::new(),
            (rows, size) => format!(r#","rows":{rows},"size":{size}"#),
        };
        body.insert_str(body.len() - 1, &more);
        body
    }

    /// A Lua expression for a request with the key `prefix` and `n`; its row depends on `n`.
    pub(crate) fn template(&self, prefix: &str) -> String {
        let (number, row) = ("NUMBER", "1ROW");
        let id = if self.hot {
            ROWS.to_string()
        } else {
            row.to_owned()
        };
        let request = post(
            "/orders",
            &format!("{prefix}{number}"),
            &self.body(&id),
            None,
        );
        let text = format!("{:?}", String::from_utf8_lossy(&request));
        text.replace(number, r#"" .. n .. ""#)
            .replace(row, &format!(r#"" .. ({ROWS} + n % {ROWS}) .. ""#))
    }
}

pub(crate) fn post(path: &str, key: &str, body: &str, cookie: Option<&str>) -> Vec<u8> {
    let mut headers = vec![
        ("Content-Type", "application/json"),
        ("Idempotency-Key", key),
    ];
    headers.extend(cookie.map(|cookie| ("Cookie", cookie)));
    http::request("POST", path, &headers, body.as_bytes())
}
