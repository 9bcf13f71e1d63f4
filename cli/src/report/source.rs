//! A line of a source file, shown as compilers show the place of a mistake.
//!
//! A guest says itself where its source is, in its debug information. So a guest could have the program show any file of
//! this machine, in a log that others read. What a guest names is shown only if it has the ending of a source file, and is
//! in the working directory or in the project.

use super::printable::cell;
use crate::project::Project;
use anstyle::{AnsiColor, Style};
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

/// A line of the script that is run.
pub fn of_script(path: &Path, line: u64, column: Option<u64>) -> Option<String> {
    snippet(path, line, column)
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
