//! The layers of the source: a file imports from lower layers, or from its own without a circle.
//!
//! A name counts where it is defined, whichever facade hands it on: `use crate::catalog::RuntimeEntry` is an import of
//! `catalog/entry.rs`. `use` lines, re-exports and inline paths count alike; unit tests and comments do not count.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../layers/picture.rs"]
mod picture;
#[path = "../layers/source.rs"]
mod source;

use picture::Module;
use source::{Source, path_of};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The layers, the lowest first, each with its modules. docs/architecture.md shows them, as a picture and as text.
const LAYERS: &[&[&str]] = &[
    &[
        "error", "sha256", "files", "shards", "buffers", "panics", "memory", "fair", "json", "locks", "stack", "sys",
        "threads",
    ],
    &[
        "config",
        "origins",
        "counters",
        "deadline",
        "images",
        "waiting",
        "lanes",
        "workers",
        "slots",
        "shared_limits",
        "warnings",
        "wasm",
    ],
    &[
        "directories",
        "builtins",
        "compiler",
        "debug_info",
        "disk_cache",
        "host_functions",
        "jobs",
        "policy",
        "catalog",
        "reply",
        "samples",
    ],
    &["sandbox"],
    &["imports"],
    &["engine"],
    &["module_cache"],
    &["run"],
    &["snapshots"],
    &["protocol"],
    &["executor"],
    &["pipeline"],
    &["stats"],
    &["ffi"],
];

fn layer(module: &[String]) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module[0].as_str()))
}

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The first sentence of a module's file, without marks.
fn role(module: &str) -> String {
    let source = read(&format!("src/{module}.rs"));
    let lines = source.lines().map_while(|line| line.strip_prefix("//!")).take_while(|line| !line.is_empty());
    let text: String = lines.collect();
    let sentence = text.split_once(". ").map_or(text.trim().trim_end_matches('.'), |(sentence, _)| sentence);
    let (before, after) = sentence.split_once(" (see ").unwrap_or((sentence, ")"));
    format!("{before}{}", after.split_once(')').unwrap().1).replace(['`', '[', ']'], "").trim().to_owned()
}

/// The modules that the steps of "One call" in docs/architecture.md are in.
fn steps(architecture: &str) -> Vec<String> {
    let rows =
        architecture.split_once("\n## One call\n").unwrap().1.lines().skip_while(|line| !line.starts_with("| 1 "));
    let files = rows.take_while(|line| line.starts_with('|')).map(|line| line.split('`').nth(1).unwrap());
    files.map(|file| file.split(['/', '.']).next().unwrap().to_owned()).collect()
}

#[test]
fn no_file_imports_from_a_layer_above_it() {
    let source = Source::read();
    for module in source.modules() {
        let Some(own) = layer(module) else { panic!("{} is in no layer of tests/source/layers.rs", path_of(module)) };
        for (imported, places) in source.imports(module) {
            let (line, name) = &places[0];
            let place = format!("{}:{line}: `{name}`", path_of(module));
            assert!(!imported.is_empty(), "{place} goes by the crate's root, which hands on what is public");
            let Some(other) = layer(imported) else { panic!("{} is in no layer", path_of(imported)) };
            assert!(other <= own, "{place} is of {}, in a layer above it", path_of(imported));
        }
    }
}

