//! Scripts in the catalog: entries with a `script`, registrations of one, and what happens while people edit them.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::{
    arawn_catalog_inspect, arawn_catalog_list, arawn_catalog_register, arawn_catalog_remove, arawn_stats, arawn_submit,
};
use common::{Catalog, answering, assert_error, call, execute, executor, ok, writer};
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

const GREET_JS: &str = "export default function ({ config, context }) {\n  return { hello: context.name };\n}\n";
const GREET_LUA: &str = "return function(input)\n  return { hello = input.context.name }\nend\n";

/// A catalog whose runtime `greet` is the script `scripts/greet.js`, and whose `hail` is `scripts/hail.lua`.
struct Scripts(Catalog);

impl Scripts {
    fn new() -> Self {
        let catalog = Catalog::new()
            .entry("greet", "script = \"scripts/greet.js\"")
            .entry("hail", "script = \"scripts/hail.lua\"");
        fs::create_dir(catalog.path().join("scripts")).unwrap();
        let scripts = Scripts(catalog);
        scripts.write("greet.js", GREET_JS);
        scripts.write("hail.lua", GREET_LUA);
        scripts
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("scripts").join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }
}

fn run(id: &str, runtime: &str, context: Value) -> Value {
    execute(&json!({"executor": id, "runtime": runtime, "input": {"context": context}}))
}

fn inspect(id: &str, name: &str) -> Value {
    ok(arawn_catalog_inspect, &json!({"executor": id, "name": name}))
}

/// After this, the catalog knows files by their identity and does not read them at each call.
fn settle() {
    std::thread::sleep(Duration::from_millis(100));
}

#[test]
fn a_script_is_a_runtime() {
    let scripts = Scripts::new();
    let id = scripts.0.executor();
    for runtime in ["greet", "hail"] {
        assert_eq!(run(&id, runtime, json!({"name": "you"}))["output"], json!({"hello": "you"}), "{runtime}");
    }
    let reply = execute(&json!({"executor": id, "runtime": "greet", "meta": true, "input": {"context": {"name": 1}}}));
    let shown = inspect(&id, "greet");
    assert_eq!(reply["meta"]["script_sha256"], shown["sha256"]);
    assert_ne!(reply["meta"]["module_sha256"], shown["sha256"]);
    assert_eq!(reply["meta"]["cache"], "memory");
    assert_eq!(shown["kind"], "script");
    assert_eq!(shown["language"], "javascript");
    assert_eq!(shown["bytes"], GREET_JS.len());
    assert_eq!(shown["capabilities"], json!(["host_functions"]));
    assert_eq!(shown["problem"], Value::Null);
    assert_eq!(PathBuf::from(shown["path"].as_str().unwrap()), scripts.path("greet.js").canonicalize().unwrap());
    assert_eq!(inspect(&id, "hail")["language"], "lua");
}

/// Each script's guests run the same compiled code.
#[test]
fn all_scripts_of_a_language_share_the_interpreter() {
    let scripts = Scripts::new();
    let id = scripts.0.executor();
    run(&id, "greet", json!({}));
    let modules = || ok(arawn_stats, &json!({}))["module_cache"]["modules"].clone();
    let before = modules();
    for n in 0..20 {
        let script = format!("export default () => {n}");
        let request = json!({"executor": id, "name": format!("n{n}"), "script": script, "language": "javascript"});
        ok(arawn_catalog_register, &request);
        assert_eq!(run(&id, &format!("n{n}"), json!({}))["output"], n);
    }
    assert_eq!(modules(), before);
}

