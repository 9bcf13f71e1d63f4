//! The SBOM of a release: what CycloneDX 1.5 requires, and that each crate whose code the library has is in it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

#[path = "../common/mod.rs"]
mod common;
mod released;

use common::{root, run, target_directory};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The SBOM of a release whose library is this file.
fn sbom(library: &Path) -> Value {
    sbom_for(&released::platform(), &[], library)
}

fn sbom_for(target: &str, options: &[&str], file: &Path) -> Value {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("sbom.cdx.json");
    let mut command = Command::new("python3");
    command.arg(root().join("packaging/dist/sbom.py")).args(["--target", target]).args(options).arg("--out");
    run(command.arg(&out).arg(file).env("SOURCE_DATE_EPOCH", released::EPOCH));
    serde_json::from_str(&fs::read_to_string(out).unwrap()).unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key}: {value}"))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a Vec<Value> {
    value[key].as_array().unwrap_or_else(|| panic!("no {key}: {value}"))
}

/// Names, versions and sums of a lock file.
fn locked(file: &str) -> BTreeMap<(String, String), Option<String>> {
    let lock: toml::Table = fs::read_to_string(root().join(file)).unwrap().parse().unwrap();
    let entry = |package: &toml::Value| {
        let text = |key: &str| package.get(key).and_then(|value| value.as_str()).map(str::to_owned);
        ((text("name").unwrap(), text("version").unwrap()), text("checksum"))
    };
    lock["package"].as_array().unwrap().iter().map(entry).collect()
}

