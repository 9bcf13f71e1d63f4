//! What a check of a config, and compiling a schema, may take: nothing goes on behind a call, and nothing grows without
//! bound.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::{arawn_catalog_register, arawn_execute_runtime, arawn_executor_new};
use base64::prelude::{BASE64_STANDARD, Engine};
use common::watched::{Watched, watched};
use common::{Catalog, answering, assert_error, call, execute};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn registration(executor: &str, name: &str, schema: &Value) -> Value {
    let module = BASE64_STANDARD.encode(wat::parse_str(answering("ran")).unwrap());
    json!({"executor": executor, "name": name, "wasm_base64": module, "config_schema": schema, "replace": true})
}

fn register(executor: &str, name: &str, schema: &Value) -> Value {
    call(arawn_catalog_register, &registration(executor, name, schema))
}

fn run(executor: &str, name: &str, config: &Value) -> Value {
    execute(&json!({"executor": executor, "runtime": name, "input": {"config": config}}))
}

/// How long the watched process does nothing after its call.
const IDLE: Duration = Duration::from_millis(1500);

/// A check in a process of its own, which is idle after it.
fn checked_and_idle(schema: &Value, config: &Value, timeout_ms: u64) -> Watched {
    let catalog = Catalog::new();
    let limits = json!({"timeout_ms": timeout_ms});
    watched(&[
        ("arawn_executor_new", json!({"id": "a", "cache_dir": null, "runtimes_dir": catalog.path()})),
        ("arawn_catalog_register", registration("a", "checked", schema)),
        (
            "arawn_execute_runtime",
            json!({"executor": "a", "runtime": "checked", "input": {"config": config}, "limits": limits}),
        ),
        ("arawn_poll", json!({"executor": "a", "wait_ms": IDLE.as_millis() as u64})),
    ])
}

/// Each level asks the one below three times, and only the innermost tells that none of them fits.
fn branching(applicator: &str) -> Value {
    let branch = json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/node"}}});
    json!({"$ref": "#/$defs/node", "$defs": {"node": {applicator: [branch, branch, branch]}}})
}

#[test]
fn a_recursive_any_of_over_a_deep_config_ends_with_its_call_and_leaves_nothing_behind() {
    let deep = (0..20).fold(json!(1), |inner, _| json!({"a": inner}));
    let quiet = json!({"not": branching("anyOf"), "$defs": branching("anyOf")["$defs"]});
    // 2^60 steps, of which each but the last is fine.
    let mut doubling = json!({"$ref": "#/$defs/d0", "$defs": {"d60": {"type": "object"}}});
    for n in 0..60 {
        let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
        doubling["$defs"][format!("d{n}")] = json!({"allOf": [next, next]});
    }
    for (schema, timeout_ms) in [
        (branching("anyOf"), 100),
        (branching("oneOf"), 100),
        (quiet, 100),
        (doubling, 100),
        (branching("anyOf"), 5000),
    ] {
        let Watched { replies, took, cpu, peak_mib, .. } = checked_and_idle(&schema, &deep, timeout_ms);
        let reply = &replies[2];
        assert!(["timeout", "invalid_request"].contains(&reply["code"].as_str().unwrap()), "{reply}");
        assert!(took > IDLE, "{took:?}: {replies:?}");
        let busy = took - IDLE;
        assert!(
            cpu < busy + Duration::from_millis(100),
            "{cpu:?} of processor time, but the process was busy for {busy:?}"
        );
        assert!(peak_mib < 200, "{peak_mib} MiB");
    }
}

