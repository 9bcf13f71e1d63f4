//! The output of a runtime: its stdout, checked and made into the reply.

use crate::error::{Error, Result, printable};
use crate::json::words::{self, offset_of};
use crate::json::{self, RawJson, object_from_str};
use crate::reply::{Meta, OK, SnapshotReport, call_reply};
use crate::sha256::Sha256;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;
use std::ops::Range;

/// A runtime's stdout that was found to be an `ok` reply: `{"status":"ok","output":…}`. The text is kept whole and
/// becomes the reply to the host, so that a large output is not copied.
#[derive(Clone, Debug)]
pub struct RuntimeOutput {
    json: String,
    output: Option<Range<usize>>,
    meta: Option<Meta>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GuestReply<'a> {
    #[serde(borrow)]
    status: Cow<'a, str>,
    #[serde(borrow, default)]
    output: Option<RawJson<'a>>,
    /// The raw JSON, because a text that was cut may end with half of a surrogate pair, which is not a Rust string.
    #[serde(borrow, default)]
    error: Option<RawJson<'a>>,
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
            Err((bytes, offset)) => return Err(malformed(&bytes, offset, not_utf8(&bytes, offset))),
        };
        // The fast path: the exact form that the SDK writes.
        if let Some(output) = json::last_value(&json, OK) {
            let output = Some(position(output, &json));
            return Ok(RuntimeOutput { output, json, meta: None });
        }
        let reply = json::read_plain_object(&json).map_or_else(|| object_from_str(&json), Ok);
        let reply: GuestReply<'_> = match reply {
            Ok(reply) => reply,
            Err(error) => {
                let (offset, message) = no_reply(&json, &error);
                return Err(malformed(json.as_bytes(), offset, message));
            }
        };
        let wrong = |offset: usize, what: &str| {
            Err(malformed(json.as_bytes(), offset, format!("the reply on stdout is invalid: {what}")))
        };
        let error = match reply.error {
            None => None,
            Some(error) => match words::text_of(error.get()) {
                Some(text) => Some(printable(&text).into_owned()),
                None => return wrong(position(error.get(), &json).start, "its `error` must be a string"),
            },
        };
        match (&*reply.status, error) {
            ("ok", None) => {
                let output = reply.output.map(|output| position(output.get(), &json));
                Ok(RuntimeOutput { output, json, meta: None })
            }
            ("error", Some(message)) => Err(Error::Runtime { message, stderr: stderr.to_owned() }),
            ("error", None) => wrong(0, "its `status` is \"error\" without an `error` beside it"),
            ("ok", Some(_)) => wrong(0, "its `status` is \"ok\" with an `error` beside it"),
            _ => wrong(0, "its `status` must be \"ok\" or \"error\""),
        }
    }

    pub(crate) fn with_meta(self, meta: Meta) -> Self {
        RuntimeOutput { meta: Some(meta), ..self }
    }

    /// The same output, of a script with this hash.
    pub(crate) fn with_script(mut self, script: Option<Sha256>) -> Self {
        if let (Some(meta), Some(_)) = (&mut self.meta, script) {
            meta.script_sha256 = script;
        }
        self
    }

    pub(crate) fn with_snapshot(mut self, snapshot: Option<SnapshotReport>) -> Self {
        if let (Some(meta), Some(_)) = (&mut self.meta, &snapshot) {
            meta.snapshot = snapshot;
        }
        self
    }

    /// The figures of the call, if they were recorded.
    pub fn meta(&self) -> Option<&Meta> {
        self.meta.as_ref()
    }

    /// The output's JSON text, exactly as the runtime wrote it; `null` where it wrote none.
    pub fn output(&self) -> &str {
        self.output.clone().map_or("null", |range| &self.json[range])
    }

    /// The reply to the host.
    pub(crate) fn into_reply(self, meta: bool) -> Result<String> {
        // The text that the SDK writes is the reply already. Other guests may use other spaces or another order of keys,
        // so their reply is written anew.
        if !meta && self.json.starts_with(OK) && self.json.len() == OK.len() + self.output().len() + 1 {
            return Ok(self.json);
        }
        call_reply(self.output(), self.meta.as_ref().filter(|_| meta))
    }
}

/// The range of `part` within `text`, of which it is a slice.
fn position(part: &str, text: &str) -> Range<usize> {
    let start = part.as_ptr() as usize - text.as_ptr() as usize;
    start..start + part.len()
}

