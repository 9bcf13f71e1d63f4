//! The catalog: what is refused and why, and that the next call sees a change.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::{
    arawn_catalog_inspect, arawn_catalog_list, arawn_catalog_register, arawn_catalog_remove, arawn_executor_new,
    arawn_stats,
};
use arawn::{CatalogEntry, RuntimeCatalog};
use common::{Catalog, answering, assert_error, call, execute, executor, ok, run};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, Instant};

/// The names that the directory adds to the embedded ones.
fn added(catalog: &RuntimeCatalog) -> Vec<String> {
    let embedded: Vec<_> = RuntimeCatalog::embedded().list().iter().map(|entry| entry.name.clone()).collect();
    catalog.list().iter().map(|entry| entry.name.clone()).filter(|name| !embedded.contains(name)).collect()
}

fn opened(catalog: &Catalog) -> Value {
    call(arawn_executor_new, &json!({"runtimes_dir": catalog.path(), "cache_dir": null}))
}

#[test]
fn the_list_has_the_embedded_runtimes_and_those_of_the_directory() {
    let catalog = Catalog::new().with("zeta", &answering("z"));
    let catalog =
        catalog.entry("alpha", "path = \"custom/alpha.wasm\"\ndescription = \"the first\"\ncategory = \"builtin\"");
    let id = catalog.executor();
    let mut list = ok(arawn_catalog_list, &json!({"executor": id}));
    // One of the embedded ones stands for all.
    let others = ["file_read", "file_write", "http", "javascript", "lua", "transform"].map(Value::from);
    list["runtimes"].as_array_mut().unwrap().retain(|entry| !others.contains(&entry["name"]));
    assert_eq!(
        list["runtimes"],
        json!([
            {"name": "alpha", "category": "builtin", "description": "the first", "has_config_schema": false},
            {"name": "passthrough", "category": "builtin", "description": "Answers its RuntimeInput, verbatim", "has_config_schema": false},
            {"name": "zeta", "category": "custom", "description": "", "has_config_schema": false},
        ])
    );
    assert_error(&call(arawn_catalog_inspect, &json!({"executor": id, "name": "zeto"})), "unknown_runtime");
}

#[test]
fn directories_are_made_where_they_are_missing() {
    let directory = tempfile::tempdir().unwrap();
    let fresh = directory.path().join("a/b");
    ok(arawn_executor_new, &json!({"runtimes_dir": fresh, "cache_dir": null}));
    assert!(fresh.join("builtin").is_dir() && fresh.join("custom").is_dir());
    // What is there is only read, until a runtime is registered.
    let (there, file) = (directory.path().join("there"), directory.path().join("file"));
    fs::create_dir(&there).unwrap();
    let id = executor(json!({"runtimes_dir": there}));
    assert_eq!(fs::read_dir(&there).unwrap().count(), 0);
    ok(arawn_catalog_register, &json!({"executor": id, "name": "again", "module_of": "passthrough"}));
    assert!(there.join("custom").is_dir());
    ok(arawn_catalog_remove, &json!({"executor": id, "name": "again"}));
    fs::write(&file, "").unwrap();
    let reply = call(arawn_executor_new, &json!({"runtimes_dir": file}));
    assert_error(&reply, "invalid_config");
    assert_eq!(reply["details"]["path"], "runtimes_dir");
}

