use super::component::{FEWEST, separate_component};
use super::*;

fn refused(fields: &str) -> String {
    let wasm = wat::parse_str(format!("(module {fields})")).unwrap();
    separate(&wasm).unwrap_err()
}

#[test]
fn code_and_data_are_separated() {
    let wasm = wat::parse_str(
        r#"(module (memory (export "memory") 2) (global (mut i32) (i32.const 7)) (global f64 (f64.const 1))
           (global (mut v128) (v128.const i64x2 1 2)) (func) (start 0) (func (export "arawn_run"))
           (data (i32.const 65530) "abc") (data "unused") (data (i32.const 65531) "B"))"#,
    )
    .unwrap();
    let Separated { code, data, memory_bytes, shifts } = separate(&wasm).unwrap();
    assert_eq!((data, memory_bytes), (vec![(65530, &b"abc"[..]), (65531, b"B")], 2 << 16));
    let expected = wat::parse_str(
        r#"(module (memory 2 65536) (global (mut i32) (i32.const 7)) (global f64 (f64.const 1))
           (global (mut v128) (v128.const i64x2 1 2)) (func) (func)
           (export "memory" (memory 0)) (export "arawn_run" (func 1)) (export "arawn:memory" (memory 0))
           (export "arawn:global:0" (global 0)) (export "arawn:global:2" (global 2)) (export "arawn:start" (func 0)))"#,
    );
    assert_eq!(code, expected.unwrap());
    let code_at = |wasm: &[u8]| {
        let mut payloads = Parser::new(0).parse_all(wasm).map_while(Result::ok);
        payloads.find_map(|payload| match payload {
            Payload::CodeSectionStart { range, .. } => Some(range.start as u64),
            _ => None,
        })
    };
    assert_eq!(code_at(&wasm), shifts.in_file(code_at(&code).unwrap()));
    assert!(is_reactor_module(&wasm) && is_reactor_module(&code) && !is_reactor_module(&wasm[..20]));
}

#[test]
fn segments_that_code_names_keep_their_numbers() {
    let wasm = wat::parse_str(
        r#"(module (memory 1 9) (export "e" (memory 0))
           (func (memory.init 1 (i32.const 0) (i32.const 0) (i32.const 7)))
           (data (i32.const 5) "a") (data "passive"))"#,
    )
    .unwrap();
    let separated = separate(&wasm).unwrap();
    let expected = wat::parse_str(
        r#"(module (memory 1 9) (export "e" (memory 0)) (export "arawn:memory" (memory 0))
           (func (memory.init 1 (i32.const 0) (i32.const 0) (i32.const 7)))
           (data "") (data "passive"))"#,
    );
    assert_eq!((separated.code, separated.data), (expected.unwrap(), vec![(5, &b"a"[..])]));
}

