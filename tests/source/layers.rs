//! The layers of the source: a file imports from lower layers, or from its own without a circle.
//!
//! A name counts where it is defined, whichever facade hands it on: `use crate::catalog::RuntimeEntry` is an import of
//! `catalog/entry.rs`. `use` lines, re-exports and inline paths count alike; unit tests and comments do not count.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../layers/source.rs"]
mod source;

use source::{Source, path_of};
use std::collections::{BTreeMap, BTreeSet};

/// The layers, the lowest first, each with its modules. docs/architecture.md draws them.
const LAYERS: &[&[&str]] = &[
    &[
        "error", "sha256", "files", "shared", "buffers", "panics", "memory", "fair", "json", "locks", "signals",
        "stack", "threads",
    ],
    &[
        "config", "origins", "counters", "deadline", "reply", "waiting", "lanes", "workers", "slots", "totals",
        "warnings", "wasm",
    ],
    &["directories", "builtins", "compiler", "debug_info", "disk_cache", "host_functions", "jobs", "policy", "catalog"],
    &["sandbox"],
    &["imports"],
    &["engine"],
    &["module_cache"],
    &["run"],
    &["protocol"],
    &["executor"],
    &["stats"],
    &["ffi"],
];

fn layer(module: &[String]) -> Option<usize> {
    LAYERS.iter().position(|modules| modules.contains(&module[0].as_str()))
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
    ]);
    let found = |module: &str| -> Vec<String> {
        let module: Vec<String> = module.split('/').map(str::to_owned).collect();
        source.imports(&module).keys().map(|module| path_of(module)).collect()
    };
    assert_eq!(found("a"), ["src/a/c.rs", "src/b.rs"]);
    assert_eq!(found("a/c"), ["src/b.rs"]);
    assert_eq!(found("b"), ["src/a/c.rs"]);
    assert_eq!(found("d"), ["src/a/c.rs", "src/b.rs"]);
}
