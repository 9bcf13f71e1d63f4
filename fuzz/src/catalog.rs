//! Any `catalog.toml`: it is served or refused, and a register and a remove leave all of it as it was.

use super::abi::{Reply, call, scratch};
use arawn::ffi;
use arbitrary::{Result, Unstructured};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::LazyLock;

static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
    let directory = scratch().join("catalog");
    std::fs::create_dir_all(directory.join("custom")).unwrap();
    directory
});

static MODULE: LazyLock<Vec<u8>> = LazyLock::new(|| wat::parse_str(r#"(module (func (export "_start")))"#).unwrap());

/// `bytes` are the file, or what it is made of.
pub fn run(bytes: &[u8]) {
    let Some((is_made, bytes)) = bytes.split_first() else { return };
    let made = |mut source| made(&mut source).unwrap_or_default().into_bytes();
    let text = if is_made.is_multiple_of(2) { made(Unstructured::new(bytes)) } else { bytes.to_owned() };
    check(&text);
}

fn check(text: &[u8]) {
    let file = DIRECTORY.join("catalog.toml");
    let parsed = || -> Option<toml::Table> { toml::from_str(&std::fs::read_to_string(&file).ok()?).ok() };
    std::fs::write(&file, text).unwrap();
    // The file of an entry that is removed goes, unless another entry has it.
    if !DIRECTORY.join("custom/m.wasm").exists() {
        std::fs::write(DIRECTORY.join("custom/m.wasm"), &*MODULE).unwrap();
    }
    let before = parsed();
    let made = call(ffi::arawn_executor_new, &json!({"id": "c", "runtimes_dir": *DIRECTORY, "cache_dir": null}));
    if made.ok().is_none() {
        assert!(["catalog_invalid", "runtime_unavailable"].contains(&made.code()), "{}", made.text);
        let lines = text.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        assert!(made.value["details"]["line"].as_u64().is_none_or(|line| (1..=lines).contains(&line)), "{}", made.text);
        return;
    }
    let before = before.expect("what is served parses");
    let entries = || before.get("runtimes").and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::keys);
    let listed = call(ffi::arawn_catalog_list, &json!({"executor": "c"}));
    for name in entries() {
        assert!(listed.text.contains(&Value::from(&**name).to_string()), "{name} is not in {}", listed.text);
        asked(ffi::arawn_catalog_inspect, name).expect_ok();
        let reply = call(ffi::arawn_execute_runtime, &json!({"executor": "c", "runtime": name}));
        let codes = ["malformed_output", "runtime_unavailable", "invalid_request", "hash_mismatch", "trap"];
        assert!(codes.contains(&reply.code()), "{}", reply.text);
    }
    let request = json!({"executor": "c", "name": "added", "path": DIRECTORY.join("custom/m.wasm"), "replace": true});
    let reply = call(ffi::arawn_catalog_register, &request);
    let mut expected = before.clone();
    let mut runtimes =
        expected.remove("runtimes").map_or_else(toml::Table::new, |runtimes| runtimes.try_into().unwrap());
    let is_replaced = runtimes.remove("added").is_some();
    if reply.ok().is_some() {
        let mut after = parsed().expect("what was written parses");
        let mut written: toml::Table = after.remove("runtimes").unwrap().try_into().unwrap();
        assert!(written.remove("added").is_some());
        assert_eq!((after.to_string(), written.to_string()), (expected.to_string(), runtimes.to_string()));
        asked(ffi::arawn_catalog_remove, "added").expect_ok();
        let mut after = parsed().expect("what was written parses");
        let written = after.remove("runtimes").map(|written| written.to_string());
        assert_eq!(after.to_string(), expected.to_string());
        assert!(written.is_none_or(|written| written == toml::Value::Table(runtimes).to_string()));
    } else {
        // An entry that came with an installation stays.
        assert!(is_replaced && reply.code() == "builtin_runtime", "{}", reply.text);
    }
    // A broken edit changes nothing.
    std::fs::write(&file, [text, b"\n["].concat()).unwrap();
    call(ffi::arawn_catalog_list, &json!({"executor": "c"})).expect_ok();
    call(ffi::arawn_executor_close, &json!({"executor": "c"})).expect_ok();
}

fn asked(function: super::abi::Function, name: &str) -> Reply {
    call(function, &json!({"executor": "c", "name": name}))
}

/// A file that is nearly right.
fn made(source: &mut Unstructured<'_>) -> Result<String> {
    let mut text = String::new();
    for _ in 0..source.int_in_range(1..=4)? {
        let names = ["a", "b.c", "\"b.c\"", "added", "passthrough", "'x y'", "A", "\"\"", "a"];
        text += &match source.int_in_range(0..=3)? {
            0 => format!("[runtimes.{}]\n", source.choose(&names)?),
            1 => format!("[runtimes]\n{} = {{ path = \"custom/m.wasm\" }}\n", source.choose(&names)?),
            2 => "# a comment\n".to_owned(),
            _ => format!("[[runtimes.{}]]\n", source.choose(&names)?),
        };
        for _ in 0..source.int_in_range(0..=5)? {
            text += &line(source)?;
        }
    }
    Ok(text)
}

fn line(source: &mut Unstructured<'_>) -> Result<String> {
    let paths =
        ["custom/m.wasm", "custom/none.wasm", "../x.wasm", "/etc/passwd", "custom", "", "custom/../custom/m.wasm"];
    let path = source.choose(&paths)?;
    let lines = [
        "category = \"builtin\"",
        "category = \"custom\" # why",
        "category = 1",
        "description = '''of\nlines'''",
        "description = \"\\u0000\"",
        "sha256 = \"00\"",
        "sha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"",
        "args = [\"-c\", \"x\"]",
        "args = [1]",
        "args = [\n  \"a\", # first\n]",
        "env = { TZ = \"UTC\" }",
        "env = { \"=\" = \"\" }",
        "env.A = \"b\"",
        "config_schema = { type = \"object\" }",
        "config_schema = { required = [\"a\"] }",
        "config_schema = { type = \"what\" }",
        "config_schema.properties.a.minimum = nan",
        "config_schema = true",
        "confg_schema = {}",
        "snapshot = \"init\"",
        "snapshot = \"off\"",
        "snapshot = true",
        "warm_up = \"{}\"",
        "warm_up = \"{\"",
        "shared_random = true",
        "script = \"custom/none.lua\"",
        "language = \"lua\"",
        "x = 1979-05-27T07:32:00Z",
        "path.x = 1",
    ];
    Ok(match source.int_in_range(0..=3)? {
        0 | 1 => format!("path = \"{path}\"\n"),
        2 => format!("{}\n", source.choose(&lines)?),
        _ => format!("{}\r\n", source.choose(&lines)?),
    })
}
