//! The book: what its pages show is done here as a reader does it, and prints what the page says. `book/page.rs` has how a
//! page says so.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../book/page.rs"]
mod page;
#[path = "../book/reader.rs"]
mod reader;

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/wheel.rs"]
mod wheel;

use common::root;
use page::{Page, Step, compact, fits};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A test for each page, by its name and the tools that it takes.
macro_rules! pages {
    ($($test:ident: $page:literal $tools:expr;)*) => {
        const TESTED: &[&str] = &[$($page),*];
        $(#[test]
        fn $test() {
            reader::follow(&Page::read(&root().join("docs").join($page)), &$tools);
        })*
    };
}

pages! {
    start_c: "start/c.md" ["cc"];
    start_cpp: "start/cpp.md" ["c++"];
    start_go: "start/go.md" ["go", "cc"];
    start_lua: "start/lua.md" ["luajit"];
    start_node: "start/node.md" ["node", "npm", "make"];
    start_python: "start/python.md" ["python3"];
    start_rust: "start/rust.md" ["rustc"];
    runtimes: "runtimes/README.md" [];
    runtimes_c: "runtimes/c.md" ["cc"];
    runtimes_go: "runtimes/go.md" ["go"];
    runtimes_javascript: "runtimes/javascript.md" [];
    runtimes_python: "runtimes/python.md" [];
    runtimes_rust: "runtimes/rust.md" ["cargo"];
    debugging: "runtimes/debugging.md" [];
    profiling: "runtimes/profiling.md" [];
}

/// What the program `arawn` does: cli/tests/first.rs follows it.
const OF_THE_PROGRAM: &str = "runtimes/first.md";

fn pages_in(directory: &str) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(root().join("docs").join(directory)).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
}

fn is_run(step: &Step) -> bool {
    matches!(step, Step::Run { printed: Some(_), .. } | Step::Call { reply: Some(_), .. })
}

/// Of the tutorial half each page has a test, shows something that runs, and says of each block what it is.
#[test]
fn each_page_is_tested() {
    let tested = TESTED.iter().chain([&OF_THE_PROGRAM]);
    let tested: BTreeSet<PathBuf> = tested.map(|page| root().join("docs").join(page)).collect();
    assert_eq!(tested, ["start", "runtimes"].into_iter().flat_map(pages_in).collect());
    for path in tested {
        let page = Page::read(&path);
        assert!(page.steps.iter().any(is_run), "{}: nothing on it is run", path.display());
        let unmarked = page.unmarked.iter().map(|block| &block.text).collect::<Vec<_>>();
        assert!(unmarked.is_empty(), "{}: neither run nor `not run: REASON`: {unmarked:#?}", path.display());
    }
}

/// The guides say what runs in the same way, where they do.
#[test]
fn guides() {
    for path in pages_in("") {
        let page = Page::read(&path);
        if !page.steps.is_empty() {
            reader::follow(&page, &[]);
        }
    }
}

#[test]
fn a_page_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("page.md");
    let text = "<!-- file: a.c -->\n```c\nint a;\n```\n\nwords\n\n<!-- run -->\n```sh\ncc a.c\n```\nprints\n```text\nA\n```\n\
        ```text\nB\n```\n<!-- guest: g -->\n<!-- call: arawn_poll -->\n```json\n{}\n```\n<!-- run -->\n```sh\nb\n```\n";
    fs::write(&path, text).unwrap();
    let page = Page::read(&path);
    let [
        Step::File { name, text },
        Step::Run { commands, printed: Some(printed) },
        Step::Guest(guest),
        Step::Call { function, request, reply: None },
        Step::Run { printed: None, .. },
    ] = page.steps.as_slice()
    else {
        panic!("{page:?}")
    };
    assert_eq!((name.as_str(), text.as_str(), commands.as_str()), ("a.c", "int a;\n", "cc a.c\n"));
    assert_eq!((printed.as_str(), guest.as_str(), function.as_str()), ("A\n", "g", "arawn_poll"));
    assert_eq!((request.as_str(), page.unmarked[0].text.as_str()), ("{}\n", "B\n"));
}

#[test]
fn what_differs_is_left_out() {
    assert_eq!(compact("{ \"a b\" : [ 1,\n \"c\\\" d\" ] }\n"), r#"{"a b":[1,"c\" d"]}"#);
    for (shown, text, expected) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a…c", "abbc", true),
        ("a…c", "abbcd", false),
        ("…b…", "abc", true),
        ("…b…b", "ab", false),
        ("a…", "b", false),
    ] {
        assert_eq!(fits(shown, text), expected, "{shown} {text}");
    }
}

/// A path below the repository, for the texts of failures.
pub fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}
