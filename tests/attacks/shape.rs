//! Files whose shape would take the compiler down, or its memory or time: each is refused by the name of a limit, before
//! anything is compiled, by a call, a submitted call, a registration and an inspection, in a process of its own that then
//! serves the next call.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../shape/costs.rs"]
mod costs;
#[allow(dead_code, reason = "each of its users needs a part")]
#[path = "../../src/wasm/shape/tests/encode.rs"]
mod encode;

use common::watched::{Watched, watched};
use common::{Catalog, assert_error};
use encode::{Module, command, list, nested_blocks, section, start, times};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

/// What a process may take that compiles nothing but a small runtime. With a pass that compiles first, each of the files
/// ends it, or takes tens of seconds or several times the memory.
const PATIENCE: Duration = Duration::from_secs(20);
const PEAK_MIB: u64 = 160;
const DESCRIPTORS: usize = 64;

struct Shape {
    name: &'static str,
    limit: &'static str,
    wasm: Vec<u8>,
}

fn shape(name: &'static str, limit: &'static str, wasm: Vec<u8>) -> Shape {
    Shape { name, limit, wasm }
}

fn shapes() -> Vec<Shape> {
    const COMPONENT: u8 = 0x41;
    const INSTANCE: u8 = 0x42;
    let bodies = |body: &[u8]| Module { bodies: vec![[&[0], body].concat()], ..Module::default() };
    let ty = |count: usize| [&[0x60][..], &times(count, &[0x7f]), &times(count, &[0x7f])].concat();
    let full_table = || [&[0x40, 0, 0x70, 0][..], &encode::leb(1 << 20), &[0xd2, 0, 0x0b]].concat();
    let tables = Module { tables: (0..60).map(|_| full_table()).collect(), ..Module::default() }.wasm();
    vec![
        // These overflowed the stack of the thread that compiles.
        shape("instances-inside", "type_depth", encode::nested_types(INSTANCE, 687)),
        shape("components-inside", "type_depth", encode::nested_types(COMPONENT, 1186)),
        shape("instances-far-inside", "type_depth", encode::nested_types(INSTANCE, 300_000)),
        // These made the validator panic.
        shape("instances-by-reference", "type_depth", encode::referring_types(INSTANCE, 687, 1)),
        shape("components-by-reference", "type_depth", encode::referring_types(COMPONENT, 1186, 1)),
        // 500 bytes that took a gigabyte.
        shape("instances-doubled", "type_size", encode::referring_types(INSTANCE, 18, 2)),
        shape("components-deep", "component_depth", encode::nested_components(1000)),
        shape("components-multiplied", "core_instances", encode::multiplying_components(14, 4)),
        // 4 KiB that took gigabytes.
        shape("tables-full", "table_elements", command(&vec![section(1, &tables); 6])),
        // These took from seconds to minutes of a core, or gigabytes.
        shape("loops-inside", "loops", start(&nested_blocks(0x03, 10_000, &[]))),
        shape("loops-in-a-row", "loops", start(&[0x03, 0x40, 0x0b].repeat(10_000))),
        shape("loops-shared-out", "loop_pairs", {
            let body = [&[0][..], &[0x03, 0x40, 0x0b].repeat(2_400)].concat();
            Module { bodies: vec![body; 40], ..Module::default() }.wasm()
        }),
        shape("blocks-inside", "block_depth", start(&nested_blocks(0x02, 100_000, &[]))),
        shape("blocks-in-a-row", "blocks", start(&[0x02, 0x40, 0x0b].repeat(100_000))),
        shape("indirect-calls", "blocks", {
            Module { tables: vec![vec![0x70, 0, 1]], ..bodies(&[0x41, 0, 0x11, 0, 0].repeat(20_000)) }.wasm()
        }),
        shape("table-copies", "blocks", {
            let copies = [0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 14, 0, 0].repeat(20_000);
            Module { tables: vec![vec![0x70, 0, 1]], ..bodies(&copies) }.wasm()
        }),
        shape("calls-wide", "wide_values", {
            let calls = [[0x41, 0].repeat(1000), [0x41, 0, 0x11, 1, 0].repeat(1000)].concat();
            Module { types: vec![ty(1000)], tables: vec![vec![0x70, 0, 1]], ..bodies(&calls) }.wasm()
        }),
        shape("structs-wide", "wide_values", {
            let fields = [&[0x5f][..], &times(10_000, &[0x7f, 0])].concat();
            Module { types: vec![fields], ..bodies(&[0xfb, 1, 1, 0x1a].repeat(1000)) }.wasm()
        }),
        shape("catches-around-calls", "wide_values", {
            let opened = [&[0x02, 0x40, 0x1f, 0x40][..], &times(10, &[2, 0])].concat().repeat(10);
            bodies(&[opened, [0x10, 0].repeat(1000), vec![0x0b; 20]].concat()).wasm()
        }),
        shape("locals-declared", "all_locals", {
            Module { bodies: vec![[&[1][..], &encode::leb(10_000), &[0x7f]].concat(); 1000], ..Module::default() }
                .wasm()
        }),
        shape("function-types", "function_types", {
            let ty = |n: usize| {
                [vec![0x60], list((0..8).map(|digit| [0x7f - (n >> (2 * digit) & 3) as u8])), vec![0]].concat()
            };
            Module { types: (0..60_000).map(ty).collect(), ..Module::default() }.wasm()
        }),
        shape("element-expressions", "element_expressions", {
            let elements = vec![[&[5, 0x70][..], &times(1_000_000, &[0xd0, 0x70, 0x0b])].concat()];
            Module { elements, ..Module::default() }.wasm()
        }),
        shape("globals", "globals", {
            Module { globals: vec![vec![0x7f, 0, 0x41, 0, 0x0b]; 300_000], ..Module::default() }.wasm()
        }),
    ]
}

