//! What errors say: what is wrong, where, and what to do. Each text as it is, and never in the words of a parser's types.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![allow(unsafe_code, reason = "the tests call the C interface")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::{
    arawn_cancel, arawn_catalog_inspect, arawn_catalog_list, arawn_catalog_register, arawn_catalog_remove,
    arawn_configure, arawn_execute_pipeline, arawn_execute_runtime, arawn_executor_close, arawn_executor_new,
    arawn_host_function_set, arawn_host_reply, arawn_poll, arawn_poll_descriptor, arawn_stats, arawn_string_new,
    arawn_submit,
};
use common::{Catalog, Function, asker, assert_error, call, call_text, execute, load, ok, slow_to_compile, writer};
use serde_json::{Value, json};
use std::ffi::{CString, c_char, c_void};
use std::fs;
use std::sync::Once;

/// Before the first executor of this process.
fn configured() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| drop(ok(arawn_configure, &json!({"queue": 2}))));
}

const RUST: &[u8] = b"loading\nthread 'main' panicked at src/main.rs:3:5:\nno such row\nnote: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n";
const GO: &[u8] =
    b"panic: runtime error: index out of range [5] with length 3\n\ngoroutine 1 [running]:\nmain.main()\n\t/main.go:9 +0x2\n";
const PYTHON: &[u8] = b"Traceback (most recent call last):\n  File \"app.py\", line 2, in <module>\nKeyError: 'rows'\n";

