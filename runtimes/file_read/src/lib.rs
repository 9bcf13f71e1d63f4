//! `file_read`: reads a file in a granted directory.
//!
//! Config: `path`, as the guest sees it, such as `/data/a.txt`; `encoding`, `utf8` (the default) or `base64`; `max_bytes`,
//! by default 8 MiB. Output: `{"path","bytes","content"}`.
//!
//! A file with more than `max_bytes` is an error, and so is one that is not UTF-8 where that is asked for; it is never
//! read in part. A FIFO is read until its writers are gone, for as long as the call's deadline allows.

use std::fs::{self, File};
use std::io::Read;

use common::{Encoding, files};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

/// What the caller asks for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    path: String,
    #[serde(default)]
    encoding: Encoding,
    #[serde(default = "max_bytes")]
    max_bytes: u64,
}

fn max_bytes() -> u64 {
    common::MAX_BYTES
}

/// The file.
#[derive(Debug, Serialize)]
pub struct Output {
    path: String,
    bytes: u64,
    content: String,
}

/// The runtime.
pub fn file_read(config: Config, _context: IgnoredAny) -> Result<Output, String> {
    let Config { path, encoding, max_bytes } = config;
    let content = read(&path, max_bytes).map_err(|reason| format!("`{path}` cannot be read: {reason}"))?;
    let bytes = content.len() as u64;
    let content = encoding.encode(content).map_err(|error| format!("`{path}`: {error}"))?;
    Ok(Output { path, bytes, content })
}

fn read(path: &str, max_bytes: u64) -> Result<Vec<u8>, String> {
    if path.is_empty() {
        return Err("it does not name a file".to_owned());
    }
    let file = File::open(path).map_err(|error| match fs::metadata(path) {
        // A socket or a device, which no sandbox opens.
        Ok(there) if !there.is_file() && !there.is_dir() => "it is not a regular file".to_owned(),
        _ => files::reason(&error),
    })?;
    let metadata = file.metadata().map_err(|error| files::reason(&error))?;
    if metadata.is_dir() {
        return Err("it is a directory".to_owned());
    }
    let bytes = metadata.len();
    if bytes > max_bytes {
        return Err(format!("it has {bytes} bytes, more than `max_bytes` ({max_bytes})"));
    }
    let mut content = Vec::with_capacity(bytes as usize + 1);
    file.take(max_bytes.saturating_add(1)).read_to_end(&mut content).map_err(|error| files::reason(&error))?;
    // The file may have grown since.
    if content.len() as u64 > max_bytes {
        return Err(format!("it has more bytes than `max_bytes` ({max_bytes})"));
    }
    Ok(content)
}

#[cfg(test)]
mod tests;
