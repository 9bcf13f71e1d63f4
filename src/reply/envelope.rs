//! What every reply has: `{"status":"ok","output":…}` or `{"status":"error","error":…,"code":…,"details":…}`.

use crate::error::{Error, Result};
use serde::Serialize;

/// The beginning of a reply that is not an error.
pub(crate) const OK: &str = "{\"status\":\"ok\",\"output\":";

/// `{"status":"ok","output":…}` around JSON text.
pub(crate) fn ok_reply(output: &str) -> Result<String> {
    joined(&[OK, output, "}"])
}

/// The pieces of a reply in one text, which has room for the NUL that ends it in C.
pub(crate) fn joined(pieces: &[&str]) -> Result<String> {
    let mut text = room(pieces.iter().map(|piece| piece.len()).sum())?;
    pieces.iter().for_each(|piece| text.push_str(piece));
    Ok(text)
}

/// An empty text with room for a reply of exactly so many bytes and its NUL, so that nothing is allocated for it later.
pub(crate) fn room(bytes: usize) -> Result<String> {
    let mut text = String::new();
    text.try_reserve_exact(bytes.saturating_add(1)).map_err(|_| Error::no_memory("a reply"))?;
    Ok(text)
}

/// `{"status":"ok","output":…}` around a value.
pub(crate) fn ok_reply_of(output: &impl Serialize) -> Result<String> {
    serde_json::to_string(output).map_err(Error::internal).and_then(|output| ok_reply(&output))
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
