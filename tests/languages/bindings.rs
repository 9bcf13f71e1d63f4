//! `bindings/README.md`: its table has a name for each capability in each language, and each name is in the binding and in
//! its tests.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use common::root;
use std::fs;
use std::path::Path;

/// A column, the files or directories of the binding, and those of its tests.
const COLUMNS: [(&str, &[&str], &[&str]); 5] = [
    ("C++", &["include/arawn.hpp"], &["tests/cpp"]),
    ("Go", &["bindings/go"], &["bindings/go"]),
    ("Lua", &["bindings/lua"], &["tests/lua"]),
    ("Node.js", &["bindings/node/index.js", "bindings/node/index.d.ts", "bindings/node/lib"], &["bindings/node/tests"]),
    ("Python", &["bindings/python/arawn"], &["bindings/python/tests", "tests/python"]),
];
/// What a binding must have at least; the table may have more.
const CAPABILITIES: usize = 24;

/// The text of a file, or of all files in a directory whose names do or do not say that they are Go's tests.
fn text_of(path: &Path, tests: bool) -> String {
    if path.is_file() {
        return fs::read_to_string(path).unwrap();
    }
    let Ok(entries) = fs::read_dir(path) else { return String::new() };
    let files = entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let wanted = files.filter(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        !name.ends_with(".go") || name.ends_with("_test.go") == tests
    });
    wanted.filter_map(|path| fs::read_to_string(path).ok()).collect()
}

/// Whether a name is there as a word of its own.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + word.len()..]);
        !before.ends_with(is_part) && !after.starts_with(is_part)
    })
}

fn cells(line: &str) -> Vec<&str> {
    line.trim_matches('|').split('|').map(str::trim).collect()
}

/// The names in a cell, which stand in backticks.
fn names(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn each_binding_has_each_capability() {
    let readme = fs::read_to_string(root().join("bindings/README.md")).unwrap();
    let mut lines = readme.lines().skip_while(|line| !line.starts_with("| capability |"));
    let header = cells(lines.next().unwrap());
    assert_eq!(header[1..], COLUMNS.map(|(language, ..)| language));
    let rows: Vec<Vec<&str>> = lines.skip(1).take_while(|line| line.starts_with('|')).map(cells).collect();
    assert!(rows.len() >= CAPABILITIES, "the table has {} capabilities", rows.len());
    let mut problems = Vec::new();
    for (index, (language, sources, tests)) in COLUMNS.iter().enumerate() {
        let text =
            |paths: &[&str], tests| paths.iter().map(|path| text_of(&root().join(path), tests)).collect::<String>();
        let (source, test) = (text(sources, false), text(tests, true));
        for row in &rows {
            let capability = row[0];
            let found = row.get(index + 1).map(|cell| names(cell)).unwrap_or_default();
            if found.is_empty() {
                problems.push(format!("{language} has nothing for `{capability}`"));
            }
            for name in found {
                for (place, text) in [("the binding", &source), ("its tests", &test)] {
                    if !has_word(text, name) {
                        problems.push(format!("{language}: `{name}`, for `{capability}`, is not in {place}"));
                    }
                }
            }
        }
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn names_are_words() {
    assert!(has_word("e.list()", "list") && has_word("list", "list"));
    assert!(!has_word("listed, enlist, list_of", "list"));
    assert_eq!(names("`a`, `b c`"), ["a", "b c"]);
    assert_eq!(cells("| x | `y` | |"), ["x", "`y`", ""]);
}