fn is_hexadecimal(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The fields that the schema requires, and their forms.
fn assert_well_formed(sbom: &Value) {
    assert_eq!((text(sbom, "bomFormat"), text(sbom, "specVersion"), &sbom["version"]), ("CycloneDX", "1.5", &json!(1)));
    let uuid: Vec<&str> = text(sbom, "serialNumber").strip_prefix("urn:uuid:").unwrap().split('-').collect();
    assert!(uuid.iter().zip([8, 4, 4, 4, 12]).all(|(part, digits)| is_hexadecimal(part, digits)), "{uuid:?}");
    assert_eq!(text(&sbom["metadata"], "timestamp"), "2025-06-15T15:06:40Z", "SOURCE_DATE_EPOCH");
    let subject = &sbom["metadata"]["component"];
    assert_eq!((text(subject, "name"), text(subject, "version")), ("libarawn", env!("CARGO_PKG_VERSION")));
    let kinds = ["application", "file", "library"];
    let parts = list(subject, "components").iter().chain(list(sbom, "components")).chain([subject]);
    for part in parts {
        assert!(kinds.contains(&text(part, "type")) && !text(part, "name").is_empty(), "{part}");
        for hash in part["hashes"].as_array().into_iter().flatten() {
            assert!(text(hash, "alg") == "SHA-256" && is_hexadecimal(text(hash, "content"), 64), "{part}");
        }
        if part["type"] == "library" {
            assert!(text(part, "purl").starts_with("pkg:"), "{part}");
            let [licence] = list(part, "licenses").as_slice() else { panic!("{part}") };
            let expression = text(licence, "expression");
            assert!(!expression.contains(['/', ',']) && expression != "NOASSERTION", "no expression of SPDX: {part}");
        }
    }
}

/// Each component has a name of its own, and the graph leads from the library to all of them.
fn assert_connected(sbom: &Value) {
    let subject = text(&sbom["metadata"]["component"], "bom-ref");
    let names: Vec<&str> = list(sbom, "components").iter().map(|part| text(part, "bom-ref")).chain([subject]).collect();
    let references: BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(names.len(), references.len(), "names are unique");
    let edges: BTreeMap<&str, Vec<&str>> = list(sbom, "dependencies")
        .iter()
        .map(|node| (text(node, "ref"), list(node, "dependsOn").iter().map(|other| other.as_str().unwrap()).collect()))
        .collect();
    let (mut waiting, mut reached) = (vec![subject], BTreeSet::new());
    while let Some(name) = waiting.pop() {
        if reached.insert(name) {
            waiting.extend(edges.get(name).unwrap_or_else(|| panic!("{name} is in no node of the graph")));
        }
    }
    assert_eq!(reached, references);
}

/// Names and versions of the crates.
fn crates(sbom: &Value) -> BTreeSet<(String, String)> {
    let parts = list(sbom, "components")
        .iter()
        .filter(|part| part["purl"].as_str().is_some_and(|purl| purl.starts_with("pkg:cargo/")));
    parts
        .map(|part| {
            let key = (text(part, "name").to_owned(), text(part, "version").to_owned());
            assert_eq!(text(part, "purl"), format!("pkg:cargo/{}@{}", key.0, key.1));
            key
        })
        .collect()
}

/// The crates whose paths are in a library, in the texts of its panics: below a registry's directory, or as
/// `packaging/remap-paths` has them.
fn named_in(library: &Path) -> BTreeSet<String> {
    let bytes = fs::read(library).unwrap();
    let below = |mark: &[u8], directories: usize| -> BTreeSet<String> {
        let found = memmem(&bytes, mark).into_iter().filter_map(|start| {
            let path: Vec<u8> = bytes[start..].iter().copied().take_while(u8::is_ascii_graphic).take(300).collect();
            let path = String::from_utf8(path).unwrap();
            path.split('/').nth(directories).filter(|_| path.matches('/').count() > directories + 1).map(str::to_owned)
        });
        found.collect()
    };
    &below(b"/registry/src/", 1) | &below(b"/cargo/", 0)
}

/// Where, after each of them, a text is in another.
fn memmem(bytes: &[u8], mark: &[u8]) -> Vec<usize> {
    let starts = bytes.windows(mark.len()).enumerate().filter(|(_, window)| window == &mark);
    starts.map(|(start, _)| start + mark.len()).collect()
}

/// The library that `make test` names, or else the one that these tests have.
fn library() -> PathBuf {
    let named = std::env::var_os("ARAWN_RELEASE_LIBRARY").map(|path| root().join(path));
    named.unwrap_or_else(|| target_directory().join("libarawn.so"))
}

#[test]
fn it_lists_each_crate_that_the_library_has() {
    if !released::there_are(&["python3"], "python3") {
        return;
    }
    let library = library();
    let sbom = sbom(&library);
    assert_well_formed(&sbom);
    assert_connected(&sbom);
    let listed = crates(&sbom);
    // What rustc has left in the library knows nothing of cargo's graph.
    let directories: BTreeSet<String> = listed.iter().map(|(name, version)| format!("{name}-{version}")).collect();
    let linked = named_in(&library);
    assert!(linked.len() > 40, "{}: {linked:?}", library.display());
    let missing: Vec<&String> = linked.difference(&directories).collect();
    assert!(missing.is_empty(), "linked, and not in the SBOM: {missing:?}");
    for (name, there) in [("wasmtime", true), ("quote", false), ("wasm-smith", false), ("clap", false)] {
        assert_eq!(listed.iter().any(|(listed, _)| listed == name), there, "{name}");
    }
    let sum = run(Command::new("sha256sum").arg(&library));
    assert_eq!(sbom["metadata"]["component"]["components"][0]["hashes"][0]["content"], sum[..64]);
}

/// By a note as packaging/build-for writes it beside what it has built.
#[test]
fn what_zig_and_rust_give_a_file_for_musl_is_listed() {
    if !released::there_are(&["python3"], "python3") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (target, wanted) = ("aarch64-unknown-linux-musl", ["rust-std", "llvm-libunwind", "musl"]);
    let listed = |options: &[&str], target: &str, file: &str, note: &str| -> Vec<(String, String)> {
        let stem = directory.path().join(file);
        fs::write(&stem, "").unwrap();
        fs::write(stem.with_extension("toolchain"), format!("rustc 1.99.0\nrelease: 1.99.0\n{note}")).unwrap();
        let sbom = sbom_for(target, options, &stem);
        assert_connected(&sbom);
        let parts = list(&sbom, "components").iter().filter(|part| wanted.contains(&text(part, "name")));
        let about = |part: &Value| {
            let version = part["version"].as_str().unwrap_or_else(|| text(part, "description"));
            (text(part, "name").to_owned(), version.to_owned())
        };
        parts.map(about).collect()
    };
    let pair = |name: &str, about: &str| (name.to_owned(), about.to_owned());
    let rust = pair("rust-std", "1.99.0");
    let of_library = pair("llvm-libunwind", "LLVM's unwinder, as zig 0.17.1 has it");
    assert_eq!(listed(&[], target, "libarawn.so", "zig: 0.17.1\n"), [rust.clone(), of_library]);
    let unwinder = pair("llvm-libunwind", "LLVM's unwinder, as Rust 1.99.0 has it");
    let libc = pair("musl", "The C library in the static program, as Rust 1.99.0 has it");
    assert_eq!(listed(&["--program"], target, "arawn", ""), [rust.clone(), unwinder, libc]);
    assert_eq!(listed(&[], "aarch64-unknown-linux-gnu", "libarawn.a", "zig: 0.17.1\n"), [rust]);

    let out = directory.path().join("notices.txt");
    let mut notices = Command::new("python3");
    notices.arg(root().join("packaging/dist/notices.py")).args(["--target", target, "--package", "arawn-cli", "--out"]);
    run(notices.arg(&out).arg(directory.path().join("arawn")));
    let written = fs::read_to_string(out).unwrap();
    for line in ["Rust's standard library 1.99.0: ", "LLVM's libunwind: ", "musl: MIT, "] {
        assert!(written.lines().any(|other| other.starts_with(line)), "{line}");
    }
}

/// The crates whose objects are in a static library that was not optimized as a whole, but for those of Rust's own library.
fn objects_in(library: &Path) -> BTreeSet<String> {
    let sysroot = run(Command::new("rustc").args(["--print", "sysroot"]));
    let own = Path::new(sysroot.trim_end()).join("lib/rustlib").join(released::platform()).join("lib");
    let name =
        |file: &str| file.strip_prefix("lib").and_then(|rest| rest.split_once('-')).map(|(name, _)| name.to_owned());
    let own: BTreeSet<String> =
        fs::read_dir(own).unwrap().filter_map(|entry| name(entry.unwrap().file_name().to_str()?)).collect();
    let members = run(Command::new("ar").arg("t").arg(library));
    let objects = members.lines().filter(|member| member.ends_with(".rcgu.o"));
    let names = objects.filter_map(|member| member.split(['-', '.']).next()).map(str::to_owned);
    names.filter(|name| !own.contains(name)).collect()
}

/// The library of these tests has an object at least of each crate that has code, under the crate's own name.
#[test]
fn it_lists_each_crate_that_has_an_object_in_the_static_library() {
    if !released::there_are(&["python3", "ar"], "python3 binutils") {
        return;
    }
    let sbom = sbom(&root().join("LICENSE-MIT"));
    // A package may call its library as it likes.
    let of_package = |name: &str| if name == "rustls-webpki" { "webpki".to_owned() } else { name.replace('-', "_") };
    let mut listed: BTreeSet<String> = crates(&sbom).iter().map(|(name, _)| of_package(name)).collect();
    listed.insert(env!("CARGO_PKG_NAME").to_owned());
    let linked = objects_in(&target_directory().join("libarawn.a"));
    assert!(linked.len() > 100, "{linked:?}");
    let missing: Vec<&String> = linked.difference(&listed).collect();
    assert!(missing.is_empty(), "linked, and not in the SBOM: {missing:?}");
}

/// The sums are those of the lock files, and the modules those in the library.
#[test]
fn its_sums_are_those_of_the_lock_files() {
    if !released::there_are(&["python3"], "python3") {
        return;
    }
    let sbom = sbom(&root().join("LICENSE-MIT"));
    let locks = ["Cargo.lock", "runtimes/Cargo.lock", "runtimes/scripts/sources/Cargo.lock"].map(locked);
    for part in list(&sbom, "components")
        .iter()
        .filter(|part| part["purl"].as_str().is_some_and(|purl| purl.starts_with("pkg:cargo/")))
    {
        let key = (text(part, "name").to_owned(), text(part, "version").to_owned());
        let sum = locks.iter().find_map(|lock| lock.get(&key)).unwrap_or_else(|| panic!("in no lock file: {part}"));
        match sum {
            Some(sum) => assert_eq!(part["hashes"][0]["content"], **sum, "{part}"),
            None => assert!(text(&part["pedigree"], "notes").contains("vendor/"), "{part}"),
        }
    }
    let modules: Vec<String> = list(&sbom, "components")
        .iter()
        .filter(|part| part["type"] == "file")
        .map(|part| {
            let name = text(part, "name").rsplit('/').next().unwrap();
            format!("{}  {name}", text(&part["hashes"][0], "content"))
        })
        .collect();
    let sums = fs::read_to_string(root().join("runtimes/prebuilt/SHA256SUMS")).unwrap();
    assert!(modules.len() >= 7, "{modules:?}");
    for module in &modules {
        assert!(sums.lines().any(|line| line == module), "{module}: {sums}");
    }
}
