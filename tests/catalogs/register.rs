//! Runtimes that a program adds and removes: what is there afterwards, and that nothing is where it failed.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use arawn::RuntimeCatalog;
use arawn::ffi::{arawn_catalog_inspect, arawn_catalog_list, arawn_catalog_register, arawn_catalog_remove};
use base64::prelude::{BASE64_STANDARD, Engine};
use common::{Catalog, answering, assert_error, call, component_of, execute, in_new_process, ok, run, showing};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

fn register(executor: &str, name: &str, more: Value) -> Value {
    let mut request = json!({"executor": executor, "name": name});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    call(arawn_catalog_register, &request)
}

fn remove(executor: &str, name: &str) -> Value {
    call(arawn_catalog_remove, &json!({"executor": executor, "name": name}))
}

fn inline(module: &[u8]) -> Value {
    json!({"wasm_base64": BASE64_STANDARD.encode(module)})
}

fn wasm(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).unwrap()
}

/// Every file below a directory and what is in it, without the lock and without what is empty.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false if path.file_name().unwrap() == ".catalog.lock" => assert_eq!(fs::read(&path).unwrap(), b""),
            false => drop(found.insert(path.clone(), fs::read(&path).unwrap())),
        }
    }
    found
}

/// The names of the entries that the directory has.
fn added(executor: &str) -> Vec<String> {
    let listed = ok(arawn_catalog_list, &json!({"executor": executor}))["runtimes"].as_array().unwrap().clone();
    let names = listed.into_iter().map(|entry| entry["name"].as_str().unwrap().to_owned());
    let embedded: Vec<_> = RuntimeCatalog::embedded().list().iter().map(|entry| entry.name.clone()).collect();
    names.filter(|name| !embedded.contains(name)).collect()
}

