//! `arawn_execute_pipeline`, and pipelines that are submitted: what steps get, what the reply is, and how pipelines end.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![allow(unsafe_code, reason = "callbacks are functions of C")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::*;
use common::{Catalog, assert_error, call, call_text, executor, load, ok};
use serde_json::{Value, json};
use std::ffi::{CStr, CString, c_char, c_void};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, Once};
use std::time::{Duration, Instant};

/// Long enough for any of these pipelines; a test that waits for so long has failed.
const LONG: Duration = Duration::from_secs(20);

/// An executor with the host functions of this file.
fn new(mut config: Value) -> String {
    static ONCE: Once = Once::new();
    config["capabilities"]["host_functions"] = json!(["meet", "count", "pause"]);
    let id = executor(config);
    set(&id, "meet", meet);
    set(&id, "count", count);
    set(&id, "pause", pause);
    ONCE.call_once(|| {
        for runtime in ["passthrough", "transform", "javascript"] {
            load(&id, runtime);
        }
    });
    id
}

fn set(executor: &str, name: &str, callback: unsafe extern "C" fn(*const c_char, *mut c_void) -> *mut c_char) {
    let request = CString::new(json!({"executor": executor, "name": name}).to_string()).unwrap();
    // SAFETY: the request ends with a NUL, and the callbacks of this file use no user data.
    let reply = unsafe { arawn_host_function_set(request.as_ptr(), Some(callback), std::ptr::null_mut()) };
    // SAFETY: the reply is released here, once.
    unsafe { arawn_free(reply) };
}

fn request_of(request: *const c_char) -> Value {
    // SAFETY: the library passes a string that ends with a NUL.
    serde_json::from_str(unsafe { CStr::from_ptr(request) }.to_str().unwrap()).unwrap()
}

fn answer(reply: &Value) -> *mut c_char {
    let text = CString::new(reply.to_string()).unwrap();
    // SAFETY: the text ends with a NUL and lives until the call is over.
    unsafe { arawn_string_new(text.as_ptr()) }
}

/// `{"at": name, "of": n}` waits until n calls are at this place at the same time.
unsafe extern "C" fn meet(request: *const c_char, _: *mut c_void) -> *mut c_char {
    static PLACES: Mutex<Vec<(String, u64)>> = Mutex::new(Vec::new());
    static CAME: Condvar = Condvar::new();
    let request = request_of(request);
    let (at, of) = (request["at"].as_str().unwrap(), request["of"].as_u64().unwrap());
    let mut places = PLACES.lock().unwrap();
    let place = places.iter().position(|(name, _)| name == at).unwrap_or_else(|| {
        places.push((at.to_owned(), 0));
        places.len() - 1
    });
    places[place].1 += 1;
    CAME.notify_all();
    let (_places, waited) = CAME.wait_timeout_while(places, LONG, |places| places[place].1 < of).unwrap();
    answer(&json!({"status": "ok", "output": !waited.timed_out()}))
}

static COUNTS: Mutex<Vec<(String, u64)>> = Mutex::new(Vec::new());

/// `{"as": name}` answers how often it was called with this name.
unsafe extern "C" fn count(request: *const c_char, _: *mut c_void) -> *mut c_char {
    let (request, mut counts) = (request_of(request), COUNTS.lock().unwrap());
    let name = request["as"].as_str().unwrap();
    let place = counts.iter().position(|(other, _)| other == name).unwrap_or_else(|| {
        counts.push((name.to_owned(), 0));
        counts.len() - 1
    });
    counts[place].1 += 1;
    answer(&json!({"status": "ok", "output": counts[place].1}))
}

/// Takes a moment.
unsafe extern "C" fn pause(_: *const c_char, _: *mut c_void) -> *mut c_char {
    std::thread::sleep(Duration::from_millis(30));
    answer(&json!({"status": "ok"}))
}

/// A name that no other test has.
fn unique(name: &str) -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// How often `count` was called with this name.
fn counted(name: &str) -> u64 {
    COUNTS.lock().unwrap().iter().find(|(other, _)| other == name).map_or(0, |(_, count)| *count)
}

/// A step that runs a script.
fn script(name: &str, body: &str) -> Value {
    let script = format!("export default ({{config, context}}) => {{ {body} }}");
    json!({"name": name, "runtime": "javascript", "config": {"script": script}})
}

fn with(mut step: Value, more: Value) -> Value {
    step.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    step
}

fn request(executor: &str, steps: &Value, more: Value) -> Value {
    with(json!({"executor": executor, "pipeline": {"steps": steps}}), more)
}

fn run(executor: &str, steps: &Value, more: Value) -> Value {
    call(arawn_execute_pipeline, &request(executor, steps, more))
}