#[test]
fn an_entry_that_is_refused_names_its_file_line_and_entry() {
    let sha = "g".repeat(64);
    for (name, lines, word) in [
        ("\"Upper\"", "path = \"a.wasm\"", "does not match"),
        ("\"-dash\"", "path = \"a.wasm\"", "does not match"),
        ("\"a/b\"", "path = \"a.wasm\"", "does not match"),
        (&format!("{}x", "x".repeat(64)), "path = \"a.wasm\"", "does not match"),
        ("passthrough", "path = \"a.wasm\"", "a built-in runtime"),
        ("absolute", "path = \"/bin/sh\"", "relative"),
        ("no-file", "path = \".\"", "does not name a file"),
        ("up", "path = \"custom/../../a.wasm\"", "relative"),
        ("nowhere", "path = \"\"", "needs `path` (a `.wasm` file) or `script`"),
        ("pathless", "description = \"x\"", "needs `path` (a `.wasm` file) or `script`"),
        ("typo", "path = \"a.wasm\"\npaht = \"b\"", "`paht` is an unknown key; known keys: `path`, "),
        ("number", "path = 7", "`path` must be a string"),
        ("pin", "path = \"a.wasm\"\nsha256 = \"abc\"", "64 hexadecimal"),
        ("pin", &format!("path = \"a.wasm\"\nsha256 = \"{sha}\""), "64 hexadecimal"),
        ("env", "path = \"a.wasm\"\nenv = { \"A=B\" = \"c\" }", "variable"),
    ] {
        let catalog = Catalog::new().entry("good", "path = \"a.wasm\"").entry(name, lines);
        let reply = opened(&catalog);
        assert_error(&reply, "catalog_invalid");
        assert!(reply["error"].as_str().unwrap().contains(word), "{reply}");
        let details = &reply["details"];
        assert!(details["file"].as_str().unwrap().ends_with("catalog.toml"));
        assert_eq!((&details["entry"], &details["line"]), (&json!(name.trim_matches('"')), &json!(3)), "{reply}");
    }
    let catalog = Catalog::new().entry("good", "path = \"a.wasm\"").entry("broken", "path = ");
    let reply = opened(&catalog);
    assert_error(&reply, "catalog_invalid");
    assert_eq!((&reply["details"]["line"], &reply["details"]["entry"]), (&json!(4), &Value::Null));
}

#[test]
fn a_file_that_cannot_be_used_is_unavailable_with_the_reason() {
    let outside = tempfile::tempdir().unwrap();
    let module = wat::parse_str(answering("outside")).unwrap();
    fs::write(outside.path().join("out.wasm"), &module).unwrap();
    let mut catalog = Catalog::new().with("inside", &answering("inside"));
    for name in ["missing", "fifo", "directory", "out", "out-by-directory", "socket", "in"] {
        let path = if name == "out-by-directory" { "link/out.wasm".to_owned() } else { format!("custom/{name}.wasm") };
        catalog = catalog.entry(name, &format!("path = \"{path}\""));
    }
    run(Command::new("mkfifo").arg(catalog.module("fifo")));
    fs::create_dir(catalog.module("directory")).unwrap();
    symlink(outside.path().join("out.wasm"), catalog.module("out")).unwrap();
    symlink(outside.path(), catalog.path().join("link")).unwrap();
    symlink("inside.wasm", catalog.module("in")).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(catalog.module("socket")).unwrap();
    let id = catalog.executor();
    for (name, word) in [
        ("missing", "No such file"),
        ("fifo", "FIFO"),
        ("directory", "directory"),
        ("out", ""),
        ("out-by-directory", ""),
        ("socket", ""),
    ] {
        // Twice: what is known of a file must not open a way that was closed.
        for _ in 0..2 {
            let begun = Instant::now();
            let reply = execute(&json!({"executor": id, "runtime": name}));
            assert!(begun.elapsed() < Duration::from_secs(5), "{name} blocked");
            assert_error(&reply, "runtime_unavailable");
            let reason = reply["details"]["reason"].as_str().unwrap();
            assert!(reason.contains(word), "{reply}");
            assert_eq!(reply["details"]["runtime"], name);
        }
    }
    assert_eq!(execute(&json!({"executor": id, "runtime": "in"}))["output"], "inside", "a link inside is fine");
    // The target is known to the process by its own catalog; the link out of this one stays closed.
    let other = Catalog::new();
    fs::copy(outside.path().join("out.wasm"), other.module("own")).unwrap();
    let other = other.entry("own", "path = \"custom/own.wasm\"");
    let other_id = other.executor();
    assert_eq!(execute(&json!({"executor": other_id, "runtime": "own"}))["output"], "outside");
    fs::remove_file(catalog.module("out")).unwrap();
    symlink(other.module("own"), catalog.module("out")).unwrap();
    assert_error(&execute(&json!({"executor": id, "runtime": "out"})), "runtime_unavailable");
}

