//! `config_schema`: what does not fit never starts the guest, and is told in full.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use arawn::ffi::{
    arawn_catalog_inspect, arawn_catalog_list, arawn_catalog_register, arawn_execute_runtime, arawn_executor_new,
};
use base64::prelude::{BASE64_STANDARD, Engine};
use common::{Catalog, answering, assert_error, call, call_raw, call_text, execute, ok};
use serde_json::{Value, json};
use std::ffi::CString;
use std::fs;
use std::time::{Duration, Instant};

fn register(executor: &str, name: &str, schema: &Value) -> Value {
    let module = BASE64_STANDARD.encode(wat::parse_str(answering("ran")).unwrap());
    let request =
        json!({"executor": executor, "name": name, "wasm_base64": module, "config_schema": schema, "replace": true});
    call(arawn_catalog_register, &request)
}

fn run(executor: &str, name: &str, config: &Value) -> Value {
    execute(&json!({"executor": executor, "runtime": name, "input": {"config": config}}))
}

/// The paths of what a config was refused for, in order.
fn refused(executor: &str, name: &str, config: &Value) -> Vec<String> {
    let reply = run(executor, name, config);
    assert_error(&reply, "invalid_request");
    let failures = reply["details"]["failures"].as_array().unwrap();
    assert_eq!(reply["details"]["path"], failures[0]["path"], "{reply}");
    assert!(reply["error"].as_str().unwrap().contains(name), "{reply}");
    assert!(failures.iter().all(|failure| failure["message"].as_str().is_some_and(|text| !text.is_empty())), "{reply}");
    let mut paths: Vec<_> = failures.iter().map(|failure| failure["path"].as_str().unwrap().to_owned()).collect();
    paths.sort();
    paths
}

fn csv() -> Value {
    json!({
        "type": "object",
        "required": ["delimiter"],
        "additionalProperties": false,
        "properties": {
            "delimiter": {"type": "string", "maxLength": 1},
            "columns": {"type": "array", "items": {"type": "object", "properties": {"width": {"minimum": 1}}}},
            "strict": {"const": null},
            "rows": {"maximum": 18446744073709551615u64},
        },
    })
}

#[test]
fn a_config_that_does_not_fit_is_told_in_full_and_never_starts_the_guest() {
    let catalog = Catalog::new();
    let id = catalog.executor();
    let shown = register(&id, "csv", &csv());
    assert_eq!(shown["output"]["config_schema"], csv(), "{shown}");
    let trap =
        wat::parse_str("(module (memory (export \"memory\") 1) (func (export \"_start\") unreachable))").unwrap();
    let trapping = json!({"executor": id, "name": "trapping", "wasm_base64": BASE64_STANDARD.encode(trap), "config_schema": csv()});
    ok(arawn_catalog_register, &trapping);
    assert_error(&run(&id, "trapping", &json!({"delimiter": ","})), "trap");
    for name in ["csv", "trapping"] {
        assert_eq!(refused(&id, name, &json!({})), ["input.config"]);
        assert_eq!(refused(&id, name, &json!([])), ["input.config"]);
        let config = json!({
            "delimiter": ";;", "strict": 1, "more": true,
            "columns": [{"width": 1}, {"width": 0}, 7, {"width": -1}],
        });
        let all = [
            "input.config",
            "input.config.columns[1].width",
            "input.config.columns[2]",
            "input.config.columns[3].width",
            "input.config.delimiter",
            "input.config.strict",
        ];
        assert_eq!(refused(&id, name, &config), all);
    }
    let missing = execute(&json!({"executor": id, "runtime": "csv"}));
    assert!(missing["details"]["failures"][0]["message"].as_str().unwrap().contains("delimiter"), "{missing}");
    let whole = json!({"delimiter": ",", "strict": null, "columns": [{"width": 3}], "rows": 18446744073709551615u64});
    assert_eq!(run(&id, "csv", &whole)["output"], "ran");
    // The same in another process's words: what was written is what is read.
    let other = catalog.executor_with(json!({}));
    let text = fs::read_to_string(catalog.file()).unwrap();
    fs::write(catalog.file(), format!("{text}\n# touched\n")).unwrap();
    let listed = ok(arawn_catalog_list, &json!({"executor": other}))["runtimes"].clone();
    assert_eq!(listed[0], json!({"name": "csv", "category": "custom", "description": "", "has_config_schema": true}));
    assert_eq!(ok(arawn_catalog_inspect, &json!({"executor": other, "name": "csv"}))["config_schema"], csv());
    assert_eq!(refused(&other, "csv", &json!({})), ["input.config"]);
}