/// The reply of the same pipeline when it is submitted.
fn run_submitted(executor: &str, steps: &Value, more: Value) -> Value {
    let submitted = ok(arawn_submit, &request(executor, steps, more));
    let polled = ok(arawn_poll, &json!({"executor": executor, "job": submitted["job"], "wait_ms": 60_000}));
    polled["reply"].clone()
}

#[track_caller]
fn assert_step(reply: &Value, code: &str, step: &str, index: Value, completed: Value) {
    assert_error(reply, code);
    let details = &reply["details"];
    assert_eq!(
        [&details["step"], &details["index"], &details["completed"]],
        [&json!(step), &index, &completed],
        "{reply}"
    );
    let item = if index.is_null() { String::new() } else { format!(", item {index}") };
    assert!(reply["error"].as_str().unwrap().starts_with(&format!("step `{step}`{item}: ")), "{reply}");
}

#[test]
fn outputs_reach_the_steps_that_need_them_byte_for_byte() {
    let id = new(json!({}));
    let text = |request: &str| {
        let request = request.replace("$id", &id);
        let reply = call_text(arawn_execute_pipeline, &request);
        let submitted = call_text(arawn_submit, &request);
        let job = &submitted["output"]["job"];
        let polled = ok(arawn_poll, &json!({"executor": id, "job": job, "wait_ms": 60_000}));
        assert_eq!(polled["reply"], reply);
        reply
    };
    // Numbers that no language keeps, escapes, and white space pass as they are.
    let odd = r#"{"n":12345678901234567890.10, "s":"\u00e9\/", "z":-0.0}"#;
    let reply = common::call_raw(
        arawn_execute_pipeline,
        CString::new(format!(
            r#"{{"executor":"{id}","context":{{ "g" : 1.0 }} ,"pipeline":{{"steps":[
                {{"name":"a","runtime":"passthrough","config":{odd}}},
                {{"name":"b \"é\"","runtime":"passthrough"}},
                {{"name":"c","runtime":"passthrough","needs":["b \"é\"","a"],"config":3}}]}}}}"#
        ))
        .unwrap()
        .as_ptr(),
    );
    let a = format!(r#"{{"config":{odd},"context":{{ "g" : 1.0 }}}}"#);
    let b = format!(r#"{{"config":{{}},"context":{{ "g" : 1.0 ,"a":{a}}}}}"#);
    let c = format!(r#"{{"config":3,"context":{{ "g" : 1.0 ,"b \"é\"":{b},"a":{a}}}}}"#);
    assert_eq!(reply, format!(r#"{{"status":"ok","output":{c}}}"#));

    // `needs`: left out, it is the step before; [] is none. `output` picks a step.
    let reply = text(
        r#"{"executor":"$id","pipeline":{"output":"c","steps":[{"name":"a","runtime":"passthrough"},
            {"name":"b","runtime":"passthrough","needs":[]},{"name":"c","runtime":"passthrough","needs":["a"]},
            {"name":"d","runtime":"passthrough","needs":["c","b"]}]}}"#,
    );
    assert_eq!(reply["output"], json!({"config": {}, "context": {"a": {"config": {}, "context": {}}}}));
    // A step may need one that stands after it.
    let reply = text(
        r#"{"executor":"$id","pipeline":{"steps":[{"name":"a","runtime":"transform","needs":["b"],
            "config":{"expression":"b.config"}},{"name":"b","runtime":"passthrough","needs":[],"config":7}],"output":"a"}}"#,
    );
    assert_eq!(reply["output"], 7);
}

#[test]
fn steps_that_do_not_wait_for_each_other_run_at_the_same_time() {
    let id = new(json!({}));
    for run in [run, run_submitted] {
        let place = unique("place");
        let meets = format!("return arawn.call('meet', {{at: '{place}', of: 3}})");
        let free = json!({"needs": []});
        let steps = json!([
            with(script("a", &meets), free.clone()),
            with(script("b", &meets), free.clone()),
            with(script("c", &meets), free),
            {"name": "all", "runtime": "transform", "needs": ["a", "b", "c"], "config": {"mappings": {"a": "a", "b": "b", "c": "c"}}},
        ]);
        assert_eq!(run(&id, &steps, json!({}))["output"], json!({"a": true, "b": true, "c": true}));
        // So do the items of a list.
        let place = unique("place");
        let meets = format!("return [context.index, context.item, arawn.call('meet', {{at: '{place}', of: 3}})]");
        let reply = run(
            &id,
            &json!([with(script("a", &meets), json!({"for_each": "l"}))]),
            json!({"context": {"l": ["x", "y", "z"]}}),
        );
        assert_eq!(reply["output"], json!([[0, "x", true], [1, "y", true], [2, "z", true]]));
    }
}

