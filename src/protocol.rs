//! The JSON on both sides: what hosts ask, what guests read and write, what hosts get back.

mod base64;
mod output;
mod register;
pub(crate) mod unique;
pub(crate) mod words;

pub use output::{Meta, RuntimeOutput};
pub use register::{Draft, RegisterRequest, SubmitRequest};

use crate::buffers;
use crate::config::{MAX_TIMEOUT_MS, RequestLimits};
use crate::error::{Error, Result};
use crate::host::On;
use crate::jobs::Polled;
use crate::json::{self, RawJson};
use crate::memory;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

/// The argument of `arawn_execute_runtime`, and of `arawn_submit` for a call.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecuteRequest<'a> {
    #[serde(borrow)]
    pub executor: Cow<'a, str>,
    #[serde(borrow)]
    pub runtime: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "object")]
    pub input: RuntimeInput<'a>,
    #[serde(default, deserialize_with = "object")]
    pub limits: RequestLimits,
    #[serde(borrow, default)]
    pub job: Option<Cow<'a, str>>,
    #[serde(default)]
    pub meta: bool,
}

/// What a runtime reads from stdin. Both values stay the caller's own bytes: numbers keep every digit.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuntimeInput<'a> {
    /// What the caller asks of this runtime.
    #[serde(borrow)]
    pub config: RawJson<'a>,
    /// What earlier steps produced.
    #[serde(borrow)]
    pub context: RawJson<'a>,
}

impl Default for RuntimeInput<'_> {
    fn default() -> Self {
        RuntimeInput { config: RawJson::EMPTY_OBJECT, context: RawJson::EMPTY_OBJECT }
    }
}

impl<'a> RuntimeInput<'a> {
    /// Reads `{"config":…,"context":…}`; a key that is missing counts as `{}`.
    pub fn from_json(json: &'a str) -> Result<Self> {
        parse_request(json)
    }

    /// The bytes that the guest reads.
    pub(crate) fn to_stdin(self) -> Vec<u8> {
        let parts = ["{\"config\":", self.config.get(), ",\"context\":", self.context.get(), "}"];
        let mut stdin = buffers::take(parts.iter().map(|part| part.len()).sum());
        parts.iter().for_each(|part| stdin.extend_from_slice(part.as_bytes()));
        stdin
    }
}

/// `{"executor": "main"}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutorRequest {
    pub executor: String,
}

/// `{"executor": "main", "name": "csv"}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuntimeRequest {
    pub executor: String,
    pub name: String,
}

/// The argument of `arawn_host_function_set`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostFunctionRequest {
    pub executor: String,
    pub name: String,
    #[serde(default)]
    pub on: On,
}

/// `{"executor": "main", "job": "level-7"}`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobRequest {
    pub executor: String,
    pub job: String,
}

/// The argument of `arawn_poll`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PollRequest {
    pub executor: String,
    #[serde(default)]
    pub job: Option<String>,
    #[serde(default)]
    pub wait_ms: u64,
}

impl PollRequest {
    /// How long the poll waits.
    pub(crate) fn wait(&self) -> Result<Duration> {
        if self.wait_ms > MAX_TIMEOUT_MS {
            let message = format!("must be at most a day ({MAX_TIMEOUT_MS}), and is {}", self.wait_ms);
            return Err(Error::InvalidRequest { path: "wait_ms".to_owned(), message });
        }
        Ok(Duration::from_millis(self.wait_ms))
    }
}

/// `{}` or `{"executor": "main"}`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StatsRequest {
    pub executor: Option<String>,
}

/// Parses a request; its errors name the JSON path.
pub fn parse_request<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T> {
    ensure_memory(json)?;
    match json::object(json) {
        Some(request) => Ok(request),
        None => parse(json, |path, message| Error::InvalidRequest { path, message }),
    }
}

/// Parses the argument of `arawn_submit`. A call is read as fast as by [`parse_request`].
pub fn parse_submit(json: &str) -> Result<SubmitRequest<'_>> {
    ensure_memory(json)?;
    match json::object(json) {
        Some(call) => Ok(SubmitRequest::Call(call)),
        None => register::submit_request(json),
    }
}

fn ensure_memory(json: &str) -> Result<()> {
    /// Copies of a request that are there at once, at most: what is decoded, what the guest reads, what it may echo.
    const COPIES: usize = 4;
    memory::ensure("the request", json.len().saturating_mul(COPIES))
}

/// Parses a configuration; its errors name the JSON path.
pub fn parse_config<T: DeserializeOwned>(json: &str) -> Result<T> {
    parse(json, |path, message| Error::InvalidConfig { path, message })
}

/// A JSON object and nothing else: serde would take an array for a struct as well.
pub(crate) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct MapOnly<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for MapOnly<T> {
        type Value = T;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }
    deserializer.deserialize_map(MapOnly(PhantomData))
}

