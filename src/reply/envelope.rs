//! What every reply has: `{"status":"ok","output":…}` or `{"status":"error","error":…,"code":…,"details":…}`.

use crate::error::{Error, Result};
use serde::Serialize;

/// The beginning of a reply that is not an error.
pub(crate) const OK: &str = "{\"status\":\"ok\",\"output\":";

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
