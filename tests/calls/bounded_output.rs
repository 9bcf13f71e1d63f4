//! What a guest writes costs the host what the limit says. One test, so that the process's peak is its own. Linux: /proc.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use common::{Catalog, assert_error, execute, writer};
use serde_json::json;

/// The most memory that the process has had, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().trim().parse().unwrap()
}

#[test]
fn endless_output_takes_no_more_memory_than_its_limit() {
    const LIMIT: u64 = 256 << 20;
    let pieces = "(loop $more (call $put (i32.const 1) (i32.const 64) (i32.const 60000)) (br $more))";
    let catalog = Catalog::new().with("bomb", &writer(&[b' '; 60000], b"", pieces));
    let id = catalog.executor_with(json!({"limits": {"output_bytes": LIMIT}}));
    let request = |output_bytes| json!({"executor": id, "runtime": "bomb", "limits": {"output_bytes": output_bytes}});
    // Whatever the library needs anyway: the compiler, the pool, one guest.
    assert_error(&execute(&request(1 << 20)), "output_too_large");
    let before = peak();
    assert_error(&execute(&request(LIMIT)), "output_too_large");
    let grown = (peak() - before) << 10;
    assert!(grown > LIMIT / 2, "the guest did write: {grown}");
    assert!(grown <= LIMIT + (1 << 20), "{grown} is more than {LIMIT} and a MiB");
}
