//! A line of a source file, shown as compilers show the place of a mistake.
//!
//! A guest says itself where its source is, in its debug information. So a guest could have the program show any file of
//! this machine, in a log that others read. What a guest names is shown only if it has the ending of a source file, and is
//! in the working directory or in the project.

use super::printable::cell;
use crate::project::Project;
use anstyle::{AnsiColor, Style};
use arawn::{Code, Error};
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use unicode_width::UnicodeWidthStr;

const MARGIN: Style = AnsiColor::Blue.on_default().bold();
const CARET: Style = AnsiColor::Red.on_default().bold();

const MOST_BYTES: u64 = 8 << 20;
/// A longer line is cut. Nobody wrote it by hand.
const MOST_CHARACTERS: usize = 200;

const ENDINGS: &[&str] = &[
    "rs", "c", "h", "cc", "cpp", "cxx", "c++", "hh", "hpp", "hxx", "m", "mm", "zig", "go", "js", "mjs", "cjs", "ts",
    "mts", "lua", "py", "pyx", "swift", "kt", "cs", "d", "nim", "odin", "v", "hs", "ml", "rb", "f90", "adb", "ads",
    "pas", "wat", "s",
];

/// The line that a guest's debug information names.
pub fn of_guest(file: &str, line: u64, column: Option<u64>) -> Option<String> {
    let file = Path::new(file);
    let is_source = |ending: &OsStr| ENDINGS.iter().any(|known| ending == *known);
    file.extension().filter(|ending| is_source(ending))?;
    let here = std::env::current_dir().ok()?;
    let project = Project::here().ok().flatten().map(|project| project.directory);
    let roots: Vec<PathBuf> = project.into_iter().chain([here]).filter_map(|root| root.canonicalize().ok()).collect();
    // An absolute path takes the place of the root.
    let found = roots.iter().filter_map(|root| root.join(file).canonicalize().ok());
    let path = found.into_iter().find(|path| roots.iter().any(|root| path.starts_with(root)))?;
    snippet(&path, line, column)
}

/// A script that was run.
#[derive(Clone, Debug)]
pub struct Script {
    pub path: PathBuf,
    /// What its file may be called in messages: by its own name, or by the runtime's.
    pub names: Vec<String>,
}

impl Script {
    /// The line that the error is about: as the library tells it, or as the script's own message does.
    pub fn line_of(&self, error: &Error) -> Option<String> {
        let details = error.details();
        let number = |key: &str| details.get(key).and_then(Value::as_u64);
        let (line, column) = match error.as_code() {
            Code::ScriptInvalid => (number("line")?, number("column")),
            Code::RuntimeError => {
                let text = error.to_string();
                self.names.iter().find_map(|name| place_in(&text, name))?
            }
            _ => return None,
        };
        snippet(&self.path, line, column)
    }
}

/// The first place of a file that a message names, such as `greet.js:5:10`.
pub fn place_in(text: &str, file: &str) -> Option<(u64, Option<u64>)> {
    text.match_indices(file).find_map(|(at, _)| {
        let is_part = text[..at].ends_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/'));
        let (line, rest) = number(text[at + file.len()..].strip_prefix(':')?)?;
        let column = rest.strip_prefix(':').and_then(number).map(|(column, _)| column);
        (!is_part).then_some((line, column))
    })
}

/// The number that a text begins with, and what follows.
fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

fn snippet(path: &Path, line: u64, column: Option<u64>) -> Option<String> {
    let text = read(path)?;
    let at = usize::try_from(line.checked_sub(1)?).ok()?;
    let source = text.lines().nth(at)?.trim_end();
    let begin: String = source.chars().take(MOST_CHARACTERS).collect();
    let more = if begin.len() < source.len() { "…" } else { "" };
    let column = column.and_then(|column| usize::try_from(column).ok()?.checked_sub(1));
    let column = column.filter(|column| *column <= begin.chars().count() && *column < MOST_CHARACTERS);
    let shown = |text: &str| cell(&text.replace('\t', "    "));
    let (number, margin) = (line.to_string(), " ".repeat(line.to_string().len()));
    let mut out = format!("      {MARGIN}{number} |{MARGIN:#} {}{more}\n", shown(&begin));
    if let Some(column) = column {
        let before: String = begin.chars().take(column).collect();
        let indent = " ".repeat(shown(&before).width());
        out += &format!("      {MARGIN}{margin} |{MARGIN:#} {indent}{CARET}^{CARET:#}\n");
    }
    Some(out)
}

fn read(path: &Path) -> Option<String> {
    // Opening a FIFO would wait for a writer.
    fs::metadata(path).ok().filter(|metadata| metadata.is_file() && metadata.len() <= MOST_BYTES)?;
    let mut text = String::new();
    File::open(path).ok()?.take(MOST_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, line: u64, column: Option<u64>) -> Option<String> {
        let file = tempfile::NamedTempFile::new().unwrap_or_else(|error| panic!("{error}"));
        assert!(fs::write(file.path(), text).is_ok());
        snippet(file.path(), line, column).map(|text| anstream::adapter::strip_str(&text).to_string())
    }

    #[test]
    fn a_line_is_shown_with_its_number_and_a_mark_at_the_column() {
        let text = "fn main() {\n\tlet 日 = x;\n}\n";
        let expected = "      2 |     let 日 = x;\n        |         ^\n";
        assert_eq!(shown(text, 2, Some(6)).as_deref(), Some(expected));
        let expected = "      2 |     let 日 = x;\n        |              ^\n";
        assert_eq!(shown(text, 2, Some(10)).as_deref(), Some(expected));
        assert_eq!(shown(text, 3, None).as_deref(), Some("      3 | }\n"));
        assert_eq!(shown(text, 3, Some(99)).as_deref(), Some("      3 | }\n"));
        assert_eq!((shown(text, 4, None), shown(text, 0, None)), (None, None));
        assert_eq!(shown("a\x1b[2J", 1, None).as_deref(), Some("      1 | a\\u{1b}[2J\n"));
        let long = shown(&"x".repeat(1000), 1, Some(500)).unwrap_or_default();
        assert_eq!(long, format!("      1 | {}…\n", "x".repeat(MOST_CHARACTERS)));
    }

    #[test]
    fn a_message_names_the_place_in_its_script() {
        for (text, expected) in [
            ("TypeError: x\n    at inner (g.js:5:10)\n    at default (g.js:2:16)", Some((5, Some(10)))),
            ("g.js:2: attempt to index a nil value", Some((2, None))),
            ("bag.js:3:1 and g.js:x and g.js:4", Some((4, None))),
            ("g.js", None),
            ("g.js:", None),
            ("g.js:99999999999999999999", None),
            ("", None),
        ] {
            assert_eq!(place_in(text, "g.js"), expected, "{text}");
        }
    }

    #[test]
    fn a_guest_cannot_have_any_file_shown() {
        // The tests run in the directory of this package.
        assert!(of_guest("src/report/source.rs", 1, None).is_some_and(|text| text.contains("A line of a source file")));
        let here = concat!(env!("CARGO_MANIFEST_DIR"), "/src/report/source.rs");
        assert!(of_guest(here, 1, None).is_some());
        let elsewhere = tempfile::Builder::new().suffix(".rs").tempfile().unwrap_or_else(|error| panic!("{error}"));
        assert!(fs::write(elsewhere.path(), "secret").is_ok());
        for file in [&elsewhere.path().display().to_string(), "/etc/passwd", "Cargo.toml", "../src/lib.rs", "src"] {
            assert_eq!(of_guest(file, 1, None), None, "{file}");
        }
    }
}