#[test]
fn no_files_import_each_other_in_a_circle() {
    let source = Source::read();
    // Takes away files that import nothing that is left, until none is.
    let mut left: BTreeMap<_, BTreeSet<_>> =
        source.modules().map(|module| (module, source.imports(module).keys().collect())).collect();
    loop {
        let free: Vec<_> = left.iter().filter(|(_, imports)| imports.is_empty()).map(|(module, _)| *module).collect();
        if free.is_empty() {
            break;
        }
        left.retain(|module, _| !free.contains(module));
        left.values_mut().for_each(|imports| imports.retain(|module| !free.contains(module)));
    }
    // Of what is left each file imports another one: some files on, one comes again.
    let Some(mut at) = left.keys().next().copied() else { return };
    let mut way = Vec::new();
    while !way.contains(&at) {
        way.push(at);
        at = left[at].first().unwrap();
    }
    let begin = way.iter().position(|module| *module == at).unwrap();
    let circle = way[begin..].iter().map(|module| {
        let next = left[module].first().unwrap();
        let (line, name) = &source.imports(module)[*next][0];
        format!("{}:{line}: `{name}`, of {}", path_of(module), path_of(next))
    });
    panic!("files import each other in a circle:\n{}", circle.collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_picture_shows_the_layers() {
    let module = |name: &&str| Module { name: (*name).to_owned(), role: role(name) };
    let layers: Vec<Vec<_>> = LAYERS.iter().rev().map(|modules| modules.iter().map(module).collect()).collect();
    let drawn = picture::draw(&layers, &steps(&read("docs/architecture.md")));
    let path = "docs/layers.svg";
    if std::env::var_os("ARAWN_ACCEPT").is_some() {
        fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(path), &drawn).unwrap();
    }
    assert!(
        read(path) == drawn,
        "{path} is not what the layers, the first sentences of their files and the steps of a call in docs/architecture.md \
         make; accept the change with\nmake layers"
    );
}

#[test]
fn the_text_shows_the_layers() {
    let architecture = read("docs/architecture.md");
    let text = architecture.split("```").nth(1).unwrap().strip_prefix("text\n").unwrap();
    let told: Vec<BTreeSet<_>> = text
        .lines()
        .zip(LAYERS.iter().rev())
        .map(|(line, layer)| {
            // Behind a module that is a layer by itself stands what it is.
            let count = if layer.len() == 1 { 1 } else { usize::MAX };
            line.split_whitespace().take(count).map(|name| name.trim_end_matches('/')).collect()
        })
        .collect();
    let layers: Vec<BTreeSet<_>> = LAYERS.iter().rev().map(|modules| modules.iter().copied().collect()).collect();
    assert_eq!(told, layers, "the text in docs/architecture.md, from its first line on");
    assert_eq!(text.lines().count(), LAYERS.len());
}

#[test]
fn files_are_read_in_one_sitting() {
    let lengths = Source::lengths();
    let mean = lengths.iter().map(|(_, lines)| lines).sum::<usize>() / lengths.len();
    let long: Vec<_> = lengths.iter().filter(|(_, lines)| *lines > 400).collect();
    assert!(long.is_empty(), "these have more than 400 lines: {long:?}");
    assert!(mean <= 180, "the mean file has {mean} lines, and may have 180");
}

#[test]
fn imports_are_found_where_they_are_defined() {
    let source = Source::of(&[
        ("lib.rs", "mod a;\nmod b;\npub use b::B;"),
        ("a.rs", "mod c;\npub(crate) use c::{C, D as E};\nuse crate::b::{self, B};\nfn f() { b::g(); c::h() }"),
        (
            "a/c.rs",
            "pub struct C;\npub struct D;\npub fn h() {\n    crate::b::g();\n}\n#[cfg(test)]\nmod tests {\n    use crate::d::X;\n}",
        ),
        (
            "b.rs",
            "//! use crate::d::X;\nuse crate::a::E;\npub struct B;\npub fn g() -> &'static str { \"use crate::d::X;\" }",
        ),
        ("d.rs", "pub struct X;\nuse super::a::C as Y;\nuse crate::B;"),
        ("e.rs", "mod f;\nmod g;\nuse f as either;\npub use either::inner;\npub use either::F;"),
        ("e/f.rs", "pub mod inner;\npub struct F;"),
        ("e/f/inner.rs", "pub fn i() {}"),
        ("e/g.rs", "fn g() { crate::e::inner::i() }"),
    ]);
    let found = |module: &str| -> Vec<String> {
        let module: Vec<String> = module.split('/').map(str::to_owned).collect();
        source.imports(&module).keys().map(|module| path_of(module)).collect()
    };
    assert_eq!(found("a"), ["src/a/c.rs", "src/b.rs"]);
    assert_eq!(found("a/c"), ["src/b.rs"]);
    assert_eq!(found("b"), ["src/a/c.rs"]);
    assert_eq!(found("d"), ["src/a/c.rs", "src/b.rs"]);
    assert_eq!(found("e"), ["src/e/f.rs"]);
    assert_eq!(found("e/g"), ["src/e/f/inner.rs"]);
}
