//! A component of two, of which one calls a function of the other while it is made: wasmtime compiles what carries the
//! values from one memory into the other, by the types and options of both.

use arbitrary::{Result, Unstructured};
use std::fmt::Write;

/// A type of a value: how it is written, and the core values that it is passed as.
struct Type {
    text: String,
    flat: Vec<Core>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Core {
    I32,
    I64,
    F32,
    F64,
}

impl Core {
    fn as_str(self) -> &'static str {
        match self {
            Core::I32 => "i32",
            Core::I64 => "i64",
            Core::F32 => "f32",
            Core::F64 => "f64",
        }
    }

    /// What can hold either of two.
    fn joined(self, other: Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a,
            (Core::I32 | Core::F32, Core::I32 | Core::F32) => Core::I32,
            _ => Core::I64,
        }
    }
}

fn joined(a: &[Core], b: &[Core]) -> Vec<Core> {
    let both = a.iter().zip(b).map(|(a, b)| a.joined(*b));
    let (long, short) = if a.len() > b.len() { (a, b) } else { (b, a) };
    both.chain(long[short.len()..].iter().copied()).collect()
}

const PRIMITIVES: [(&str, Core); 13] = [
    ("bool", Core::I32),
    ("s8", Core::I32),
    ("u8", Core::I32),
    ("s16", Core::I32),
    ("u16", Core::I32),
    ("s32", Core::I32),
    ("u32", Core::I32),
    ("s64", Core::I64),
    ("u64", Core::I64),
    ("f32", Core::F32),
    ("f64", Core::F64),
    ("char", Core::I32),
    ("bool", Core::I32),
];

/// Types need names to be exported, but for these.
fn ty(choices: &mut Unstructured<'_>, depth: usize) -> Result<Type> {
    let discriminated = |flat: Vec<Core>| [vec![Core::I32], flat].concat();
    let kind = if depth == 0 { choices.int_in_range(0..=3)? } else { choices.int_in_range(0..=9)? };
    Ok(match kind {
        0..=2 => {
            let (text, core) = choices.choose(&PRIMITIVES)?;
            Type { text: (*text).to_owned(), flat: vec![*core] }
        }
        3 => Type { text: "string".to_owned(), flat: vec![Core::I32; 2] },
        4 | 5 => {
            let Type { text, .. } = ty(choices, depth - 1)?;
            Type { text: format!("(list {text})"), flat: vec![Core::I32; 2] }
        }
        6 | 7 => {
            let (mut text, mut flat) = ("(tuple".to_owned(), Vec::new());
            for _ in 0..choices.int_in_range(1..=4)? {
                let part = ty(choices, depth - 1)?;
                write!(text, " {}", part.text).unwrap();
                flat.extend(part.flat);
            }
            Type { text: text + ")", flat }
        }
        8 => {
            let Type { text, flat } = ty(choices, depth - 1)?;
            Type { text: format!("(option {text})"), flat: discriminated(flat) }
        }
        _ => {
            let (good, bad) = (ty(choices, depth - 1)?, ty(choices, depth - 1)?);
            let text = format!("(result {} (error {}))", good.text, bad.text);
            Type { text, flat: discriminated(joined(&good.flat, &bad.flat)) }
        }
    })
}

