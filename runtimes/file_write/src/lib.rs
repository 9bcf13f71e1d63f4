//! `file_write`: writes a file in a granted directory.
//!
//! Config: `path`, as the guest sees it, such as `/out/a.txt`; one of `content`, and `content_key`, the path of what is to
//! be written in the context; `encoding`, `utf8` (the default) or `base64`; `append`, which adds to the end of what is
//! there; `create_parents`, which makes the directories on the way. Output: `{"path","bytes_written"}`.
//!
//! A string is written as the text that it is, or as the bytes that its base64 stands for; any other value as its JSON.
//!
//! A file is written whole or not at all, unless it is appended to: under a name of its own beside it, onto the disk, and
//! renamed. So a symbolic link is replaced, not followed, and the new file has the permissions of a new one. A call that
//! its deadline ends in between cannot tidy up: it leaves a file `.arawn-….tmp`.

mod write;

use arawn_sdk::Context;
use common::Encoding;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// What the caller asks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, bound(deserialize = "'de: 'static"))]
pub struct Config {
    path: String,
    content: Option<&'static RawValue>,
    content_key: Option<String>,
    #[serde(default)]
    encoding: Encoding,
    #[serde(default)]
    append: bool,
    #[serde(default)]
    create_parents: bool,
}

/// What was written.
#[derive(Debug, Serialize)]
pub struct Output {
    path: String,
    bytes_written: u64,
}

/// The runtime.
pub fn file_write(config: Config, context: Context) -> Result<Output, String> {
    let Config { path, content, content_key, encoding, append, create_parents } = config;
    let content = common::given("content", content, content_key.as_deref(), &context)?
        .ok_or("config: one of `content` and `content_key` is needed")?;
    let content = common::bytes(content, encoding)
        .map_err(|error| format!("{}: {error}", if content_key.is_some() { "content_key" } else { "content" }))?;
    let written = match append {
        true => write::append(&path, &content, create_parents),
        false => write::replace(&path, &content, create_parents),
    };
    written.map_err(|reason| format!("`{path}` cannot be written: {reason}"))?;
    Ok(Output { path, bytes_written: content.len() as u64 })
}

#[cfg(test)]
mod tests;
