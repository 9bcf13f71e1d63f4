//! What a process needs of the library that makes one call and ends: a file as a runtime, stderr for the host alone, and
//! caches that are looked at and filled from outside.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use arawn::{
    CacheDir, Code, CodeCache, Error, ExecutorConfig, ModuleSource, On, Registration, RuntimeInput, ScriptExecutor,
};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;

const LONG: Duration = Duration::from_secs(120);

fn at(cache: &Path) -> ExecutorConfig {
    ExecutorConfig { cache_dir: CacheDir::At(cache.to_owned()), ..ExecutorConfig::default() }
}

fn input(json: &str) -> RuntimeInput<'_> {
    RuntimeInput::from_json(json).unwrap()
}

/// A directory with a script and a module, the latter of which writes `lines` lines to stderr.
fn place(lines: usize) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("Greet it.js"), "export default ({ context }) => ({ hello: context.name })").unwrap();
    let text = "line\\n".repeat(lines);
    let wat = format!(
        r#"(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 4) (data (i32.const 100) "{text}") (data (i32.const 60) "{{\"status\":\"ok\",\"output\":1}}")
        (func (export "_start")
            (i32.store (i32.const 0) (i32.const 100)) (i32.store (i32.const 4) (i32.const {}))
            (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 20)))
            (i32.store (i32.const 0) (i32.const 60)) (i32.store (i32.const 4) (i32.const 26))
            (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 20)))))"#,
        5 * lines
    );
    fs::write(place.path().join("noisy.wasm"), wat::parse_str(wat).unwrap()).unwrap();
    place
}

