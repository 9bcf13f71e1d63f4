//! Files of which each part is small, and what the compiler makes of the parts together is not.

use super::encode::{self, Module, command, leb, list, section, times};
use super::{Shape, shape};

const I32: u8 = 0x7f;
const ANY: u8 = 0x6e;

/// Instructions: a block with a branch to its end, which depends on the global; two ends of blocks.
const BRANCHING: [u8; 7] = [0x02, 0x40, 0x23, 0, 0x0d, 0, 0x0b];
const ENDS: [u8; 2] = [0x0b, 0x0b];

pub fn shapes() -> Vec<Shape> {
    vec![
        // 100 KB that took 190 MiB, and 3 MB that took gigabytes.
        shape("tables-with-values", "blocks", tables_with_values(100, 1_000)),
        // 12 KB that took 26 s.
        shape("locals-joined", "join_pairs", of_locals(100, I32, &locals_joined(100, 1_000))),
        // 40 KB that took more than a minute.
        shape("locals-joined-by-tables", "joined_values", of_locals(20, I32, &joined_by_tables(20, 20_000))),
        // 78 KB that took 9 s and 1.3 GiB.
        shape("locals-past-blocks", "block_locals", {
            of_locals(9_000, I32, &[BRANCHING.repeat(6_000), read(9_000)].concat())
        }),
        // 50 KB that took 2 s.
        shape("operands-past-blocks", "live_values", {
            let loads = (0..4_000).flat_map(|index| [&[0x41, 0][..], &load(index)].concat()).collect();
            of_locals(0, I32, &[loads, BRANCHING.repeat(2_000), vec![0x6a; 3_999], vec![0x24, 0]].concat())
        }),
        // 75 KB that took 3.3 s and 640 MiB: each call lists the references that are read later.
        shape("references-past-calls", "call_references", {
            let set = |local: u64| [&[0x41][..], &encode::signed(local), &[0xfb, 0x1c, 0x21], &leb(local)].concat();
            let sets: Vec<u8> = (0..4_000).flat_map(set).collect();
            let read = |local: u64| [&[0x20][..], &leb(local), &[0xd1, 0x24, 0]].concat();
            let reads = (0..4_000).flat_map(read).collect();
            of_locals(4_000, ANY, &[sets, [0x10, 0].repeat(10_000), reads].concat())
        }),
        // 200 KB that took 7 s.
        shape("branches-if", "blocks", {
            of_locals(0, I32, &[&[0x02, 0x40][..], &[0x23, 0, 0x0d, 0].repeat(50_000), &[0x0b]].concat())
        }),
        shape("branches-on-null", "blocks", {
            let branches = [0xd0, 0x70, 0xd5, 0, 0x1a].repeat(50_000);
            of_locals(0, I32, &[&[0x02, 0x40][..], &branches, &[0x0b]].concat())
        }),
        // 200 KB that took from 3 to 11 s, however many functions they are in.
        shape("table-copies-shared-out", "parts", shared_out(&[0x23, 0, 0x23, 0, 0x23, 0, 0xfc, 14, 0, 0], 20_000)),
        shape("memory-fills-shared-out", "parts", shared_out(&[0x23, 0, 0x23, 0, 0x23, 0, 0xfc, 11, 0], 60_000)),
        shape("arrays-of-elements", "parts", shared_out(&[0x23, 0, 0x23, 0, 0xfb, 10, 1, 0, 0x1a], 20_000)),
        // 2.4 MB that took 8 s with fuel: each result that may be a NaN is looked at.
        shape("roots", "parts", {
            let roots = [&[0, 0x44][..], &[0; 8], &[0x9f; 600_000 - 20], &[0x1a]].concat();
            Module { bodies: vec![roots; 4], ..Module::default() }.wasm()
        }),
        // 2.5 KB that took 3 s: what can be called from elsewhere has trampolines of its signature.
        shape("functions-wide", "wide_values", functions_wide(100, 900)),
        shape("function-types-wide", "wide_values", {
            let types = (0..80).map(|digits| wide(900 + digits)).collect();
            Module { types, ..Module::default() }.wasm()
        }),
        // 240 KB that took 3 s and 330 MiB, or twice as much where a table has them.
        shape("functions", "functions", Module { bodies: vec![vec![0]; 60_000], ..Module::default() }.wasm()),
        shape("functions-of-modules", "functions", {
            let inner = Module { bodies: vec![vec![0]; 1_000], ..Module::default() }.wasm();
            command(&vec![section(1, &inner); 100])
        }),
        // 1.5 KB that took 2 GB: an image of 16 MiB for each memory, of two bytes.
        shape("images-of-two-bytes", "image_padding", {
            let data =
                |memory: u64, at: u64| [&[2][..], &leb(memory), &[0x41], &encode::signed(at), &[0x0b, 1, 1]].concat();
            let datas = (0..16).flat_map(|memory| [data(memory, 0), data(memory, (16 << 20) - 2)]).collect();
            let memories = vec![[&[0][..], &leb(256)].concat(); 16];
            command(&vec![section(1, &Module { memories, datas, ..Module::default() }.wasm()); 8])
        }),
        // 90 KB that took 5 s: each segment is copied by a part of one function.
        shape("data-copied", "blocks", {
            let datas = vec![vec![0, 0x41, 0, 0x0b, 1, 1]; 15_000];
            Module { memories: vec![vec![0, 1]], datas, ..Module::default() }.wasm()
        }),
        // 50 µs and 6.5 KB for each byte.
        shape("elements-passive", "element_expressions", {
            let elements = vec![[&[1, 0][..], &times(100_000, &[0])].concat()];
            Module { elements, ..Module::default() }.wasm()
        }),
        shape("elements-at-a-global", "element_expressions", {
            let elements = vec![[&[0, 0x23, 0, 0x0b][..], &times(100_000, &[0])].concat()];
            let tables = vec![[&[0x70, 0][..], &leb(900_000)].concat()];
            let globals = vec![vec![0x7f, 0, 0x41, 0, 0x0b]];
            Module { elements, tables, globals, ..Module::default() }.wasm()
        }),
        // 300 KB that took 10 s, and made cranelift panic beyond 65,535 globals.
        shape("globals-from-globals", "used_globals", {
            let first = vec![0x7e, 0, 0x42, 1, 0x0b];
            let globals = [vec![first], vec![vec![0x7e, 1, 0x23, 0, 0x0b]; 60_000]].concat();
            Module { globals, ..Module::default() }.wasm()
        }),
        shape("globals-in-a-function", "used_globals", {
            let sets = (0..70_000).flat_map(|global| [&[0x41, 0, 0x24][..], &leb(global)].concat());
            let bodies = vec![[0].into_iter().chain(sets).collect()];
            Module { globals: vec![vec![0x7f, 1, 0x41, 0, 0x0b]; 70_000], bodies, ..Module::default() }.wasm()
        }),
        // 160 KB that took more than 40 s.
        shape("clauses-without-calls", "blocks", {
            let tries = [&[0x1f, 0x40][..], &times(9_900, &[2, 0]), &[0x0b]].concat().repeat(8);
            of_locals(0, I32, &[&[0x02, 0x40][..], &tries, &[0x0b]].concat())
        }),
        // As `references-past-calls`, of calls into the library.
        shape("references-past-functions", "call_references", references_past(&[0xd2, 0, 0x1a])),
        shape("references-past-drops", "call_references", references_past(&[0xfc, 13, 0])),
        // 31 KB that took 13 s: an adapter between two components for each function that is lowered.
        shape("adapters", "lowered", {
            let params = times(999, &[1, b'p', 0x73]);
            let types = section(7, &list([[&[0x40][..], &params, &[1, 0]].concat()]));
            let import = section(10, &list([[0, 1, b'f', 1, 0]]));
            command(&[types, import, section(8, &times(200, &[1, 0, 0, 0]))])
        }),
        // The module of adapters had more memories than there may be, which was an internal error.
        shape("adapters-of-memories", "memory_aliases", {
            let memory = Module { memories: vec![vec![0, 0]], ..Module::default() }.wasm();
            let aliases = section(6, &times(101, &[0, 2, 1, 0, 1, b'm']));
            command(&[section(1, &memory), section(2, &[1, 0, 0, 0]), aliases])
        }),
        // What is in a component is compiled for each of its instances.
        shape("items-multiplied", "component_items", {
            let inner = encode::component(&[section(7, &times(1_000, &[0x7d]))]);
            command(&[section(4, &inner), section(5, &times(250, &[0, 0, 0]))])
        }),
    ]
}

