//! Words as a shell reads them, for the commands that the program shows.

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
    quoted(&path.strip_prefix(here).unwrap_or(path).to_string_lossy())
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
        assert_eq!((path(&here.join("a b")), path(Path::new("/a"))), ("'a b'".to_owned(), "/a".to_owned()));
    }
}