/// Every way to take long or much that is not a step from one subschema to another.
#[test]
fn whatever_a_check_spends_its_time_on_it_ends_with_its_deadline() {
    let many = |count: u64, value: &dyn Fn(u64) -> Value| (0..count).map(value).collect::<Value>();
    let wide = |inner: &Value| json!({"items": inner});
    let draft_7 = |schema: Value| {
        let mut schema = schema;
        schema["$schema"] = json!("http://json-schema.org/draft-07/schema#");
        schema
    };
    let mut references = json!({"$defs": {"d1500": {"minLength": 1}}, "items": {"$ref": "#/$defs/d0"}});
    for n in 0..1500 {
        references["$defs"][format!("d{n}")] = json!({"$ref": format!("#/$defs/d{}", n + 1)});
    }
    let mut unevaluated = json!({"$ref": "#/$defs/d0", "$defs": {"d1500": {"minItems": 1}}});
    for n in 0..1500 {
        unevaluated["$defs"][format!("d{n}")] =
            json!({"unevaluatedItems": true, "allOf": [{"$ref": format!("#/$defs/d{}", n + 1)}]});
    }
    let mut state = 1u64;
    let mut letter = |_| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1);
        if state >> 63 == 0 { 'a' } else { 'b' }
    };
    let ab: String = (0..800_000).map(&mut letter).collect();
    // Each letter may begin what ends hundreds of letters on, so that an automaton has a new state at almost every letter.
    let patterns: Vec<Value> = (0..20).map(|n| json!({"pattern": format!("^(a|b)*a(a|b){{{}}}$", 400 + n)})).collect();
    let cases = [
        ("a large enum", wide(&json!({"enum": many(20_000, &|n| json!(n))})), many(90_000, &|n| json!(n + 50_000))),
        ("items that hash alike", json!({"uniqueItems": true}), many(40_000, &|n| json!(u64::MAX - n))),
        ("chains of references", draft_7(references.clone()), many(90_000, &|_| json!(""))),
        ("chains of references in 2020-12", references, many(90_000, &|_| json!(""))),
        ("sets of what was not evaluated", unevaluated, many(90_000, &|n| json!(n))),
        ("patterns", json!({"allOf": patterns}), json!(ab)),
        (
            "a format that is parsed again and again",
            draft_7(wide(&json!({"format": "regex"}))),
            many(300, &|_| json!("\\cA".repeat(5_000))),
        ),
        (
            "required names",
            wide(&json!({"required": many(20_000, &|n| json!(format!("n{n}")))})),
            many(9_000, &|_| json!({})),
        ),
    ];
    for (what, schema, config) in cases {
        let Watched { replies, took, cpu, peak_mib, .. } = checked_and_idle(&schema, &config, 100);
        let reply = &replies[2];
        assert_eq!(replies[1]["status"], "ok", "{what}: {}", replies[1]);
        assert!(["timeout", "invalid_request"].contains(&reply["code"].as_str().unwrap()), "{what}: {reply}");
        assert!(took > IDLE && took < IDLE + Duration::from_secs(2), "{what}: {took:?}");
        let busy = took - IDLE;
        assert!(cpu < busy + Duration::from_millis(100), "{what}: {cpu:?} of processor time, {busy:?} busy");
        assert!(peak_mib < 200, "{what}: {peak_mib} MiB");
    }
}

