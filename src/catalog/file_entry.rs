//! The entry of a runtime that is one file, and in no catalog's directory.

use super::entry::{CatalogEntry, RuntimeEntry, is_reserved};
use super::schema::StepBudget;
use super::script::Language;
use crate::error::{Error, Result};
use std::path::Path;

impl RuntimeEntry {
    /// The entry of the file at `path`, a script if its name says so.
    pub(super) fn of_file(path: &Path) -> Result<Self> {
        let unavailable = |reason: String| Error::RuntimeUnavailable {
            runtime: name_of(path),
            path: path.display().to_string(),
            reason,
        };
        // An entry may not leave its directory, and a link may lead anywhere.
        let real = path.canonicalize().map_err(|error| {
            let what = || format!("to look at {}", path.display());
            Error::exhausted(&what(), &error).unwrap_or_else(|| unavailable(error.to_string()))
        })?;
        let (Some(directory), Some(file)) = (real.parent(), real.file_name()) else {
            return Err(unavailable("it is a directory".to_owned()));
        };
        let Some(file) = file.to_str().map(str::to_owned) else {
            return Err(unavailable(format!("the name of {} is not UTF-8", real.display())));
        };
        let entry = match Language::of_path(path) {
            None => CatalogEntry { path: file, ..CatalogEntry::default() },
            Some(language) => CatalogEntry { script: file, language: Some(language), ..CatalogEntry::default() },
        };
        entry.checked(&name_of(path), directory, &mut StepBudget::of_an_entry()).map_err(unavailable)
    }
}

/// A name for the runtime in a file: the file's, with what no name may have replaced.
fn name_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let plain = |c: char| if matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-') { c } else { '-' };
    let name: String = stem.chars().map(plain).take(32).collect();
    let is_fine = name.starts_with(|c: char| c.is_ascii_alphanumeric()) && !is_reserved(&name);
    // `passthrough.wasm` is another runtime than `passthrough`.
    if is_fine { name } else { format!("file-{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::entry::check_name;

    #[test]
    fn each_file_has_a_name_that_a_runtime_may_have() {
        for (file, name) in [
            ("a/csv.wasm", "csv"),
            ("a/My Parser.v2.wasm", "my-parser.v2"),
            ("passthrough.wasm", "file-passthrough"),
            ("_x.js", "file-_x"),
            ("\u{e9}.lua", "file--"),
            (".wasm", "file-.wasm"),
            ("", "file-"),
        ] {
            assert_eq!(name_of(Path::new(file)), name);
            assert_eq!(check_name(name), Ok(()));
        }
        assert_eq!(check_name(&name_of(Path::new(&"ABC".repeat(60)))), Ok(()));
    }
}