/// What allocates memory for a callee's or a caller's values.
const REALLOCS: [&str; 5] = [
    "(global $next (mut i32) (i32.const 4096))
     (func (export \"realloc\") (param i32 i32 i32 i32) (result i32)
        (global.set $next (i32.and (i32.add (global.get $next) (i32.sub (local.get 2) (i32.const 1)))
            (i32.sub (i32.const 0) (local.get 2))))
        (global.get $next)
        (global.set $next (i32.add (global.get $next) (local.get 3))))",
    "(func (export \"realloc\") (param i32 i32 i32 i32) (result i32) (i32.const 1024))",
    "(func (export \"realloc\") (param i32 i32 i32 i32) (result i32) (i32.const 1))",
    "(func (export \"realloc\") (param i32 i32 i32 i32) (result i32) (i32.const -8))",
    "(func (export \"realloc\") (param i32 i32 i32 i32) (result i32) unreachable)",
];

const ENCODINGS: [&str; 4] = ["", "string-encoding=utf8", "string-encoding=utf16", "string-encoding=latin1+utf16"];

/// The component.
pub fn component(choices: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    /// How many core values are passed as such; more are in memory.
    const MOST_PARAMS: usize = 16;
    let (mut params, mut flat) = (String::new(), Vec::new());
    for index in 0..choices.int_in_range(0..=4)? {
        let ty = ty(choices, 3)?;
        write!(params, "(param \"p{index}\" {}) ", ty.text).unwrap();
        flat.extend(ty.flat);
    }
    if flat.len() > MOST_PARAMS {
        flat = vec![Core::I32];
    }
    let result = if choices.ratio(3, 4)? { Some(ty(choices, 3)?) } else { None };
    let (result, flat_result) =
        result.map_or((String::new(), Vec::new()), |ty| (format!("(result {})", ty.text), ty.flat));
    // A callee answers a pointer to more than one value, and a caller gives one.
    let (lifted, lowered) = match flat_result.len() {
        0 | 1 => (flat_result, flat.clone()),
        _ => (vec![Core::I32], [&flat[..], &[Core::I32]].concat()),
    };
    let lowered_result = if lowered.len() == flat.len() { lifted.clone() } else { Vec::new() };
    let encodings = [choices.choose(&ENCODINGS)?, choices.choose(&ENCODINGS)?];
    let reallocs = [realloc(choices)?, realloc(choices)?];
    let post = if choices.ratio(1, 4)? { "(post-return (core func $i \"post\"))" } else { "" };
    let data = [data(choices)?, data(choices)?];
    let calls = choices.int_in_range(1..=3)?;
    let mut body = String::new();
    for _ in 0..calls {
        constants(&mut body, &lowered, choices)?;
        write!(body, "(call $f) {}", "drop ".repeat(lowered_result.len())).unwrap();
    }
    let mut answer = String::new();
    constants(&mut answer, &lifted, choices)?;
    let (flat, lifted) = (list("param", &flat), list("result", &lifted));
    let (lowered, lowered_result) = (list("param", &lowered), list("result", &lowered_result));
    let posted = lifted.replace("result", "param");
    let text = format!(
        r#"(component
        (component $callee
            (core module $m
                (memory (export "memory") 1) {data0} {realloc0}
                (func (export "f") {flat} {lifted} {answer})
                (func (export "post") {posted}))
            (core instance $i (instantiate $m))
            (func (export "f") {params} {result}
                (canon lift (core func $i "f") (memory (core memory $i "memory")) (realloc (core func $i "realloc")) {encoding0} {post})))
        (component $caller
            (import "f" (func $f {params} {result}))
            (core module $l (memory (export "memory") 1) {data1} {realloc1})
            (core instance $l (instantiate $l))
            (core func $lowered
                (canon lower (func $f) (memory (core memory $l "memory")) (realloc (core func $l "realloc")) {encoding1}))
            (core module $m
                (import "" "f" (func $f {lowered} {lowered_result}))
                (func $start {body})
                (start $start))
            (core instance (instantiate $m (with "" (instance (export "f" (func $lowered)))))))
        (instance $callee (instantiate $callee))
        (instance (instantiate $caller (with "f" (func $callee "f")))))"#,
        data0 = data[0],
        data1 = data[1],
        realloc0 = reallocs[0],
        realloc1 = reallocs[1],
        encoding0 = encodings[0],
        encoding1 = encodings[1],
    );
    Ok(wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")))
}

/// Most often one that works.
fn realloc(choices: &mut Unstructured<'_>) -> Result<&'static str> {
    let index = choices.int_in_range(0..=15)?;
    Ok(REALLOCS[if index < REALLOCS.len() { index } else { 0 }])
}

/// What lies at the beginning of a memory, where the pointers of [`constants`] lead.
fn data(choices: &mut Unstructured<'_>) -> Result<String> {
    let count = if choices.arbitrary()? { choices.int_in_range(0..=24)?.min(choices.len()) } else { 0 };
    let bytes: String = choices.bytes(count)?.iter().map(|byte| format!("\\{byte:02x}")).collect();
    Ok(format!("(data (i32.const 8) \"{bytes}\")"))
}

fn list(what: &str, types: &[Core]) -> String {
    types.iter().map(|ty| format!("({what} {})", ty.as_str())).collect()
}

fn constants(body: &mut String, types: &[Core], choices: &mut Unstructured<'_>) -> Result<()> {
    for ty in types {
        let values = [0, 0, 0, 0, 1, 1, 1, 1, 8, 8, 8, 12, 2, 16, 65528, -1];
        let value: i64 = values[choices.int_in_range(0..=15)?];
        write!(body, "({}.const {value}) ", ty.as_str()).unwrap();
    }
    Ok(())
}
