//! Runs named WebAssembly runtimes inside a host process: JSON in, JSON out, a fresh sandbox for each call.
//!
//! The C interface is `include/arawn.h`, whose text is the documentation of `src/ffi.rs`. This crate is the same
//! library for Rust:
//!
//! ```
//! use arawn::{ExecutorConfig, RuntimeInput, ScriptExecutor};
//!
//! let executor = ScriptExecutor::new(ExecutorConfig::default())?;
//! let input = RuntimeInput::from_json(r#"{"config": {}, "context": {"n": 1}}"#)?;
//! let output = executor.execute_runtime("passthrough", &input)?;
//! assert_eq!(output.output(), r#"{"config":{},"context":{"n": 1}}"#);
//! # Ok::<(), arawn::Error>(())
//! ```
//!
//! A call goes through the files in this order:
//!
//! 1. `ffi` turns C strings into Rust and catches panics.
//! 2. `protocol` parses the request.
//! 3. `executor/call` does the steps that follow.
//! 4. `catalog` resolves the runtime's name.
//! 5. `module_cache` finds or compiles the module, with `disk_cache` and `engine` below it.
//! 6. `run` runs a fresh instance.
//! 7. `sandbox` holds the state of the guest, and `imports` has the functions that the guest calls.
//! 8. `executor/judge` turns the guest's end into a result.
//! 9. `protocol/output` reads the guest's stdout, and `reply` writes what of the reply is not there yet.
//! 10. `ffi` returns the reply to C.

mod buffers;
mod builtins;
mod catalog;
mod compiler;
mod config;
mod counters;
mod deadline;
#[cfg(feature = "compiler")]
mod debug_info;
mod directories;
mod disk_cache;
mod engine;
mod error;
mod executor;
mod fair;
pub mod ffi;
mod files;
mod host_functions;
mod images;
mod imports;
mod jobs;
mod json;
mod lanes;
mod locks;
mod memory;
mod module_cache;
#[cfg_attr(
    not(feature = "http"),
    allow(dead_code, reason = "grants are read in every build, and used with HTTP alone")
)]
mod origins;
mod panics;
mod pipeline;
mod policy;
mod protocol;
mod reply;
mod run;
mod samples;
mod sandbox;
mod sha256;
mod shards;
mod shared_limits;
mod slots;
mod snapshots;
mod stack;
mod stats;
mod sys;
mod threads;
mod waiting;
mod warnings;
mod wasm;
mod workers;

pub use catalog::{
    CatalogEntry, Category, Language, ModuleSource, Registration, RuntimeCatalog, RuntimeEntry, SnapshotMode,
};
pub use config::{
    CacheDir, Capabilities, CodeTarget, Deterministic, ExecutorConfig, GrantedDir, Limits, Options, Reload,
    RequestLimits,
};
pub use disk_cache::{CachedCode, Cleared, CodeCache};
pub use engine::configure;
pub use error::{Code, Error, Failure, Phase, Resource, Result, Stopped};
pub use executor::{CallOptions, Profile, ProfiledFunction, ProfiledStack, Profiler, ScriptExecutor};
pub use host_functions::{DeferredCallback, HostCallback, On};
pub use json::RawJson;
pub use origins::{HttpGrant, Origin};
pub use pipeline::{Pipeline, PipelineOptions, PipelineOutput, Step, StepEvent};
pub use protocol::{RuntimeInput, RuntimeOutput};
pub use reply::{Inspection, Meta, PipelineMeta, PolicyView, Problem, StepMeta};
pub use sha256::Sha256;

/// Entry points for `fuzz/`. They are not part of the interface.
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::json::ends;
    use crate::protocol::{ExecuteRequest, parse_request};

    /// Parses a request, and returns what was understood as text.
    pub fn request(json: &str) -> crate::Result<String> {
        parse_request::<ExecuteRequest<'_>>(json).map(|request| format!("{request:?}"))
    }
}
