//! Profiles of guests that the interpreter runs. The target is the process's, so this is a process of its own.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use arawn::{
    CacheDir, CallOptions, Code, CodeTarget, ExecutorConfig, Options, Profiler, RequestLimits, RuntimeInput,
    ScriptExecutor,
};
use common::Catalog;
use std::time::Duration;

#[test]
fn a_guest_is_sampled_that_is_interpreted() {
    arawn::configure(Options { target: CodeTarget::Pulley, ..Options::default() }).unwrap();
    let catalog = Catalog::new().with(
        "endless",
        r#"(module (memory (export "memory") 1)
            (func $spin (loop $forever (br $forever))) (func $_start (export "_start") (call $spin)))"#,
    );
    let runtimes_dir = Some(catalog.path().to_owned());
    let config = ExecutorConfig { runtimes_dir, cache_dir: CacheDir::Off, ..ExecutorConfig::default() };
    let executor = ScriptExecutor::new(config).unwrap();
    let profiler = Profiler::every(Duration::from_millis(1)).unwrap();
    let limits = RequestLimits { timeout_ms: Some(50), ..RequestLimits::default() };
    let options = CallOptions { limits, ..CallOptions::default() };
    let input = RuntimeInput::from_json("{}").unwrap();
    while profiler.samples() < 10 {
        let error = executor.profile_runtime("endless", &input, &options, &profiler).unwrap_err();
        assert_eq!(error.as_code(), Code::Timeout);
    }
    let profile = profiler.profile();
    // A sample or two may be of the beginning.
    let most = profile.stacks.iter().max_by_key(|stack| stack.samples).unwrap();
    let names: Vec<&str> = most.functions.iter().map(|at| &*profile.functions[*at].name).collect();
    assert_eq!(names, ["_start", "spin"], "{profile:?}");
    assert!(2 * most.samples > profile.samples, "{profile:?}");
}