#[test]
fn the_next_call_runs_what_was_saved() {
    let scripts = Scripts::new();
    let id = scripts.0.executor();
    for (file, runtime, script) in [
        ("greet.js", "greet", "export default () => VALUE"),
        ("hail.lua", "hail", "return function() return VALUE end"),
    ] {
        for n in 0..5 {
            scripts.write(file, script.replace("VALUE", &n.to_string()));
            assert_eq!(run(&id, runtime, json!({}))["output"], n);
        }
        settle();
        assert_eq!(run(&id, runtime, json!({}))["output"], 4);
        scripts.write(file, script.replace("VALUE", "5"));
        assert_eq!(run(&id, runtime, json!({}))["output"], 5);
    }
}

/// While an edit does not parse, the version before it is served, and `problem` tells why.
#[test]
fn a_broken_edit_keeps_the_last_good_version_serving() {
    let scripts = Scripts::new();
    let id = scripts.0.executor();
    for (file, runtime, broken, place) in [
        ("greet.js", "greet", "export default () => {\n  return 1 +;\n}\n", (2, 13)),
        ("hail.lua", "hail", "return function()\n  return 1 +\nend\n", (3, 1)),
    ] {
        let before = fs::read(scripts.path(file)).unwrap();
        assert_eq!(run(&id, runtime, json!({"name": "a"}))["output"]["hello"], "a");
        for settled in [false, true] {
            scripts.write(file, broken);
            if settled {
                settle();
            }
            for _ in 0..2 {
                assert_eq!(run(&id, runtime, json!({"name": "b"}))["output"]["hello"], "b");
            }
            let problem = inspect(&id, runtime)["problem"].clone();
            assert_eq!(problem["code"], "script_invalid");
            let text = problem["error"].as_str().unwrap();
            let at = format!("{file}:{}:{}: ", place.0, place.1);
            assert!(text.contains(&at), "{text}");
        }
        // Half a file, as editors leave it for a moment, and one that is no text.
        for content in [&before[..before.len() / 2], b"\xff\xfe", b"return '\0'", b""] {
            scripts.write(file, content);
            assert_eq!(run(&id, runtime, json!({"name": "c"}))["output"]["hello"], "c", "{content:?}");
            assert_eq!(inspect(&id, runtime)["problem"]["code"], "script_invalid", "{content:?}");
        }
        scripts.write(file, &before);
        assert_eq!(run(&id, runtime, json!({"name": "d"}))["output"]["hello"], "d");
        assert_eq!(inspect(&id, runtime)["problem"], Value::Null);
    }
}

/// A script that never parsed has no version to serve.
#[test]
fn a_call_of_a_script_that_never_parsed_says_where_it_does_not() {
    let scripts = Scripts::new();
    scripts.write("greet.js", "export default () => {\n  return 1 +;\n}\n");
    let id = scripts.0.executor();
    for _ in 0..2 {
        let reply = run(&id, "greet", json!({}));
        assert_error(&reply, "script_invalid");
        assert_eq!(reply["details"], json!({"runtime": "greet", "file": "greet.js", "line": 2, "column": 13}));
        let text = reply["error"].as_str().unwrap();
        assert!(text.starts_with("the script of runtime `greet` cannot run: greet.js:2:13: "), "{text}");
    }
    fs::remove_file(scripts.path("greet.js")).unwrap();
    assert_error(&run(&id, "greet", json!({})), "runtime_unavailable");
}

#[test]
fn a_pin_holds_for_a_script_too() {
    let scripts = Scripts::new();
    let id = scripts.0.executor();
    let sha = inspect(&id, "greet")["sha256"].as_str().unwrap().to_owned();
    let pinned =
        Scripts(Scripts::new().0.entry("pinned", &format!("script = \"scripts/greet.js\"\nsha256 = \"{sha}\"")));
    let id = pinned.0.executor();
    assert_eq!(run(&id, "pinned", json!({"name": 1}))["output"]["hello"], 1);
    pinned.write("greet.js", "export default () => 2");
    assert_error(&run(&id, "pinned", json!({})), "hash_mismatch");
    assert_eq!(inspect(&id, "pinned")["problem"]["code"], "hash_mismatch");
    assert_eq!(run(&id, "greet", json!({}))["output"], 2);
    // The pin is checked before the parse, and no other version is served.
    pinned.write("greet.js", "export default (");
    assert_error(&run(&id, "pinned", json!({})), "hash_mismatch");
    pinned.write("greet.js", GREET_JS);
    assert_eq!(run(&id, "pinned", json!({"name": 3}))["output"]["hello"], 3);
}