#[test]
fn a_large_tree_is_checked_in_full() {
    fn tree(levels: usize) -> Value {
        match levels {
            0 => json!({"value": 1}),
            _ => json!({"value": levels, "children": (0..8).map(|_| tree(levels - 1)).collect::<Vec<_>>()}),
        }
    }
    let schema = json!({"$ref": "#/$defs/tree", "$defs": {"tree": {
        "type": "object", "required": ["value"], "additionalProperties": false,
        "properties": {
            "value": {"type": "integer"}, "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}}}});
    let catalog = Catalog::new();
    let id = catalog.executor();
    register(&id, "tree", &schema);
    let mut config = tree(5);
    assert_eq!(run(&id, "tree", &config)["output"], "ran");
    config["children"][7]["children"][7]["children"][7]["value"] = json!("seven");
    let reply = run(&id, "tree", &config);
    assert_error(&reply, "invalid_request");
    assert_eq!(reply["details"]["path"], "input.config.children[7].children[7].children[7].value");
}

#[test]
fn a_config_of_more_values_than_are_checked_is_refused_and_one_of_long_strings_is_not() {
    let catalog = Catalog::new();
    let id = catalog.executor_with(json!({"limits": {"memory_bytes": 1 << 30}}));
    register(&id, "any", &json!({"minItems": 1}));
    let with = |config: String| {
        let request = format!("{{\"executor\":\"{id}\",\"runtime\":\"any\",\"input\":{{\"config\":{config}}}}}");
        common::call_text(arawn_execute_runtime, &request)
    };
    let reply = with(format!("[{}7]", "7,".repeat(2 << 20)));
    assert_error(&reply, "invalid_request");
    assert!(reply["error"].as_str().unwrap().contains("more values than the 524288 that can be checked"), "{reply}");
    assert_eq!(with(format!("[\"{}\"]", "7,[".repeat(2 << 20)))["output"], "ran");
}

/// Up to draft 7 a format asserts; from 2019-09 on it only describes.
#[test]
fn formats_mean_what_they_mean_in_each_draft() {
    let catalog = Catalog::new();
    let id = catalog.executor();
    for (draft, asserts) in [
        ("http://json-schema.org/draft-04/schema#", true),
        ("http://json-schema.org/draft-06/schema#", true),
        ("http://json-schema.org/draft-07/schema#", true),
        ("https://json-schema.org/draft/2019-09/schema", false),
        ("https://json-schema.org/draft/2020-12/schema", false),
    ] {
        let schema = json!({"$schema": draft, "properties": {
            "at": {"format": "ipv4", "minLength": 3},
            "referred": {"$ref": "#/properties/at", "format": "date"}}});
        register(&id, "formats", &schema);
        for config in [json!({"at": "10.0.0.1"}), json!({"at": 7}), json!({"referred": "10.0.0.1"})] {
            assert_eq!(run(&id, "formats", &config)["output"], "ran", "{draft}: {config}");
        }
        for key in ["at", "referred"] {
            let reply = run(&id, "formats", &json!({key: "10.0.0.x"}));
            match asserts {
                true => {
                    assert_error(&reply, "invalid_request");
                    assert_eq!(reply["details"]["path"], format!("input.config.{key}"));
                    let text = reply["error"].as_str().unwrap();
                    assert!(text.contains("'10.0.0.x' is not valid ipv4: invalid IPv4 address syntax"), "{text}");
                }
                false => assert_eq!(reply["output"], "ran", "{draft}: {reply}"),
            }
        }
    }
}

#[test]
fn a_schema_of_as_many_parts_as_there_may_be_is_compiled_in_no_time() {
    let catalog = Catalog::new();
    let id = catalog.executor();
    let properties = (0..4990).map(|n| (format!("p{n}"), json!({"type": "integer", "maximum": n}))).collect();
    let references: Vec<Value> = (0..2400).map(|n| json!({"$ref": format!("#/$defs/d{}", 2400 - n)})).collect();
    let definitions = (0..2401).map(|n| (format!("d{n}"), json!({"minimum": n}))).collect();
    for schema in [
        json!({"properties": Value::Object(properties)}),
        json!({"allOf": references, "$defs": Value::Object(definitions)}),
    ] {
        common::assert_within(3000, "a schema", || {
            let mut schema = schema.clone();
            // Another one each time, so that it is compiled each time.
            schema["title"] = json!(format!("{:?}", Instant::now()));
            let begun = Instant::now();
            assert_eq!(register(&id, "large", &schema)["status"], "ok");
            begun.elapsed()
        });
    }
}

#[test]
fn a_schema_that_would_take_long_to_compile_is_refused_with_the_reason() {
    let catalog = Catalog::new();
    let id = catalog.executor();
    let mut long_name = json!({"properties": {}});
    let inner: serde_json::Map<_, _> = (0..4900).map(|n| (format!("p{n}"), json!({"type": "integer"}))).collect();
    long_name["properties"]["k".repeat(1 << 19)] = json!({"properties": inner});
    let patterns: Vec<Value> = (0..4900).map(|n| json!({"pattern": format!("^x{n}\\w{{1,99}}$")})).collect();
    for (schema, word) in [
        (long_name, "more than 12000000 steps to compile"),
        (json!({"allOf": patterns}), "more than 12000000 steps to compile"),
        (json!({"pattern": "\\cA".repeat(50_000)}), "a pattern may have 8192 bytes"),
        (json!({"patternProperties": {"a".repeat(8193): true}}), "a pattern may have 8192 bytes"),
        (json!({"pattern": "(.{1,1000}){1,100}"}), "exceeds size limit"),
    ] {
        let begun = Instant::now();
        let reply = register(&id, "bad", &schema);
        assert_error(&reply, "invalid_request");
        assert!(reply["error"].as_str().unwrap().contains(word), "{reply:.300}");
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    }
}

/// Each of them may be compiled, and all of them together take too long for the call that reads the catalog.
#[test]
fn the_schemas_of_a_catalog_are_bounded_together() {
    let mut catalog = Catalog::new();
    let schema = |n: usize| {
        let patterns: Vec<Value> = (0..400).map(|p| json!({"pattern": format!("^{n}x{p}$")})).collect();
        json!({"allOf": patterns})
    };
    for n in 0..40 {
        catalog =
            catalog.entry(&format!("r{n}"), &format!("path = \"custom/a.wasm\"\nconfig_schema = '{}'", schema(n)));
    }
    let begun = Instant::now();
    let reply = call(arawn_executor_new, &json!({"runtimes_dir": catalog.path(), "cache_dir": null}));
    assert_error(&reply, "catalog_invalid");
    assert!(reply["error"].as_str().unwrap().contains("the schemas of this catalog take too long"), "{reply:.400}");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

/// What takes long is the classes of a pattern, not its length.
#[test]
fn a_pattern_is_refused_by_what_its_classes_take_and_not_by_their_number() {
    let catalog = Catalog::new();
    let id = catalog.executor();
    let folded = "(?i:[\\p{L}&&\\p{Cc}])";
    let any = "(?i:[\\x{0}-\\x{10FFFF}])";
    let wide: String = (0..4000).map(|n| char::from_u32(0x7f0 - n % 1900).unwrap_or('a')).collect();
    for pattern in [folded.repeat(300), any.repeat(300), "[\\P{L}--\\p{N}]".repeat(480), format!("[\\p{{L}}{wide}]")] {
        let begun = Instant::now();
        let reply = register(&id, "long", &json!({"pattern": pattern}));
        assert_error(&reply, "invalid_request");
        let text = reply["error"].as_str().unwrap();
        assert!(text.contains("more than 12000000 steps to compile"), "{text:.300}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
    let usual: Vec<Value> =
        ["(?i)^[\\p{L}\\p{N}_-]+$", "^\\p{Lu}\\p{Ll}*$", "^[a-z][a-z0-9-]{0,62}$", "^\\d+(\\.\\d+)*$"]
            .iter()
            .flat_map(|pattern| (0..6).map(move |n| json!({"pattern": format!("{pattern}|{n}")})))
            .collect();
    let reply = register(&id, "usual", &json!({"anyOf": usual}));
    assert_eq!(reply["status"], "ok", "{reply}");
    assert_eq!(run(&id, "usual", &json!("straße"))["output"], "ran");
    // And one of as many bytes as there may be.
    assert_eq!(register(&id, "usual", &json!({"pattern": "\\s\\d\\w\\D".repeat(100)}))["status"], "ok");
    assert_eq!(register(&id, "usual", &json!({"pattern": "a".repeat(8192)}))["status"], "ok");
}

#[test]
fn a_string_that_is_too_long_for_its_format_is_refused_at_once() {
    let catalog = Catalog::new();
    let id = catalog.executor();
    for (format, valid, longest) in [
        ("regex", "a", 16 << 10),
        ("email", "a@b.example", 4 << 10),
        ("hostname", "b.example", 4 << 10),
        ("uri", "https://b.example/", 64 << 10),
        ("json-pointer", "/a", 1 << 20),
    ] {
        let schema = json!({"$schema": "http://json-schema.org/draft-07/schema#", "format": format});
        register(&id, format, &schema);
        assert_eq!(run(&id, format, &json!(valid))["output"], "ran", "{format}");
        let of = |len: usize| json!(format!("{valid}{}", "a".repeat(len - valid.len())));
        let too_long = "too long for a pattern or a format";
        let reply = run(&id, format, &of(longest));
        assert!(!reply.to_string().contains(too_long), "{format}: {reply:.300}");
        let reply = run(&id, format, &of(longest + 1));
        assert_error(&reply, "invalid_request");
        assert!(reply["error"].as_str().unwrap().contains(too_long), "{format}: {reply:.300}");
    }
    let schema = json!({"$schema": "http://json-schema.org/draft-07/schema#", "format": "regex"});
    let Watched { replies, peak_mib, .. } = checked_and_idle(&schema, &json!("a".repeat(4 << 20)), 10_000);
    assert_eq!(replies[2]["code"], "invalid_request", "{:.300}", replies[2]);
    assert!(peak_mib < 200, "{peak_mib} MiB");
}

#[test]
fn a_catalog_that_takes_long_to_load_keeps_no_other_one_waiting() {
    let mut slow = Catalog::new();
    for n in 0..30 {
        let patterns: Vec<Value> = (0..400).map(|p| json!({"pattern": format!("^slow{n}x{p}$")})).collect();
        let schema = json!({"allOf": patterns});
        slow = slow.entry(&format!("r{n}"), &format!("path = \"custom/a.wasm\"\nconfig_schema = '{schema}'"));
    }
    let other = Catalog::new();
    let new = |catalog: &Catalog| call(arawn_executor_new, &json!({"runtimes_dir": catalog.path(), "cache_dir": null}));
    std::thread::scope(|scope| {
        let loading = scope.spawn(|| new(&slow));
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(new(&other)["status"], "ok");
        assert!(!loading.is_finished(), "the other executor has waited for the catalog");
        loading.join().unwrap();
    });
}

#[test]
fn a_config_is_read_within_its_deadline_and_in_bounded_memory() {
    let nested = |values: usize| -> Value {
        let inner = (0..100).fold(json!([]), |inner, _| json!([inner]));
        (0..values / 102).map(|_| inner.clone()).collect()
    };
    for (values, code) in [(500_000, "timeout"), (4 << 20, "invalid_request")] {
        let config = nested(values);
        let Watched { replies, took, cpu, peak_mib, .. } = checked_and_idle(&json!({"type": "array"}), &config, 1);
        assert_eq!(replies[2]["code"], code, "{:.300}", replies[2]);
        assert!(cpu < took - IDLE + Duration::from_millis(100), "{cpu:?} of {took:?}");
        assert!(peak_mib < 200, "{peak_mib} MiB");
    }
}

#[test]
fn a_schema_of_large_literals_is_refused_before_it_is_compiled() {
    let catalog = Catalog::new();
    let id = catalog.executor();
    let numbers = |count: usize| (0..count).map(Value::from).collect::<Value>();
    for (schema, word) in [
        (json!({"const": numbers(1_000_000)}), "it has 1000002 values and 5 bytes of text; at most 50000 values"),
        (json!({"required": ["a".repeat(1 << 20)]}), "and 1048576 bytes are taken"),
    ] {
        let reply = register(&id, "large", &schema);
        assert_error(&reply, "invalid_request");
        assert!(reply["error"].as_str().unwrap().contains(word), "{reply:.300}");
    }
    assert_eq!(register(&id, "fits", &json!({"enum": numbers(49_000)}))["status"], "ok");
}