#[test]
fn a_step_runs_once_for_each_item_of_its_list() {
    let id = new(json!({}));
    let each = |path: &str, context: Value, fetched: &str| {
        let steps = json!([
            with(script("f", &format!("return {fetched}")), json!({})),
            {"name": "e", "runtime": "passthrough", "needs": ["f"], "for_each": path},
        ]);
        let reply = run(&id, &steps, json!({"context": context, "meta": true}));
        assert_eq!(run_submitted(&id, &steps, json!({"context": context}))["output"], reply["output"]);
        let count = reply["output"].as_array().unwrap_or_else(|| panic!("{reply}")).len();
        assert_eq!(
            [&reply["meta"]["steps"][1]["items"], &reply["meta"]["steps"][1]["tries"]],
            [&json!(count), &json!(count)]
        );
        reply["output"].as_array().unwrap().iter().map(|output| output["context"].clone()).collect::<Vec<_>>()
    };
    let fetched = "{status: 200, body: {items: [5, 'x'], more: 1}}";
    assert_eq!(
        each("f.body.items", json!({"g": 0}), fetched),
        [
            json!({"g": 0, "f": {"status": 200, "body": {"more": 1}}, "item": 5, "index": 0}),
            json!({"g": 0, "f": {"status": 200, "body": {"more": 1}}, "item": "x", "index": 1}),
        ]
    );
    assert_eq!(each("f", json!({}), "[1]"), [json!({"item": 1, "index": 0})]);
    assert_eq!(each("f", json!({}), "[]"), [] as [Value; 0]);
    assert_eq!(each("f.1", json!({}), "[0, [[]], 2]"), [json!({"f": [0, null, 2], "item": [], "index": 0})]);
    assert_eq!(
        each("l.m", json!({"l": {"m": [1], "n": 2}}), "3"),
        [json!({"l": {"n": 2}, "f": 3, "item": 1, "index": 0})]
    );
    let part = json!([{"name": "e", "runtime": "transform", "for_each": "l", "first_index": 1_000_000, "config": {"expression": "index"}}]);
    assert_eq!(run(&id, &part, json!({"context": {"l": [7, 8]}}))["output"], json!([1_000_000, 1_000_001]));
    // 20,000 items, on all workers, come back in their order.
    let list: Vec<_> = (0..20_000).collect();
    let many = json!([{"name": "e", "runtime": "transform", "for_each": "l", "config": {"expression": "item"}}]);
    assert_eq!(run(&id, &many, json!({"context": {"l": list}}))["output"], json!(list));
}

#[test]
fn a_list_that_is_none_ends_its_step() {
    let id = new(json!({}));
    let cases = [
        ("f.items", "{}", "`f.items`, which must lead to a list, but an object has no `items`"),
        ("f", "'text'", "`f`, which must lead to a list, but leads to a string"),
        (
            "f",
            "new Array(100001).fill(0)",
            "`f`, which leads to a list of more than 100000 items, the most that one step may have",
        ),
    ];
    for (path, output, message) in cases {
        let steps = json!([
            script("f", &format!("return {output}")),
            {"name": "e", "runtime": "passthrough", "for_each": path},
        ]);
        for reply in [run(&id, &steps, json!({})), run_submitted(&id, &steps, json!({}))] {
            assert_step(&reply, "invalid_request", "e", Value::Null, json!(["f"]));
            assert_eq!(reply["details"]["path"], "pipeline.steps[1].for_each");
            assert!(reply["error"].as_str().unwrap().ends_with(message), "{reply}");
        }
    }
}