#[test]
fn a_file_is_a_runtime_beside_the_built_in_ones() {
    let (place, cache) = (place(1), tempfile::tempdir().unwrap());
    let (executor, entry) = ScriptExecutor::of_file(at(cache.path()), &place.path().join("Greet it.js")).unwrap();
    assert_eq!((&*entry.name, entry.language().map(|language| language.as_str())), ("greet-it", Some("javascript")));
    let output = executor.execute_runtime("greet-it", &input(r#"{"context": {"name": "Ada"}}"#)).unwrap();
    assert_eq!(output.output(), r#"{"hello":"Ada"}"#);
    assert!(executor.execute_runtime("passthrough", &input("{}")).is_ok());
    let names: Vec<String> = executor.catalog().list().iter().map(|entry| entry.name.clone()).collect();
    assert!(names.contains(&"greet-it".to_owned()) && names.contains(&"http".to_owned()), "{names:?}");
    assert_eq!(executor.inspect("greet-it").unwrap().kind, Some("script"));
    let registered = executor.register(Registration::new("a", ModuleSource::Of("lua".to_owned())));
    assert_eq!(registered.unwrap_err().as_code(), Code::Unsupported);
    let similar = executor.execute_runtime("greet-if", &input("{}")).unwrap_err().to_string();
    assert!(similar.ends_with("similar names: greet-it"), "{similar}");
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2, "nothing is made beside the file");
}

#[cfg(unix)]
#[test]
fn a_link_leads_to_a_file_and_has_its_own_name() {
    let place = place(1);
    std::os::unix::fs::symlink("../noisy.wasm", place.path().join("link.wasm")).unwrap();
    let directory = place.path().join("links");
    fs::create_dir(&directory).unwrap();
    fs::rename(place.path().join("link.wasm"), directory.join("link.wasm")).unwrap();
    let (executor, entry) = ScriptExecutor::of_file(ExecutorConfig::default(), &directory.join("link.wasm")).unwrap();
    assert_eq!(entry.name, "link");
    assert_eq!(executor.execute_runtime("link", &input("{}")).unwrap().output(), "1");
}

#[test]
fn what_is_no_file_is_refused() {
    let place = place(1);
    let refused = |config, path: &str| ScriptExecutor::of_file(config, &place.path().join(path)).map(drop).unwrap_err();
    let missing = refused(ExecutorConfig::default(), "gret.js");
    assert!(matches!(&missing, Error::RuntimeUnavailable { path, .. } if path.ends_with("gret.js")), "{missing}");
    let both = ExecutorConfig { runtimes_dir: Some(place.path().to_owned()), ..ExecutorConfig::default() };
    assert!(refused(both, "noisy.wasm").to_string().starts_with("`runtimes_dir` must be left out"));
    let (executor, entry) = ScriptExecutor::of_file(ExecutorConfig::default(), place.path()).unwrap();
    let run = executor.execute_runtime(&entry.name, &input("{}")).unwrap_err();
    assert_eq!(run.as_code(), Code::RuntimeUnavailable, "{run}");
}

/// What `arawn.stderr` was told.
fn told(executor: &ScriptExecutor) -> Arc<Mutex<Vec<String>>> {
    let told = Arc::<Mutex<Vec<String>>>::default();
    let keep = told.clone();
    let callback = move |message: &str| {
        // Slower than the guest.
        std::thread::sleep(Duration::from_micros(200));
        keep.lock().unwrap().push(message.to_owned());
        Ok(String::new())
    };
    executor.set_host_function("arawn.stderr", On::Call, Some(Box::new(callback))).unwrap();
    told
}

#[test]
fn stderr_goes_to_the_host_alone_and_all_of_it_before_the_end() {
    let place = place(1000);
    let config = ExecutorConfig { stderr_to: Some("arawn.stderr".to_owned()), ..ExecutorConfig::default() };
    let (executor, _) = ScriptExecutor::of_file(config, &place.path().join("noisy.wasm")).unwrap();
    let told = told(&executor);
    assert_eq!(executor.execute_runtime("noisy", &input("{}")).unwrap().output(), "1");
    executor.finish(LONG);
    let told = told.lock().unwrap();
    assert_eq!((told.len(), &*told[999]), (1000, r#"{"runtime":"noisy","job":null,"line":"line"}"#));
    let policy = serde_json::to_value(executor.policy()).unwrap();
    assert_eq!(policy["capabilities"]["host_functions"], serde_json::json!([]));
    let ask = "{\"config\": {\"script\": \"export default () => arawn.call('arawn.stderr', {})\"}}";
    let refused = executor.execute_runtime("javascript", &input(ask)).unwrap_err().to_string();
    assert!(refused.contains("it is not granted to this executor"), "{refused}");
}

#[test]
fn only_the_executor_that_asks_for_it_has_the_function_for_stderr() {
    let executor = ScriptExecutor::new(ExecutorConfig::default()).unwrap();
    let set = |name: &str| executor.set_host_function(name, On::Call, Some(Box::new(|_| Ok(String::new()))));
    assert_eq!(set("arawn.stderr").unwrap_err().as_code(), Code::InvalidRequest);
    for name in ["arawn.other", "lines"] {
        let config = ExecutorConfig { stderr_to: Some(name.to_owned()), ..ExecutorConfig::default() };
        assert_eq!(ScriptExecutor::new(config).unwrap_err().as_code(), Code::InvalidConfig, "{name}");
    }
}

#[cfg(feature = "compiler")]
#[test]
fn a_cache_is_filled_listed_and_emptied() {
    let (place, parent) = (place(1), tempfile::tempdir().unwrap());
    let cache = parent.path().join("cache");
    let open = || CodeCache::open(&CacheDir::At(cache.clone())).unwrap();
    assert!(open().is_none() && !cache.exists(), "looking makes no cache");
    let (executor, entry) = ScriptExecutor::of_file(at(&cache), &place.path().join("noisy.wasm")).unwrap();
    let (first, second) = (executor.warm("noisy", 60_000), executor.warm("noisy", 60_000));
    assert_eq!((first.unwrap(), second.unwrap()), ("compiled", "memory"));
    executor.finish(LONG);
    let sha = executor.module_sha256(&entry.name).unwrap();
    let found = open().unwrap().list().unwrap();
    assert_eq!(found.iter().filter(|code| code.module_sha256 == Some(sha)).count(), 1, "{found:?}");
    assert_eq!(found[0].compatibility.len(), 32);
    let lua = executor.warm("lua", 60_000);
    executor.finish(LONG);
    assert!(
        lua.is_ok() && open().unwrap().list().unwrap().iter().any(|code| code.module_sha256.is_none()),
        "a snapshot"
    );
    assert_eq!(executor.warm("nobody", 1).unwrap_err().as_code(), Code::UnknownRuntime);
    let cleared = open().unwrap().clear().unwrap();
    assert!(cleared.artifacts >= 3 && cleared.bytes > 10_000, "{cleared:?}");
    assert_eq!((fs::read_dir(&cache).unwrap().count(), open().unwrap().list().unwrap()), (0, Vec::new()));
    // What is loaded runs on.
    assert!(executor.execute_runtime("noisy", &input("{}")).is_ok());
}

#[test]
fn another_directory_is_no_cache() {
    let place = place(1);
    let refused = CodeCache::open(&CacheDir::At(place.path().to_owned())).unwrap_err();
    assert!(refused.to_string().contains("which is no cache"), "{refused}");
    assert_eq!(refused.as_code(), Code::InvalidConfig);
    assert!(CodeCache::open(&CacheDir::Off).unwrap().is_none());
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 2);
}
