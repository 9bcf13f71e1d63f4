//! From the bytes of stdin to the bytes of stdout, without touching either.

use std::fmt::{self, Display};
use std::marker::PhantomData;

use serde::de::{Deserializer as _, Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::words;

const OK_PREFIX: &[u8] = br#"{"status":"ok","output":"#;
const ERROR_PREFIX: &[u8] = br#"{"status":"error","error":"#;

/// Room for the envelope and for a `config` or `context` that the input left out, so that an echo never reallocates.
const ENVELOPE_BYTES: usize = 64;

/// Parses a `RuntimeInput`, calls `runtime` and gives the `RuntimeOutput`, compact and without a newline.
///
/// This is [`run`](crate::run) without its I/O: what a runtime's own tests call.
///
/// A missing `config` or `context` is `{}`; other keys are skipped. The input is parsed in one pass. A `C` or `X` of
/// `&RawValue` keeps every byte and nests without limit; other types nest to serde_json's 127 levels, the input's own
/// object being the first.
///
/// The answer is an error, with `runtime` not called, when the input is not UTF-8, not one JSON object, or has a key
/// twice, or when a value does not fit its type: the text starts with the path of what is wrong, which begins with `config`
/// or `context`, or with `input`. It is an error too when `runtime` gives one (its `Display` text alone), or when its output cannot be JSON
/// (the text starts with `output`).
pub fn respond<C, X, O, E>(input: &'static [u8], runtime: impl FnOnce(C, X) -> Result<O, E>) -> Vec<u8>
where
    C: Deserialize<'static>,
    X: Deserialize<'static>,
    O: Serialize,
    E: Display,
{
    let output = parse(input).and_then(|(config, context)| runtime(config, context).map_err(|e| e.to_string()));
    match output.and_then(|output| ok(&output, input.len() + ENVELOPE_BYTES)) {
        Ok(answer) => answer,
        Err(text) => error(&text),
    }
}

fn ok(output: &impl Serialize, capacity: usize) -> Result<Vec<u8>, String> {
    let mut answer = Vec::with_capacity(capacity);
    answer.extend_from_slice(OK_PREFIX);
    serde_json::to_writer(&mut answer, output).map_err(|e| format!("output: {e}"))?;
    answer.push(b'}');
    Ok(answer)
}

/// The answer `{"status":"error","error":text}`.
pub(crate) fn error(text: &str) -> Vec<u8> {
    let mut answer = Vec::with_capacity(text.len() + ENVELOPE_BYTES);
    answer.extend_from_slice(ERROR_PREFIX);
    // A str into a Vec has no way to fail, and this also runs inside the panic hook: no unwrap.
    let _ = serde_json::to_writer(&mut answer, text);
    answer.push(b'}');
    answer
}

fn parse<C, X>(input: &'static [u8]) -> Result<(C, X), String>
where
    C: Deserialize<'static>,
    X: Deserialize<'static>,
{
    let text = str::from_utf8(input).map_err(|e| format!("input: not UTF-8 at byte {}", e.valid_up_to()))?;
    let mut json = serde_json::Deserializer::from_str(text);
    let (config, context) = json
        .deserialize_map(InputVisitor { types: PhantomData })
        .and_then(|parts| json.end().map(|()| parts))
        .map_err(|e| words::of(&e, text, "input"))?;
    Ok((or_empty("config", config)?, or_empty("context", context)?))
}

fn or_empty<T: Deserialize<'static>>(part: &str, value: Option<T>) -> Result<T, String> {
    match value {
        Some(value) => Ok(value),
        None => serde_json::from_str("{}").map_err(|e| words::of(&e, "{}", part)),
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Key {
    Config,
    Context,
    #[serde(other)]
    Other,
}

/// By hand rather than derived, because a derived one would take a list as well.
struct InputVisitor<C, X> {
    types: PhantomData<(C, X)>,
}

fn value<M, T>(map: &mut M, key: &'static str, slot: &mut Option<T>) -> Result<(), M::Error>
where
    M: MapAccess<'static>,
    T: Deserialize<'static>,
{
    if slot.is_some() {
        return Err(M::Error::duplicate_field(key));
    }
    *slot = Some(map.next_value()?);
    Ok(())
}

impl<C, X> Visitor<'static> for InputVisitor<C, X>
where
    C: Deserialize<'static>,
    X: Deserialize<'static>,
{
    type Value = (Option<C>, Option<X>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with config and context")
    }

    fn visit_map<M: MapAccess<'static>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let (mut config, mut context) = (None, None);
        while let Some(key) = map.next_key()? {
            match key {
                Key::Config => value(&mut map, "config", &mut config)?,
                Key::Context => value(&mut map, "context", &mut context)?,
                Key::Other => map.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        Ok((config, context))
    }
}

#[cfg(test)]
mod tests;
