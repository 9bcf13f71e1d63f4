//! What the pass refuses besides an excess, and with which message.

use super::encode::{Module, command, component, leb, list, module, name, section, start, times};
use super::problem;
use crate::error::Error;
use crate::wasm::{Provided, Shape, Signature};
use wasmparser::ValType::I32;

/// Provides the function `a.f` and the interface `a:b/c@1.0.0`.
struct Little;

impl Provided for Little {
    fn function(&self, module: &str, name: &str) -> Option<Signature> {
        ((module, name) == ("a", "f")).then(|| Signature::new(&[I32], &[I32]))
    }

    fn interface(&self, import: &str) -> bool {
        import == "a:b/c@1.0.0"
    }
}

/// The message and the import of an error.
fn refused(wat: &str) -> (String, Option<String>) {
    match Shape::of("it", &wat::parse_str(wat).unwrap(), &Little) {
        Err(Error::ModuleInvalid { message, import, .. }) => (message, import),
        other => (format!("{other:?}"), None),
    }
}

#[test]
fn a_module_that_is_no_command_is_refused() {
    assert_eq!(refused("(module)").0, "it has no `_start`, so it is not a WASI command");
    for wat in [
        "(module (func (export \"_start\") (param i32)))",
        "(module (func (export \"_start\") (result i32) (i32.const 1)))",
        "(module (memory (export \"_start\") 1))",
        "(module (func $f (import \"a\" \"f\") (param i32) (result i32)) (export \"_start\" (func $f)))",
    ] {
        assert_eq!(refused(wat).0, "`_start` must be a function without parameters and results", "{wat}");
    }
}

#[test]
fn an_import_that_cannot_be_had_is_refused_by_its_name_or_type() {
    let with = |import: &str| refused(&format!("(module (import {import}) (func (export \"_start\")))"));
    for (import, its_name) in [
        ("\"env\" \"system\" (func)", "env.system"),
        ("\"env\" \"memory\" (memory 1)", "env.memory"),
        ("\"a\" \"g\" (global i32)", "a.g"),
    ] {
        let unmet = (format!("nobody provides its import `{its_name}`"), Some(its_name.to_owned()));
        assert_eq!(with(import), unmet);
    }
    assert!(with("\"a\" \"f\" (func (param i32) (result i32))").0.starts_with("Ok"));
    let (message, import) = with("\"a\" \"f\" (func (param i32))");
    assert_eq!(message, "its import `a.f` is `(i32 ->)`; what is provided is `(i32 -> i32)`");
    assert_eq!(import, None);
    let (message, _) = with("\"a\" \"f\" (memory 1)");
    assert_eq!(message, "its import `a.f` is not a function; what is provided is `(i32 -> i32)`");
    // The error names the first import that cannot be provided.
    assert_eq!(with("\"a\" \"f\" (func)) (import \"x\" \"y\" (func)").1, None);
    assert_eq!(with("\"x\" \"y\" (func)) (import \"a\" \"f\" (func)").1, Some("x.y".to_owned()));
}

#[test]
fn an_import_of_a_component_is_refused_if_it_has_what_somebody_must_provide() {
    let run = "(instance $run) (export \"wasi:cli/run@0.2.0\" (instance $run))";
    let with = |import: &str| refused(&format!("(component (import {import}) {run})"));
    for import in [
        "\"x:y/z@1.0.0\" (instance (export \"f\" (func)))",
        "\"x:y/z@1.0.0\" (instance (export \"r\" (type (sub resource))))",
        "\"x:y/z@1.0.0\" (instance (export \"i\" (instance (export \"f\" (func)))))",
    ] {
        let unmet = ("nobody provides its import `x:y/z@1.0.0`".to_owned(), Some("x:y/z@1.0.0".to_owned()));
        assert_eq!(with(import), unmet, "{import}");
    }
    assert_eq!(with("\"f\" (func)").1, Some("f".to_owned()));
    for import in [
        "\"a:b/c@1.0.0\" (instance (export \"f\" (func)))",
        "\"x:y/z@1.0.0\" (instance)",
        "\"x:y/z@1.0.0\" (instance (type $r' (record (field \"a\" u8))) (export \"r\" (type (eq $r'))))",
    ] {
        assert!(with(import).0.starts_with("Ok"), "{import}: {:?}", with(import));
    }
    assert_eq!(refused("(component)").0, "it does not export `wasi:cli/run`, so it is not a WASI command");
}