#[test]
fn a_step_is_tried_again_where_that_can_help() {
    let id = new(json!({}));
    let failing = |times: u64, how: &str, retry: Value| {
        let name = unique("try");
        let body = format!("if (arawn.call('count', {{as: '{name}'}}) <= {times}) {{ {how} }} return 'done'");
        let steps = json!([with(script("a", &body), json!({"retry": retry, "limits": {"timeout_ms": 2_000}}))]);
        let reply = run(&id, &steps, json!({"meta": true}));
        (counted(&name), reply)
    };
    let (tries, reply) = failing(2, "throw new Error('no')", json!({"attempts": 3, "delay_ms": 1}));
    assert_eq!(
        (tries, &reply["output"], &reply["meta"]["steps"][0]["tries"]),
        (3, &json!("done"), &json!(3)),
        "{reply}"
    );
    let (tries, reply) = failing(9, "throw new Error('no')", json!({"attempts": 3}));
    assert_step(&reply, "runtime_error", "a", Value::Null, json!([]));
    assert_eq!(tries, 3);
    let (tries, reply) = failing(1, "for (;;);", json!({"attempts": 2}));
    assert_eq!((tries, &reply["output"]), (2, &json!("done")), "a timeout of the step's own limit: {reply}");
    // What another try cannot help ends the step.
    let name = unique("fuel");
    let body = format!("arawn.call('count', {{as: '{name}'}}); for (;;);");
    let more = json!({"retry": {"attempts": 5}, "limits": {"fuel": 20_000_000}});
    let reply = run(&id, &json!([with(script("a", &body), more)]), json!({}));
    assert_step(&reply, "fuel_exhausted", "a", Value::Null, json!([]));
    assert_eq!(counted(&name), 1);
    // No try is waited for that would come after the deadline.
    let steps = json!([with(script("a", "throw 1"), json!({"retry": {"attempts": 9, "delay_ms": 86_400_000}}))]);
    let begun = Instant::now();
    assert_step(&run(&id, &steps, json!({})), "runtime_error", "a", Value::Null, json!([]));
    assert!(begun.elapsed() < LONG);
    // Each item is tried on its own.
    let name = unique("items");
    let body =
        format!("if (context.item === 1 && arawn.call('count', {{as: '{name}'}}) < 3) throw 1; return context.item");
    let steps = json!([with(script("e", &body), json!({"for_each": "l", "retry": {"attempts": 3}}))]);
    let reply = run(&id, &steps, json!({"context": {"l": [0, 1, 2]}, "meta": true}));
    assert_eq!([&reply["output"], &reply["meta"]["steps"][0]["tries"]], [&json!([0, 1, 2]), &json!(5)], "{reply}");
}

#[test]
fn a_step_that_fails_ends_the_pipeline_and_stops_the_others() {
    let id = new(json!({}));
    for run in [run, run_submitted] {
        let place = unique("place");
        let meets = format!("arawn.call('meet', {{at: '{place}', of: 3}});");
        let steps = json!([
            {"name": "first", "runtime": "passthrough"},
            with(script("loops", &format!("{meets} for (;;);")), json!({"needs": ["first"]})),
            with(script("loops-too", &format!("{meets} for (;;);")), json!({"needs": ["first"]})),
            with(script("fails", &format!("{meets} throw new Error('no')")), json!({"needs": ["first"]})),
            {"name": "never", "runtime": "passthrough", "needs": ["fails"]},
        ]);
        let begun = Instant::now();
        let reply = run(&id, &steps, json!({}));
        assert_step(&reply, "runtime_error", "fails", Value::Null, json!(["first"]));
        assert!(begun.elapsed() < LONG, "the other steps went on to the deadline");
        let steps = json!([with(
            script("e", "if (context.item === 3) throw new Error('no'); return 0"),
            json!({"for_each": "l", "first_index": 10})
        )]);
        let reply = run(&id, &steps, json!({"context": {"l": [1, 2, 3, 4]}}));
        assert_step(&reply, "runtime_error", "e", json!(12), json!([]));
    }
}

/// A call that ends well when another one has failed already leads to nothing more, and keeps nobody waiting.
#[test]
fn nothing_begins_after_a_failure() {
    let id = new(json!({}));
    for run in [run, run_submitted] {
        let (place, name) = (unique("place"), unique("after"));
        let meets = format!("arawn.call('meet', {{at: '{place}', of: 2}});");
        let counts = format!("arawn.call('count', {{as: '{name}'}}); return []");
        let steps = json!([
            with(script("fails", &format!("{meets} throw new Error('no')")), json!({"needs": []})),
            with(script("pauses", &format!("{meets} arawn.call('pause', 0); return [1]")), json!({"needs": []})),
            with(script("next", &counts), json!({"needs": ["pauses"]})),
            with(script("each", &counts), json!({"needs": ["pauses"], "for_each": "pauses"})),
        ]);
        let begun = Instant::now();
        assert_step(&run(&id, &steps, json!({})), "runtime_error", "fails", Value::Null, json!([]));
        assert!(begun.elapsed() < LONG);
        assert_eq!(counted(&name), 0);
    }
    // The workers are free.
    assert_eq!(run_submitted(&id, &json!([script("a", "return 1")]), json!({}))["output"], 1);
}

