//! docs/security.md names code and tests that are there: each row of its tables of promises and findings.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use common::root;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// The words of a cell that are between backquotes.
fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// The cells of the table rows of the page, from a heading to the end of its section.
fn rows(page: &str, heading: &str) -> Vec<Vec<String>> {
    let section = page.split_once(heading).unwrap().1.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| "));
    let cells = |row: &str| row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
    rows.map(cells).collect()
}

/// The text of a file below `src`, or of all files of its directory too, where it has parts.
fn source(path: &str) -> Option<String> {
    let file = root().join("src").join(path);
    let mut text = fs::read_to_string(&file).ok()?;
    let parts: Vec<PathBuf> = fs::read_dir(file.with_extension("")).map_or_else(
        |_| Vec::new(),
        |entries| entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect(),
    );
    text.extend(parts.iter().map(|part| fs::read_to_string(part).unwrap()));
    Some(text)
}

/// Whether a file has a test of a name: `file.rs::name` in a folder of `tests`, or a path that begins with `src`.
fn has_test(test: &str) -> bool {
    let (file, name) = test.split_once("::").unwrap();
    let files = match file.starts_with("src/") || file.starts_with("tests/") {
        true => vec![root().join(file)],
        false => {
            let folders = fs::read_dir(root().join("tests")).unwrap().map(|folder| folder.unwrap().path());
            folders.chain([root().join("tests")]).map(|folder| folder.join(file)).collect()
        }
    };
    let has = |file: &PathBuf| fs::read_to_string(file).is_ok_and(|text| text.contains(&format!("fn {name}(")));
    files.iter().any(has)
}

#[test]
fn the_page_names_code_and_tests_that_are_there() {
    let page = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let (mut promises, mut wrong) = (0, Vec::new());
    for row in rows(&page, "## The promises") {
        let [promise, code, tests] = &row[..] else { continue };
        if quoted(code).is_empty() {
            continue;
        }
        promises += 1;
        let mut file = None;
        for word in quoted(code) {
            match word.ends_with(".rs") {
                true => match source(word) {
                    Some(text) => file = Some(text),
                    None => wrong.push(format!("{promise}: no file {word}")),
                },
                false if word.starts_with('-') => {}
                false if file.as_ref().is_some_and(|text| text.contains(word)) => {}
                false => wrong.push(format!("{promise}: no {word}")),
            }
        }
        let named: Vec<&str> = quoted(tests).into_iter().filter(|word| word.contains("::")).collect();
        if named.is_empty() {
            wrong.push(format!("{promise}: no test"));
        }
        wrong.extend(named.iter().filter(|test| !has_test(test)).map(|test| format!("{promise}: no test {test}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(promises > 90, "{promises} rows were found");
    let findings = rows(&page, "| finding | found by");
    let tests: Vec<&str> = findings.iter().flat_map(|row| row.iter().flat_map(|cell| quoted(cell))).collect();
    let tests: Vec<&&str> = tests.iter().filter(|word| word.contains("::") && word.contains(".rs")).collect();
    assert!(tests.len() > 2 && tests.iter().all(|test| has_test(test)), "{tests:?}");
}

/// Each fuzz target has a row in both tables, and its file.
#[test]
fn the_page_names_every_fuzz_target() {
    let page = fs::read_to_string(root().join("docs/security.md")).unwrap();
    for entry in fs::read_dir(root().join("fuzz/targets")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let rows = page.lines().filter(|line| line.starts_with(&format!("| `{name}` |"))).count();
        assert_eq!(rows, 2, "{name}");
        assert!(root().join("fuzz/corpus").join(name).is_dir(), "{name}");
    }
}

/// Each area of the mutants has a row with their number, and what a mutant replaces is in the source once.
#[test]
fn the_page_counts_the_mutants() {
    let page = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let (mut all, scripts) = (0, root().join("tests/verify"));
    for file in ["mutants_of_access.py", "mutants_of_limits.py"] {
        let text = fs::read_to_string(scripts.join(file)).unwrap();
        for list in text.split("\n\n").filter(|part| part.contains(" = [\n")) {
            let area = list.split(" = ").next().unwrap().to_lowercase();
            let count = list.matches("\n    Mutant(").count();
            assert!(page.contains(&format!("\n| {area} | {count} | ")), "{area} has {count} mutants");
            all += count;
        }
    }
    assert!(page.contains(&format!("there were {all} mutants")), "there are {all} mutants");
    match Command::new("python3").arg("-B").arg(scripts.join("mutants.py")).arg("--list").output() {
        Ok(listed) => assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr)),
        Err(_) => assert!(std::env::var_os("CI").is_none(), "Python is missing: .ci/tools, or apt install python3"),
    }
}
