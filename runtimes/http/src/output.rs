//! What the runtime answers.

use std::collections::BTreeMap;

use serde::Serialize;

/// A response.
#[derive(Debug, Serialize)]
pub struct Output {
    status: u16,
    headers: BTreeMap<String, Header>,
    body: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<&'static str>,
}

/// Several headers of one name are one with commas, as HTTP has it; but cookies have commas of their own.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Header {
    One(String),
    Cookies(Vec<String>),
}

impl Output {
    pub(crate) fn new(status: u16, headers: Vec<(String, Vec<u8>)>, body: Vec<u8>) -> Self {
        let mut named: BTreeMap<String, Header> = BTreeMap::new();
        for (name, value) in headers {
            let value = text(value);
            match named.get_mut(&name) {
                Some(Header::One(values)) => *values = format!("{values}, {value}"),
                Some(Header::Cookies(values)) => values.push(value),
                None if name == "set-cookie" => drop(named.insert(name, Header::Cookies(vec![value]))),
                None => drop(named.insert(name, Header::One(value))),
            }
        }
        let (body, encoding) = match String::from_utf8(body) {
            Ok(text) => (text, None),
            Err(bytes) => (common::base64(bytes.as_bytes()), Some("base64")),
        };
        Output { status, headers: named, body, encoding }
    }
}

/// A header's value is bytes: text in UTF-8, else in Latin-1, which any bytes are.
fn text(value: Vec<u8>) -> String {
    String::from_utf8(value).unwrap_or_else(|error| error.as_bytes().iter().copied().map(char::from).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Output;

    #[test]
    fn headers_and_bodies() {
        let headers = [
            ("vary", &b"accept"[..]),
            ("set-cookie", b"a=1; expires=Mon, 1 Jan"),
            ("vary", b"origin"),
            ("set-cookie", b"b=2"),
            ("x-utf8", "é".as_bytes()),
            ("x-latin1", b"\xe9"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_vec())).to_vec();
        let output = serde_json::to_value(Output::new(404, headers, "é\0".into())).unwrap();
        let expected = json!({"status": 404, "body": "é\0", "headers": {
            "vary": "accept, origin", "set-cookie": ["a=1; expires=Mon, 1 Jan", "b=2"], "x-utf8": "é", "x-latin1": "é",
        }});
        assert_eq!(output, expected);
        let output = serde_json::to_value(Output::new(200, vec![], b"\xff\x00\xfe".to_vec())).unwrap();
        assert_eq!(output, json!({"status": 200, "headers": {}, "body": "/wD+", "encoding": "base64"}));
    }
}