#[test]
fn nothing_runs_where_a_mistake_shows_before() {
    const SCHEMA: &str = "config_schema = { type = \"object\", required = [\"delimiter\"] }";
    let catalog = Catalog::new().entry("strict", &format!("path = \"custom/strict.wasm\"\n{SCHEMA}"));
    let id = new(json!({"runtimes_dir": catalog.path()}));
    let name = unique("first");
    let first = script("first", &format!("return arawn.call('count', {{as: '{name}'}})"));
    let then = |step: Value| json!([first, step]);
    let unknown = run(&id, &then(json!({"name": "b", "runtime": "pasthrough"})), json!({}));
    assert_step(&unknown, "unknown_runtime", "b", Value::Null, json!([]));
    assert_eq!(unknown["details"]["near"], json!(["passthrough"]));
    let unfit = run_submitted(&id, &then(json!({"name": "b", "runtime": "strict"})), json!({}));
    assert_step(&unfit, "invalid_request", "b", Value::Null, json!([]));

    let step = json!({"name": "b", "runtime": "passthrough"});
    let cases = [
        (json!([]), json!({}), "pipeline.steps", "has 0 steps, but must have 1 to 1000"),
        (
            Value::Array(vec![step.clone(); 1001]),
            json!({}),
            "pipeline.steps",
            "has 1001 steps, but must have 1 to 1000",
        ),
        (
            then(with(step.clone(), json!({"name": "first"}))),
            json!({}),
            "pipeline.steps[1].name",
            "is `first`, which is the name of `pipeline.steps[0]`",
        ),
        (
            then(with(step.clone(), json!({"name": "a.b"}))),
            json!({}),
            "pipeline.steps[1].name",
            "is `a.b`, but must have no dot: dots part the keys of a path",
        ),
        (then(with(step.clone(), json!({"name": ""}))), json!({}), "pipeline.steps[1].name", "must not be empty"),
        (
            then(with(step.clone(), json!({"name": "n".repeat(65)}))),
            json!({}),
            "pipeline.steps[1].name",
            "has 65 bytes, but must have at most 64",
        ),
        (
            then(with(step.clone(), json!({"name": "item"}))),
            json!({}),
            "pipeline.steps[1].name",
            "must not be `item`: in a `for_each`, this is the key of an item's own value",
        ),
        (
            then(with(step.clone(), json!({"name": "a\nb"}))),
            json!({}),
            "pipeline.steps[1].name",
            "is `a\\nb`, but must have no control characters",
        ),
        (
            then(with(step.clone(), json!({"needs": ["frist"]}))),
            json!({}),
            "pipeline.steps[1].needs[0]",
            "is `frist`, but no step has this name",
        ),
        (
            then(with(step.clone(), json!({"needs": ["b"]}))),
            json!({}),
            "pipeline.steps[1].needs[0]",
            "is the step itself",
        ),
        (
            then(with(step.clone(), json!({"needs": ["first", "first"]}))),
            json!({}),
            "pipeline.steps[1].needs[1]",
            "is `first`, which appears twice",
        ),
        (
            json!([first, with(step.clone(), json!({"needs": ["c"]})), {"name": "c", "runtime": "passthrough", "needs": ["first", "b"]}]),
            json!({}),
            "pipeline.steps[1].needs",
            "is a circle: `b` needs `c` needs `b`",
        ),
        (
            then(with(step.clone(), json!({"for_each": "l"}))),
            json!({}),
            "pipeline.steps[1].for_each",
            "is `l`, which must lead to a list, but an object has no `l`",
        ),
        (
            then(with(step.clone(), json!({"for_each": "first..x"}))),
            json!({}),
            "pipeline.steps[1].for_each",
            "is `first..x`, but must be keys that dots part, such as `fetch.items`",
        ),
        (
            then(with(step.clone(), json!({"for_each": "first", "needs": []}))),
            json!({}),
            "pipeline.steps[1].for_each",
            "is `first`, but begins with a step that `needs` does not name",
        ),
        (
            then(with(step.clone(), json!({"for_each": format!("first{}", ".a".repeat(32))}))),
            json!({}),
            "pipeline.steps[1].for_each",
            "must have at most 32 keys and 1024 bytes",
        ),
        (
            then(with(step.clone(), json!({"for_each": "first", "first_index": 1_u64 << 53}))),
            json!({}),
            "pipeline.steps[1].first_index",
            "is 9007199254740992, but must be at most 9007199254640991",
        ),
        (
            then(with(step.clone(), json!({"first_index": 1}))),
            json!({}),
            "pipeline.steps[1].first_index",
            "must not be given without `for_each`: it is the index of the first item",
        ),
        (
            then(with(step.clone(), json!({"retry": {"attempts": 0}}))),
            json!({}),
            "pipeline.steps[1].retry.attempts",
            "is 0, but must be 1 to 100",
        ),
        (
            then(with(step.clone(), json!({"retry": {"attempts": 101}}))),
            json!({}),
            "pipeline.steps[1].retry.attempts",
            "is 101, but must be 1 to 100",
        ),
        (
            then(with(step.clone(), json!({"retry": {"attempts": 2, "delay_ms": 86_400_001}}))),
            json!({}),
            "pipeline.steps[1].retry.delay_ms",
            "is 86400001, but must be at most 86400000 (a day)",
        ),
        (then(with(step.clone(), json!({"retry": 3}))), json!({}), "pipeline.steps[1].retry", "must be an object"),
        (
            then(with(step.clone(), json!({"limits": {"fuel": 0}}))),
            json!({}),
            "pipeline.steps[1].limits.fuel",
            "must be at least 1",
        ),
        (
            then(with(step.clone(), json!({"limits": {"timeout_ms": 60_000}}))),
            json!({}),
            "pipeline.steps[1].limits.timeout_ms",
            "is 60000, but the pipeline's limit is 30000",
        ),
        (
            then(with(step.clone(), json!({"forEach": "first"}))),
            json!({}),
            "pipeline.steps[1].forEach",
            "is an unknown key; known keys: `name`, `runtime`, `config`, `needs`, `for_each`, `first_index`, `retry`, `limits`",
        ),
        (
            then(step.clone()),
            json!({"context": [1]}),
            "context",
            "must be an object: the outputs of steps are added to it",
        ),
        (
            then(step.clone()),
            json!({"context": {"b": 1}}),
            "context.b",
            "is the name of a step, whose output would have the same key",
        ),
        (
            then(with(step.clone(), json!({"for_each": "first"}))),
            json!({"context": {"item": 1}}),
            "context.item",
            "must not be given: a `for_each` adds a key of this name for each item",
        ),
        (
            then(step.clone()),
            json!({"completed": {"c": 1}}),
            "completed.c",
            "must be the output of a step, but no step has this name",
        ),
        (
            then(step.clone()),
            json!({"limits": {"timeout_ms": 60_000}}),
            "limits.timeout_ms",
            "is 60000, but the executor's limit is 30000",
        ),
        (
            then(step),
            json!({"input": {}}),
            "input",
            "is an unknown key; known keys: `executor`, `pipeline`, `context`, `completed`, `limits`, `job`, `meta`, `dry_run`",
        ),
    ];
    for (steps, more, path, message) in cases {
        let reply = run(&id, &steps, more.clone());
        assert_error(&reply, "invalid_request");
        assert_eq!(reply["details"], json!({"path": path}), "{reply}");
        assert_eq!(reply["error"], format!("`{path}` {message}"));
        if path != "input" {
            let submitted = call(arawn_submit, &request(&id, &steps, more));
            // A path into the context is followed within the deadline, by a worker.
            let job = &submitted["output"]["job"];
            let poll = || ok(arawn_poll, &json!({"executor": id, "job": job, "wait_ms": 60_000}));
            assert_eq!(if job.is_null() { submitted.clone() } else { poll()["reply"].clone() }, reply);
        }
    }
    let output = json!({"executor": id, "pipeline": {"steps": [first], "output": "b"}});
    assert_eq!(call(arawn_execute_pipeline, &output)["details"], json!({"path": "pipeline.output"}));
    assert_eq!(counted(&name), 0);
    for key in ["runtime", "input", "register"] {
        let reply = call(arawn_submit, &request(&id, &json!([first]), json!({key: {}})));
        assert_eq!(reply["details"], json!({"path": key}), "{reply}");
    }
}