#[test]
fn a_pin_admits_one_file() {
    let catalog = Catalog::new();
    let module = wat::parse_str(answering("pinned")).unwrap();
    fs::write(catalog.module("pinned"), &module).unwrap();
    let sha = sha256(&module);
    let catalog = catalog.entry("pinned", &format!("path = \"custom/pinned.wasm\"\nsha256 = \"{sha}\""));
    let id = catalog.executor();
    let request = json!({"executor": id, "runtime": "pinned"});
    assert_eq!(execute(&request)["output"], "pinned");
    let other = wat::parse_str(answering("forged")).unwrap();
    fs::write(catalog.module("pinned"), &other).unwrap();
    let reply = execute(&request);
    assert_error(&reply, "hash_mismatch");
    assert_eq!(reply["details"], json!({"runtime": "pinned", "expected": sha, "actual": sha256(&other)}));
    fs::write(catalog.module("pinned"), &module).unwrap();
    assert_eq!(execute(&request)["output"], "pinned");
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_replaced_module_runs_on_the_next_call() {
    let catalog = Catalog::new().with("changing", &answering("v0"));
    let id = catalog.executor();
    let request = json!({"executor": id, "runtime": "changing", "meta": true});
    // Without a pause, so that the clock of the file system may not have moved; the size stays the same as well.
    for version in 0..10 {
        let word = format!("v{version}");
        fs::write(catalog.module("changing"), wat::parse_str(answering(&word)).unwrap()).unwrap();
        for _ in 0..3 {
            assert_eq!(execute(&request)["output"], word);
        }
    }
    let renamed = catalog.path().join("new.wasm");
    fs::write(&renamed, wat::parse_str(answering("renamed")).unwrap()).unwrap();
    fs::rename(renamed, catalog.module("changing")).unwrap();
    assert_eq!(execute(&request)["output"], "renamed");
}

#[test]
fn a_changed_catalog_is_seen_by_the_next_call_and_a_broken_one_is_not_served() {
    let catalog = Catalog::new().with("one", &answering("1"));
    let id = catalog.executor();
    let runs = |name: &str| execute(&json!({"executor": id, "runtime": name}));
    let problem = || ok(arawn_stats, &json!({"executor": id}))["executor"]["catalog"]["problem"].clone();
    assert_error(&runs("two"), "unknown_runtime");
    let catalog = catalog.with("two", &answering("2"));
    assert_eq!(runs("two")["output"], "2");
    assert_eq!(problem(), Value::Null);
    let text = fs::read_to_string(catalog.file()).unwrap();
    fs::write(catalog.file(), format!("{text}\n[runtimes.three]\npath = ")).unwrap();
    assert_eq!(problem()["details"]["line"], 7, "no call has come between");
    assert_eq!(runs("one")["output"], "1");
    assert_eq!(runs("two")["output"], "2");
    assert_error(&opened(&catalog), "catalog_invalid");
    fs::write(catalog.file(), "[runtimes.two]\npath = \"custom/two.wasm\"\n").unwrap();
    assert_error(&runs("one"), "unknown_runtime");
    assert_eq!(runs("two")["output"], "2");
    assert_eq!(problem(), Value::Null);
    fs::remove_file(catalog.file()).unwrap();
    assert_error(&runs("two"), "unknown_runtime");
    assert_eq!(runs("passthrough")["status"], "ok");
}

/// What leads out of the directory, or is no file, is not read, neither by the first executor nor by a call of one that serves
/// another version. A link that stays inside is a file like any other.
#[test]
fn a_catalog_is_a_regular_file_inside_of_its_directory() {
    let elsewhere = tempfile::tempdir().unwrap();
    let outside = elsewhere.path().join("catalog.toml");
    fs::write(&outside, "[runtimes.outside]\npath = \"custom/one.wasm\"\n").unwrap();
    let catalog = Catalog::new().with("one", &answering("1"));
    let text = fs::read_to_string(catalog.file()).unwrap();
    let fifo = || drop(common::run(std::process::Command::new("mkfifo").arg(catalog.file())));
    let link = |to: &std::path::Path| std::os::unix::fs::symlink(to, catalog.file()).unwrap();
    let refused: [(&dyn Fn(), &str); 5] = [
        (&|| link(&outside), "outside of the filesystem"),
        (&|| link(std::path::Path::new("/dev/zero")), "outside of the filesystem"),
        (&fifo, "it is a FIFO, not a regular file"),
        (&|| fs::create_dir(catalog.file()).unwrap(), "it is a directory, not a regular file"),
        (&|| drop(std::os::unix::net::UnixListener::bind(catalog.file()).unwrap()), ""),
    ];
    for (make, words) in refused {
        let id = catalog.executor();
        fs::remove_file(catalog.file()).unwrap();
        make();
        let reply = opened(&catalog);
        assert_error(&reply, "catalog_invalid");
        assert!(reply["error"].as_str().unwrap().contains(words), "{words}: {reply}");
        assert_eq!(execute(&json!({"executor": id, "runtime": "one"}))["output"], "1", "{words}");
        assert_error(&execute(&json!({"executor": id, "runtime": "outside"})), "unknown_runtime");
        let problem = &ok(arawn_stats, &json!({"executor": id}))["executor"]["catalog"]["problem"];
        assert!(problem["error"].as_str().is_some_and(|text| text.contains(words)), "{words}: {problem}");
        if catalog.file().is_dir() { fs::remove_dir(catalog.file()) } else { fs::remove_file(catalog.file()) }.unwrap();
        fs::write(catalog.file(), &text).unwrap();
    }
    fs::rename(catalog.file(), catalog.path().join("real.toml")).unwrap();
    link(std::path::Path::new("real.toml"));
    assert_eq!(execute(&json!({"executor": catalog.executor(), "runtime": "one"}))["output"], "1");
}

#[test]
fn saving_keeps_what_others_wrote() {
    let catalog = Catalog::new().entry("old", "path = \"custom/old.wasm\" # keep me");
    let loaded = RuntimeCatalog::load(catalog.path()).unwrap();
    let entry =
        |path: &str| CatalogEntry { path: path.to_owned(), description: "d".to_owned(), ..CatalogEntry::default() };
    let save =
        |names: &[&str]| loaded.save(&names.iter().map(|name| (name.to_string(), entry("custom/x.wasm"))).collect());
    save(&["new", "newer"]).unwrap();
    let text = fs::read_to_string(catalog.file()).unwrap();
    assert!(text.contains("# keep me"), "{text}");
    assert_eq!(added(&loaded), ["new", "newer", "old"]);
    assert_eq!(RuntimeCatalog::load(catalog.path()).unwrap().get("newer").unwrap().description, "d");
    assert_eq!(save(&["passthrough"]).unwrap_err().code(), "catalog_invalid");
    assert_eq!(save(&["a b"]).unwrap_err().code(), "catalog_invalid");
    fs::write(catalog.file(), "broken = ").unwrap();
    assert_eq!(save(&["more"]).unwrap_err().code(), "catalog_invalid");
    assert_eq!(fs::read_to_string(catalog.file()).unwrap(), "broken = ", "a file that does not parse is left alone");
    assert_eq!(RuntimeCatalog::embedded().save(&BTreeMap::new()).unwrap_err().code(), "unsupported");
}

#[test]
fn savers_at_the_same_time_lose_nothing() {
    let catalog = Catalog::new();
    let path = catalog.path();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            scope.spawn(move || {
                let loaded = RuntimeCatalog::load(path).unwrap();
                for n in 0..10 {
                    let entry = CatalogEntry { path: "custom/x.wasm".to_owned(), ..CatalogEntry::default() };
                    loaded.save(&BTreeMap::from([(format!("r{thread}-{n}"), entry)])).unwrap();
                }
            });
        }
    });
    assert_eq!(added(&RuntimeCatalog::load(path).unwrap()).len(), 80);
}

