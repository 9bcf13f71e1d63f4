//! Catalogs that change on disk while executors serve them, for the tests of `reload`.

use super::{Catalog, answering, execute, ok};
use arawn::ffi::{arawn_catalog_list, arawn_executor_close, arawn_stats};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// Longer than any test: what was looked at once is not looked at again.
pub const HOUR: u64 = 3_600_000;
/// What `within_ms` is where a test waits for the next look.
pub const SOON: u64 = 20;

/// After this, the library knows files by their identity and does not read them at each call.
pub fn settle() {
    thread::sleep(Duration::from_millis(100));
}

/// Until a call of an executor with [`SOON`] must see every change that was made before.
pub fn soon() {
    thread::sleep(Duration::from_millis(SOON + 1));
}

/// Puts another file in the place of one, at once.
pub fn put(path: &Path, content: impl AsRef<[u8]>) {
    let next = path.with_extension("next");
    fs::write(&next, content).unwrap();
    fs::rename(next, path).unwrap();
}

pub fn module(word: &str) -> Vec<u8> {
    wat::parse_str(answering(word)).unwrap()
}

pub fn script(word: &str) -> String {
    format!("return function() return \"{word}\" end\n")
}

/// A catalog whose runtimes `module` and `script` answer "one".
pub fn catalog() -> Catalog {
    let catalog = Catalog::new().with("module", &answering("one")).entry("script", "script = \"custom/script.lua\"");
    fs::write(catalog.path().join("custom/script.lua"), script("one")).unwrap();
    settle();
    catalog
}

/// Has both runtimes answer another word.
pub fn change(catalog: &Catalog, word: &str) {
    put(&catalog.module("module"), module(word));
    put(&catalog.path().join("custom/script.lua"), script(word));
}

pub fn reloading(catalog: &Catalog, reload: Value) -> String {
    catalog.executor_with(json!({"reload": reload}))
}

pub fn within(ms: u64) -> Value {
    json!({"within_ms": ms})
}

pub fn run(id: &str, runtime: &str) -> Value {
    execute(&json!({"executor": id, "runtime": runtime}))
}

/// What both runtimes answer.
pub fn words(id: &str) -> [Value; 2] {
    ["module", "script"].map(|runtime| run(id, runtime)["output"].clone())
}

/// Calls both runtimes until their files have been looked at as the executor's `reload` has it.
pub fn warm(id: &str, word: &str) {
    for _ in 0..3 {
        assert_eq!(words(id), [word, word]);
    }
}

pub fn warm_all(ids: &[&str], word: &str) {
    ids.iter().for_each(|id| warm(id, word));
}

pub fn names(id: &str) -> Vec<String> {
    let listed = ok(arawn_catalog_list, &json!({"executor": id}));
    let names = listed["runtimes"].as_array().unwrap().iter().filter(|runtime| runtime["category"] == "custom");
    names.map(|runtime| runtime["name"].as_str().unwrap().to_owned()).collect()
}

pub fn problem(id: &str) -> Value {
    ok(arawn_stats, &json!({"executor": id}))["executor"]["catalog"]["problem"].clone()
}

pub fn close(id: &str) {
    ok(arawn_executor_close, &json!({"executor": id}));
}

/// The text of a catalog whose runtimes must answer this word.
pub fn pinned(word: &str) -> String {
    use sha2::{Digest, Sha256};
    let hex = |content: &[u8]| Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (module, script) = (hex(&module(word)), hex(script(word).as_bytes()));
    format!(
        "[runtimes.module]\npath = \"custom/module.wasm\"\nsha256 = \"{module}\"\n\
         [runtimes.script]\nscript = \"custom/script.lua\"\nsha256 = \"{script}\"\n"
    )
}
