//! Modules of chance, most of which are valid WASI commands.
//!
//! wasm-smith makes the module by a shape that has the imports and exports of a command. [`telling`] then puts a `_start` in
//! place of the one of chance: it calls what is of chance, and writes a hash of the memory and the globals to stdout. Thus
//! two runs that differ answer differently.

use super::mutated::{Sections, leb};
use arbitrary::{Result, Unstructured};
use std::sync::LazyLock;
use wasm_encoder::{BlockType, Function, MemArg, ValType};
use wasm_smith::{Config, Module};

/// The imports that guests find, one a line; `fd_write` is the first, and the only one that [`telling`] needs.
const IMPORTS: &str = include_str!("imports.wat");

/// What a command exports, in the order of their indexes. The globals are hashed.
const EXPORTS: &str = r#"
    (func (export "_start")) (func (export "run")) (memory (export "memory") 1)
    (global (export "a") (mut i32) (i32.const 0)) (global (export "b") (mut i64) (i64.const 0))
    (global (export "c") (mut f32) (f32.const 0)) (global (export "d") (mut f64) (f64.const 0))"#;

static ANY_IMPORTS: LazyLock<Vec<u8>> = LazyLock::new(|| parsed(IMPORTS));

fn parsed(fields: &str) -> Vec<u8> {
    wat::parse_str(format!("(module {fields})")).unwrap()
}