#[test]
fn a_schema_stands_in_the_catalog_as_a_table_or_as_text() {
    let catalog = Catalog::new().with("plain", &answering("ran"));
    let path = "path = \"custom/plain.wasm\"";
    let catalog = catalog
        .entry("table", &format!("{path}\nconfig_schema = {{ type = \"object\", required = [\"a\"] }}"))
        .entry("text", &format!("{path}\nconfig_schema = '{{\"enum\": [null, {{}}]}}'"))
        .entry("dated", &format!("{path}\nconfig_schema = {{ const = 1979-05-27 }}"))
        .entry("never", &format!("{path}\nconfig_schema = false"))
        .entry("ever", &format!("{path}\nconfig_schema = true"));
    let text = fs::read_to_string(catalog.file()).unwrap();
    let nested = "[runtimes.nested]\npath = \"custom/plain.wasm\"\n[runtimes.nested.config_schema.properties.a]\ntype = \"integer\"\n";
    fs::write(catalog.file(), text + nested).unwrap();
    let id = catalog.executor();
    assert_eq!(refused(&id, "table", &json!({})), ["input.config"]);
    assert_eq!(refused(&id, "text", &json!([])), ["input.config"]);
    assert_eq!(refused(&id, "never", &json!({})), ["input.config"]);
    assert_eq!(refused(&id, "nested", &json!({"a": 1.5})), ["input.config.a"]);
    for (name, config) in
        [("table", json!({"a": 1})), ("text", json!(null)), ("ever", json!(7)), ("nested", json!({"a": 1}))]
    {
        assert_eq!(run(&id, name, &config)["output"], "ran", "{name}");
    }
}

