//! The JSON on both sides: what hosts ask, what guests read and write, what hosts get back.

mod register;
pub(crate) mod unique;

pub use register::RegisterRequest;

use crate::buffers;
use crate::catalog::RuntimeEntry;
use crate::config::{MAX_TIMEOUT_MS, RequestLimits};
use crate::engine::hex;
use crate::error::{Error, Result, printable};
use crate::host::On;
use crate::jobs::Polled;
use crate::json::{self, RawJson};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// The argument of `arawn_execute_runtime` and `arawn_submit`.
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
            let message = format!("{} is more than a day ({MAX_TIMEOUT_MS})", self.wait_ms);
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
    match json::object_from_long(json) {
        Some(request) => Ok(request),
        None => parse(json, |path, message| Error::InvalidRequest { path, message }),
    }
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

fn parse<'a, T: Deserialize<'a>>(json: &'a str, mistyped: impl Fn(String, String) -> Error) -> Result<T> {
    object_from_str(json).map_err(|error| mistake::<T>(json, error, mistyped))
}

/// What is wrong, and where. The path is worked out only once there is a mistake: keeping track of it is not free.
#[cold]
fn mistake<'a, T: Deserialize<'a>>(
    json: &'a str,
    first: serde_json::Error,
    mistyped: impl Fn(String, String) -> Error,
) -> Error {
    if let Err(error) = serde_json::from_str::<IgnoredAny>(json) {
        let (line, column) = (error.line(), error.column());
        return Error::InvalidJson { line, column, message: without_position(&error) };
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let mut track = serde_path_to_error::Track::new();
    match object::<_, T>(serde_path_to_error::Deserializer::new(&mut deserializer, &mut track)) {
        Ok(_) => Error::internal(first),
        Err(error) => mistyped(track.path().to_string(), without_position(&error)),
    }
}

fn object_from_str<'a, T: Deserialize<'a>>(json: &'a str) -> serde_json::Result<T> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let value = object(&mut deserializer)?;
    deserializer.end().map(|()| value)
}

/// serde_json ends its messages with the position, which details carry by themselves.
fn without_position(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let position = format!(" at line {} column {}", error.line(), error.column());
    printable(message.strip_suffix(&position).unwrap_or(&message)).into_owned()
}

/// What a runtime wrote to stdout, as far as it is the runtime's: `{"status":"ok","output":…}`. The text is kept whole
/// and handed on, so that a large output is not copied.
#[derive(Clone, Debug)]
pub struct RuntimeOutput {
    json: String,
    output: Option<Range<usize>>,
    meta: Option<Meta>,
}

/// Figures of one call, as `"meta": true` reports them.
#[derive(Clone, Debug, Serialize)]
pub struct Meta {
    /// The runtime that ran.
    #[serde(serialize_with = "name_of")]
    pub runtime: Arc<RuntimeEntry>,
    /// SHA-256 of its `.wasm`.
    #[serde(serialize_with = "as_hex")]
    pub module_sha256: [u8; 32],
    /// Where the compiled module came from: `memory`, `disk` or `compiled`.
    pub cache: &'static str,
    /// Microseconds from the call's start to a module that is ready to instantiate.
    pub load_us: u64,
    /// Microseconds spent waiting for a slot.
    pub queue_us: u64,
    /// Microseconds from making the instance to its end.
    pub run_us: u64,
    /// Microseconds of the whole call.
    pub total_us: u64,
    /// The most linear memory that the guest had, in bytes.
    pub memory_bytes: u64,
    /// Fuel used; `null` where it was not counted.
    pub fuel: Option<u64>,
    /// The end of stderr.
    pub stderr: String,
}

fn name_of<S: Serializer>(entry: &RuntimeEntry, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&entry.name)
}

fn as_hex<S: Serializer>(sha: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex(sha))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GuestReply<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow, default)]
    output: Option<RawJson<'a>>,
    #[serde(borrow, default)]
    error: Option<Cow<'a, str>>,
}

