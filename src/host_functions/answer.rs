//! Checks of the JSON that guests and host functions exchange.

use crate::json::{RawJson, object_from_str, words};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;

/// Checks that a guest's request to a host function is JSON. The error says why it is not.
pub(super) fn check_request(json: &str) -> Result<(), String> {
    serde_json::from_str::<IgnoredAny>(json).map(drop).map_err(|error| no_json(json, &error))
}

fn no_json(json: &str, error: &serde_json::Error) -> String {
    if json.starts_with('\u{feff}') {
        return words::BYTE_ORDER_MARK.to_owned();
    }
    format!("{} (line {}, column {})", words::syntax(error), error.line(), error.column())
}

/// Checks that a host function's answer has the form of a reply. The error says why it does not, and goes on after the
/// words "its reply". Other members of the answer are a matter of the host and the guest.
pub(super) fn check_reply(json: &str) -> Result<(), String> {
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
        format!("is invalid: {why}")
    })?;
    match (&*envelope.status, envelope.error) {
        (_, Some(error)) if words::text_of(error.get()).is_none() => {
            Err("is invalid: `error` must be a string".to_owned())
        }
        ("ok", None) | ("error", Some(_)) => Ok(()),
        ("ok", Some(_)) => Err("has `status` \"ok\" and an `error`".to_owned()),
        ("error", None) => Err("has `status` \"error\" and no `error`".to_owned()),
        _ => Err("has a `status` that is neither \"ok\" nor \"error\"".to_owned()),
    }
}
