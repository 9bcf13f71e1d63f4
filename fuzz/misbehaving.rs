//! Targets that break each of the bounds of `batches.rs`: the tests show that each is found.
#![allow(clippy::unwrap_used, reason = "a target may fail loudly")]

use super::batches::{DESCRIPTORS, MEMORY_KIB, TIME};
use super::fuzz::Target;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// With each input.
pub const MISBEHAVING: [Target; 6] = [
    Target { name: "panics", run: |bytes| assert_ne!(bytes.first(), Some(&0)), longest: 8 },
    Target { name: "prints", run: |_| prints(), longest: 8 },
    Target { name: "sleeps", run: |_| std::thread::sleep(TIME * 2), longest: 8 },
    Target {
        name: "allocates",
        run: |_| drop(std::hint::black_box(vec![1_u8; (MEMORY_KIB as usize + 1) << 10])),
        longest: 8,
    },
    Target { name: "opens", run: |_| opens(), longest: 8 },
    Target { name: "ends", run: |_| std::process::abort(), longest: 8 },
];

/// With one input, in one of the children of a process.
pub const ONCE: [Target; 2] = [
    Target { name: "ends-once", run: |bytes| once("ends-once", bytes, || std::process::abort()), longest: 8 },
    Target {
        name: "sleeps-once",
        run: |bytes| once("sleeps-once", bytes, || std::thread::sleep(TIME * 2)),
        longest: 8,
    },
];

fn prints() {
    std::io::stderr().write_all(b"a line").unwrap();
}

fn opens() {
    let files: Vec<_> = (0..DESCRIPTORS).map(|_| File::open("/dev/null").unwrap()).collect();
    drop(files);
}

/// What is there once a child of this process has misbehaved.
pub fn mark(name: &str, process: u32) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{process}"))
}

fn once(name: &str, bytes: &[u8], misbehave: impl Fn()) {
    if !bytes.is_empty() && File::create_new(mark(name, std::os::unix::process::parent_id())).is_ok() {
        misbehave();
    }
}
