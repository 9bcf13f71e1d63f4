//! What the system refuses the library itself: `no_resources`, which names it, and never a signal.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use common::{Catalog, answering, assert_error, in_new_process_under};
use serde_json::{Value, json};

/// The calls in a process that may have so much of a resource, by a flag of `ulimit`. Its threads share one arena of
/// glibc's allocator. Otherwise a thread takes 64 MiB of address space for an arena of its own if another thread has
/// not taken them first.
fn under(flag: &str, most: u64, calls: &[(&str, Value)]) -> Vec<Value> {
    let limit = format!("ulimit {flag} {most}; export MALLOC_ARENA_MAX=1; exec \"$0\"");
    in_new_process_under(&["sh", "-c", &limit], calls)
}

#[test]
fn an_executor_that_finds_the_descriptor_table_full_says_so() {
    let catalog = Catalog::new().with("plain", &answering("ran"));
    let cache = tempfile::tempdir().unwrap();
    let calls = [
        ("arawn_executor_new", json!({"id": "a", "runtimes_dir": catalog.path(), "cache_dir": cache.path()})),
        ("arawn_stats", json!({})),
    ];
    let mut refused = 0;
    // The first of them cannot open the catalog, the next its file or the cache, and the last has enough.
    for descriptors in 5..12 {
        let replies = under("-n", descriptors, &calls);
        match replies[0]["status"].as_str() {
            Some("ok") => {
                let cache_dir = &replies[0]["output"]["cache_dir"];
                assert_eq!(cache_dir, &json!(cache.path()));
                break;
            }
            _ => {
                assert_error(&replies[0], "no_resources");
                assert_eq!(replies[0]["details"], json!({"resource": "descriptor"}), "{descriptors}: {}", replies[0]);
                refused += 1;
            }
        }
        assert_eq!(replies[1]["output"]["executors"], 0);
    }
    assert!((2..7).contains(&refused), "{refused} were refused");
}

#[test]
fn a_catalog_that_cannot_be_read_for_want_of_descriptors_is_read_by_the_next_call() {
    let catalog = Catalog::new().with("plain", &answering("ran"));
    let error = |reply: &Value| reply["code"].clone();
    // An executor of its own directory holds descriptors, and another one's catalog is opened with what is left.
    for descriptors in 5..12 {
        let replies = under(
            "-n",
            descriptors,
            &[
                ("arawn_executor_new", json!({"id": "a", "runtimes_dir": catalog.path(), "cache_dir": null})),
                ("arawn_catalog_list", json!({"executor": "a"})),
            ],
        );
        if replies[0]["status"] == "ok" {
            let listed = replies[1]["output"]["runtimes"].as_array().unwrap();
            assert!(listed.iter().any(|runtime| runtime["name"] == "plain"), "{descriptors}: {}", replies[1]);
        } else {
            assert_eq!(error(&replies[0]), "no_resources", "{descriptors}: {}", replies[0]);
        }
    }
}

/// Makes calls in a process that has room for the compiler but, as those under test, none for a pool, so that it compiles
/// what they run. It ends once the cache is written.
fn compile(calls: &[(&str, Value)]) {
    let close = [("arawn_executor_close", json!({"executor": "a"}))];
    under("-v", 2_000_000, &[calls, &close].concat());
}

/// In kilobytes: what is left of the smallest of them, once the library is there, is less than the largest request takes.
const ADDRESS_SPACE: [u64; 5] = [100_000, 140_000, 170_000, 200_000, 300_000];

#[test]
fn large_inputs_in_a_small_address_space_are_refused_or_work() {
    let cache = tempfile::tempdir().unwrap();
    let limits = json!({"memory_bytes": 1 << 30, "output_bytes": 256 << 20});
    let mut calls = vec![
        ("arawn_executor_new", json!({"id": "a", "cache_dir": cache.path(), "limits": limits})),
        ("arawn_execute_runtime", json!({"executor": "a", "runtime": "passthrough"})),
    ];
    compile(&calls);
    for megabytes in [1, 3, 6, 15] {
        let context = "x".repeat(megabytes * 1_000_000);
        let request = json!({"executor": "a", "runtime": "passthrough", "input": {"context": context}});
        calls.push(("arawn_execute_runtime", request));
    }
    calls.push(("arawn_execute_runtime", json!({"executor": "a", "runtime": "passthrough"})));
    let mut refused = 0;
    for kilobytes in ADDRESS_SPACE {
        let replies = under("-v", kilobytes, &calls);
        let codes: Vec<&str> = replies.iter().map(|reply| reply["code"].as_str().unwrap_or("ok")).collect();
        assert!(codes.iter().all(|code| ["ok", "no_resources"].contains(code)), "{kilobytes}: {codes:?}");
        assert_eq!((codes[0], codes[1], codes[6]), ("ok", "ok", "ok"), "{kilobytes}: {codes:?}");
        for reply in replies.iter().filter(|reply| reply["code"] == "no_resources") {
            assert_eq!(reply["details"], json!({"resource": "address_space"}), "{reply}");
            refused += 1;
        }
    }
    assert!(refused > 0, "each of them had enough");
}

#[cfg(feature = "schema")]
#[test]
fn a_config_that_is_checked_in_a_small_address_space_is_refused_or_checked() {
    use base64::prelude::{BASE64_STANDARD, Engine};
    let (catalog, cache) = (Catalog::new(), tempfile::tempdir().unwrap());
    let module = BASE64_STANDARD.encode(wat::parse_str(answering("ran")).unwrap());
    let schema = json!({"items": {"minimum": 0, "maximum": 9}});
    let mut calls = vec![
        ("arawn_executor_new", json!({"id": "a", "runtimes_dir": catalog.path(), "cache_dir": cache.path()})),
        (
            "arawn_catalog_register",
            json!({"executor": "a", "name": "checked", "wasm_base64": module, "config_schema": schema}),
        ),
    ];
    compile(&calls);
    calls.pop();
    for (count, value) in [(1000, 7), (300_000, 7), (1_000_000, 7), (150_000, 10), (1000, 7)] {
        let config = vec![value; count];
        let request = json!({"executor": "a", "runtime": "checked", "input": {"config": config}});
        calls.push(("arawn_execute_runtime", request));
    }
    let mut refused = 0;
    for kilobytes in ADDRESS_SPACE {
        let replies = under("-v", kilobytes, &calls);
        let codes: Vec<&str> = replies.iter().map(|reply| reply["code"].as_str().unwrap_or("ok")).collect();
        let known = ["ok", "no_resources", "invalid_request"];
        assert!(codes.iter().all(|code| known.contains(code)), "{kilobytes}: {codes:?}");
        // What the allocator keeps of the checks may be what an instance lacks.
        assert_eq!((codes[0], codes[1]), ("ok", "ok"), "{kilobytes}: {codes:?}");
        assert!(["ok", "no_resources"].contains(&codes[5]), "{kilobytes}: {codes:?}");
        refused += codes.iter().filter(|code| **code == "no_resources").count();
    }
    assert!(refused > 0, "each of them had enough");
}