impl RuntimeOutput {
    /// Reads a guest's stdout. `stderr` goes into the error, if there is one.
    pub(crate) fn parse(stdout: Vec<u8>, stderr: &str) -> Result<Self> {
        let malformed = |bytes: &[u8], offset: usize, message: String| Error::MalformedOutput {
            message,
            offset,
            excerpt: excerpt(bytes, offset),
            stderr: stderr.to_owned(),
        };
        let json = match into_text(stdout) {
            Ok(json) => json,
            Err((bytes, offset)) => return Err(malformed(&bytes, offset, "not UTF-8".to_owned())),
        };
        if let Some(output) = output_of_plain(&json) {
            let output = Some(position(output, &json));
            return Ok(RuntimeOutput { output, json, meta: None });
        }
        if json.trim_ascii().is_empty() {
            return Err(malformed(b"", 0, "nothing was written".to_owned()));
        }
        let reply = json::object_from_long(&json).map_or_else(|| object_from_str(&json), Ok);
        let reply: GuestReply<'_> = reply.map_err(|error| {
            malformed(json.as_bytes(), offset_of(&json, error.line(), error.column()), without_position(&error))
        })?;
        match (&*reply.status, &reply.error) {
            ("ok", None) => {
                let output = reply.output.map(|output| position(output.get(), &json));
                Ok(RuntimeOutput { output, json, meta: None })
            }
            ("error", Some(message)) => {
                Err(Error::Runtime { message: printable(message).into_owned(), stderr: stderr.to_owned() })
            }
            ("error", None) => {
                Err(malformed(json.as_bytes(), 0, "`status` is \"error\", but there is no `error`".to_owned()))
            }
            ("ok", Some(_)) => {
                Err(malformed(json.as_bytes(), 0, "`status` is \"ok\", but there is an `error`".to_owned()))
            }
            _ => Err(malformed(json.as_bytes(), 0, "`status` is neither \"ok\" nor \"error\"".to_owned())),
        }
    }

    pub(crate) fn with_meta(self, meta: Meta) -> Self {
        RuntimeOutput { meta: Some(meta), ..self }
    }

    /// Figures of the call that made it.
    pub fn meta(&self) -> Option<&Meta> {
        self.meta.as_ref()
    }

    /// The output's JSON text, exactly as the runtime wrote it; `null` where it wrote none.
    pub fn output(&self) -> &str {
        self.output.clone().map_or("null", |range| &self.json[range])
    }

    /// The reply to the host.
    pub(crate) fn into_reply(self, meta: bool) -> String {
        let output = self.output();
        if !meta {
            // What the SDK writes is the reply already; from other guests, spaces and the order of keys may differ.
            let is_reply = self.json.starts_with(OK) && self.json.len() == OK.len() + output.len() + 1;
            return if is_reply { self.json } else { ok_reply(output) };
        }
        let meta = serde_json::to_string(&self.meta).unwrap_or_else(|_| "null".to_owned());
        [OK, output, ",\"meta\":", &meta, "}"].concat()
    }
}

const OK: &str = "{\"status\":\"ok\",\"output\":";

/// The output in a short text that is as the SDK writes it: what is left beside its keys is one value.
fn output_of_plain(json: &str) -> Option<&str> {
    let output = json.strip_prefix(OK).filter(|_| json.len() < json::LONG)?.strip_suffix('}')?;
    serde_json::from_str::<IgnoredAny>(output).ok().map(|_| output.trim_ascii())
}

/// Where a part of a text stands in it.
fn position(part: &str, text: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - text.as_ptr() as usize;
    start..start + part.len()
}

/// Whether a guest's request to a host function is JSON; if not, why.
pub(crate) fn check_request(json: &str) -> Result<(), String> {
    serde_json::from_str::<IgnoredAny>(json).map(drop).map_err(|error| printable(&error.to_string()).into_owned())
}

/// Whether a host function's answer has the form of a reply; if not, why. What else it holds is between host and guest.
pub(crate) fn is_reply(json: &str) -> Result<(), String> {
    #[derive(Deserialize)]
    struct Envelope<'a> {
        #[serde(borrow)]
        status: Cow<'a, str>,
        #[serde(borrow, default)]
        error: Option<Cow<'a, str>>,
    }
    let envelope: Envelope<'_> = object_from_str(json).map_err(|error| format!("its reply is none: {error}"))?;
    match (&*envelope.status, envelope.error) {
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

/// The bytes as text, or back with the offset of the first that is none. It is called for each call's whole output, where
/// the standard library's check costs as much as parsing does.
#[allow(unsafe_code, reason = "the standard library would check again")]
fn into_text(bytes: Vec<u8>) -> Result<String, (Vec<u8>, usize)> {
    match simdutf8::compat::from_utf8(&bytes) {
        // SAFETY: just checked.
        Ok(_) => Ok(unsafe { String::from_utf8_unchecked(bytes) }),
        Err(error) => Err((bytes, error.valid_up_to())),
    }
}

/// The byte that a line and column (both from 1, in bytes) name.
fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    (start + column.saturating_sub(1)).min(text.len())
}

/// A few dozen bytes around an offset, made printable.
fn excerpt(bytes: &[u8], offset: usize) -> String {
    let around = &bytes[offset.saturating_sub(32)..bytes.len().min(offset + 32)];
    printable(&String::from_utf8_lossy(around)).into_owned()
}