#[test]
fn a_schema_that_is_none_is_refused_with_the_place() {
    let catalog = Catalog::new();
    let id = catalog.executor();
    let before = fs::read_dir(catalog.path().join("custom")).unwrap().count();
    let deep = (0..200).fold(json!({}), |inner, _| json!({"not": inner}));
    let many: Vec<Value> = (0..6000).map(|_| json!({})).collect();
    for (schema, at, word) in [
        (json!({"type": "strin"}), "config_schema.type", ""),
        (json!({"properties": {"a": {"minimum": "1"}}}), "config_schema.properties.a.minimum", "want number"),
        (json!({"allOf": [{}, 7]}), "config_schema.allOf[1]", ""),
        (json!([]), "config_schema", "neither an object nor a boolean"),
        (json!(7), "config_schema", "neither an object nor a boolean"),
        (json!("{\"type\": \"strin\"}"), "config_schema.type", ""),
        (json!("{\"a\": 1, \"a\": 2}"), "config_schema.a", "twice"),
        (json!({"pattern": "("}), "config_schema.pattern", "regex"),
        (json!({"patternProperties": {"(": true}}), "config_schema", "regex"),
        (json!({"$ref": "#/$defs/nothing"}), "config_schema", "nothing"),
        (json!({"$ref": "other.json"}), "config_schema", "not fetched"),
        (json!({"$ref": "https://example.com/schema.json"}), "config_schema", "not fetched"),
        (json!({"$schema": "https://example.com/schema.json"}), "config_schema", "not fetched"),
        (json!({"allOf": many}), "config_schema", "6001 objects"),
    ] {
        let reply = register(&id, "bad", &schema);
        assert_error(&reply, "invalid_request");
        assert_eq!(reply["details"]["path"], at, "{reply}");
        assert!(reply["error"].as_str().unwrap().contains(word), "{reply}");
    }
    let reply = register(&id, "bad", &deep);
    assert!(reply["error"].as_str().unwrap().contains("nested more than 127 levels deep"), "{reply}");
    let twice = format!(
        "{{\"executor\":\"{id}\",\"name\":\"bad\",\"wasm_base64\":\"\",\"config_schema\":{{\"type\":1,\"type\":2}}}}"
    );
    assert_error(&call_text(arawn_catalog_register, &twice), "invalid_request");
    // A file that is there, so that fetching it would succeed.
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "{}").unwrap();
    for address in [format!("file://{}", file.path().display()), file.path().display().to_string()] {
        let reply = register(&id, "bad", &json!({"$ref": address}));
        assert_error(&reply, "invalid_request");
        assert!(reply["error"].as_str().unwrap().contains("not fetched"), "{reply}");
    }
    assert_eq!(fs::read_dir(catalog.path().join("custom")).unwrap().count(), before);
    for (lines, word) in [
        ("config_schema = { type = \"strin\" }", "config_schema.type"),
        ("config_schema = 7", "neither an object nor a boolean"),
        ("config_schema = '{'", "the text ends inside an object"),
        ("config_schema = { minimum = inf }", "config_schema.minimum"),
        ("config_schema = { \"$ref\" = \"file:///dev/null\" }", "not fetched"),
    ] {
        let catalog = Catalog::new().entry("good", "path = \"a.wasm\"");
        let catalog = catalog.entry("bad", &format!("path = \"a.wasm\"\n{lines}"));
        let reply = call(arawn_executor_new, &json!({"runtimes_dir": catalog.path(), "cache_dir": null}));
        assert_eq!(reply["code"], "catalog_invalid", "{lines}: {reply}");
        assert_eq!((&reply["details"]["entry"], &reply["details"]["line"]), (&json!("bad"), &json!(3)));
        assert!(reply["error"].as_str().unwrap().contains(word), "{reply}");
    }
}

#[test]
fn the_drafts_are_those_that_schemas_name() {
    let catalog = Catalog::new();
    let id = catalog.executor();
    // In each draft another keyword: it means something there and nothing before or after.
    for (draft, schema, bad, good) in [
        (
            "http://json-schema.org/draft-04/schema#",
            json!({"maximum": 5, "exclusiveMaximum": true}),
            json!(5),
            json!(4),
        ),
        ("http://json-schema.org/draft-06/schema#", json!({"exclusiveMaximum": 5}), json!(5), json!(4)),
        (
            "http://json-schema.org/draft-07/schema#",
            json!({"if": {"type": "string"}, "then": false}),
            json!("a"),
            json!(1),
        ),
        (
            "https://json-schema.org/draft/2019-09/schema",
            json!({"items": [{"type": "string"}]}),
            json!([1]),
            json!(["a"]),
        ),
        (
            "https://json-schema.org/draft/2020-12/schema",
            json!({"prefixItems": [{"type": "string"}]}),
            json!([1]),
            json!(["a"]),
        ),
    ] {
        let mut schema = schema;
        schema["$schema"] = json!(draft);
        let reply = register(&id, "drafted", &schema);
        assert_eq!(reply["status"], "ok", "{reply}");
        refused(&id, "drafted", &bad);
        assert_eq!(run(&id, "drafted", &good)["output"], "ran", "{draft}");
    }
    assert_error(
        &register(&id, "drafted", &json!({"$schema": "http://json-schema.org/draft-03/schema"})),
        "invalid_request",
    );
    register(&id, "latest", &json!({"prefixItems": [{"type": "string"}]}));
    assert_eq!(refused(&id, "latest", &json!([1])), ["input.config[0]"], "2020-12 where none is named");
}