#[test]
fn a_large_catalog_resolves_as_fast_as_a_small_one() {
    let with = |count: u32| {
        let directory = tempfile::tempdir().unwrap();
        let text: String =
            (0..count).map(|n| format!("[runtimes.runtime-{n}]\npath = \"custom/{n}.wasm\"\n")).collect();
        fs::write(directory.path().join("catalog.toml"), text).unwrap();
        let catalog = RuntimeCatalog::load(directory.path()).unwrap();
        (directory, catalog)
    };
    let (small, large) = (with(10), with(100_000));
    // A file that has just been written is looked at again until its clock has moved on.
    std::thread::sleep(Duration::from_millis(200));
    let resolve = |catalog: &RuntimeCatalog| {
        catalog.resolve("runtime-7").unwrap();
        let begun = Instant::now();
        for _ in 0..2000 {
            catalog.resolve("runtime-7").unwrap();
        }
        begun.elapsed()
    };
    // The best of many rounds: what other programs take does not count.
    let rounds: Vec<_> = (0..30).map(|_| (resolve(&small.1), resolve(&large.1))).collect();
    let best = |of: fn(&(Duration, Duration)) -> Duration| rounds.iter().map(of).min().unwrap().as_secs_f64();
    let (small, large) = (best(|round| round.0), best(|round| round.1));
    assert!(large < 1.5 * small, "{large} s, {small} s");
}