#[test]
fn a_module_with_other_state_is_not_separated() {
    let table = "(memory 1) (table 1 funcref) (elem $e func) (data $d)";
    for (fields, reason) in [
        ("", "it has no memory"),
        ("(memory 1) (memory 1)", "it has 2 memories"),
        ("(memory i64 1)", "its memory has 64-bit addresses, is shared or has pages of another size"),
        (r#"(import "a" "m" (memory 1))"#, "it imports `m`, which is not a function"),
        ("(memory 1) (global (mut funcref) (ref.null func))", "its global 0 is a reference that may change"),
        (
            "(memory 1) (global i32 (i32.const 1)) (data (global.get 0) \"a\")",
            "it has data at an address that is computed",
        ),
        ("(memory 1) (data (i32.const 65536) \"a\")", "it has data outside of its memory"),
        (r#"(memory (export "arawn:memory") 1)"#, "it has an export `arawn:memory` of its own"),
    ] {
        assert_eq!(refused(fields), reason, "{fields}");
    }
    for (code, name) in [
        ("(table.set (i32.const 0) (ref.null func))", "table.set"),
        ("(drop (table.grow (ref.null func) (i32.const 0)))", "table.grow"),
        ("(table.fill (i32.const 0) (ref.null func) (i32.const 0))", "table.fill"),
        ("(table.copy (i32.const 0) (i32.const 0) (i32.const 0))", "table.copy"),
        ("(table.init $e (i32.const 0) (i32.const 0) (i32.const 0))", "table.init"),
        ("(elem.drop $e)", "elem.drop"),
        ("(data.drop $d)", "data.drop"),
    ] {
        let reason = refused(&format!("{table} (func {code})"));
        assert_eq!(reason, format!("its code has `{name}`, which changes what a snapshot does not keep"));
    }
}

/// A component whose module has a mebibyte of data, in which nothing else is as it was.
fn component(module: &str, more: &str) -> Vec<u8> {
    wat::parse_str(format!("(component (core module (func (export \"f\"))) (core module {module}) {more})")).unwrap()
}

#[test]
fn a_component_is_separated_in_its_module_with_the_memory() {
    let data = "x".repeat(FEWEST);
    let fields = format!(
        r#"(import "a" "g" (global (mut funcref))) (table 1 funcref) (memory (export "memory") 17 17) (func (table.set (i32.const 0) (global.get 0)))
           (start 0) (data (i32.const 16) "{data}")"#
    );
    let (before, after) = ("(core module (func) (func))", "(core module (table 2 funcref))");
    let wasm = component(&fields, &format!("{before}{after}"));
    let Separated { code, data, memory_bytes, shifts } = separate_component(&wasm, true).unwrap();
    assert_eq!((data[0].0, data[0].1.len(), data.len(), memory_bytes), (16, FEWEST, 1, 17 << 16));
    let plain = fields.split("(data").next().unwrap();
    assert_eq!(code, component(plain, &format!("{before}{after}")));
    // The code of each module, in the order of the file.
    let places = |wasm: &[u8]| {
        let payloads = Parser::new(0).parse_all(wasm).map_while(Result::ok);
        let places = payloads.filter_map(|payload| match payload {
            Payload::CodeSectionEntry(body) => Some(body.range().start as u64),
            _ => None,
        });
        places.collect::<Vec<_>>()
    };
    let moved: Vec<u64> = places(&code).into_iter().map(|place| shifts.in_file(place).unwrap()).collect();
    assert_eq!(moved, places(&wasm));
    assert_eq!(moved.len(), 4);
}

#[test]
fn a_component_that_cannot_be_separated_says_why() {
    let large = format!(r#"(memory 17) (data (i32.const 16) "{}")"#, "x".repeat(FEWEST));
    for (module, more, reason) in [
        ("", "", "it has no memory"),
        ("(memory 1) (data (i32.const 1) \"a\")", "", "it has little data"),
        (large.as_str(), "(core module (memory 1))", "it has several memories"),
        (
            large.as_str(),
            "(core module (import \"a\" \"m\" (memory 1)) (data (i32.const 1) \"a\"))",
            "it has data in a module without a memory",
        ),
        (large.as_str(), "(component (component (core module)))", "it has a component with a module in it"),
        (large.as_str(), "(core instance (instantiate 1)) (core instance (instantiate 1))", "it has several memories"),
        (
            large.as_str(),
            "(component $c (import \"m\" (core module))) (instance (instantiate $c (with \"m\" (core module 1))))",
            "it hands a module to a component",
        ),
        (
            "(memory 1) (func (data.drop 0)) (data \"a\")",
            "",
            "its code has `data.drop`, which changes what a snapshot does not keep",
        ),
    ] {
        assert_eq!(separate_component(&component(module, more), true).unwrap_err(), reason, "{more}");
    }
}

/// An object in a global that is constant may change itself.
#[test]
fn a_module_that_may_change_objects_which_it_begins_with_is_not_separated() {
    let types = "(type $s (struct (field (mut i32)))) (type $a (array (mut i32))) (memory 1)";
    let set = "(func (param (ref $s)) (struct.set $s 0 (local.get 0) (i32.const 1)))";
    for begins in [
        "(global (ref $s) (struct.new $s (i32.const 0)))",
        "(global (ref $s) (struct.new_default $s))",
        "(global (ref $a) (array.new_fixed $a 1 (i32.const 0)))",
        "(table 1 (ref $s) (struct.new_default $s))",
        "(table 1 (ref null $s)) (elem (table 0) (i32.const 0) (ref null $s) (item (struct.new_default $s)))",
    ] {
        let reason = refused(&format!("{types} {begins} {set}"));
        assert_eq!(reason, "its code has `struct.set`, which changes what a snapshot does not keep", "{begins}");
    }
    for (code, name) in [
        ("(array.set $a (local.get 0) (i32.const 0) (i32.const 1))", "array.set"),
        ("(array.fill $a (local.get 0) (i32.const 0) (i32.const 1) (i32.const 0))", "array.fill"),
        ("(array.copy $a $a (local.get 0) (i32.const 0) (local.get 0) (i32.const 0) (i32.const 0))", "array.copy"),
        ("(array.init_data $a $d (local.get 0) (i32.const 0) (i32.const 0) (i32.const 0))", "array.init_data"),
    ] {
        let begins = "(global (ref $a) (array.new_default $a (i32.const 1))) (data $d)";
        let reason = refused(&format!("{types} {begins} (func (param (ref $a)) {code})"));
        assert_eq!(reason, format!("its code has `{name}`, which changes what a snapshot does not keep"));
    }
    // Objects that are made while a call runs are kept nowhere, and objects without changes are constant.
    let wasm = wat::parse_str(format!("(module {types} {set})")).unwrap();
    assert!(separate(&wasm).is_ok());
    let wasm = wat::parse_str(format!("(module {types} (global (ref $s) (struct.new_default $s)))")).unwrap();
    assert!(separate(&wasm).is_ok());
}

#[test]
fn a_module_with_a_start_of_its_own_is_a_command() {
    for (exports, expected) in [
        (&["arawn_run"][..], true),
        (&["arawn_run", "_initialize"], true),
        (&["_initialize", "arawn_run", "_start"], true),
        (&["_start", "arawn_run", "arawn_init"], false),
        (&["_initialize", "arawn_init"], false),
        (&["_start"], false),
    ] {
        let exports: String = exports.iter().map(|name| format!(r#"(export "{name}" (func 0))"#)).collect();
        let wasm = wat::parse_str(format!("(module (func) {exports})")).unwrap();
        assert_eq!(is_reactor_module(&wasm), expected, "{exports}");
    }
}