/// The version before a broken one is served where the entry does not pin the broken one.
#[test]
fn a_script_that_is_pinned_and_does_not_parse_has_no_version_before_it() {
    use sha2::Digest;
    const BROKEN: &str = "export default (";
    let sha: String = sha2::Sha256::digest(BROKEN).iter().map(|byte| format!("{byte:02x}")).collect();
    let lines = format!("script = \"scripts/greet.js\"\nsha256 = \"{sha}\"");
    let scripts = Scripts(Scripts::new().0.entry("pinned", &lines));
    let id = scripts.0.executor();
    assert_eq!(run(&id, "greet", json!({"name": 1}))["output"]["hello"], 1);
    scripts.write("greet.js", BROKEN);
    for _ in 0..2 {
        assert_eq!(run(&id, "greet", json!({"name": 2}))["output"]["hello"], 2);
        assert_error(&run(&id, "pinned", json!({"name": 3})), "script_invalid");
    }
}

#[test]
fn arguments_variables_and_schemas_are_those_of_any_runtime() {
    let catalog = Catalog::new().entry(
        "show",
        "script = \"show.js\"\nargs = [\"-v\", \"ä b\"]\nenv = { A = \"1\", B = \"2\" }\nconfig_schema = { required = [\"x\"] }",
    );
    fs::write(
        catalog.path().join("show.js"),
        "export default () => ({ args: arawn.args, a: arawn.env.A, b: arawn.env.B, name: arawn.name })",
    )
    .unwrap();
    let id = catalog.executor_with(json!({"capabilities": {"env": {"B": "granted"}}}));
    let request = |config: Value| json!({"executor": id, "runtime": "show", "input": {"config": config}});
    let expected = json!({"args": ["-v", "ä b"], "a": "1", "b": "granted", "name": "show"});
    assert_eq!(execute(&request(json!({"x": 1})))["output"], expected);
    assert_error(&execute(&request(json!({}))), "invalid_request");
}

