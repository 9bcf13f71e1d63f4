//! The names of the files of a cache, see the parent module.

use super::trusted::TrustedFile;
use crate::sha256::Sha256;
use cap_std::fs::Dir;
use std::io::{self, Read};

/// The part of an artifact's name that its seal shares. It also says whether guests have a garbage-collected heap,
/// because a process that finds the artifact has not looked into the `.wasm`, which alone says so otherwise.
pub(super) fn stem(sha: &Sha256, heap: bool) -> String {
    format!("{sha}{}", if heap { ".gc" } else { "" })
}

pub(super) fn artifact_name(stem: &str) -> String {
    format!("{stem}.cwasm")
}

/// The name of the file that holds the artifact's digest and, once the artifact is synced, its identity.
pub(super) fn seal_name(stem: &str) -> String {
    format!("{stem}.sha256")
}

/// The most bytes that are read of a seal or a record.
const SMALL: u64 = 32 << 10;

/// The text of a seal or a record.
pub(super) fn text_of(file: &TrustedFile) -> io::Result<String> {
    let mut text = String::new();
    (&file.file).take(SMALL).read_to_string(&mut text)?;
    Ok(text)
}

/// The names of the subdirectories of artifacts, whoever owns them.
pub(super) fn compatibilities(cache: &Dir) -> impl Iterator<Item = String> + use<> {
    let is_compatibility = |name: &String| name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit());
    let entries = cache.entries().into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).filter(is_compatibility)
}
