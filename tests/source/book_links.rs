//! The documents: each relative link and anchor leads somewhere, the book's summary has every page, the page of errors every
//! code, and the README is short.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use common::root;
use std::fs;
use std::path::{Path, PathBuf};

const MOST_README_BYTES: u64 = 8192;

/// The Markdown files below a directory.
fn pages_below(directory: &Path) -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            pages.extend(pages_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
    pages.sort();
    pages
}

fn documents() -> Vec<PathBuf> {
    let mut documents = pages_below(&root().join("docs"));
    documents
        .extend(["README.md", "CONTRIBUTING.md", "SECURITY.md", "runtimes/README.md"].map(|path| root().join(path)));
    documents
}

/// The lines outside of fenced blocks.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_block = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_block ^= is_fence;
        !in_block && !is_fence
    })
}

/// The targets of the links and pictures of a line, without what is between backquotes.
fn targets(line: &str) -> Vec<String> {
    let outside: String = line.split('`').step_by(2).collect();
    let after = outside.split("](").skip(1);
    after.filter_map(|rest| rest.split_once(')').map(|(target, _)| target.to_owned())).collect()
}

/// The anchor that mdBook and code hosts make of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn has_anchor(page: &Path, wanted: &str) -> bool {
    let text = fs::read_to_string(page).unwrap();
    prose(&text).filter(|line| line.starts_with('#')).any(|line| anchor(line.trim_start_matches('#')) == wanted)
}

#[test]
fn every_link_leads_somewhere() {
    let (mut wrong, mut count) = (Vec::new(), 0);
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for target in prose(&text).flat_map(targets) {
            if target.contains("://") {
                continue;
            }
            count += 1;
            let (path, fragment) = target.split_once('#').unwrap_or((&target, ""));
            let page = match path {
                "" => document.clone(),
                path => document.parent().unwrap().join(path),
            };
            if !page.exists() || !fragment.is_empty() && !has_anchor(&page, fragment) {
                wrong.push(format!("{}: {target}", document.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(wrong.is_empty(), "these links lead nowhere:\n{}", wrong.join("\n"));
    assert!(count > 100, "{count} links were found");
}

#[test]
fn the_summary_lists_every_page_once() {
    let docs = root().join("docs");
    let summary = fs::read_to_string(docs.join("SUMMARY.md")).unwrap();
    let mut listed: Vec<PathBuf> = summary.lines().flat_map(targets).map(|target| docs.join(target)).collect();
    listed.sort();
    let mut pages = pages_below(&docs);
    pages.retain(|page| *page != docs.join("SUMMARY.md"));
    assert_eq!(listed, pages, "docs/SUMMARY.md does not list each page of docs/ once");
}

#[test]
fn the_page_of_errors_has_every_code_in_order() {
    let page = fs::read_to_string(root().join("docs/errors.md")).unwrap();
    let (_, tables) = page.split_once("## What you pass in").unwrap();
    let rows = tables.lines().filter_map(|line| line.strip_prefix("| `"));
    let codes: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    assert_eq!(codes, arawn::Code::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>());
}

#[test]
fn the_readme_is_short() {
    let bytes = fs::metadata(root().join("README.md")).unwrap().len();
    assert!(
        bytes <= MOST_README_BYTES,
        "README.md has {bytes} bytes, more than {MOST_README_BYTES}: move some to docs/"
    );
}

#[test]
fn the_readme_shows_each_binding_and_says_nothing_twice() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    for entry in fs::read_dir(root().join("bindings")).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        assert!(text.contains(&format!("](bindings/{name}")), "README.md has no link to bindings/{name}");
    }
    let mut seen = std::collections::HashSet::new();
    for line in text.lines().filter(|line| line.len() > 40) {
        assert!(seen.insert(line), "README.md has this line twice: {line}");
    }
}

#[test]
fn anchors_are_made_as_mdbook_makes_them() {
    assert_eq!(anchor("Warnings: `arawn.log`"), "warnings-arawnlog");
    assert_eq!(anchor("64 KiB and 1 MiB"), "64-kib-and-1-mib");
    assert_eq!(targets("[a](b.md#c), `[x](y)` and ![d](e.svg)"), ["b.md#c", "e.svg"]);
}