#[test]
fn a_script_is_registered_from_its_text_from_a_file_and_from_another_runtime() {
    let catalog = Catalog::new();
    let id = catalog.executor();
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("any name.txt");
    fs::write(&file, GREET_LUA).unwrap();
    let register = |name: &str, more: Value| {
        let mut request = json!({"executor": id, "name": name, "description": "greets"});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        call(arawn_catalog_register, &request)
    };
    let shown = register("text", json!({"script": GREET_JS, "language": "javascript"}));
    assert_eq!(shown["output"]["kind"], "script", "{shown}");
    assert_eq!(shown["output"]["pin"], shown["output"]["sha256"]);
    assert_eq!(register("file", json!({"path": file, "language": "lua"}))["output"]["language"], "lua");
    fs::rename(&file, elsewhere.path().join("a.lua")).unwrap();
    assert_eq!(register("told", json!({"path": elsewhere.path().join("a.lua")}))["output"]["language"], "lua");
    assert_eq!(register("copy", json!({"module_of": "told"}))["output"]["language"], "lua");
    for name in ["text", "file", "told", "copy"] {
        assert_eq!(run(&id, name, json!({"name": name}))["output"]["hello"], name);
    }
    // Another executor, and another process's reading of the same text.
    let text = fs::read_to_string(catalog.file()).unwrap();
    assert!(text.contains("script = \"custom/text-") && !text.contains("language"), "{text}");
    assert_eq!(run(&catalog.executor(), "file", json!({"name": 1}))["output"]["hello"], 1);

    // The lines of a registered script are those of a file with the runtime's name.
    let thrown = "export default () => {\n  throw new Error('no rows')\n}\n";
    ok(arawn_catalog_register, &json!({"executor": id, "name": "thrower", "script": thrown, "language": "javascript"}));
    let reply = run(&id, "thrower", json!({}));
    assert_error(&reply, "runtime_error");
    let text = reply["error"].as_str().unwrap();
    assert!(text.starts_with("Error: no rows\n") && text.contains("thrower.js:2:"), "{text}");

    ok(arawn_catalog_remove, &json!({"executor": id, "name": "told"}));
    assert_error(&run(&id, "told", json!({})), "unknown_runtime");
    assert_eq!(run(&id, "copy", json!({"name": 2}))["output"]["hello"], 2, "the other entry has the same file");
    ok(arawn_catalog_remove, &json!({"executor": id, "name": "copy"}));
    let left = fs::read_dir(catalog.path().join("custom")).unwrap().flatten().map(|entry| entry.file_name());
    let left: Vec<_> = left.map(|name| name.into_string().unwrap()).filter(|name| name.starts_with("told")).collect();
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn a_registration_that_cannot_be_says_why_and_leaves_nothing() {
    let catalog = Catalog::new();
    let id = catalog.executor();
    let base = json!({"executor": id, "name": "bad"});
    let cases = [
        (json!({"script": "1"}), "invalid_request", "`language` must be \"javascript\" or \"lua\""),
        (json!({"script": "1", "language": "ruby"}), "invalid_request", "language"),
        (json!({"module_of": "passthrough", "language": "lua"}), "invalid_request", "a module has no language"),
        (json!({"script": "1", "language": "lua", "path": "a"}), "invalid_request", "one of"),
        (json!({"script": "export default (", "language": "javascript"}), "script_invalid", "bad.js:1:"),
        (json!({"script": "return function(", "language": "lua"}), "script_invalid", "bad.lua:1:"),
        (json!({"script": "let a = 1", "language": "javascript"}), "script_invalid", "export default"),
        (json!({"script": "return '\0'", "language": "lua"}), "script_invalid", "bad.lua:1:9: "),
        (json!({"path": "/nowhere/a.js"}), "runtime_unavailable", "no such file"),
    ];
    for (more, code, text) in cases {
        let mut request = base.clone();
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let reply = call(arawn_catalog_register, &request);
        assert_error(&reply, code);
        assert!(reply["error"].as_str().unwrap().contains(text), "{more} {reply}");
    }
    assert_error(&run(&id, "bad", json!({})), "unknown_runtime");
    assert_eq!(fs::read_dir(catalog.path().join("custom")).map_or(0, Iterator::count), 0);
}

#[test]
fn a_registration_may_be_submitted() {
    let catalog = Catalog::new();
    let id = catalog.executor();
    let register = json!({"name": "greet", "script": GREET_JS, "language": "javascript"});
    let job = ok(arawn_submit, &json!({"executor": id, "register": register}))["job"].clone();
    let polled = ok(arawn::ffi::arawn_poll, &json!({"executor": id, "job": job, "wait_ms": 60000}));
    assert_eq!(polled["reply"]["output"]["language"], "javascript", "{polled}");
    let job = ok(arawn_submit, &json!({"executor": id, "runtime": "greet", "input": {"context": {"name": 7}}}))["job"]
        .clone();
    let polled = ok(arawn::ffi::arawn_poll, &json!({"executor": id, "job": job, "wait_ms": 60000}));
    assert_eq!(polled["reply"]["output"]["hello"], 7, "{polled}");
}

/// The parse takes some of the times in which a submitted call gives way to others, and other calls wait for a worker.
#[test]
fn a_registration_may_be_submitted_while_calls_wait() {
    let catalog = Catalog::new().with("loop", &writer(b"", b"", "(loop $forever (br $forever))"));
    let id = catalog.executor();
    // The interpreter is compiled before, which takes longer while others compute.
    ok(arawn_catalog_register, &json!({"executor": id, "name": "g", "script": GREET_JS, "language": "javascript"}));
    for _ in 0..6 {
        ok(arawn_submit, &json!({"executor": id, "runtime": "loop"}));
    }
    let script = format!("export default () => [{}].length;", "{a: [1]},".repeat(30_000));
    let register = json!({"name": "long", "script": script, "language": "javascript"});
    let job = ok(arawn_submit, &json!({"executor": id, "register": register}))["job"].clone();
    let polled = ok(arawn::ffi::arawn_poll, &json!({"executor": id, "job": job, "wait_ms": 60000}));
    assert_eq!(polled["reply"]["output"]["name"], "long", "{polled}");
    ok(arawn::ffi::arawn_executor_close, &json!({"executor": id}));
}

/// Entries were named `javascript` and `lua` before the library had interpreters of these names.
#[test]
fn an_entry_keeps_a_name_that_a_later_version_has_embedded() {
    let catalog = Catalog::new().with("lua", &answering("mine")).entry("hail", "script = \"hail.lua\"");
    fs::write(catalog.path().join("hail.lua"), GREET_LUA).unwrap();
    let id = catalog.executor();
    assert_eq!(run(&id, "lua", json!({}))["output"], "mine");
    assert_eq!(run(&id, "hail", json!({"name": 1}))["output"]["hello"], 1, "scripts run in the library's interpreter");
    let names = |id: &str| -> Vec<String> {
        let list = ok(arawn_catalog_list, &json!({"executor": id}));
        let of = |entry: &Value| entry["name"].as_str().unwrap().to_owned();
        list["runtimes"].as_array().unwrap().iter().map(of).collect()
    };
    assert_eq!(names(&id).iter().filter(|name| *name == "lua").count(), 1);
    assert_eq!(inspect(&id, "lua")["category"], "custom");

    // Hosts that register theirs at each start go on working, too.
    let wasm = wat::parse_str(answering("again")).unwrap();
    let file = catalog.path().join("again.wasm");
    fs::write(&file, wasm).unwrap();
    ok(arawn_catalog_register, &json!({"executor": id, "name": "javascript", "path": file, "replace": true}));
    assert_eq!(run(&id, "javascript", json!({}))["output"], "again");
    ok(arawn_catalog_remove, &json!({"executor": id, "name": "javascript"}));
    let reply = call(arawn_catalog_remove, &json!({"executor": id, "name": "javascript"}));
    assert_error(&reply, "builtin_runtime");
    assert_eq!(inspect(&id, "javascript")["category"], "builtin");
}

#[test]
fn a_script_may_come_with_the_call() {
    let id = executor(json!({}));
    for (runtime, script) in [("javascript", GREET_JS), ("lua", GREET_LUA)] {
        let input = json!({"config": {"script": script}, "context": {"name": "you"}});
        let reply = execute(&json!({"executor": id, "runtime": runtime, "input": input}));
        assert_eq!(reply["output"], json!({"hello": "you"}), "{reply}");
        let reply = execute(&json!({"executor": id, "runtime": runtime, "input": {"config": {"script": "1 +"}}}));
        assert_error(&reply, "runtime_error");
        assert!(reply["error"].as_str().unwrap().contains("script:1:"), "{reply}");
        let reply = execute(&json!({"executor": id, "runtime": runtime, "input": {"config": {}}}));
        assert_error(&reply, "runtime_error");
        assert!(reply["error"].as_str().unwrap().contains("config.script"), "{reply}");
    }
}

/// Entries that cannot be are refused when the catalog is read.
#[test]
fn a_catalog_says_what_is_wrong_with_a_script_entry() {
    for (lines, text) in [
        ("description = \"\"", "the entry needs `path` (a `.wasm` file) or `script`"),
        ("path = \"a.wasm\"\nscript = \"a.js\"", "can have only one of them"),
        ("script = \"a.txt\"", "does not tell its language"),
        ("script = \"a.txt\"\nlanguage = \"ruby\"", "language"),
        ("path = \"a.wasm\"\nlanguage = \"lua\"", "`language` is for a `script`"),
        ("script = \"../a.js\"", "must be relative to the catalog's directory, and inside it"),
    ] {
        let catalog = Catalog::new().entry("bad", lines);
        let reply = call(arawn::ffi::arawn_executor_new, &json!({"runtimes_dir": catalog.path()}));
        assert_error(&reply, "catalog_invalid");
        assert!(reply["error"].as_str().unwrap().contains(text), "{lines}: {reply}");
    }
    let catalog = Catalog::new().entry("greet", "script = \"greet\"\nlanguage = \"javascript\"");
    fs::write(catalog.path().join("greet"), GREET_JS).unwrap();
    assert_eq!(run(&catalog.executor(), "greet", json!({"name": 1}))["output"]["hello"], 1);
}

/// A parse takes the call's deadline, memory and fuel.
#[test]
fn limits_hold_for_scripts() {
    let scripts = Scripts::new();
    let endless = ["greet.js", "hail.lua"];
    scripts.write(endless[0], "export default () => { for (;;) { try { for (;;); } catch {} } }");
    scripts.write(endless[1], "return function() while true do pcall(function() while true do end end) end end");
    let id = scripts.0.executor_with(json!({"limits": {"fuel": 2_000_000_000_u64}}));
    for runtime in ["greet", "hail"] {
        let reply = execute(&json!({"executor": id, "runtime": runtime, "limits": {"fuel": 30_000_000}}));
        assert_error(&reply, "fuel_exhausted");
    }
    let id = scripts.0.executor();
    for runtime in ["greet", "hail"] {
        run(&id, "javascript", json!({}));
        let reply = execute(&json!({"executor": id, "runtime": runtime, "limits": {"timeout_ms": 1000}}));
        assert_error(&reply, "timeout");
        assert_eq!(reply["details"]["phase"], "run", "{reply}");
    }
    scripts.write(endless[0], "export default () => 'x'.repeat(2 ** 29).concat('y'.repeat(2 ** 29)).length");
    scripts.write(endless[1], "return function() return #string.rep('x', 2 ^ 30 | 0) end");
    for runtime in ["greet", "hail"] {
        let reply = run(&id, runtime, json!({}));
        assert_error(&reply, "memory_exceeded");
    }
}

/// A parse that lacks memory says nothing of the script, which other calls run.
#[test]
fn a_script_that_was_parsed_with_too_little_memory_is_not_at_fault() {
    let javascript: String = (0..3000).map(|n| format!("const c{n} = [{n}, '{n}'];\n")).collect();
    let lua: String = (0..3000).map(|n| format!("c{n} = {{ {n}, '{n}' }}\n")).collect();
    for (file, runtime, text) in [("greet.js", "greet", javascript + GREET_JS), ("hail.lua", "hail", lua + GREET_LUA)] {
        let mut exceeded = 0;
        for kilobytes in (256..8192).step_by(256) {
            let scripts = Scripts::new();
            scripts.write(file, &text);
            let id = scripts.0.executor();
            let limits = json!({"memory_bytes": kilobytes << 10});
            let reply = execute(&json!({"executor": id, "runtime": runtime, "limits": limits}));
            if reply["status"] != "ok" {
                assert_error(&reply, "memory_exceeded");
                exceeded += 1;
            }
            let reply = run(&id, runtime, json!({"name": "you"}));
            assert_eq!(reply["output"], json!({"hello": "you"}), "after {kilobytes} KiB: {reply}");
            assert_eq!(inspect(&id, runtime)["problem"], Value::Null, "after {kilobytes} KiB");
        }
        assert!(exceeded > 2, "{file}: {exceeded}");
    }
}
