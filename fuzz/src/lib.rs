//! What each fuzz target does with its bytes. A target panics when libarawn breaks a promise.
//!
//! Two programs run the targets. `targets` are libFuzzer's, which looks for bytes that reach new code. `tests/attacks/fuzz.rs` runs
//! them by `batches.rs` in child processes that are watched from outside: for the corpora in `make test`, and for a given
//! time in `make fuzz`.
#![allow(
    dead_code,
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a target shows a fault by a panic, and each program uses a part"
)]
#![allow(unsafe_code, reason = "the targets call the C interface")]

pub mod abi;
pub mod actions;
pub mod bytes;
pub mod catalog;
pub mod components;
pub mod modules;
pub mod names;
pub mod pipelines;
pub mod request;
pub mod requests;
pub mod scanner;
pub mod snapshots;
pub mod stdout;
pub mod wasi;

/// Something that is done with bytes, and must not panic.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its file here, in `targets` and in `corpus`.
    pub name: &'static str,
    pub run: fn(&[u8]),
    /// How many bytes an input has at most.
    pub longest: usize,
}

pub const TARGETS: [Target; 14] = [
    Target { name: "actions", run: actions::run, longest: 512 },
    Target { name: "bytes", run: bytes::run, longest: 4096 },
    Target { name: "catalog", run: catalog::run, longest: 4096 },
    Target { name: "components", run: components::run, longest: 8192 },
    Target { name: "modules", run: modules::run, longest: 8192 },
    Target { name: "names", run: names::run, longest: 4096 },
    Target { name: "pipelines", run: pipelines::run, longest: 1024 },
    Target { name: "request", run: request::run, longest: 4096 },
    Target { name: "requests", run: requests::run, longest: 2048 },
    Target { name: "scanner", run: scanner::run, longest: 4096 },
    Target { name: "snapshots", run: snapshots::run, longest: 8192 },
    Target { name: "stdout", run: stdout::run, longest: 4096 },
    Target { name: "wasi", run: wasi::run, longest: 2048 },
    Target { name: "wasi_components", run: wasi::run_components, longest: 2048 },
];