/// A module, most often one that can be run.
pub fn module(choices: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let kind: u8 = choices.int_in_range(0..=31)?;
    let mut config = config(choices)?;
    match kind {
        // Whatever it imports and exports: it is refused, unless chance makes it a command.
        0 => config.export_everything = choices.arbitrary()?,
        1 => {
            config.available_imports = Some(ANY_IMPORTS.clone());
            config.exports = Some(parsed(r#"(func (export "_start")) (memory (export "memory") 1)"#));
            return Ok(terminating(config, choices)?.to_bytes());
        }
        // One of the exports is not what it should be.
        2 => {
            let wrong = [
                r#"(func (export "_start") (param i32))"#,
                r#"(func (export "_start") (result i32) i32.const 0)"#,
                r#"(global (export "_start") i32 (i32.const 0))"#,
                r#"(func (export "_start")) (func (export "memory"))"#,
                r#"(func (export "_start")) (memory (export "memory") i64 1)"#,
                r#"(func (export "_start")) (memory (export "memory") 1 1) (memory (export "m") 0)"#,
            ];
            config.module_shape = Some(parsed(choices.choose(&wrong)?));
        }
        _ => {
            let lines: Vec<&str> = IMPORTS.lines().collect();
            let mut fields = lines[0].to_owned();
            for _ in 0..choices.int_in_range(0..=8)? {
                fields += choices.choose(&lines)?;
            }
            // What nobody provides, now and then.
            if choices.ratio(1, 64)? {
                let unmet = ["(import \"env\" \"f\" (func))", "(import \"arawn\" \"host_call\" (func))"];
                fields += choices.choose(&unmet)?;
            }
            config.module_shape = Some(parsed(&(fields + EXPORTS)));
            return Ok(telling(&terminating(config, choices)?.to_bytes(), false));
        }
    }
    Ok(terminating(config, choices)?.to_bytes())
}

/// A module that is initialised apart from being run. `arawn_run` calls what is of chance, and hashes the whole memory.
pub fn reactor(choices: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut config = config(choices)?;
    let lines: Vec<&str> = IMPORTS.lines().collect();
    let mut fields = lines[0].to_owned();
    for _ in 0..choices.int_in_range(0..=4)? {
        fields += choices.choose(&lines)?;
    }
    let exports = EXPORTS.replace("_start", "arawn_run");
    let initialise = r#"(func (export "_initialize")) (func (export "arawn_init"))"#;
    config.module_shape = Some(parsed(&(fields + &exports + initialise)));
    // Most modules have one memory and change no table; others have no snapshot.
    if choices.ratio(7, 8)? {
        (config.max_memories, config.max_tables, config.min_tables) = (1, 0, 0);
        config.memory64_enabled = false;
    }
    Ok(telling(&terminating(config, choices)?.to_bytes(), true))
}

/// A module without imports for a component, of which `run` and the memory are exported.
pub fn part(choices: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let mut config = config(choices)?;
    config.module_shape = Some(parsed(r#"(func (export "run")) (memory (export "memory") 1)"#));
    Ok(terminating(config, choices)?.to_bytes())
}

/// Which proposals a module may use and how large it is.
pub fn config(choices: &mut Unstructured<'_>) -> Result<Config> {
    // Small ones, since most of the time goes into compiling them, and now and then one with many functions.
    let sizes = [(3, 5, 15), (4, 8, 25), (6, 12, 40), (12, 40, 100), (100, 100, 30)];
    let size = [0, 1, 2, 3, 4].into_iter().find(|size| choices.ratio(1, [2, 2, 3, 3, 1][*size]).unwrap_or(true));
    let (funcs, others, instructions) = sizes[size.unwrap_or(0)];
    let on: u32 = choices.arbitrary()?;
    let is_on = |bit: u32| on >> bit & 1 == 1;
    // What arawn refuses is there for one module in 16, all of it.
    let is_refused = on >> 16 & 15 == 0;
    let mut config = Config {
        // Besides those that are imported or exported anyhow.
        max_funcs: funcs + 12,
        max_types: others,
        max_globals: others + 4,
        max_tables: if is_on(0) { 4 } else { 1 },
        max_memories: if is_on(1) { 3 } else { 1 },
        max_tags: others / 4,
        max_elements: others,
        max_element_segments: others / 2,
        max_data_segments: others / 2,
        max_exports: 8,
        max_imports: others,
        max_instructions: instructions,
        max_memory32_bytes: 16 << 16,
        max_memory64_bytes: 16 << 16,
        max_table_elements: 2000,
        max_type_size: 1000,
        allow_floats: is_on(2),
        simd_enabled: is_on(3),
        relaxed_simd_enabled: is_on(4),
        gc_enabled: is_on(5) && is_on(6),
        exceptions_enabled: is_on(7),
        tail_call_enabled: is_on(8),
        memory64_enabled: is_on(9) && is_on(10),
        extended_const_enabled: is_on(11),
        // What does not trap goes on for longer, and is twice as much to compile.
        disallow_traps: on >> 20 & 3 == 0,
        canonicalize_nans: false,
        threads_enabled: is_refused && is_on(12),
        shared_everything_threads_enabled: is_refused && is_on(12) && is_on(13),
        custom_page_sizes_enabled: is_refused && is_on(14),
        wide_arithmetic_enabled: is_refused && is_on(15),
        custom_descriptors_enabled: is_refused && is_on(13),
        generate_custom_sections: is_on(22) && is_on(23),
        allow_invalid_funcs: on >> 24 & 31 == 0,
        // One that begins with a start function of chance seldom reaches `_start`.
        allow_start_export: on >> 29 == 0,
        min_uleb_size: if on >> 28 & 7 == 0 { 3 } else { 1 },
        max_modules: 2,
        max_instances: 4,
        max_components: 2,
        max_aliases: 10,
        max_nesting_depth: 4,
        ..Config::default()
    };
    if is_on(13) {
        config.min_funcs = funcs / 2;
        config.min_tables = 1;
    }
    Ok(config)
}

/// A module that ends by itself, seven times in eight.
fn terminating(config: Config, choices: &mut Unstructured<'_>) -> Result<Module> {
    let is_endless = choices.ratio(1, 8)?;
    let mut module = Module::new(config, choices)?;
    if !is_endless {
        // Not where bodies are bytes of chance.
        let _ = module.ensure_termination(500);
    }
    Ok(module)
}

/// The module with another body of `_start` or `arawn_run`, its first function. It hashes the beginning of the memory, or all
/// of it.
fn telling(wasm: &[u8], is_whole: bool) -> Vec<u8> {
    const CODE: u8 = 10;
    let mut sections = Sections::of(wasm);
    let start = imported(&sections);
    for (id, content) in &mut sections.0 {
        if *id == CODE {
            let (count, count_len) = leb(content);
            let (size, size_len) = leb(&content[count_len..]);
            assert!(count >= 2, "a shape has two functions");
            let body = told(start + 1, is_whole).into_raw_body();
            let mut changed = content[..count_len].to_vec();
            wasm_encoder::Encode::encode(&(body.len() as u32), &mut changed);
            changed.extend(body);
            changed.extend_from_slice(&content[count_len + size_len + size as usize..]);
            *content = changed;
        }
    }
    sections.wasm()
}

/// How many imports there are, all of which are functions.
fn imported(sections: &Sections) -> u32 {
    const IMPORTS: u8 = 2;
    sections.0.iter().find(|(id, _)| *id == IMPORTS).map_or(0, |(_, content)| leb(content).0)
}

/// A `_start` that calls a function and writes what has come of it.
fn told(run: u32, is_whole: bool) -> Function {
    const HASHED: i32 = 4096;
    const BEFORE: &[u8; 24] = br#"{"status":"ok","output":"#;
    const TEXT: i32 = 16;
    const PRIME: i64 = 0x100_0000_01b3;
    let at = |offset: i32| MemArg { offset: offset as u64, align: 0, memory_index: 0 };
    let mut function = Function::new([(1, ValType::I64), (1, ValType::I32)]);
    let mut code = function.instructions();
    code.call(run);
    code.i64_const(0x1bf2_9ce4_8422_2325).local_set(0);
    code.loop_(BlockType::Empty);
    code.local_get(0).local_get(1).i64_load(at(0)).i64_xor().i64_const(PRIME).i64_mul().local_set(0);
    code.local_get(1).i32_const(8).i32_add().local_tee(1);
    match is_whole {
        true => code.memory_size(0).i32_const(16).i32_shl(),
        false => code.i32_const(HASHED),
    };
    code.i32_lt_u().br_if(0);
    code.end();
    for global in 0..4 {
        code.local_get(0).global_get(global);
        match global {
            0 => code.i64_extend_i32_u(),
            1 => &mut code,
            2 => code.i32_reinterpret_f32().i64_extend_i32_u(),
            _ => code.i64_reinterpret_f64(),
        };
        code.i64_xor().i64_const(PRIME).i64_mul().local_set(0);
    }
    let stored = |code: &mut wasm_encoder::InstructionSink<'_>, offset: i32, byte: u8| {
        code.i32_const(0).i32_const(byte.into()).i32_store8(at(offset));
    };
    for (index, eight) in BEFORE.chunks(8).enumerate() {
        let eight = i64::from_le_bytes(eight.try_into().unwrap());
        code.i32_const(0).i64_const(eight).i64_store(at(TEXT + 8 * index as i32));
    }
    // 16 letters, one for each half of a byte.
    let letters = TEXT + BEFORE.len() as i32 + 1;
    stored(&mut code, letters - 1, b'"');
    code.i32_const(0).local_set(1);
    code.loop_(BlockType::Empty);
    code.local_get(1).local_get(0).i32_wrap_i64().i32_const(15).i32_and().i32_const(b'a'.into()).i32_add();
    code.i32_store8(at(letters));
    code.local_get(0).i64_const(4).i64_shr_u().local_set(0);
    code.local_get(1).i32_const(1).i32_add().local_tee(1).i32_const(16).i32_lt_u().br_if(0);
    code.end();
    stored(&mut code, letters + 16, b'"');
    stored(&mut code, letters + 17, b'}');
    code.i32_const(0).i32_const(TEXT).i32_store(at(0));
    code.i32_const(0).i32_const(letters + 18 - TEXT).i32_store(at(4));
    code.i32_const(1).i32_const(0).i32_const(1).i32_const(8).call(0).drop();
    code.end();
    function
}
