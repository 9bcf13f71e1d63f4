//! The reply that a host gets: `{"status":"ok","output":…}` or `{"status":"error","error":…,"code":…,"details":…}`.

use crate::error::{Error, Result};
use crate::json::{RawJson, object_from_str, words};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// The beginning of a reply that is not an error.
pub(crate) const OK: &str = "{\"status\":\"ok\",\"output\":";

/// Checks that a guest's request to a host function is JSON. The error says why it is not.
pub(crate) fn check_request(json: &str) -> Result<(), String> {
    serde_json::from_str::<IgnoredAny>(json).map(drop).map_err(|error| no_json(json, &error))
}

fn no_json(json: &str, error: &serde_json::Error) -> String {
    if json.starts_with('\u{feff}') {
        return words::BYTE_ORDER_MARK.to_owned();
    }
    format!("{} (line {}, column {})", words::syntax(error), error.line(), error.column())
}

/// Checks that a host function's answer has the form of a reply. The error says why it does not. Other members of the
/// answer are a matter of the host and the guest.
pub(crate) fn check_reply(json: &str) -> Result<(), String> {
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
            Ok(_) => words::find_mistake::<Envelope<'_>>(json)
                .map_or_else(|| error.to_string(), |mistake| mistake.to_string()),
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

/// `{"status":"ok","output":…}` around a value.
pub(crate) fn ok_reply_of(output: &impl Serialize) -> Result<String> {
    serde_json::to_string(output).map(|output| ok_reply(&output)).map_err(Error::internal)
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