/// With a table, a memory, a global, an empty element segment and the type of an array of functions.
fn with_all(bodies: Vec<Vec<u8>>) -> Vec<u8> {
    Module {
        types: vec![vec![0x5e, 0x70, 1]],
        tables: vec![vec![0x70, 0, 1]],
        memories: vec![vec![0, 1]],
        globals: vec![vec![0x7f, 1, 0x41, 0, 0x0b]],
        elements: vec![vec![1, 0, 0]],
        bodies,
        ..Module::default()
    }
    .wasm()
}

/// One function with so many locals of a type.
fn of_locals(locals: u64, ty: u8, instructions: &[u8]) -> Vec<u8> {
    with_all(vec![[&[1][..], &leb(locals), &[ty], instructions].concat()])
}

/// The same instructions so many times, 200 times in each function.
fn shared_out(instructions: &[u8], count: usize) -> Vec<u8> {
    with_all(vec![[&[0][..], &instructions.repeat(200)].concat(); count / 200])
}

/// References that are read after so many of these instructions.
fn references_past(instructions: &[u8]) -> Vec<u8> {
    const EXTERN: u8 = 0x6f;
    let set = |local: u64| [&[0xd0, EXTERN, 0x21][..], &leb(local)].concat();
    let read = |local: u64| [&[0x20][..], &leb(local), &[0xd1, 0x1a]].concat();
    let sets: Vec<u8> = (0..4_000).flat_map(set).collect();
    let reads = (0..4_000).flat_map(read).collect();
    of_locals(4_000, EXTERN, &[sets, instructions.repeat(10_000), reads].concat())
}