#[test]
fn steps_whose_outputs_are_given_do_not_run() {
    let id = new(json!({}));
    let name = unique("first");
    let steps = json!([
        script("first", &format!("return arawn.call('count', {{as: '{name}'}})")),
        script("second", "if (context.first < 100) throw new Error('too small'); return context.first"),
    ]);
    let failed = run(&id, &steps, json!({}));
    assert_step(&failed, "runtime_error", "second", Value::Null, json!(["first"]));
    for run in [run, run_submitted] {
        let reply = run(&id, &steps, json!({"completed": {"first": 100}, "meta": true}));
        assert_eq!(reply["output"], 100);
        assert_eq!(reply["meta"]["steps"].as_array().unwrap().len(), 1);
    }
    let failed = run(&id, &steps, json!({"completed": {"first": 99}}));
    assert_step(&failed, "runtime_error", "second", Value::Null, json!(["first"]));
    assert_eq!(run(&id, &steps, json!({"completed": {"second": 5}}))["output"], 5);
    assert_eq!(run(&id, &steps, json!({"completed": {"first": 1, "second": [6]}}))["output"], json!([6]));
    assert_eq!(counted(&name), 2);
}

#[test]
fn a_dry_run_tells_what_each_step_needs() {
    let id = new(json!({}));
    let steps = json!([{"name": "a", "runtime": "none"}, {"name": "b", "runtime": "none"}, {"name": "c", "runtime": "none", "needs": ["a"]}]);
    let plan = run(&id, &steps, json!({"dry_run": true}));
    assert_eq!(
        plan.to_string(),
        r#"{"status":"ok","output":{"steps":[{"name":"a","needs":[]},{"name":"b","needs":["a"]},{"name":"c","needs":["a"]}],"output":"c"}}"#
    );
    let reply = call(arawn_submit, &request(&id, &steps, json!({"dry_run": true})));
    assert_eq!(reply["details"], json!({"path": "dry_run"}), "{reply}");
}

