//! `http`: makes one HTTP request, where the executor's `capabilities.http` allows it.
//!
//! Config: `url`; `method`, by default `GET`; `headers`, an object of strings or lists of strings; one of `body`, and
//! `body_key`, the path of the body in the context; `body_encoding`, `utf8` (the default) or `base64`; `timeout_ms`, by
//! default what is left of the call's deadline; `max_bytes` of a response's body, by default 8 MiB; `max_redirects`, by
//! default 10, and 0 to follow none. Output: `{"status","headers","body"}`, with `"encoding":"base64"` where the body is
//! not UTF-8.
//!
//! A string is sent as the text that it is, or as the bytes that its base64 stands for; any other value as its JSON.
//! A status such as 404 is an answer like any other. Redirects are followed as `fetch` does it: the method becomes `GET`
//! where it must, and what is meant for one origin is not sent to another.
//!
//! It is a component, since preview 1 knows no requests. Outside a sandbox it makes none.

mod config;
mod exchange;
mod output;
mod reason;
mod redirect;
mod url;

use arawn_sdk::Context;

pub use config::Config;
pub use output::Output;
use url::Url;

/// A request that can be sent as it is.
#[derive(Clone, Debug, PartialEq)]
struct Request {
    method: String,
    url: Url,
    /// The names are in lower case.
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

/// What came back, with what its body can be read from.
#[derive(Debug)]
struct Response<B> {
    status: u16,
    /// The names are in lower case.
    headers: Vec<(String, Vec<u8>)>,
    body: B,
}

/// The runtime.
pub fn http(config: Config, context: Context) -> Result<Output, String> {
    let limits = config.limits();
    let request = config.request(&context)?;
    if !cfg!(target_os = "wasi") {
        return Err("requests can be made in a sandbox only".to_owned());
    }
    let clock = exchange::Clock::new(limits.timeout_ms);
    let (request, response) =
        redirect::follow(request, limits.max_redirects, |request| exchange::send(request, &clock))?;
    let failed = |reason: String| request.failed(&reason);
    let declared = if request.method == "HEAD" { None } else { response.declared_bytes() };
    let body = response.body.read(declared, limits.max_bytes, &clock, &request.url).map_err(failed)?;
    Ok(Output::new(response.status, response.headers, body))
}

impl Request {
    /// What an error says in front of its reason.
    fn failed(&self, reason: &str) -> String {
        format!("{} {}: {reason}", self.method, self.url)
    }
}

impl<B> Response<B> {
    fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
    }

    /// What the response says the length of its body is.
    fn declared_bytes(&self) -> Option<u64> {
        str::from_utf8(self.header("content-length")?).ok()?.parse().ok()
    }
}

#[cfg(test)]
mod tests;
