//! Runs named WebAssembly runtimes inside a host process: JSON in, JSON out, a fresh sandbox for each call.
//!
//! The C interface is `include/arawn.h`, whose text is the documentation of `src/ffi.rs`. This crate is the same library
//! for Rust:
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
//! A call goes through the files in this order: `ffi`, `protocol`, `executor`, `catalog`, `module_cache` (with `disk_cache`
//! and `engine` below it), `sandbox`, `sandbox::run`, and back through `protocol` and `ffi`.

mod buffers;
mod builtins;
mod catalog;
mod compiler;
mod config;
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
mod host;
mod jobs;
mod json;
mod lanes;
mod memory;
mod module_cache;
#[cfg_attr(
    not(feature = "http"),
    allow(dead_code, reason = "grants are read in every build, and used with HTTP alone")
)]
mod origins;
mod panics;
mod protocol;
mod sandbox;
mod shared;
mod signals;
mod slots;
mod stats;
mod threads;
mod totals;
mod waiting;
mod warnings;
mod wasm;
mod workers;

pub use catalog::{CatalogEntry, Category, RuntimeCatalog, RuntimeEntry};
pub use config::{CacheDir, Capabilities, Deterministic, ExecutorConfig, GrantedDir, Limits, Options, RequestLimits};
pub use engine::configure;
pub use error::{Error, Failure, Phase, Resource, Result, Stopped};
pub use executor::{CallOptions, ModuleSource, Registration, ScriptExecutor};
pub use host::{HostCallback, On};
pub use json::RawJson;
pub use origins::{HttpGrant, Origin};
pub use protocol::{Meta, RuntimeInput, RuntimeOutput};

/// What `fuzz/` looks into. It is not a part of the interface.
#[doc(hidden)]
pub mod fuzzing {
    pub use crate::json::ends;
    use crate::protocol::{ExecuteRequest, parse_request};

    /// A request as it was understood.
    pub fn request(json: &str) -> crate::Result<String> {
        parse_request::<ExecuteRequest<'_>>(json).map(|request| format!("{request:?}"))
    }
}
