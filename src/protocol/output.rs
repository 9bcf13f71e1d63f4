//! What a runtime answers: its stdout, judged and handed on.

use super::{OK, object_from_str, ok_reply, without_position};
use crate::catalog::RuntimeEntry;
use crate::engine::hex;
use crate::error::{Error, Result, printable};
use crate::json::{self, RawJson};
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

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
        // As the SDK writes it.
        if let Some(output) = json::last_value(&json, OK) {
            let output = Some(position(output, &json));
            return Ok(RuntimeOutput { output, json, meta: None });
        }
        if json.trim_ascii().is_empty() {
            return Err(malformed(b"", 0, "nothing was written".to_owned()));
        }
        let reply = json::object(&json).map_or_else(|| object_from_str(&json), Ok);
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

/// Where a part of a text stands in it.
fn position(part: &str, text: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - text.as_ptr() as usize;
    start..start + part.len()
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The short way and the long one take the same for a reply, and the same part of it for its output.
    #[test]
    fn a_plain_reply_is_read_as_any_other() {
        let values = ["1", "{}", " [1, 2] ", "\"\\u0000}\"", "null", "-0.1e5", "{\"a\":[{}]}"];
        let broken =
            ["", "01", "1,\"error\":\"e\"", "1,\"more\":2", "1}", "\"", "\u{c}1", "1 2", "{]", "1,\"output\":2"];
        for (output, is_fine) in values.map(|value| (value, true)).into_iter().chain(broken.map(|value| (value, false)))
        {
            let text = format!("{OK}{output}}}");
            // A space is enough for the long way.
            let longer = format!(" {text}");
            let read = |text: &str| RuntimeOutput::parse(text.into(), "").ok().map(|reply| reply.output().to_owned());
            assert_eq!(json::last_value(&text, OK).is_some(), is_fine, "{text}");
            assert_eq!(read(&text), is_fine.then(|| output.trim().to_owned()), "{text}");
            assert_eq!(read(&text), read(&longer), "{text}");
        }
    }
}