/// What guests write and the text that comes of it.
#[test]
fn the_texts_of_guests() {
    configured();
    let unreachable = "the runtime trapped: wasm `unreachable` instruction executed";
    let reply = r#"{"status":"ok","output":…} or {"status":"error","error":"text"}"#;
    let trap = |stderr: &[u8]| writer(b"", stderr, "unreachable");
    let exit = |stderr: &[u8], code: i32| writer(b"", stderr, &format!("(call $exit (i32.const {code}))"));
    let out = |stdout: &[u8]| writer(stdout, b"", "");
    let text = |text: &str| text.to_owned();
    let table = [
        (
            out(b"hello debug\n{\"status\":\"ok\",\"output\":1}"),
            text("stdout begins with \"hello debug\", but must hold only the reply: print other text to stderr"),
        ),
        (
            out(b"42 items\n{\"status\":\"ok\",\"output\":1}"),
            text("stdout begins with \"42 items\", but must hold only the reply: print other text to stderr"),
        ),
        (
            out(b"{\"status\":\"ok\",\"output\":1}\nbye \x1b[0m\n"),
            text(
                "stdout has \"bye \\u{1b}[0m\" after the reply, but must hold only the reply: print other text to stderr",
            ),
        ),
        (
            out(b"\xef\xbb\xbf{\"status\":\"ok\",\"output\":1}"),
            text(
                "stdout begins with a byte order mark (U+FEFF), but must hold only the reply: write UTF-8 without one",
            ),
        ),
        (out(b"\xff\xfe{\0\"\0"), text("stdout must be UTF-8, but begins with the byte order mark of UTF-16")),
        (
            out(b"{\"status\":\"ok\",\"output\":\"\xff\"}"),
            text("stdout must be UTF-8, but byte 25 does not begin a valid character"),
        ),
        (out(b" \n"), format!("stdout is empty, but must hold the reply: write {reply}")),
        (out(b"[1]"), format!("stdout holds a list, but must hold the reply: write {reply}")),
        (out(b"\"done\""), format!("stdout holds a string, but must hold the reply: write {reply}")),
        (out(b"42"), format!("stdout holds 42, but must hold the reply: write {reply}")),
        (
            out(b"{\"status\":\"ok\",\"output\":nul}"),
            text("the reply on stdout is not JSON at byte 27: a word is neither `true`, `false` nor `null`"),
        ),
        (
            out(b"{\"status\":\"ok\",\"output\":[1,2"),
            text("the reply on stdout is not JSON at byte 27: the text ends inside a list"),
        ),
        (out(b"{\"output\":1}"), text("the reply on stdout is invalid: `status` is missing")),
        (out(b"{\"status\":7}"), text("the reply on stdout is invalid: `status` must be a string")),
        (
            out(b"{\"status\":\"ok\",\"outptu\":1}"),
            text("the reply on stdout is invalid: `outptu` is an unknown key; known keys: `status`, `output`, `error`"),
        ),
        (
            out(b"{\"status\":\"ok\",\"output\":1,\"output\":2}"),
            text("the reply on stdout is invalid: `output` appears twice"),
        ),
        (
            out(b"{\"status\":\"fine\"}"),
            text("the reply on stdout is invalid: its `status` must be \"ok\" or \"error\""),
        ),
        (
            out(b"{\"status\":\"error\"}"),
            text("the reply on stdout is invalid: its `status` is \"error\" without an `error` beside it"),
        ),
        (
            out(b"{\"status\":\"error\",\"error\":7}"),
            text("the reply on stdout is invalid: its `error` must be a string"),
        ),
        (
            out(b"{\"status\":\"ok\",\"error\":\"x\"}"),
            text("the reply on stdout is invalid: its `status` is \"ok\" with an `error` beside it"),
        ),
        (
            out(br#"{"status":"error","error":"cut \ud83e, \udd80 and \ud83e\udd80"}"#),
            text("cut \u{fffd}, \u{fffd} and \u{1f980}"),
        ),
        (trap(b""), text(unreachable)),
        (trap(b"no rows\n"), format!("{unreachable}: no rows")),
        (trap(RUST), format!("{unreachable}: panicked at src/main.rs:3:5: no such row")),
        (trap(b"unreachable\n"), text(unreachable)),
        (
            exit(GO, 2),
            text("the runtime exited with code 2: panic: runtime error: index out of range [5] with length 3"),
        ),
        (exit(PYTHON, 1), text("the runtime exited with code 1: KeyError: 'rows'")),
        (exit(b"", 1), text("the runtime exited with code 1")),
    ];
    let catalog =
        table.iter().enumerate().fold(Catalog::new(), |catalog, (n, (wat, _))| catalog.with(&format!("g{n}"), wat));
    let id = catalog.executor();
    for (n, (_, text)) in table.iter().enumerate() {
        let reply = execute(&json!({"executor": id, "runtime": format!("g{n}")}));
        assert_eq!(reply["error"], **text, "{reply}");
        assert!(words_of_types(text).is_none());
    }
    // What is cut in an output is the caller's.
    let cut = Catalog::new().with("cut", &out(br#" {"status":"ok","output":"\ud800"}"#));
    let request = json!({"executor": cut.executor(), "runtime": "cut"}).to_string();
    let reply = common::call_raw(arawn_execute_runtime, CString::new(request).unwrap().as_ptr());
    assert_eq!(reply, r#"{"status":"ok","output":"\ud800"}"#);
}

unsafe extern "C" fn answering(_: *const c_char, _: *mut c_void) -> *mut c_char {
    // SAFETY: a literal ends with a NUL.
    unsafe { arawn_string_new(c"{\"status\":\"ok\"}".as_ptr()) }
}

fn set_on_poll(executor: &str, name: &str) {
    let request = CString::new(json!({"executor": executor, "name": name, "on": "poll"}).to_string()).unwrap();
    // SAFETY: the request ends with a NUL, the callback is good for ever, and the reply is released once.
    unsafe { arawn::ffi::arawn_free(arawn_host_function_set(request.as_ptr(), Some(answering), std::ptr::null_mut())) };
}

/// A guest that had to be stopped is told of with what it said and where it was.
#[test]
fn what_a_stopped_guest_said_is_not_lost() {
    configured();
    let spin = "(loop $next (br $next))";
    let grow = "(if (i32.eq (memory.grow (i32.const 60000)) (i32.const -1)) (then unreachable))";
    let catalog = Catalog::new()
        .with("spin", &writer(b"", b"first\nstep 7\n", spin))
        .with("grow", &writer(b"", b"step 8\n", grow))
        .with("ask", &asker(b"world.player", b"{}", "(drop (call $ask))"));
    let id = catalog.executor_with(json!({"capabilities": {"host_functions": ["world.player"]}}));
    let plain = catalog.executor();
    set_on_poll(&id, "world.player");
    for executor in [&id, &plain] {
        load(executor, "spin");
        let spin = json!({"executor": executor, "runtime": "spin", "limits": {"timeout_ms": 100}});
        let reply = execute(&spin);
        assert_eq!(reply["error"], "the deadline of 100 ms passed while the runtime was running");
        assert_eq!(reply["details"]["stderr"], "first\nstep 7\n");
        assert!(reply["details"]["backtrace"][0].as_str().unwrap().starts_with("0: "), "{reply}");
        let grow = execute(&json!({"executor": executor, "runtime": "grow"}));
        assert_error(&grow, "memory_exceeded");
        assert_eq!(grow["details"]["stderr"], "step 8\n");
        assert!(grow["details"]["backtrace"][0].as_str().unwrap().starts_with("0: "), "{grow}");
        let fuel = execute(&json!({"executor": executor, "runtime": "spin", "limits": {"fuel": 100_000}}));
        assert_eq!(fuel["error"], "the runtime used up its fuel (100000): raise `fuel`");
        assert_eq!(fuel["details"]["stderr"], "first\nstep 7\n");
        assert!(fuel["details"]["backtrace"][0].as_str().unwrap().starts_with("0: "), "{fuel}");
        // As soon as it runs.
        let job = json!({"executor": executor, "job": "spins"});
        let mut spin = json!({"executor": executor, "runtime": "spin", "job": "spins"});
        let reply = std::thread::scope(|scope| {
            spin["limits"] = json!({"timeout_ms": 20_000});
            let running = scope.spawn(|| execute(&spin));
            while call(arawn_cancel, &job)["status"] != "ok" {
                std::thread::yield_now();
            }
            running.join().unwrap()
        });
        assert_error(&reply, "cancelled");
        assert!(reply["details"]["phase"] != "run" || reply["details"]["stderr"].is_string(), "{reply}");
    }
    load(&id, "ask");
    let reply = execute(&json!({"executor": id, "runtime": "ask", "limits": {"timeout_ms": 100}}));
    let waiting =
        "while the runtime was waiting for host function `world.player`, and nobody polls: call arawn_poll meanwhile";
    assert_eq!(reply["error"], format!("the deadline of 100 ms passed {waiting}"));
    let details = json!({"phase": "run", "timeout_ms": 100, "stderr": "", "host_function": "world.player"});
    assert_eq!(reply["details"], details);
    // Asked for and answered, it is not what the guest waits for.
    let then = asker(b"world.player", b"{}", "(drop (call $ask)) (loop $next (br $next))");
    let catalog = Catalog::new().with("asks-then-spins", &then);
    let id = catalog.executor_with(json!({"capabilities": {"host_functions": ["world.player"]}}));
    set_on_poll(&id, "world.player");
    load(&id, "asks-then-spins");
    let asks = json!({"executor": id, "runtime": "asks-then-spins", "limits": {"timeout_ms": 1000}});
    let reply = std::thread::scope(|scope| {
        let running = scope.spawn(|| execute(&asks));
        while !running.is_finished() {
            ok(arawn_poll, &json!({"executor": id, "wait_ms": 10}));
        }
        running.join().unwrap()
    });
    assert_error(&reply, "timeout");
    assert_eq!(reply["details"].get("host_function"), None, "{reply}");
}

#[test]
fn the_texts_of_requests() {
    configured();
    let catalog = Catalog::new().with("slow", &slow_to_compile(b""));
    let directory = catalog.path().canonicalize().unwrap();
    let directory = directory.display();
    let id = catalog.executor();
    let run = |more: Value| {
        let mut request = json!({"executor": id, "runtime": "passthrough"});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        call(arawn_execute_runtime, &request)
    };
    let text = |reply: &Value| reply["error"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned();
    for (more, wanted) in [
        (
            json!({"limits": {"timeout_ms": "soon"}}),
            "`limits.timeout_ms` must be a whole number of milliseconds or null",
        ),
        (
            json!({"limits": {"timeout_ms": 1.5}}),
            "`limits.timeout_ms` must be a whole number of milliseconds or null, written in digits only",
        ),
        (
            json!({"limits": {"memory_bytes": -1}}),
            "`limits.memory_bytes` must be a whole number of bytes or null, and not negative",
        ),
        (json!({"limits": {"fuel": []}}), "`limits.fuel` must be a whole number or null"),
        (json!({"limits": {"timeout_ms": 60_000}}), "`limits.timeout_ms` is 60000, but the executor's limit is 30000"),
        (json!({"limits": 7}), "`limits` must be an object"),
        (
            json!({"limits": {"timeoutms": 7}}),
            "`limits.timeoutms` is an unknown key; known keys: `timeout_ms`, `memory_bytes`, `output_bytes`, `stderr_bytes`, `module_bytes`, `fuel`",
        ),
        (json!({"meta": "yes"}), "`meta` must be true or false"),
        (json!({"runtime": null}), "`runtime` must be a string"),
    ] {
        assert_eq!(text(&run(more)), wanted);
    }
    let raw = |function: Function, json: &str| text(&call_text(function, json));
    for (function, json, wanted) in [
        (arawn_execute_runtime as Function, "{}", "`executor` is missing"),
        (arawn_execute_runtime, "[]", "the request must be an object"),
        (arawn_executor_new, "7", "the configuration must be an object"),
        (
            arawn_executor_new,
            r#"{"limits":{"timeout_ms":"soon"}}"#,
            "`limits.timeout_ms` must be a whole number of milliseconds",
        ),
        (
            arawn_executor_new,
            r#"{"limits":{"output_bytes":99999999999999999999}}"#,
            "`limits.output_bytes` must be a whole number of bytes, at most 18446744073709551615",
        ),
        (arawn_executor_new, r#"{"capabilities":{"dirs":["data"]}}"#, "`capabilities.dirs[0]` must be an object"),
        (arawn_executor_new, r#"{"capabilities":{"dirs":{}}}"#, "`capabilities.dirs` must be a list"),
        (arawn_executor_new, r#"{"capabilities":{"dirs":[{"guest":"/a"}]}}"#, "`capabilities.dirs[0].host` is missing"),
        (arawn_executor_new, r#"{"id":"a","id":"b"}"#, "`id` appears twice"),
        (
            arawn_executor_new,
            r#"{"id":"cut \ud83e"}"#,
            "`id` cannot be read: an escape is only half of a surrogate pair: the text was cut between the halves",
        ),
        (
            arawn_executor_new,
            r#"{"capabilities":{"http":{"allow":["x"]}}}"#,
            "`capabilities.http.allow[0]`: the origin \"x\" has no `http://` or `https://`",
        ),
        (arawn_configure, r#"{"workers":"many"}"#, "`workers` must be a whole number"),
        (
            arawn_stats,
            "{\"executor\":tru}",
            "not JSON: a word is neither `true`, `false` nor `null` (line 1, column 16)",
        ),
        (
            arawn_stats,
            "\u{feff}{}",
            "not JSON: it begins with a byte order mark (U+FEFF); write UTF-8 without one (line 1, column 1)",
        ),
        (
            arawn_executor_new,
            "\u{feff}{}",
            "not JSON: it begins with a byte order mark (U+FEFF); write UTF-8 without one (line 1, column 1)",
        ),
    ] {
        assert_eq!(raw(function, json), wanted, "{json}");
    }
    let wait = raw(arawn_poll, &json!({"executor": id, "wait_ms": 90_000_000}).to_string());
    assert_eq!(wait, "`wait_ms` is 90000000, but must be at most 86400000 (a day)");
    let on = json!({"executor": id, "name": "f", "on": "frame"}).to_string();
    assert_eq!(host_function_text(&on), "`on` must be `call` or `poll`");
    let of = |name: &str| json!({"executor": id, "name": name});
    assert_eq!(
        host_function_text(&of("f").to_string()),
        "`name` is `f`, which is not granted; the executor grants none"
    );

    // What is registered.
    let register = |more: Value| {
        let mut request = json!({"executor": id, "name": "x"});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        call(arawn_catalog_register, &request)
    };
    let missing = format!("{directory}/none.wasm");
    let reply = register(json!({"path": missing}));
    assert_error(&reply, "runtime_unavailable");
    assert_eq!(text(&reply), format!("cannot register `x`: {missing}: no such file"));
    assert_eq!(reply["details"], json!({"runtime": "x", "path": missing, "reason": "no such file"}));
    assert_eq!(
        text(&register(json!({}))),
        "the request must have exactly one of `path`, `wasm_base64`, `module_of` and `script`"
    );
    let symbol = register(json!({"wasm_base64": "AGFz\r\nb*Q="}));
    assert_eq!(
        text(&symbol),
        "`wasm_base64` is not base64: it has '*' at byte 7, which is not one of A-Z, a-z, 0-9, + and /"
    );
    let wasm = wat::parse_str(common::answering("ran")).unwrap();
    let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, wasm);
    let lines: Vec<&str> = encoded.as_bytes().chunks(76).map(|line| str::from_utf8(line).unwrap()).collect();
    assert_eq!(register(json!({"wasm_base64": lines.join("\r\n ") + "\r\n"}))["status"], "ok");
    assert_eq!(
        text(&register(json!({"wasm_base64": encoded, "replace": true, "config_schema": "{\"a\":[1,}"}))),
        "`config_schema.a[1]`: is not a JSON Schema: it cannot be read: a value is missing".replace("`: is", "` is")
    );

    // A module that is still being compiled.
    let slow = execute(&json!({"executor": id, "runtime": "slow", "limits": {"timeout_ms": 20}}));
    assert_eq!(
        text(&slow),
        "the deadline of 20 ms passed before the module was compiled; the compilation goes on: call again later, register the module first, or raise `timeout_ms`"
    );

    // The queue has two places.
    let one = json!({"executor": id, "runtime": "passthrough"});
    ok(arawn_submit, &one);
    ok(arawn_submit, &one);
    let full = call(arawn_submit, &one);
    assert_error(&full, "overloaded");
    assert_eq!(
        text(&full),
        "the executor has 2 jobs that are queued, running or not yet polled: call arawn_poll, or configure a larger `queue`"
    );

    // A catalog that is not the one that is meant, and one that is broken.
    let unknown = |executor: &str| text(&execute(&json!({"executor": executor, "runtime": "nothing"})));
    assert_eq!(unknown(&id), format!("there is no runtime `nothing` in {directory}/catalog.toml"));
    assert_eq!(
        unknown(&common::executor(json!({}))),
        "there is no runtime `nothing`: the executor has no `runtimes_dir`, so it serves only the built-in runtimes"
    );
    let mistyped = catalog.path().join("runtims");
    let other = common::executor(json!({"runtimes_dir": mistyped}));
    assert_eq!(
        unknown(&other),
        format!(
            "there is no runtime `nothing`: {directory}/runtims has no catalog.toml; is this `runtimes_dir` right?"
        )
    );
    fs::write(catalog.file(), "[runtimes.nothing]\npaht = \"a.wasm\"\n").unwrap();
    let broken = format!(
        "{directory}/catalog.toml:1: runtime `nothing`: `paht` is an unknown key; known keys: `path`, `script`, `language`, `category`, `description`, `sha256`, `args`, `env`, `config_schema`, `snapshot`, `warm_up`, `shared_random`"
    );
    assert_eq!(
        unknown(&id),
        format!(
            "there is no runtime `nothing`: the catalog is not valid, so its last valid version is served: {broken}"
        )
    );
}

fn host_function_text(request: &str) -> String {
    let request = CString::new(request).unwrap();
    // SAFETY: the request ends with a NUL, and the reply is released once, after its last use.
    unsafe {
        let reply = arawn_host_function_set(request.as_ptr(), None, std::ptr::null_mut());
        let text = std::ffi::CStr::from_ptr(reply).to_str().unwrap().to_owned();
        arawn::ffi::arawn_free(reply);
        serde_json::from_str::<Value>(&text).unwrap()["error"].as_str().unwrap().to_owned()
    }
}

/// A word that only a Rust program's types have.
fn words_of_types(text: &str) -> Option<&str> {
    const WORDS: [&str; 26] = [
        "struct",
        "ident",
        "u8",
        "u16",
        "u32",
        "u64",
        "i32",
        "i64",
        "f32",
        "f64",
        "usize",
        "isize",
        "map",
        "sequence",
        "unit",
        "newtype",
        "variant",
        "enum",
        "tuple",
        "Option",
        "String",
        "PathBuf",
        "str",
        "EOF",
        "serde",
        "deserialize",
    ];
    let phrase = ["invalid type", "invalid value", "unknown field", "missing field", "duplicate field", "expected "];
    let word = text.split(|c: char| !c.is_alphanumeric() && c != '_').find(|word| WORDS.contains(word));
    word.or_else(|| phrase.into_iter().find(|phrase| text.contains(phrase)))
}

/// What a key takes besides what everything is tried with.
#[derive(Clone, Copy, PartialEq)]
enum Takes {
    Text,
    TextOrNull,
    Number,
    NumberOrNull,
    Bool,
    List,
    Object,
}

const WRONG: [(&str, &[Takes]); 10] = [
    ("null", &[Takes::TextOrNull, Takes::NumberOrNull]),
    ("true", &[Takes::Bool]),
    ("7", &[Takes::Number, Takes::NumberOrNull]),
    ("-7", &[]),
    ("1.5", &[]),
    ("1e400", &[]),
    ("99999999999999999999999", &[]),
    ("\"x\"", &[Takes::Text, Takes::TextOrNull]),
    ("[]", &[Takes::List]),
    ("{}", &[Takes::Object]),
];

/// Each wrong value at each key: told with its path and in words of JSON.
#[test]
fn no_text_has_the_words_of_a_parsers_types() {
    use Takes::*;
    configured();
    let limits = ["timeout_ms", "memory_bytes", "output_bytes", "stderr_bytes", "module_bytes", "fuel"];
    let limits_of = |base: &str, takes: Takes| -> Vec<(String, Takes)> {
        limits.iter().map(|limit| (format!("{base}{limit}"), takes)).collect()
    };
    let keys = |keys: &[(&str, Takes)]| -> Vec<(String, Takes)> {
        keys.iter().map(|(key, takes)| ((*key).to_owned(), *takes)).collect()
    };
    let execute = [
        keys(&[
            ("executor", Text),
            ("runtime", Text),
            ("input", Object),
            ("limits", Object),
            ("job", TextOrNull),
            ("meta", Bool),
        ]),
        limits_of("limits.", NumberOrNull),
    ]
    .concat();
    let config = [
        keys(&[
            ("id", TextOrNull),
            ("runtimes_dir", TextOrNull),
            ("cache_dir", TextOrNull),
            ("limits", Object),
            ("limits.calls", NumberOrNull),
            ("limits.cpu_ms_per_s", NumberOrNull),
            ("limits.memory_total_bytes", NumberOrNull),
            ("limits.reply_bytes", Number),
            ("capabilities", Object),
            ("capabilities.dirs", List),
            ("capabilities.dirs[0]", Object),
            ("capabilities.dirs[0].host", Text),
            ("capabilities.dirs[0].guest", Text),
            ("capabilities.dirs[0].write", Bool),
            ("capabilities.dirs[0].bytes", NumberOrNull),
            ("capabilities.env", Object),
            ("capabilities.env.A", Text),
            ("capabilities.http", Object),
            ("capabilities.http.allow", List),
            ("capabilities.http.allow[0]", Text),
            ("capabilities.http.allow_private", Bool),
            ("capabilities.host_functions", List),
            ("capabilities.host_functions[0]", Text),
            ("stderr_to", TextOrNull),
            ("deterministic", Object),
            ("deterministic.seed", Number),
            ("deterministic.unix_time", Number),
        ]),
        limits_of("limits.", Number)
            .into_iter()
            .map(|(key, takes)| if key == "limits.fuel" { (key, NumberOrNull) } else { (key, takes) })
            .collect(),
    ]
    .concat();
    let named = keys(&[("executor", Text), ("name", Text)]);
    let register = keys(&[
        ("executor", Text),
        ("name", Text),
        ("path", TextOrNull),
        ("wasm_base64", TextOrNull),
        ("module_of", TextOrNull),
        ("description", Text),
        ("args", List),
        ("args[0]", Text),
        ("env", Object),
        ("env.A", Text),
        ("replace", Bool),
        ("timeout_ms", NumberOrNull),
    ]);
    let is_own = |(key, _): &&(String, Takes)| key != "executor";
    let mut submit = keys(&[("executor", Text), ("register", Object), ("job", TextOrNull)]);
    submit.extend(register.iter().filter(is_own).map(|(key, takes)| (format!("register.{key}"), *takes)));
    let options = keys(&[
        ("pool_slots", Number),
        ("workers", Number),
        ("queue", Number),
        ("module_cache_bytes", Number),
        ("disk_cache_bytes", Number),
        ("signal_handlers", Bool),
        ("target", Text),
    ]);
    type Keys = Vec<(String, Takes)>;
    let pipeline = keys(&[
        ("executor", Text),
        ("pipeline", Object),
        ("pipeline.steps", List),
        ("pipeline.steps[0]", Object),
        ("pipeline.steps[0].name", Text),
        ("pipeline.steps[0].runtime", Text),
        ("pipeline.steps[0].needs", List),
        ("pipeline.steps[0].needs[0]", Text),
        ("pipeline.steps[0].for_each", TextOrNull),
        ("pipeline.steps[0].first_index", NumberOrNull),
        ("pipeline.steps[0].retry", Object),
        ("pipeline.steps[0].retry.attempts", Number),
        ("pipeline.steps[0].retry.delay_ms", Number),
        ("pipeline.steps[0].limits", Object),
        ("pipeline.output", TextOrNull),
        ("completed", Object),
        ("limits", Object),
        ("job", TextOrNull),
        ("meta", Bool),
        ("dry_run", Bool),
    ]);
    let piped = json!({
        "executor": "nobody",
        "pipeline": {"steps": [{"name": "n", "runtime": "r", "needs": ["n"], "retry": {"attempts": 1}}]},
    });
    let table: [(Function, Value, Keys); 17] = [
        (arawn_execute_runtime, json!({"executor": "nobody", "runtime": "r", "limits": {}}), execute.clone()),
        (arawn_submit, json!({"executor": "nobody", "runtime": "r", "limits": {}}), execute),
        (arawn_submit, json!({"executor": "nobody", "register": {"name": "n", "args": ["a"], "env": {}}}), submit),
        (arawn_execute_pipeline, piped.clone(), pipeline.clone()),
        (arawn_submit, piped, pipeline.into_iter().filter(|(key, _)| key != "pipeline").collect()),
        (
            arawn_executor_new,
            json!({"limits": {}, "capabilities": {"dirs": [{"host": "/nowhere", "guest": "/a"}], "env": {}, "http": {"allow": ["http://x"]}, "host_functions": ["f"]}, "deterministic": {}}),
            config,
        ),
        (arawn_configure, json!({}), options),
        (arawn_executor_close, json!({"executor": "nobody"}), keys(&[("executor", Text)])),
        (arawn_catalog_list, json!({"executor": "nobody"}), keys(&[("executor", Text)])),
        (arawn_catalog_inspect, json!({"executor": "nobody", "name": "n"}), named.clone()),
        (arawn_catalog_remove, json!({"executor": "nobody", "name": "n"}), named),
        (arawn_catalog_register, json!({"executor": "nobody", "name": "n", "args": ["a"], "env": {}}), register),
        (
            arawn_poll,
            json!({"executor": "nobody"}),
            keys(&[("executor", Text), ("job", TextOrNull), ("wait_ms", Number)]),
        ),
        (arawn_cancel, json!({"executor": "nobody", "job": "j"}), keys(&[("executor", Text), ("job", Text)])),
        (arawn_poll_descriptor, json!({"executor": "nobody"}), keys(&[("executor", Text)])),
        (
            arawn_host_reply,
            json!({"executor": "nobody", "call": "c-1", "reply": {}}),
            keys(&[("executor", Text), ("call", Text)]),
        ),
        (arawn_stats, json!({}), keys(&[("executor", TextOrNull)])),
    ];
    let mut tried = 0;
    for (function, base, keys) in &table {
        for (path, takes) in keys {
            for (value, taken) in WRONG {
                let request = with(base, path, value);
                let reply = call_text(*function, &request);
                let text = reply["error"].as_str().unwrap_or_default();
                assert_eq!(words_of_types(text), None, "{request}: {reply}");
                if !taken.contains(takes) {
                    assert!(
                        ["invalid_request", "invalid_config"].contains(&reply["code"].as_str().unwrap()),
                        "{request}: {reply}"
                    );
                    assert_eq!(reply["details"]["path"], **path, "{request}: {reply}");
                    assert!(text.starts_with(&format!("`{path}` must be ")), "{request}: {reply}");
                    tried += 1;
                }
            }
        }
        for value in ["null", "true", "-7", "1.5", "\"x\"", "[]", "[{}]"] {
            let reply = call_text(*function, value);
            assert!(reply["error"].as_str().unwrap().ends_with(" must be an object"), "{reply}");
        }
    }
    assert!(tried > 500, "{tried}");
    for (value, _) in WRONG {
        for (name, on, deferred) in
            [("\"f\"", value, "true"), (value, "\"call\"", "true"), ("\"f\"", "\"call\"", value)]
        {
            let members = format!("\"name\":{name},\"on\":{on},\"deferred\":{deferred}");
            let text = host_function_text(&format!("{{\"executor\":\"nobody\",{members}}}"));
            assert_eq!(words_of_types(&text), None, "{text}");
        }
    }
    // An entry of the catalog, and the whole of it.
    for key in ["path", "category", "description", "sha256", "args", "env", "config_schema", "more", "\"\""] {
        for value in ["true", "7", "-7", "1.5", "1e300", "\"x\"", "[]", "[7]", "{}", "{ A = 7 }", "1979-05-27"] {
            let path = if key == "path" { "" } else { "path = \"a.wasm\"\n" };
            let catalog = Catalog::new().entry("entry", &format!("{path}{key} = {value}"));
            let reply = call(arawn_executor_new, &json!({"runtimes_dir": catalog.path(), "cache_dir": null}));
            match reply["status"].as_str() {
                Some("ok") => drop(ok(arawn_executor_close, &json!({"executor": reply["output"]["executor"]}))),
                _ => {
                    let text = reply["error"].as_str().unwrap();
                    assert_error(&reply, "catalog_invalid");
                    let (_, told) = text.split_once(": runtime `entry`: ").unwrap_or_else(|| panic!("{reply}"));
                    assert_eq!(words_of_types(told), None, "{reply}");
                    assert!(told.contains(key.trim_matches('"')), "{reply}");
                }
            }
        }
    }
    for text in [
        "runtimes = 7",
        "runtimes = []",
        "[runtime.a]\npath = \"a\"",
        "[runtimes]\na = 7",
        "[runtimes]\na = [\"a.wasm\"]",
        "[[runtimes]]",
    ] {
        let catalog = Catalog::new();
        fs::write(catalog.file(), text).unwrap();
        let reply = call(arawn_executor_new, &json!({"runtimes_dir": catalog.path(), "cache_dir": null}));
        assert_error(&reply, "catalog_invalid");
        let (_, told) =
            reply["error"].as_str().unwrap().split_once("catalog.toml:").unwrap_or_else(|| panic!("{reply}"));
        assert_eq!(words_of_types(told), None, "{reply}");
        assert!(told.contains("`runtimes") || told.contains("must be a table"), "{reply}");
    }
}

/// A request with one value in another's place, which need not be what JSON libraries can hold.
fn with(base: &Value, path: &str, value: &str) -> String {
    const HERE: &str = "\u{2603}";
    let mut base = base.clone();
    let mut at = &mut base;
    for segment in path.replace('[', ".").replace(']', "").split('.') {
        at = match segment.parse::<usize>() {
            Ok(index) => &mut at[index],
            Err(_) => &mut at[segment],
        };
    }
    *at = json!(HERE);
    base.to_string().replace(&format!("\"{HERE}\""), value)
}