#[test]
fn the_deadline_covers_all_steps() {
    let id = new(json!({}));
    let looping = || script("loops", "for (;;);");
    let short = || script("a", "return 1");
    let cases = [
        (json!([short(), looping()]), json!({}), "loops"),
        (
            json!([with(looping(), json!({"needs": []})), with(script("b", "for (;;);"), json!({"needs": []}))]),
            json!({}),
            "",
        ),
        (
            json!([with(script("e", "for (;;);"), json!({"for_each": "l"}))]),
            json!({"context": {"l": vec![0; 1000]}}),
            "e",
        ),
        (json!([with(script("a", "throw 1"), json!({"retry": {"attempts": 100, "delay_ms": 5}}))]), json!({}), "a"),
    ];
    for (steps, more, step) in cases {
        let more = with(more, json!({"limits": {"timeout_ms": 200}}));
        for run in [run, run_submitted] {
            let begun = Instant::now();
            let reply = run(&id, &steps, more.clone());
            assert!(begun.elapsed() < LONG, "{reply}");
            if step != "a" {
                assert_error(&reply, "timeout");
                assert_eq!(reply["details"]["timeout_ms"], 200);
            }
            assert!(reply["details"]["step"].as_str().unwrap().contains(step), "{reply}");
        }
    }
}

#[test]
fn no_step_begins_after_the_deadline_and_the_reply_says_what_has_passed() {
    let id = new(json!({}));
    for run in [run, run_submitted] {
        let name = unique("short");
        let body = format!("arawn.call('count', {{as: '{name}'}}); arawn.call('pause', 0)");
        let steps: Vec<_> = (0..100).map(|number| script(&format!("s{number}"), &body)).collect();
        let reply = run(&id, &json!(steps), json!({"limits": {"timeout_ms": 100}}));
        assert_error(&reply, "timeout");
        assert!(counted(&name) < 10, "{reply}");
        // Nobody has cancelled anything, whichever thread is the first to see the time.
        let steps = json!([with(script("e", "for (;;);"), json!({"for_each": "l"}))]);
        for _ in 0..20 {
            let more = json!({"context": {"l": [1, 2, 3]}, "limits": {"timeout_ms": 15}});
            let reply = run(&id, &steps, more);
            // On a busy machine no worker may have come to the step.
            assert!(["timeout", "overloaded"].contains(&reply["code"].as_str().unwrap()), "{reply}");
        }
    }
}

/// A function for polls, of a thread that waits for the pipeline: on whichever thread the step runs.
#[test]
fn a_function_that_only_the_waiting_thread_would_run_is_refused() {
    let id = new(json!({}));
    let request = CString::new(json!({"executor": id, "name": "count", "on": "poll"}).to_string()).unwrap();
    // SAFETY: as in `set`.
    unsafe { arawn_free(arawn_host_function_set(request.as_ptr(), Some(count), std::ptr::null_mut())) };
    ok(arawn_poll, &json!({"executor": id}));
    let place = unique("place");
    let asks = format!("arawn.call('meet', {{at: '{place}', of: 2}}); return arawn.call('count', {{as: 'x'}})");
    let free = json!({"needs": []});
    let begun = Instant::now();
    let reply = run(&id, &json!([with(script("a", &asks), free.clone()), with(script("b", &asks), free)]), json!({}));
    assert_error(&reply, "runtime_error");
    assert!(reply["error"].as_str().unwrap().contains("count") && begun.elapsed() < LONG, "{reply}");
}

#[test]
fn a_cancel_stops_every_step() {
    let id = new(json!({}));
    let begins = |name: &str| {
        let body = format!("arawn.call('count', {{as: '{name}'}}); for (;;);");
        let steps = json!([with(script("e", &body), json!({"for_each": "l"}))]);
        request(&id, &steps, json!({"context": {"l": [1, 2, 3, 4]}, "job": "j"}))
    };
    // Two of the items run.
    let cancel = |name: &str| {
        while counted(name) < 2 {
            std::thread::yield_now();
        }
        ok(arawn_cancel, &json!({"executor": id, "job": "j"}));
    };
    let name = unique("waited");
    let waited = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| call(arawn_execute_pipeline, &begins(&name)));
        cancel(&name);
        waiting.join().unwrap()
    });
    assert_error(&waited, "cancelled");
    assert_eq!([&waited["details"]["job"], &waited["details"]["step"]], ["j", "e"]);
    let name = unique("submitted");
    ok(arawn_submit, &begins(&name));
    cancel(&name);
    let polled = ok(arawn_poll, &json!({"executor": id, "job": "j", "wait_ms": 20_000}));
    assert_error(&polled["reply"], "cancelled");
    assert_eq!(polled["reply"]["details"]["job"], "j");
    // One that has not begun, too.
    ok(arawn_submit, &begins("nobody"));
    ok(arawn_cancel, &json!({"executor": id, "job": "j"}));
    let polled = ok(arawn_poll, &json!({"executor": id, "job": "j", "wait_ms": 20_000}));
    assert_error(&polled["reply"], "cancelled");
    let unknown = call(arawn_cancel, &json!({"executor": id, "job": "j"}));
    assert_error(&unknown, "unknown_job");
}

