//! What the caller asks for.

use std::collections::BTreeMap;
use std::fmt;

use arawn_sdk::Context;
use common::Encoding;
use serde::Deserialize;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::{Request, Url};

/// The config; the library's text describes its keys.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'static"))]
pub struct Config {
    url: String,
    method: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, Values>,
    body: Option<&'static RawValue>,
    body_key: Option<String>,
    #[serde(default)]
    body_encoding: Encoding,
    timeout_ms: Option<u64>,
    #[serde(default = "max_bytes")]
    max_bytes: u64,
    #[serde(default = "max_redirects")]
    max_redirects: u32,
}

/// What bounds an exchange.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub timeout_ms: Option<u64>,
    pub max_bytes: u64,
    pub max_redirects: u32,
}

/// The values of a header.
#[derive(Debug)]
struct Values(Vec<String>);

fn max_bytes() -> u64 {
    common::MAX_BYTES
}

fn max_redirects() -> u32 {
    10
}

/// Those of the connection are the host's, which refuses them; these two would be taken, and could be wrong.
const SET_HERE: [&str; 2] = ["content-length", "transfer-encoding"];

impl Config {
    pub(crate) fn limits(&self) -> Limits {
        Limits { timeout_ms: self.timeout_ms, max_bytes: self.max_bytes, max_redirects: self.max_redirects }
    }

    pub(crate) fn request(self, context: &Context) -> Result<Request, String> {
        let url = Url::parse(&self.url).map_err(|reason| format!("url: {reason}"))?;
        let method = method(self.method.unwrap_or_else(|| "GET".to_owned()))?;
        let given = common::given("body", self.body, self.body_key.as_deref(), context)?;
        let body = given.map(|json| common::bytes(json, self.body_encoding)).transpose();
        let body =
            body.map_err(|error| format!("{}: {error}", if self.body.is_some() { "body" } else { "body_key" }))?;

        let mut headers = Vec::new();
        for (name, Values(values)) in self.headers {
            let name = name.to_ascii_lowercase();
            if SET_HERE.contains(&name.as_str()) {
                return Err(format!("headers: `{name}` is made from the body"));
            }
            headers.extend(values.into_iter().map(|value| (name.clone(), value)));
        }
        let mut add = |name: &str, value: &str| {
            if !headers.iter().any(|(known, _)| known == name) {
                headers.push((name.to_owned(), value.to_owned()));
            }
        };
        add("user-agent", concat!("arawn-http/", env!("CARGO_PKG_VERSION")));
        if let (Some(body), Some(json)) = (&body, given) {
            match (self.body_encoding, json.get().starts_with('"')) {
                (Encoding::Base64, _) => {}
                (Encoding::Utf8, true) => add("content-type", "text/plain;charset=UTF-8"),
                (Encoding::Utf8, false) => add("content-type", "application/json"),
            }
            add("content-length", &body.len().to_string());
        }
        Ok(Request { method, url, headers, body })
    }
}

/// A method is whatever its server knows. Those that everybody knows may be in lower case.
fn method(method: String) -> Result<String, String> {
    let upper = method.to_ascii_uppercase();
    match upper.as_str() {
        "CONNECT" | "TRACE" => Err(format!("method: `{upper}` is not for a client like this")),
        "GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH" => Ok(upper),
        _ => Ok(method),
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValuesVisitor)
    }
}

struct ValuesVisitor;

impl<'de> Visitor<'de> for ValuesVisitor {
    type Value = Values;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a list of strings")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Values, E> {
        Ok(Values(vec![value.to_owned()]))
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Values, S::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Values(values))
    }
}