/// Makes the calls in a process of its own, within the bounds of this file.
fn replies(calls: &[(&str, Value)]) -> Vec<Value> {
    let seen = watched(calls);
    let Watched { took, peak_mib, descriptors, .. } = seen;
    assert!(took < PATIENCE && peak_mib < PEAK_MIB && descriptors < DESCRIPTORS, "{calls:?}: {seen:?}");
    seen.replies
}

fn assert_refused(reply: &Value, limit: &str, what: &str) {
    assert_error(reply, "module_invalid");
    let error = reply["error"].as_str().unwrap();
    assert!(error.contains(&format!("; the limit `{limit}` allows ")), "{what}: {error}");
}

fn calls<'a>(catalog: &Path, file: &Path, name: &str) -> Vec<(&'a str, Value)> {
    let call = json!({"executor": "e", "runtime": name, "limits": {"timeout_ms": 15_000}});
    vec![
        ("arawn_executor_new", json!({"id": "e", "cache_dir": null, "runtimes_dir": catalog})),
        ("arawn_catalog_inspect", json!({"executor": "e", "name": name})),
        ("arawn_execute_runtime", call.clone()),
        ("arawn_catalog_register", json!({"executor": "e", "name": "added", "path": file})),
        ("arawn_submit", json!({"executor": "e", "runtime": name, "job": "j", "limits": {"timeout_ms": 15_000}})),
        ("arawn_poll", json!({"executor": "e", "wait_ms": 15_000})),
        ("arawn_execute_runtime", json!({"executor": "e", "runtime": "passthrough"})),
    ]
}

#[test]
fn a_shape_that_the_compiler_could_not_bear_is_refused_whoever_asks() {
    for Shape { name, limit, wasm } in shapes().into_iter().chain(costs::shapes()) {
        let catalog = Catalog::new().with_bytes(name, &wasm);
        let replies = replies(&calls(catalog.path(), &catalog.module(name), name));
        let problem = &replies[1]["output"]["problem"];
        assert_eq!(problem["code"], "module_invalid", "{name}: {}", replies[1]);
        assert!(
            problem["error"].as_str().unwrap().contains(&format!("; the limit `{limit}` allows ")),
            "{name}: {problem}"
        );
        for reply in [&replies[2], &replies[3]] {
            assert_refused(reply, limit, name);
        }
        let polled = replies[5].to_string();
        assert!(polled.contains("module_invalid") && polled.contains(&format!("`{limit}`")), "{name}: {polled}");
        assert_eq!(replies[6]["status"], "ok", "{name}: {}", replies[6]);
    }
}

/// What is as deep as it may be is compiled and runs, on the stacks that threads and calls have.
#[test]
fn what_is_within_the_limits_is_compiled_and_runs() {
    let blocks = start(&nested_blocks(0x02, 13_500, &[]));
    let catalog = Catalog::new().with_bytes("deep", &wrapped(50)).with_bytes("blocks", &blocks);
    let reply = |name| replies(&calls(catalog.path(), &catalog.module(name), name)[..3]).remove(2);
    assert_eq!(reply("deep"), json!({"status": "ok", "output": "deep"}));
    // It writes nothing.
    assert_error(&reply("blocks"), "malformed_output");
}

/// A command with types that nest, and values that do.
fn wrapped(depth: usize) -> Vec<u8> {
    let module = wat::parse_str(common::answering("deep")).unwrap();
    let mut component = common::component_of(&module);
    let outer = [0x42, 1, 1].repeat(depth - 1);
    component.extend(section(7, &[&[1], &*outer, &[0x42, 0]].concat()));
    let lists = [&[0x70, 0x7d][..]].into_iter().map(<[u8]>::to_vec).chain((1..90).map(|_| vec![0x6b, 0x7d]));
    component.extend(section(7, &list(lists)));
    component
}

/// What this repository brings, and what the tests are made of.
#[test]
fn real_guests_pass() {
    let prebuilt = common::root().join("runtimes/prebuilt");
    let files = std::fs::read_dir(prebuilt).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "wasm")).collect();
    assert!(files.len() > 5);
    let catalog = files.iter().fold(Catalog::new(), |catalog, path| {
        let name = format!("my-{}", path.file_stem().unwrap().to_str().unwrap().replace('_', "-"));
        catalog.with_bytes(&name, &std::fs::read(path).unwrap())
    });
    let id = catalog.executor();
    for path in &files {
        let name = format!("my-{}", path.file_stem().unwrap().to_str().unwrap().replace('_', "-"));
        let shown = common::ok(arawn::ffi::arawn_catalog_inspect, &json!({"executor": id, "name": name}));
        assert_eq!(shown["problem"], Value::Null, "{shown}");
    }
}