/// The modules in `custom`, by name.
fn modules(catalog: &Catalog) -> Vec<String> {
    let below = files(&catalog.path().join("custom")).into_keys();
    below.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn what_is_registered_runs_at_once_and_in_other_processes() {
    let catalog = Catalog::new().entry("other", "path = \"custom/other.wasm\" # keep me");
    let id = catalog.executor();
    let source = tempfile::tempdir().unwrap();
    let path = source.path().join("source.wasm");
    fs::write(&path, wasm(&answering("from a path"))).unwrap();
    let reply = register(&id, "filed", json!({"path": path, "description": "a file"}));
    let shown = ok(arawn_catalog_inspect, &json!({"executor": id, "name": "filed"}));
    assert_eq!(reply, json!({"status": "ok", "output": shown}));
    assert_eq!((&shown["category"], &shown["description"]), (&json!("custom"), &json!("a file")));
    assert_eq!((&shown["pin"], &shown["problem"]), (&shown["sha256"], &Value::Null));
    fs::remove_file(path).unwrap();
    assert_eq!(register(&id, "inline", inline(&wasm(&answering("from base64"))))["status"], "ok");
    for (name, word) in [("filed", "from a path"), ("inline", "from base64")] {
        let first = execute(&json!({"executor": id, "runtime": name, "meta": true}));
        assert_eq!(
            (&first["output"], &first["meta"]["cache"]),
            (&json!(word), &json!("memory")),
            "the first call is warm"
        );
        let replies = in_new_process(&[
            ("arawn_executor_new", json!({"id": "a", "cache_dir": null, "runtimes_dir": catalog.path()})),
            ("arawn_execute_runtime", json!({"executor": "a", "runtime": name})),
        ]);
        assert_eq!(replies[1]["output"], word);
    }
    assert!(fs::read_to_string(catalog.file()).unwrap().contains("# keep me"));
    assert_eq!(modules(&catalog).len(), 2);
    let deterministic = catalog.executor_with(json!({"deterministic": {}}));
    assert_eq!(register(&deterministic, "metered", inline(&wasm(&answering("metered"))))["status"], "ok");
    let first = execute(&json!({"executor": deterministic, "runtime": "metered", "meta": true}));
    assert_eq!(first["meta"]["cache"], "memory", "it was compiled in the way that this executor runs it");
}

#[test]
fn a_name_is_taken_until_it_is_replaced_or_removed() {
    let catalog = Catalog::new().with("shipped", &answering("shipped"));
    let catalog = catalog.entry("part", "path = \"custom/shipped.wasm\"\ncategory = \"builtin\"");
    let id = catalog.executor();
    let (one, two) = (wasm(&answering("one")), wasm(&answering("two")));
    let runs = |name: &str| execute(&json!({"executor": id, "runtime": name}))["output"].clone();
    assert_eq!(register(&id, "name", inline(&one))["status"], "ok");
    let old = modules(&catalog);
    assert_error(&register(&id, "name", inline(&two)), "runtime_exists");
    assert_eq!(runs("name"), "one");
    let with = |module: &[u8], more: Value| {
        let mut request = inline(module);
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    let text = fs::read_to_string(catalog.file()).unwrap();
    fs::write(catalog.file(), text.replace("[runtimes.name]", "# of the name\n[runtimes.name]")).unwrap();
    assert_eq!(register(&id, "name", with(&two, json!({"replace": true, "description": "new"})))["status"], "ok");
    assert_eq!(runs("name"), "two");
    assert!(fs::read_to_string(catalog.file()).unwrap().contains("# of the name\n[runtimes.name]"));
    let new = modules(&catalog);
    assert!(new.len() == 2 && new != old, "the file of the replaced entry is gone: {old:?} {new:?}");
    assert_eq!(register(&id, "name", with(&two, json!({"replace": true})))["status"], "ok");
    assert_eq!(modules(&catalog), new, "the same module again");
    assert_eq!(runs("name"), "two");
    for name in ["passthrough", "part"] {
        for reply in [
            register(&id, name, inline(&two)),
            register(&id, name, with(&two, json!({"replace": true}))),
            remove(&id, name),
        ] {
            assert_error(&reply, "builtin_runtime");
            assert_eq!(reply["details"], json!({"runtime": name}));
        }
    }
    assert_eq!(remove(&id, "name"), json!({"status": "ok", "output": {"name": "name"}}));
    assert_eq!(modules(&catalog), ["shipped.wasm"]);
    for reply in [remove(&id, "name"), execute(&json!({"executor": id, "runtime": "name"}))] {
        assert_error(&reply, "unknown_runtime");
    }
    let near = remove(&id, "shiped");
    assert_eq!(near["details"]["near"], json!(["shipped"]), "{near}");
    assert_eq!(added(&id), ["part", "shipped"]);
    assert_eq!(remove(&id, "shipped")["status"], "ok");
    assert_eq!(modules(&catalog), ["shipped.wasm"], "another entry has the file");
    assert_eq!(runs("part"), "shipped");
}

#[test]
fn an_interpreter_and_a_script_are_a_runtime_that_shares_the_interpreter() {
    let catalog = Catalog::new();
    let id = catalog.executor();
    let interpreter = wasm(&showing("args"));
    assert_eq!(register(&id, "interpreter", inline(&interpreter))["status"], "ok");
    for script in ["one", "two"] {
        let reply = register(&id, script, json!({"module_of": "interpreter", "args": ["-c", script]}));
        assert_eq!(reply["output"]["args"], json!(["-c", script]), "{reply}");
        let first = execute(&json!({"executor": id, "runtime": script, "meta": true}));
        assert_eq!(
            (&first["output"], &first["meta"]["cache"]),
            (&json!(format!("{script} -c {script} ")), &json!("memory"))
        );
    }
    let reply = register(&id, "echo", json!({"module_of": "passthrough", "env": {"A": "b"}}));
    assert_eq!(reply["output"]["env"], json!({"A": "b"}), "an embedded one gets a file");
    assert_eq!(execute(&json!({"executor": id, "runtime": "echo"}))["status"], "ok");
    assert_eq!(modules(&catalog).len(), 2);
    assert_error(&register(&id, "three", json!({"module_of": "nothing"})), "unknown_runtime");
    for name in ["interpreter", "one"] {
        assert_eq!(remove(&id, name)["status"], "ok");
        assert_eq!(execute(&json!({"executor": id, "runtime": "two"}))["output"], "two -c two ");
    }
    // By another name, which is not the same path.
    fs::hard_link(catalog.path().join("custom").join(&modules(&catalog)[1]), catalog.module("link")).unwrap();
    let catalog_text = fs::read_to_string(catalog.file()).unwrap();
    fs::write(catalog.file(), catalog_text + "[runtimes.dotted]\npath = \"./custom/./link.wasm\"\n").unwrap();
    assert_eq!(remove(&id, "two")["status"], "ok");
    assert_eq!(modules(&catalog).len(), 3, "a link is a use");
    assert_eq!(execute(&json!({"executor": id, "runtime": "dotted"}))["output"], "dotted ");
    assert_eq!(remove(&id, "dotted")["status"], "ok");
    let left = modules(&catalog);
    assert!(left.iter().all(|name| name != "link.wasm"), "{left:?}");
}

#[test]
fn what_cannot_run_is_refused_with_the_reason_and_leaves_nothing() {
    let catalog = Catalog::new().with("there", &answering("there"));
    let id = catalog.executor_with(json!({"limits": {"module_bytes": 100_000}}));
    let good = wasm(&answering("good"));
    let start =
        |import: &str| wasm(&format!("(module {import} (memory (export \"memory\") 1) (func (export \"_start\")))"));
    let missing_section_end = &good[..good.len() / 2];
    let source = tempfile::tempdir().unwrap();
    let path = |name: &str| json!({"path": source.path().join(name)});
    run(Command::new("mkfifo").arg(source.path().join("fifo")));
    fs::write(source.path().join("text"), "hello").unwrap();
    fs::write(source.path().join("large"), vec![0; 100_001]).unwrap();
    fs::write(source.path().join("empty"), "").unwrap();
    let before = files(catalog.path());
    for (what, module, code, word) in [
        ("text", inline(b"(module)"), "module_invalid", "not WebAssembly"),
        ("a text file", path("text"), "module_invalid", "not WebAssembly"),
        ("nothing", inline(b""), "module_invalid", "empty"),
        ("an empty file", path("empty"), "module_invalid", "empty"),
        ("four bytes", inline(b"\0asm"), "module_invalid", "not WebAssembly"),
        ("truncated", inline(missing_section_end), "module_invalid", "unexpected end"),
        ("no command", inline(&wasm("(module)")), "module_invalid", "_start"),
        (
            "a start with a parameter",
            inline(&wasm("(module (func (export \"_start\") (param i32)))")),
            "module_invalid",
            "_start",
        ),
        ("an import", inline(&start("(import \"env\" \"system\" (func))")), "module_invalid", "env.system"),
        (
            "a type",
            inline(&start("(import \"wasi_snapshot_preview1\" \"fd_write\" (func))")),
            "module_invalid",
            "fd_write",
        ),
        (
            "many memories",
            inline(&wasm(&format!("(module (func (export \"_start\")) {})", "(memory 0)".repeat(17)))),
            "module_invalid",
            "memories",
        ),
        ("large", inline(&[0; 100_001]), "module_too_large", "module_bytes"),
        ("a large file", path("large"), "module_too_large", "module_bytes"),
        ("no file", path("missing"), "runtime_unavailable", "missing: no such file"),
        ("a directory", json!({"path": source.path()}), "runtime_unavailable", "directory"),
        ("a FIFO", path("fifo"), "runtime_unavailable", "FIFO"),
        ("no base64", json!({"wasm_base64": "AGFzbQEAAAA"}), "invalid_request", "wasm_base64"),
        ("two modules", json!({"wasm_base64": "", "path": "a"}), "invalid_request", "one of `path`"),
        ("no module", json!({}), "invalid_request", "one of `path`"),
    ] {
        let reply = register(&id, "bad", module);
        assert_error(&reply, code);
        assert!(reply["error"].as_str().unwrap().contains(word), "{what}: {reply}");
        assert_eq!(files(catalog.path()), before, "{what}");
    }
    for (name, more, at) in [
        ("Bad", json!({}), "name"),
        ("", json!({}), "name"),
        ("../up", json!({}), "name"),
        ("bad", json!({"args": ["a\0b"]}), "args"),
        ("bad", json!({"args": "-v"}), "args"),
        ("bad", json!({"env": {"A=B": "c"}}), "env"),
        ("bad", json!({"replace": "yes"}), "replace"),
        ("bad", json!({"sha256": "00"}), "sha256"),
    ] {
        let mut request = inline(&good);
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let reply = register(&id, name, request);
        assert_error(&reply, "invalid_request");
        assert_eq!(reply["details"]["path"], at, "{reply}");
        assert_eq!(files(catalog.path()), before);
    }
    assert_error(&register("nobody", "bad", inline(&good)), "unknown_executor");
    assert_error(&call(arawn_catalog_register, &json!({"executor": id, "path": "a"})), "invalid_request");
    let embedded = common::executor(json!({}));
    for reply in [register(&embedded, "good", inline(&good)), remove(&embedded, "good")] {
        assert_error(&reply, "unsupported");
        assert!(reply["error"].as_str().unwrap().contains("runtimes_dir"), "{reply}");
    }
    assert_eq!(files(catalog.path()), before);
    assert_eq!(added(&id), ["there"]);
    assert_eq!(register(&id, "good", inline(&good))["status"], "ok");
}

#[test]
fn a_compile_beyond_the_deadline_leaves_nothing_and_is_there_for_the_next_try() {
    let catalog = Catalog::new();
    let id = catalog.executor();
    // Some seconds of work for the compiler.
    let body: String = (0..3000)
        .map(|n| format!("(i64.store (i32.const {n}) (i64.mul (i64.load (i32.const {n})) (local.get 0)))"))
        .collect();
    let functions: String = (0..60).map(|_| format!("(func (param i64) {body})")).collect();
    let slow = wasm(&format!("(module (memory 1) {functions} (func (export \"_start\")))"));
    let before = files(catalog.path());
    let mut hasty = inline(&slow);
    hasty["timeout_ms"] = json!(30);
    let reply = register(&id, "slow", hasty.clone());
    assert_error(&reply, "timeout");
    assert_eq!(reply["details"], json!({"phase": "load", "timeout_ms": 30}));
    assert_eq!(files(catalog.path()), before);
    let begun = std::time::Instant::now();
    // To read the module may take longer than that on a busy machine, and to compile it takes much longer than this.
    hasty["timeout_ms"] = json!(800);
    while register(&id, "slow", hasty.clone())["status"] != "ok" {
        assert!(begun.elapsed().as_secs() < 120, "the compile goes on in the background");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(modules(&catalog).len(), 1);
}

#[test]
fn a_directory_that_cannot_be_written_is_told_and_left_as_it_was() {
    let module = inline(&wasm(&answering("x")));
    type Block<'a> = &'a dyn Fn(&Path);
    let blocked: [(&str, Block<'_>); 4] = [
        (".catalog.lock", &|path| fs::create_dir(path.join(".catalog.lock")).unwrap()),
        ("custom/r-", &|path| {
            fs::remove_dir_all(path.join("custom")).unwrap();
            fs::write(path.join("custom"), "a file").unwrap();
        }),
        ("custom/r-", &|path| {
            fs::remove_dir(path.join("custom")).unwrap();
            symlink("/tmp", path.join("custom")).unwrap();
        }),
        ("catalog.toml", &|path| fs::create_dir(path.join("catalog.toml")).unwrap()),
    ];
    for (place, block) in blocked {
        let catalog = Catalog::new();
        let id = catalog.executor();
        block(catalog.path());
        let reply = register(&id, "r", module.clone());
        // A catalog.toml that cannot be read comes first.
        assert_error(&reply, if place == "catalog.toml" { "catalog_invalid" } else { "catalog_unwritable" });
        assert!(reply["error"].as_str().unwrap().contains(place), "{reply}");
    }
    // As another user, since a superuser may write everything.
    let catalog = Catalog::new().with("there", &answering("there"));
    let calls = [
        ("arawn_executor_new", json!({"id": "a", "cache_dir": null, "runtimes_dir": catalog.path()})),
        ("arawn_catalog_register", {
            let mut request = module.clone();
            request["executor"] = json!("a");
            request["name"] = json!("r");
            request
        }),
        ("arawn_catalog_remove", json!({"executor": "a", "name": "there"})),
        ("arawn_execute_runtime", json!({"executor": "a", "runtime": "there"})),
    ];
    for directory in [catalog.path().to_owned(), catalog.path().join("custom")] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o555)).unwrap();
    }
    let before = files(catalog.path());
    let is_superuser =
        fs::metadata("/proc/self").is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0);
    let nobody: &[&str] = &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    let replies = common::in_new_process_under(if is_superuser { nobody } else { &[] }, &calls);
    for reply in &replies[1..3] {
        assert_error(reply, "catalog_unwritable");
        assert!(reply["error"].as_str().unwrap().contains("Permission denied"), "{reply}");
    }
    assert_eq!(replies[3]["output"], "there");
    assert_eq!(files(catalog.path()), before);
    fs::set_permissions(catalog.path(), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_broken_catalog_is_not_overwritten() {
    let catalog = Catalog::new().with("there", &answering("there"));
    let id = catalog.executor();
    let broken = fs::read_to_string(catalog.file()).unwrap() + "[runtimes.next]\npath = ";
    fs::write(catalog.file(), &broken).unwrap();
    let before = files(catalog.path());
    let reply = register(&id, "new", inline(&wasm(&answering("new"))));
    assert_error(&reply, "catalog_invalid");
    assert_eq!(reply["details"]["line"], 4);
    assert_error(&remove(&id, "there"), "catalog_invalid");
    assert_eq!(files(catalog.path()), before);
}

#[test]
fn catalogs_are_changed_however_they_are_written() {
    let module = wasm(&answering("x"));
    for text in [
        "",
        "# only a comment",
        "[runtimes]\n",
        "[runtimes]\na = { path = \"custom/a.wasm\" }\n",
        "runtimes = { a = { path = \"custom/a.wasm\" } }\n",
        "runtimes.a.path = \"custom/a.wasm\"\n",
        "runtimes = {}",
        "[runtimes.a]\npath = \"custom/a.wasm\"",
    ] {
        let catalog = Catalog::new();
        fs::write(catalog.module("a"), &module).unwrap();
        fs::write(catalog.file(), text).unwrap();
        let id = catalog.executor();
        let has_a = text.contains("custom/a.wasm");
        for (name, replace) in [("b", false), ("b", true), ("a", true)] {
            let mut request = inline(&module);
            request["replace"] = json!(replace);
            let reply = register(&id, name, request);
            assert_eq!(reply["status"], "ok", "{text:?} {name}: {reply}");
            assert_eq!(execute(&json!({"executor": id, "runtime": name}))["output"], "x", "{text:?} {name}");
            assert_eq!(execute(&json!({"executor": id, "runtime": "a"}))["status"] == "ok", has_a || name == "a");
        }
        for name in ["a", "b"] {
            assert_eq!(remove(&id, name)["status"], "ok", "{text:?} {name}");
        }
        assert_eq!(added(&id), [""; 0], "{text:?}");
        let left = modules(&catalog);
        assert!(left.is_empty() || !has_a && left == ["a.wasm"], "{left:?}");
    }
}

#[test]
fn files_that_are_not_the_catalogs_own_stay() {
    let outside = tempfile::tempdir().unwrap();
    let catalog = Catalog::new().with("mine", &answering("mine"));
    for (name, path) in
        [("top", "top.wasm"), ("linked", "custom/link/out.wasm"), ("lock", ".catalog.lock"), ("self", "catalog.toml")]
    {
        let text = fs::read_to_string(catalog.file()).unwrap();
        fs::write(catalog.file(), format!("{text}[runtimes.{name}]\npath = \"{path}\"\n")).unwrap();
    }
    symlink(outside.path(), catalog.path().join("custom/link")).unwrap();
    let mine = fs::read(catalog.module("mine")).unwrap();
    for path in [outside.path().join("out.wasm"), catalog.path().join("top.wasm")] {
        fs::write(path, &mine).unwrap();
    }
    // Nor what the notes of an unfinished change name, whoever has written them.
    let kept = catalog.path().join("kept.wasm");
    fs::write(&kept, &mine).unwrap();
    fs::write(catalog.path().join(".catalog.lock"), "kept.wasm\ncustom/../kept.wasm\n./kept.wasm\n").unwrap();
    let id = catalog.executor();
    for name in ["top", "linked", "lock", "self", "mine"] {
        assert_eq!(remove(&id, name)["status"], "ok", "{name}");
    }
    assert!(outside.path().join("out.wasm").is_file() && catalog.path().join("top.wasm").is_file());
    assert!(kept.is_file() && catalog.file().is_file() && !catalog.module("mine").exists());
}

#[test]
fn a_component_is_registered_as_a_module_is_and_refused_with_its_reason() {
    let catalog = Catalog::new();
    let id = catalog.executor();
    let prebuilt = fs::read(common::root().join("runtimes/prebuilt/passthrough.wasm")).unwrap();
    let whole = component_of(&prebuilt);
    let component = |wat: &str| inline(&wasm(&format!("(component {wat})")));
    let before = files(catalog.path());
    for (what, module, import, word) in [
        (
            "an import",
            component(r#"(import "acme:tools/hammer@1.0.0" (instance (export "hit" (func))))"#),
            json!("acme:tools/hammer@1.0.0"),
            "nobody provides",
        ),
        (
            "another version",
            component(r#"(import "wasi:cli/run@0.3.0" (instance (export "run" (func))))"#),
            json!("wasi:cli/run@0.3.0"),
            "nobody provides",
        ),
        ("no export", component(""), Value::Null, "wasi:cli/run"),
        (
            "another world",
            component(
                r#"(core module $m (func (export "f"))) (core instance $i (instantiate $m)) (func (export "run") (canon lift (core func $i "f")))"#,
            ),
            Value::Null,
            "wasi:cli/run",
        ),
        ("truncated", inline(&whole[..whole.len() / 2]), Value::Null, "section"),
        ("its header", inline(&whole[..8]), Value::Null, "wasi:cli/run"),
        ("another layer", inline(b"\0asm\x0d\0\x02\0"), Value::Null, "not WebAssembly"),
    ] {
        let reply = register(&id, "bad", module);
        assert_error(&reply, "module_invalid");
        assert_eq!(reply["details"], json!({"runtime": "bad", "import": import}), "{what}: {reply}");
        assert!(reply["error"].as_str().unwrap().contains(word), "{what}: {reply}");
        assert_eq!(files(catalog.path()), before, "{what}");
    }
    let reply = register(&id, "echo", inline(&whole));
    let shown = &reply["output"];
    assert_eq!((&shown["kind"], &shown["capabilities"]), (&json!("component"), &json!(["dirs"])), "{reply}");
    let imports = shown["imports"].as_array().unwrap();
    assert!(imports.iter().any(|import| import.as_str().unwrap().starts_with("wasi:cli/stdout@0.2.")), "{reply}");
    let first = execute(&json!({"executor": id, "runtime": "echo", "meta": true}));
    assert_eq!((&first["output"], &first["meta"]["cache"]), (&json!({"config": {}, "context": {}}), &json!("memory")));
    let http = ok(arawn_catalog_inspect, &json!({"executor": id, "name": "http"}));
    assert!(http["kind"] == "component" && http["capabilities"].as_array().unwrap().contains(&json!("http")), "{http}");
}

/// `problem` is why a call would fail, in the same words, whatever is wrong first.
#[test]
fn inspect_tells_the_problem_that_a_call_fails_with() {
    let component = |wat: &str| wasm(&format!("(component {wat})"));
    // 17 core instances that have a memory each: a store refuses the last one.
    let instances: String = (0..17).map(|n| format!("(core instance $i{n} (instantiate $m))")).collect();
    let crowded = format!(
        r#"(core module $m (memory 1) (func (export "f") (result i32) (i32.const 0))) {instances}
        (func $run (result (result)) (canon lift (core func $i0 "f")))
        (instance $r (export "run" (func $run))) (export "wasi:cli/run@0.2.0" (instance $r))"#
    );
    // A table of a type that there is not.
    let import = b"\0asm\x01\0\0\0\x02\x07\x01\x01a\x01b\x01\0";
    for (what, bytes, code) in [
        ("text", b"no module".to_vec(), "module_invalid"),
        ("import", import.to_vec(), "module_invalid"),
        ("memories", component(&crowded), "module_invalid"),
        ("no command", component(""), "module_invalid"),
    ] {
        let sha = "0".repeat(64);
        for (pin, code) in [(None, code), (Some(&sha), "hash_mismatch")] {
            let lines = pin.map_or_else(String::new, |pin| format!("sha256 = \"{pin}\"\n"));
            let catalog = Catalog::new()
                .with_bytes("bad", &bytes)
                .entry("pinned", &format!("path = \"custom/bad.wasm\"\n{lines}"));
            let id = catalog.executor();
            let reply = execute(&json!({"executor": id, "runtime": "pinned"}));
            assert_error(&reply, code);
            let shown = ok(arawn_catalog_inspect, &json!({"executor": id, "name": "pinned"}));
            assert_eq!(shown["problem"], json!({"error": reply["error"], "code": code}), "{what}");
            assert_eq!(shown["bytes"], bytes.len(), "{what}");
        }
    }
}
