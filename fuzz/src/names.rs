//! Names and custom sections are the module's own words: none of them changes what it does, and none comes out of an error
//! or a backtrace unescaped or at any length.

use super::abi::{Reply, call, scratch};
use arawn::ffi;
use arbitrary::{Result, Unstructured};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::LazyLock;
use wasm_encoder::{
    CodeSection, CustomSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection,
    Instruction, Module, RawSection, TypeSection, ValType,
};

static MODULE: LazyLock<PathBuf> = LazyLock::new(|| {
    let catalog = scratch().join("names");
    std::fs::create_dir_all(catalog.join("custom")).unwrap();
    std::fs::write(catalog.join("catalog.toml"), "[runtimes.named]\npath = \"custom/named.wasm\"\n").unwrap();
    call(ffi::arawn_executor_new, &json!({"id": "names", "runtimes_dir": catalog, "cache_dir": null})).expect_ok();
    catalog.join("custom/named.wasm")
});

/// `bytes` become a module that traps, or one with imports that nobody provides.
pub fn run(bytes: &[u8]) {
    let mut source = Unstructured::new(bytes);
    let Ok(is_refused) = source.ratio(1, 4) else { return };
    let Ok(module) = module(&mut source, is_refused) else { return };
    // A file of its own: one that is written over may look like the one before.
    let new = MODULE.with_extension("new");
    std::fs::write(&new, module).unwrap();
    std::fs::rename(new, &*MODULE).unwrap();
    let inspected = call(ffi::arawn_catalog_inspect, &json!({"executor": "names", "name": "named"}));
    let reply = call(ffi::arawn_execute_runtime, &json!({"executor": "names", "runtime": "named"}));
    let expected = if is_refused { "module_invalid" } else { "trap" };
    assert_eq!(reply.code(), expected, "{}", reply.text);
    let problem = &inspected.expect_ok()["problem"];
    assert_eq!(problem["code"].as_str(), is_refused.then_some(expected), "{problem}, but {}", reply.text);
    for reply in [inspected, reply] {
        plain(&reply, &Value::Object(reply.value.clone()));
        assert!(reply.text.len() < 64 << 10, "{} bytes: {:.200}", reply.text.len(), reply.text);
    }
}

/// No text in a value has control characters.
fn plain(reply: &Reply, value: &Value) {
    match value {
        Value::String(text) => {
            assert!(!text.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "{text:?} in {}", reply.text);
        }
        Value::Array(values) => values.iter().for_each(|value| plain(reply, value)),
        Value::Object(members) => members.values().for_each(|value| plain(reply, value)),
        _ => {}
    }
}

fn module(source: &mut Unstructured<'_>, is_refused: bool) -> Result<Vec<u8>> {
    let mut module = Module::new();
    custom(source, &mut module)?;
    let mut types = TypeSection::new();
    types.ty().function([], []);
    types.ty().function([ValType::I32], [ValType::I32]);
    module.section(&types);
    if is_refused {
        let mut imports = ImportSection::new();
        for _ in 0..source.int_in_range(1..=40)? {
            let [module, name] = [text(source)?, text(source)?];
            imports.import(&module, &name, EntityType::Function(source.int_in_range(0..=1)?));
        }
        module.section(&imports);
        let count = imports_of(&imports);
        functions(source, &mut module, count)?;
    } else {
        functions(source, &mut module, 0)?;
    }
    custom(source, &mut module)?;
    let names = names(source)?;
    module.section(&RawSection { id: 0, data: &names });
    custom(source, &mut module)?;
    Ok(module.finish())
}

fn imports_of(imports: &ImportSection) -> u32 {
    use wasm_encoder::Section;
    let mut bytes = Vec::new();
    imports.append_to(&mut bytes);
    // Fewer than 128: one byte, after the section's id and length.
    let length = if bytes[1] < 128 {
        1
    } else if bytes[2] < 128 {
        2
    } else {
        3
    };
    u32::from(bytes[1 + length])
}

/// A few functions, each of which calls the next, and the last of which traps.
fn functions(source: &mut Unstructured<'_>, module: &mut Module, first: u32) -> Result<()> {
    let count = source.int_in_range(1..=30_u32)?;
    let (mut functions, mut exports, mut code) = (FunctionSection::new(), ExportSection::new(), CodeSection::new());
    let mut exported = std::collections::HashSet::from(["_start".to_owned()]);
    exports.export("_start", ExportKind::Func, first);
    for index in 0..count {
        functions.function(0);
        let mut body = Function::new([]);
        let next = Instruction::Call(first + index + 1);
        body.instruction(if index + 1 < count { &next } else { &Instruction::Unreachable });
        body.instruction(&Instruction::End);
        code.function(&body);
        let name = text(source)?;
        if exported.insert(name.clone()) {
            exports.export(&name, ExportKind::Func, first + index);
        }
    }
    module.section(&functions).section(&exports).section(&code);
    Ok(())
}

/// The section of names, which nobody checks: counts, indices, lengths and text may be anything.
fn names(source: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut names = Vec::new();
    for _ in 0..source.int_in_range(0..=30)? {
        leb(&mut names, source.int_in_range(0..=40)?);
        let name = text(source)?.into_bytes();
        let length = if source.ratio(1, 16)? { source.arbitrary()? } else { name.len() as u32 };
        leb(&mut names, length);
        names.extend(name);
        if source.ratio(1, 16)? {
            names.extend([0xff, 0xfe]);
        }
    }
    let count = if source.ratio(1, 8)? { source.arbitrary()? } else { 30 };
    let mut of_functions = Vec::new();
    leb(&mut of_functions, count);
    of_functions.extend(names);
    let mut data = b"\x04name".to_vec();
    for kind in [0, 1, 2, 9] {
        if source.ratio(3, 4)? {
            data.push(kind);
            let length = if source.ratio(1, 16)? { source.arbitrary()? } else { of_functions.len() as u32 };
            leb(&mut data, length);
            data.extend(&of_functions);
        }
    }
    Ok(data)
}

fn leb(bytes: &mut Vec<u8>, mut value: u32) {
    while value >= 128 {
        bytes.push(value as u8 | 128);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn custom(source: &mut Unstructured<'_>, module: &mut Module) -> Result<()> {
    if source.ratio(1, 2)? {
        let names =
            ["name", "producers", "dylink.0", "component-name", ".debug_info", ".debug_line", "target_features", ""];
        let name = if source.ratio(3, 4)? { (*source.choose(&names)?).to_owned() } else { text(source)? };
        let data: Vec<u8> = source.arbitrary()?;
        module.section(&CustomSection { name: name.into(), data: data.into() });
    }
    Ok(())
}

fn text(source: &mut Unstructured<'_>) -> Result<String> {
    Ok(match source.int_in_range(0..=7)? {
        0 => "\u{1b}[2J\0\u{7}\r".to_owned(),
        1 => "x".repeat(source.int_in_range(0..=3000)?),
        2 => "\u{202e}\u{feff}\u{9b}".repeat(source.int_in_range(0..=300)?),
        3 => "_ZN4core3fmt9Formatter3pad17h0123456789abcdefE".to_owned(),
        4 => format!("_ZN{}", "1a".repeat(source.int_in_range(0..=500)?)),
        5 => format!("_R{}", "INvC1a1b".repeat(source.int_in_range(0..=300)?)),
        6 => "wasi_snapshot_preview1".to_owned(),
        _ => source.arbitrary::<&str>()?.to_owned(),
    })
}
