//! The names of the files of a cache, see the parent module.

use super::trusted::TrustedFile;
use crate::sha256::Sha256;
use cap_std::fs::Dir;
use std::io::{self, Read};

/// What a process needs to know of an artifact before it loads it. Only the `.wasm` says so otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Form {
    /// Whether guests of this code have a garbage-collected heap.
    pub heap: bool,
    /// Whether this is the code of a module without its data.
    pub imaged: bool,
}

impl Form {
    pub const PLAIN: Form = Form { heap: false, imaged: false };

    /// In the order in which a process looks for them. A module is in the cache in more than one form where a process has
    /// compiled it that had no address space for images.
    pub(super) const ALL: [Form; 4] = [
        Form { heap: false, imaged: true },
        Form { heap: true, imaged: true },
        Form::PLAIN,
        Form { heap: true, imaged: false },
    ];
}

/// The part of an artifact's name that its seal shares.
pub(super) fn stem(sha: &Sha256, Form { heap, imaged }: Form) -> String {
    format!("{sha}{}{}", if heap { ".gc" } else { "" }, if imaged { ".code" } else { "" })
}

/// How the stems of snapshots end, which are the names of their files.
const SNAPSHOT: &str = ".snapshot";

/// The part of a snapshot's name that its seal shares.
pub(super) fn snapshot_stem(sha: &Sha256) -> String {
    format!("{sha}{SNAPSHOT}")
}

/// The name of the file of a stem.
pub(super) fn content_name(stem: &str) -> String {
    if stem.ends_with(SNAPSHOT) { stem.to_owned() } else { format!("{stem}.cwasm") }
}

/// The stem of the artifact or the snapshot with this name; `None` for all other files.
pub(super) fn stem_of(name: &str) -> Option<&str> {
    name.strip_suffix(".cwasm").or_else(|| name.ends_with(SNAPSHOT).then_some(name))
}

/// The name of the file that holds the artifact's digest and, once the artifact is synced, its identity.
pub(super) fn seal_name(stem: &str) -> String {
    format!("{stem}.sha256")
}

/// How the names of records end.
pub(super) const RECORD: &str = ".wasm-hash";

/// Whether a file with this name is a record.
pub(super) fn is_record(name: &str) -> bool {
    name.strip_suffix(RECORD).is_some_and(|hash| hash.len() == 32 && hash.bytes().all(is_digit))
}

/// A hexadecimal digit as this library writes it.
fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
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
pub(super) fn compatibilities(cache: &Dir) -> io::Result<Vec<String>> {
    let is_compatibility = |name: &String| name.len() == 32 && name.bytes().all(|b| b.is_ascii_hexdigit());
    let name = |entry: io::Result<cap_std::fs::DirEntry>| entry.map(|entry| entry.file_name().into_string().ok());
    let names = cache.entries()?.filter_map(|entry| name(entry).transpose());
    names.filter(|name| name.as_ref().map_or(true, is_compatibility)).collect()
}