/// Converts bytes to text, or returns them with the offset of the first byte that is not UTF-8. This runs over the
/// whole output of each call, and the standard library's check would cost as much as parsing does.
#[allow(unsafe_code, reason = "the standard library would check again")]
fn into_text(bytes: Vec<u8>) -> Result<String, (Vec<u8>, usize)> {
    match simdutf8::compat::from_utf8(&bytes) {
        // SAFETY: `simdutf8` has just found that the bytes are UTF-8.
        Ok(_) => Ok(unsafe { String::from_utf8_unchecked(bytes) }),
        Err(error) => Err((bytes, error.valid_up_to())),
    }
}

/// The replies that a guest may write, for error messages.
const REPLY: &str = r#"{"status":"ok","output":…} or {"status":"error","error":"text"}"#;

fn not_utf8(bytes: &[u8], offset: usize) -> String {
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
            "stdout must be UTF-8, but begins with the byte order mark of UTF-16".to_owned()
        }
        _ => format!("stdout must be UTF-8, but byte {offset} does not begin a valid character"),
    }
}

/// Why a text is no reply, and at which byte. The offset comes first.
#[cold]
fn no_reply(json: &str, error: &serde_json::Error) -> (usize, String) {
    let text = json.trim_ascii_start();
    let begins = json.len() - text.len();
    if text.is_empty() {
        return (0, format!("stdout is empty, but must hold the reply: write {REPLY}"));
    }
    if text.starts_with('\u{feff}') {
        return (
            begins,
            "stdout begins with a byte order mark (U+FEFF), but must hold only the reply: write UTF-8 without one"
                .to_owned(),
        );
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    let first = values.next();
    let rest = text[values.byte_offset().min(text.len())..].trim_ascii_start();
    let is_value = matches!(first, Some(Ok(_)));
    if !text.starts_with('{') && (!is_value || !rest.is_empty()) {
        let begin = line(text);
        let message =
            format!("stdout begins with \"{begin}\", but must hold only the reply: print other text to stderr");
        return (begins, message);
    }
    if is_value && !rest.is_empty() {
        let more = line(rest);
        let message =
            format!("stdout has \"{more}\" after the reply, but must hold only the reply: print other text to stderr");
        return (json.len() - rest.len(), message);
    }
    let offset = offset_of(json, error.line(), error.column());
    if !is_value {
        return (offset, format!("the reply on stdout is not JSON at byte {offset}: {}", words::syntax(error)));
    }
    let holds = |what: &str| format!("stdout holds {what}, but must hold the reply: write {REPLY}");
    let message = match text.as_bytes().first() {
        Some(b'{') => {
            let mistake = words::find_mistake::<GuestReply<'_>>(json).map(|mistake| mistake.to_string());
            format!("the reply on stdout is invalid: {}", mistake.unwrap_or_else(|| error.to_string()))
        }
        Some(b'[') => holds("a list"),
        Some(b'"') => holds("a string"),
        _ => holds(&line(text)),
    };
    (offset, message)
}

/// The first line of a text, made printable, and cut if it is long.
fn line(text: &str) -> String {
    const SHOWN: usize = 60;
    let line = text.lines().next().unwrap_or_default().trim_end();
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => printable(&line[..end]).into_owned() + "…",
        None => printable(line).into_owned(),
    }
}

/// A few dozen bytes around an offset, made printable.
fn excerpt(bytes: &[u8], offset: usize) -> String {
    let around = &bytes[offset.saturating_sub(32)..bytes.len().min(offset + 32)];
    printable(&String::from_utf8_lossy(around)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fast path and the general parser accept the same replies and find the same output in them.
    #[test]
    fn a_plain_reply_is_read_as_any_other() {
        let values = ["1", "{}", " [1, 2] ", "\"\\u0000}\"", "null", "-0.1e5", "{\"a\":[{}]}"];
        let broken =
            ["", "01", "1,\"error\":\"e\"", "1,\"more\":2", "1}", "\"", "\u{c}1", "1 2", "{]", "1,\"output\":2"];
        for (output, is_fine) in values.map(|value| (value, true)).into_iter().chain(broken.map(|value| (value, false)))
        {
            let text = format!("{OK}{output}}}");
            // A leading space is enough to take the general parser.
            let longer = format!(" {text}");
            let read = |text: &str| RuntimeOutput::parse(text.into(), "").ok().map(|reply| reply.output().to_owned());
            assert_eq!(json::last_value(&text, OK).is_some(), is_fine, "{text}");
            assert_eq!(read(&text), is_fine.then(|| output.trim().to_owned()), "{text}");
            assert_eq!(read(&text), read(&longer), "{text}");
        }
    }
}