/// What one reader checks another must not read differently.
#[test]
fn a_config_with_a_key_twice_or_a_number_that_is_none_is_refused_where_there_is_a_schema() {
    let catalog = Catalog::new();
    let id = catalog.executor();
    register(&id, "csv", &json!({"properties": {"delimiter": {"type": "string"}}}));
    let with = |runtime: &str, config: &str| {
        let request = format!("{{\"executor\":\"{id}\",\"runtime\":\"{runtime}\",\"input\":{{\"config\":{config}}}}}");
        call_text(arawn_execute_runtime, &request)
    };
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(127), "]".repeat(127));
    for (config, path, word) in [
        ("{\"delimiter\":7,\"delimiter\":\",\"}", "input.config.delimiter", "twice"),
        ("{\"a\":{\"b\":1,\"\\u0062\":2}}", "input.config.a.b", "twice"),
        ("{\"delimiter\":1e999}", "input.config.delimiter", "a number is out of range"),
        ("{\"a\":[1,{\"b\":\"x\\ud800\"}]}", "input.config.a[1].b", "half of a surrogate pair"),
        ("{\"a\":{\"\\udc00\":1}}", "input.config.a.\u{fffd}", "half of a surrogate pair"),
        (&*deep, "input.config.a[0][0][0][0][0][0][0][0][0][0][0]…", "nested more than 127 levels deep"),
    ] {
        let reply = with("csv", config);
        assert_error(&reply, "invalid_request");
        assert_eq!(reply["details"]["path"], path, "{reply}");
        let text = reply["error"].as_str().unwrap();
        assert!(text.starts_with("the config cannot be checked against the schema of runtime `csv`; "), "{reply}");
        assert!(text.contains(&format!("`{path}`: ")) && text.contains(word), "{reply}");
    }
    let echoed = with("passthrough", "{\"a\":7,\"a\":8}");
    assert_eq!(echoed["output"]["config"], json!({"a": 8}), "without a schema nobody looks at it");
}