#[test]
fn a_runtime_is_shown_with_all_that_its_file_tells() {
    let host_call = r#"(module (import "arawn" "host_call" (func (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1) (func (export "_start")))"#;
    let catalog = Catalog::new().with("zeta", &answering("z")).with("calling", host_call);
    let module = fs::read(catalog.module("zeta")).unwrap();
    let pin = "0".repeat(64);
    let catalog = catalog.entry("pinned", &format!("path = \"custom/zeta.wasm\"\nsha256 = \"{pin}\"\nargs = [\"-v\"]"));
    let catalog = catalog.with_bytes("text", b"no module").entry("missing", "path = \"custom/missing.wasm\"");
    let id = catalog.executor();
    let inspect = |name: &str| ok(arawn_catalog_inspect, &json!({"executor": id, "name": name}));
    let expected = json!({
        "name": "zeta", "category": "custom", "description": "",
        "path": catalog.path().canonicalize().unwrap().join("custom/zeta.wasm"), "args": [], "env": {}, "config_schema": null,
        "pin": null, "sha256": sha256(&module), "bytes": module.len(), "kind": "module",
        "language": null, "imports": ["wasi_snapshot_preview1.fd_write", "wasi_snapshot_preview1.proc_exit"], "capabilities": [],
        "snapshot": null,
        "problem": null,
    });
    assert_eq!(inspect("zeta"), expected);
    let pinned = inspect("pinned");
    assert_eq!((&pinned["pin"], &pinned["sha256"]), (&json!(pin), &json!(sha256(&module))));
    assert_eq!((&pinned["args"], &pinned["problem"]["code"]), (&json!(["-v"]), &json!("hash_mismatch")));
    let calling = inspect("calling");
    assert_eq!(
        (&calling["imports"], &calling["capabilities"]),
        (&json!(["arawn.host_call"]), &json!(["host_functions"]))
    );
    let text = json!(sha256(b"no module"));
    for (name, code, sha256) in [("text", "module_invalid", text), ("missing", "runtime_unavailable", Value::Null)] {
        let shown = inspect(name);
        assert_eq!(
            (&shown["problem"]["code"], &shown["sha256"], &shown["kind"]),
            (&json!(code), &sha256, &json!(null))
        );
    }
    let embedded = inspect("passthrough");
    assert_eq!(
        (&embedded["path"], &embedded["problem"], &embedded["kind"]),
        (&json!(null), &json!(null), &json!("module"))
    );
    assert_eq!((&embedded["pin"], embedded["sha256"].as_str().unwrap().len()), (&embedded["sha256"], 64));
    assert!(embedded["imports"].as_array().unwrap().contains(&json!("wasi_snapshot_preview1.fd_read")), "{embedded}");
    let small = catalog.executor_with(json!({"limits": {"module_bytes": 100}}));
    let shown = ok(arawn_catalog_inspect, &json!({"executor": small, "name": "zeta"}));
    assert_eq!(shown["problem"]["code"], "module_too_large");
}
