//! Pages that the kernel takes out of memory while a guest has them. Where the machine has a swap, they are swapped out;
//! where it has none, they stay, and these tests show little.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![allow(unsafe_code, reason = "advises the kernel")]

#[path = "../common/mod.rs"]
mod common;

use common::{Catalog, execute};
use serde_json::json;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Swaps out all private memory of this process.
fn page_out() {
    for line in fs::read_to_string("/proc/self/maps").unwrap().lines() {
        let mut words = line.split(' ');
        let (range, mode) = (words.next().unwrap(), words.next().unwrap());
        let (start, end) = range.split_once('-').unwrap();
        let [start, end] = [start, end].map(|text| usize::from_str_radix(text, 16).unwrap());
        if mode == "rw-p" && end - start >= 1 << 20 {
            // SAFETY: the advice changes no content.
            unsafe { libc::madvise(start as *mut libc::c_void, end - start, libc::MADV_PAGEOUT) };
        }
    }
}

/// A guest that answers whether 2 MiB of its memory, which begin with zeroes, are zeroes; and then fills them with a secret
/// and waits for 300 ms.
fn guest(start: &str, data: &str) -> String {
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 64)
        (data (i32.const 64) "{{\"status\":\"ok\",\"output\":[0]}}") {data}
        (func (export "{start}") (local $at i32) (local $sum i32)
            (local.set $at (i32.const 1048576))
            (loop $l
                (local.set $sum (i32.or (local.get $sum) (i32.load (local.get $at))))
                (local.set $at (i32.add (local.get $at) (i32.const 4)))
                (br_if $l (i32.lt_u (local.get $at) (i32.const 3145728))))
            (if (local.get $sum) (then (i32.store8 (i32.const 89) (i32.const 49))))
            (memory.fill (i32.const 1048576) (i32.const 0x5e) (i32.const 2097152))
            (i64.store (i32.const 224) (i64.const 300000000)) (i32.store (i32.const 216) (i32.const 1))
            (drop (call $poll (i32.const 200) (i32.const 300) (i32.const 1) (i32.const 400)))
            (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 28))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#
    )
}

#[test]
fn what_is_swapped_out_no_later_guest_sees() {
    // More than 128 KiB of data give the second module a slot of another pool.
    let large = format!("(data (i32.const 500000) \"{}\")", "\\01".repeat(200_000));
    let mut catalog = Catalog::new();
    for (name, start, data, lines) in [
        ("small", "_start", "", ""),
        ("large", "_start", large.as_str(), ""),
        ("snapshot", "arawn_run", "", "snapshot = \"init\""),
    ] {
        fs::write(catalog.module(name), wat::parse_str(guest(start, data)).unwrap()).unwrap();
        catalog = catalog.entry(name, &format!("path = \"custom/{name}.wasm\"\n{lines}"));
    }
    let id = catalog.executor();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                page_out();
                thread::sleep(std::time::Duration::from_millis(50));
            }
        });
        let runtimes = ["small", "large", "snapshot"].into_iter().flat_map(|name| [name; 3]);
        let replies: Vec<_> =
            runtimes.map(|name| execute(&json!({"executor": id, "runtime": name, "meta": true}))).collect();
        is_over.store(true, Ordering::Relaxed);
        for reply in replies {
            assert_eq!(reply["output"], json!([0]), "{reply}");
        }
    });
}