/// Reads so many locals.
fn read(locals: u64) -> Vec<u8> {
    (0..locals).flat_map(|local| [&[0x20][..], &leb(local), &[0x1a]].concat()).collect()
}

/// Loads what no other instruction loads.
fn load(index: u64) -> Vec<u8> {
    [&[0x28, 2][..], &leb(4 * index)].concat()
}

/// So many tables with a branch to each of so many blocks, which have a result.
fn tables_with_values(blocks: usize, tables: usize) -> Vec<u8> {
    let labels = list((1..blocks as u64).map(leb));
    let table = [&[0x02, 0x40, 0x23, 0, 0x0d, 0, 0x41, 1, 0x23, 0, 0x0e], &*labels, &[1, 0x0b]].concat();
    let ends = [0x0b, 0x1a, 0x41, 1].repeat(blocks);
    of_locals(0, I32, &[[0x02, 0x7f].repeat(blocks), table.repeat(tables), vec![0x41, 1], ends, vec![0x1a]].concat())
}

/// So many branches to where locals are read, of which one is set before each branch.
fn locals_joined(locals: u64, branches: u64) -> Vec<u8> {
    let set = |branch: u64| [&[0x41, 0][..], &load(branch), &[0x21], &leb(branch % locals)].concat();
    let branch = |branch| [set(branch), vec![0x23, 0, 0x0d, 0]].concat();
    [vec![0x02, 0x40], (0..branches).flat_map(branch).collect(), vec![0x0b], read(locals)].concat()
}

/// Two tables of so many branches to where locals are read, which are set before each table.
fn joined_by_tables(locals: u64, branches: usize) -> Vec<u8> {
    let set = |local: u64| [&[0x23, 0, 0x21][..], &leb(local)].concat();
    let sets: Vec<u8> = (0..locals).flat_map(set).collect();
    let begin = [0x02, 0x40, 0x23, 0, 0x0d, 0];
    let table = [&begin[..], &sets, &[0x23, 0, 0x0e], &times(branches, &[1]), &[1, 0x0b]].concat();
    [&[0x02, 0x40, 0x02, 0x40][..], &table.repeat(2), &ENDS, &read(locals)].concat()
}

/// A type of functions with so many parameters and as many results.
fn wide(values: usize) -> Vec<u8> {
    [&[0x60][..], &times(values, &[I32]), &times(values, &[I32])].concat()
}

/// So many functions with so many parameters and results, all in an element segment.
fn functions_wide(functions: usize, values: usize) -> Vec<u8> {
    let unreachable = vec![3, 0, 0, 0x0b];
    let types = section(1, &list([vec![0x60, 0, 0], wide(values)]));
    let indices = section(3, &list([vec![0]].into_iter().chain(vec![vec![1]; functions])));
    let start = section(7, &list([[&encode::name("_start")[..], &[0, 0]].concat()]));
    let elements = section(9, &list([[vec![3, 0], list((1..=functions as u64).map(leb))].concat()]));
    let code = section(10, &list([vec![2, 0, 0x0b]].into_iter().chain(vec![unreachable; functions])));
    encode::module(&[types, indices, start, elements, code])
}