#[test]
fn a_config_may_be_as_deep_and_as_large_as_any_and_callers_stacks_small() {
    let catalog = Catalog::new();
    let id = catalog.executor_with(json!({"limits": {"memory_bytes": 1 << 30}}));
    let tree = json!({"$ref": "#/$defs/tree", "$defs": {"tree": {
        "type": ["object", "array"], "additionalProperties": {"$ref": "#/$defs/tree"}, "items": {"$ref": "#/$defs/tree"}}}});
    register(&id, "tree", &tree);
    let nested =
        |levels: usize, inner: &str| format!("{}{inner}{}", "{\"a\":[".repeat(levels / 2), "]}".repeat(levels / 2));
    // A hundred references to follow for each level of the config.
    let mut chain = json!({"$ref": "#/$defs/d0", "$defs": {}});
    for n in 0..100 {
        chain["$defs"][format!("d{n}")] = json!({"$ref": format!("#/$defs/d{}", n + 1)});
    }
    chain["$defs"]["d100"] =
        json!({"type": ["object", "array"], "additionalProperties": {"$ref": "#"}, "items": {"$ref": "#"}});
    assert_eq!(register(&id, "chain", &chain)["status"], "ok");
    let deep = (0..120).fold(json!({"type": "integer"}), |inner, _| json!({"not": inner}));
    let module = BASE64_STANDARD.encode(wat::parse_str(answering("ran")).unwrap());
    let deep = json!({"executor": id, "name": "deep", "wasm_base64": module, "config_schema": deep, "replace": true});
    let deep = CString::new(deep.to_string()).unwrap();
    let inspect = CString::new(json!({"executor": id, "name": "deep"}).to_string()).unwrap();
    let check = || {
        // As text: the test's own reading of it would take more stack than there is.
        assert!(call_raw(arawn_catalog_register, deep.as_ptr()).starts_with("{\"status\":\"ok\""));
        assert!(call_raw(arawn_catalog_inspect, inspect.as_ptr()).contains("{\"not\":{\"not\":"));
        assert_eq!(run(&id, "deep", &json!(1))["output"], "ran");
        assert_error(&run(&id, "deep", &json!("a")), "invalid_request");
        for name in ["tree", "chain"] {
            let with = |config: &str| {
                let request =
                    format!("{{\"executor\":\"{id}\",\"runtime\":\"{name}\",\"input\":{{\"config\":{config}}}}}");
                call_text(arawn_execute_runtime, &request)
            };
            assert_eq!(with(&nested(120, ""))["output"], "ran");
            let reply = with(&nested(120, "7"));
            assert_error(&reply, "invalid_request");
            assert_eq!(reply["details"]["path"], format!("input.config{}", ".a[0]".repeat(60)));
            let reply = with(&nested(240, ""));
            assert!(["invalid_request", "invalid_json"].contains(&reply["code"].as_str().unwrap()), "{reply}");
        }
    };
    check();
    std::thread::scope(|scope| {
        let small = std::thread::Builder::new().stack_size(128 << 10);
        small.spawn_scoped(scope, check).unwrap().join().unwrap();
    });
    // Not deep at all, for a schema of many parts.
    let mut wide = json!({"items": {"$ref": "#/$defs/d0"}, "$defs": {"d0": {"type": "object"}}});
    for n in 1..2000 {
        wide["$defs"][format!("d{n}")] = json!({"$ref": "#/$defs/d0"});
    }
    wide["anyOf"] = (0..2000).map(|n| json!({"$ref": format!("#/$defs/d{n}")})).chain([json!({})]).collect();
    register(&id, "wide", &wide);
    let config: Vec<Value> = (0..1000).map(|n| json!({"{[{[\\\"": n})).collect();
    assert_eq!(run(&id, "wide", &json!(config))["output"], "ran");
    let numbers: Vec<Value> = (0..200_000).map(Value::from).collect();
    register(&id, "unique", &json!({"uniqueItems": true, "items": {"minimum": 0}}));
    assert_eq!(run(&id, "unique", &json!(numbers))["output"], "ran");
    register(&id, "bounded", &json!({"items": {"maximum": 9}}));
    let reply = run(&id, "bounded", &json!(numbers));
    assert_eq!(reply["details"]["failures"].as_array().unwrap().len(), 10_000);
    assert!(reply["error"].as_str().unwrap().ends_with("and 9997 more"), "{}", reply["error"]);
}

/// Each level asks the one below twice: 2^60 steps.
#[test]
fn a_validation_that_never_ends_is_ended_by_the_deadline() {
    let catalog = Catalog::new();
    let mut calls = vec![("arawn_executor_new", json!({"id": "a", "cache_dir": null, "runtimes_dir": catalog.path()}))];
    let mut schema = json!({"$ref": "#/$defs/d0", "$defs": {"d60": {"type": "object"}}});
    for n in 0..60 {
        let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
        schema["$defs"][format!("d{n}")] = json!({"allOf": [next, next]});
    }
    let module = BASE64_STANDARD.encode(wat::parse_str(answering("ran")).unwrap());
    calls.push((
        "arawn_catalog_register",
        json!({"executor": "a", "name": "endless", "wasm_base64": module, "config_schema": schema}),
    ));
    calls
        .push(("arawn_execute_runtime", json!({"executor": "a", "runtime": "endless", "limits": {"timeout_ms": 200}})));
    // In a process of its own, whose end is that of the thread.
    let begun = Instant::now();
    let replies = common::in_new_process(&calls);
    assert_error(&replies[2], "timeout");
    assert_eq!(replies[2]["details"], json!({"phase": "config", "timeout_ms": 200}));
    assert!(begun.elapsed() < Duration::from_secs(20));
}