#[test]
fn what_is_to_be_built_in_another_way_is_told_how() {
    // try, try with catch_all, rethrow and delegate.
    for body in [&[0x06, 0x40, 0x0b][..], &[0x06, 0x40, 0x19, 0x0b], &[0x09, 0], &[0x06, 0x40, 0x18, 0]] {
        let message = problem(&start(body));
        for words in
            ["old encoding", "-wasm-use-legacy-eh=false", "-sWASM_LEGACY_EXCEPTIONS=0", "--translate-to-exnref"]
        {
            assert!(message.contains(words), "{body:x?}: {message}");
        }
    }
    // A fence, an atomic load, a shared memory of a module's own, and one that is imported.
    let import = module(&[section(2, &[1, 0, 0, 2, 3, 1, 1])]);
    let threads = [
        start(&[0xfe, 3, 0]),
        start(&[0x41, 0, 0xfe, 0x10, 2, 0, 0x1a]),
        Module { memories: vec![vec![3, 1, 1]], ..Module::default() }.wasm(),
        command(&[section(1, &import)]),
        import,
    ];
    for wasm in threads {
        let message = problem(&wasm);
        for words in ["threads", "`-pthread`", "`-matomics`", "`wasm32-wasip1`"] {
            assert!(message.contains(words), "{message}");
        }
    }
    let given = "(component (import \"c\" (component $c)) (instance (instantiate $c)))";
    assert!(refused(given).0.starts_with("it instantiates a component that it imports"), "{:?}", refused(given));
}

/// The files claim counts that no file of their size can have, or are cut off at any byte.
#[test]
fn what_cannot_be_read_is_refused_and_nothing_is_allocated_for_it() {
    let many = [0xff, 0xff, 0xff, 0xff, 0x0f];
    for id in 1..=13 {
        let message = problem(&module(&[section(id, &many)]));
        assert!(!message.is_empty(), "section {id}");
    }
    for id in 1..=11 {
        let message = problem(&component(&[section(id, &many)]));
        assert!(!message.is_empty(), "component's section {id}");
    }
    for ty in [[&[0x4e][..], &many].concat(), [&[0x60][..], &many].concat(), [&[0x5f][..], &many].concat()] {
        assert!(!problem(&module(&[section(1, &[&[1][..], &ty].concat())])).is_empty(), "{ty:x?}");
    }
    for ty in [0x40, 0x41, 0x42, 0x6d, 0x6e, 0x6f, 0x71, 0x72] {
        assert!(!problem(&command(&[section(7, &[&[1, ty][..], &many].concat())])).is_empty(), "{ty:#x}");
    }
    let whole = Module { imports: vec![vec![0, 0, 0, 0]], bodies: vec![vec![0, 1]], ..Module::default() }.wasm();
    let whole = command(&[section(1, &whole), section(7, &times(3, &[0x42, 0]))]);
    assert_eq!(problem(&whole), "");
    for length in 0..whole.len() {
        assert!(!problem(&whole[..length]).is_empty(), "{length}");
    }
    assert!(problem(&[&*whole, &[1]].concat()).starts_with("it is not valid WebAssembly: "));
}

/// 100,000 imports share a module name of 90,000 bytes.
#[test]
fn a_compact_section_s_imports_are_all_looked_at_and_none_is_copied() {
    let long = name(&"m".repeat(90_000));
    let imports = [&long[..], &[0, 0x7e, 0, 0], &times(100_000, &[0])].concat();
    let wasm = module(&[section(1, &[1, 0x60, 0, 0]), section(2, &list([imports])), section(3, &leb(0))]);
    assert_eq!(problem(&wasm), "it has no `_start`, so it is not a WASI command");
    let imports = [&long[..], &[0, 0x7e, 0, 0], &times(100_001, &[0])].concat();
    let wasm = module(&[section(1, &[1, 0x60, 0, 0]), section(2, &list([imports]))]);
    assert!(problem(&wasm).contains("the limit `imports`"), "{:.300}", problem(&wasm));
}
