//! Words as a shell reads them, for the commands that the program shows.

use crate::project::is_same_place;
use std::path::Path;

/// In quotes where a shell would read it as something else.
pub fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%".contains(c);
    match !word.is_empty() && word.chars().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// A path as one would type it here.
pub fn path(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let path = path.strip_prefix(here).unwrap_or(path).to_string_lossy();
    match &*path {
        "" => ".".to_owned(),
        // A command would read it as an option.
        _ if path.starts_with('-') => quoted(&format!("./{path}")),
        _ => quoted(&path),
    }
}

/// Whether a path is that of the working directory.
pub fn is_here(path: &Path) -> bool {
    std::env::current_dir().is_ok_and(|here| is_same_place(path, &here))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_quoted_where_it_must_be() {
        for (word, expected) in
            [("a-b/c.wasm", "a-b/c.wasm"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("", "''"), ("$x", "'$x'")]
        {
            assert_eq!(quoted(word), expected);
        }
        let here = std::env::current_dir().unwrap_or_default();
        let paths = [&here.join("a b"), &here, &here.join("-x y"), Path::new("-x"), Path::new("/a")].map(path);
        assert_eq!(paths, ["'a b'", ".", "'./-x y'", "./-x", "/a"]);
        assert!(is_here(&here) && is_here(Path::new("src/..")) && !is_here(Path::new("src")));
    }
}