/// A list of such objects.
pub(crate) fn objects<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    struct Object<T>(T);
    impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            object(deserializer).map(Object)
        }
    }
    let objects: Vec<Object<T>> = Vec::deserialize(deserializer)?;
    Ok(objects.into_iter().map(|Object(object)| object).collect())
}

fn parse<'a, T: Deserialize<'a>>(json: &'a str, mistyped: impl Fn(String, String) -> Error) -> Result<T> {
    object_from_str(json).map_err(|error| mistake::<T>(json, error, mistyped))
}

/// What is wrong, and where.
#[cold]
fn mistake<'a, T: Deserialize<'a>>(
    json: &'a str,
    first: serde_json::Error,
    mistyped: impl Fn(String, String) -> Error,
) -> Error {
    if json.starts_with('\u{feff}') {
        return Error::InvalidJson { line: 1, column: 1, message: words::BYTE_ORDER_MARK.to_owned() };
    }
    if let Err(error) = serde_json::from_str::<IgnoredAny>(json) {
        let (line, column) = (error.line(), error.column());
        return Error::InvalidJson { line, column, message: words::syntax(&error) };
    }
    match words::mistake::<T>(json) {
        Some(mistake) => mistyped(mistake.path, mistake.message),
        None => Error::internal(first),
    }
}

fn object_from_str<'a, T: Deserialize<'a>>(json: &'a str) -> serde_json::Result<T> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let value = object(&mut deserializer)?;
    deserializer.end().map(|()| value)
}

const OK: &str = "{\"status\":\"ok\",\"output\":";

/// Whether a guest's request to a host function is JSON; if not, why.
pub(crate) fn check_request(json: &str) -> Result<(), String> {
    serde_json::from_str::<IgnoredAny>(json).map(drop).map_err(|error| no_json(json, &error))
}

fn no_json(json: &str, error: &serde_json::Error) -> String {
    if json.starts_with('\u{feff}') {
        return words::BYTE_ORDER_MARK.to_owned();
    }
    format!("{} (line {}, column {})", words::syntax(error), error.line(), error.column())
}

/// Whether a host function's answer has the form of a reply; if not, why. What else it holds is between host and guest.
pub(crate) fn is_reply(json: &str) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        status: Cow<'a, str>,
        #[serde(borrow, default)]
        error: Option<RawJson<'a>>,
    }
    let envelope: Envelope<'_> = object_from_str(json).map_err(|error| {
        let why = match serde_json::from_str::<IgnoredAny>(json) {
            Err(error) => format!("it is not JSON: {}", no_json(json, &error)),
            Ok(_) => {
                words::mistake::<Envelope<'_>>(json).map_or_else(|| error.to_string(), |mistake| mistake.to_string())
            }
        };
        format!("its reply is none: {why}")
    })?;
    match (&*envelope.status, envelope.error) {
        (_, Some(error)) if words::text_of(error.get()).is_none() => {
            Err("its reply is none: `error` must be a string".to_owned())
        }
        ("ok", None) | ("error", Some(_)) => Ok(()),
        ("ok", Some(_)) => Err("its reply has `status` \"ok\" and an `error`".to_owned()),
        ("error", None) => Err("its reply has `status` \"error\" and no `error`".to_owned()),
        _ => Err("its reply's `status` is neither \"ok\" nor \"error\"".to_owned()),
    }
}

/// `{"status":"ok","output":…}` around JSON text.
pub(crate) fn ok_reply(output: &str) -> String {
    [OK, output, "}"].concat()
}

/// `{"status":"error","error":…,"code":…,"details":…}`
pub(crate) fn error_reply(error: &Error) -> String {
    let reply = serde_json::json!({
        "status": "error",
        "error": error.to_string(),
        "code": error.code(),
        "details": error.details(),
    });
    reply.to_string()
}

/// The output of `arawn_poll`, for one job or for all that have ended; their replies are JSON already.
pub(crate) fn polled_output(job: Option<&str>, polled: &Polled) -> String {
    let quoted = |text: &str| Value::from(text).to_string();
    let state = |job: &str, state: &str| format!("{{\"job\":{},\"state\":\"{state}\"}}", quoted(job));
    match (polled, job.unwrap_or_default()) {
        (Polled::Queued, job) => state(job, "queued"),
        (Polled::Running, job) => state(job, "running"),
        (Polled::Finished(finished), _) if job.is_some() => {
            let of = |(job, reply): &(Arc<str>, String)| {
                ["{\"job\":", &quoted(job), ",\"state\":\"finished\",\"reply\":", reply, "}"].concat()
            };
            finished.iter().map(of).collect()
        }
        (Polled::Finished(finished), _) => {
            let mut output = "{\"finished\":[".to_owned();
            for (index, (job, reply)) in finished.iter().enumerate() {
                let comma = if index == 0 { "" } else { "," };
                output.extend([comma, "{\"job\":", &quoted(job), ",\"reply\":", reply, "}"]);
            }
            output + "]}"
        }
    }
}