#[test]
fn a_name_is_one_jobs_alone() {
    let id = new(json!({}));
    let steps = json!([script("a", "for (;;);")]);
    ok(arawn_submit, &request(&id, &steps, json!({"job": "j"})));
    assert_error(&run(&id, &steps, json!({"job": "j"})), "job_exists");
    assert_error(&call(arawn_submit, &request(&id, &steps, json!({"job": "j"}))), "job_exists");
    ok(arawn_cancel, &json!({"executor": id, "job": "j"}));
}

#[test]
fn limits_hold_for_each_call_and_for_what_is_kept() {
    let id = new(json!({"limits": {"output_bytes": 1000, "reply_bytes": 3000}}));
    let list = json!({"context": {"l": [1, 2, 3]}});
    let steps = json!([with(script("e", "return 'x'.repeat(400)"), json!({"for_each": "l"}))]);
    assert_step(&run(&id, &steps, list.clone()), "output_too_large", "e", Value::Null, json!([]));
    let steps = json!([with(script("e", "return 'x'.repeat(300)"), json!({"for_each": "l"}))]);
    assert_eq!(run(&id, &steps, list)["status"], "ok");
    // Four outputs of 900 bytes are needed at a time by the last step; three fit.
    let long = |name: &str| with(script(name, "return 'x'.repeat(900)"), json!({"needs": []}));
    let all = |names: &[&str]| {
        let last = json!({"name": "all", "runtime": "transform", "needs": names, "config": {"template": "fine"}});
        Value::from_iter(names.iter().map(|name| long(name)).chain([last]))
    };
    assert_eq!(run(&id, &all(&["a", "b", "c"]), json!({}))["output"], "fine");
    let reply = run(&id, &all(&["a", "b", "c", "d"]), json!({}));
    assert_error(&reply, "output_too_large");
    assert_eq!(reply["details"]["reply_bytes"], 3000);
    // Outputs that nobody needs any more do not count: ten steps one after the other.
    let steps: Vec<_> = (0..10).map(|number| script(&format!("s{number}"), "return 'x'.repeat(900)")).collect();
    assert_eq!(run(&id, &json!(steps), json!({}))["status"], "ok");
    let tight = json!([with(script("a", "for (;;);"), json!({"limits": {"fuel": 10_000_000}}))]);
    assert_step(&run(&id, &tight, json!({})), "fuel_exhausted", "a", Value::Null, json!([]));
}

#[test]
fn one_slot_is_enough_for_any_pipeline() {
    let id = new(json!({"limits": {"calls": 1}}));
    let steps: Vec<_> =
        (0..1000).map(|number| json!({"name": format!("s{number}"), "runtime": "passthrough", "needs": []})).collect();
    assert_eq!(run(&id, &json!(steps), json!({}))["status"], "ok");
    let steps: Vec<_> = (0..1000)
        .map(|number| json!({"name": format!("s{number}"), "runtime": "transform", "config": {"template": "x"}}))
        .collect();
    let reply = run_submitted(&id, &json!(steps), json!({"meta": true}));
    assert_eq!((&reply["output"], reply["meta"]["steps"].as_array().unwrap().len()), (&json!("x"), 1000));
    let times: Vec<_> =
        reply["meta"]["steps"].as_array().unwrap().iter().map(|step| step["ended_us"].as_u64()).collect();
    assert!(times.is_sorted() && times[999] <= reply["meta"]["total_us"].as_u64());
}

#[test]
fn a_pipeline_ends_also_where_its_executor_is_closed() {
    let id = new(json!({}));
    let (place, name) = (unique("place"), unique("began"));
    let body = format!(
        "arawn.call('count', {{as: '{name}'}}); arawn.call('meet', {{at: '{place}', of: 2}}); return context.index"
    );
    let steps = json!([with(script("e", &body), json!({"for_each": "l"}))]);
    let reply = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| run(&id, &steps, json!({"context": {"l": [1, 2, 3, 4, 5]}})));
        while counted(&name) == 0 {}
        ok(arawn_executor_close, &json!({"executor": id}));
        waiting.join().unwrap()
    });
    // A guest that asks after the executor was closed gets an error.
    assert!(reply["output"] == json!([0, 1, 2, 3, 4]) || reply["details"]["step"] == "e", "{reply}");
}
