//! Each limit: a file that reaches the limit passes. A file that exceeds it is refused, and the error names the limit.

use super::encode::{self, Module, command, component, leb, list, module, name, nested_blocks, section, start, times};
use super::problem;
use crate::wasm::shape::limits::Limit;

/// A file that has `n` of what the limit counts, or the nearest number that is possible.
fn file(limit: Limit, n: usize) -> Vec<u8> {
    let m = Module::default();
    let body = |instructions: Vec<u8>| vec![[vec![0], instructions].concat()];
    let locals = |n: usize| [&[1][..], &leb(n as u64), &[0x7f]].concat();
    let core = || section(1, &module(&[]));
    match limit {
        Limit::Types => Module { types: vec![vec![0x5f, 0]; n - 1], ..m }.wasm(),
        Limit::FunctionTypes => Module { types: vec![vec![0x60, 0, 0]; n - 1], ..m }.wasm(),
        Limit::GroupTypes => {
            let group = [&[0x4e][..], &leb(n as u64), &[0x60, 0, 0], &[0x5f, 0].repeat(n - 1)].concat();
            let (function, code) = (section(3, &[1, 0]), section(10, &[1, 2, 0, 0x0b]));
            module(&[section(1, &list([group])), function, section(7, b"\x01\x06_start\0\0"), code])
        }
        Limit::Imports => Module { imports: vec![vec![0, 0, 0, 0]; n], ..m }.wasm(),
        Limit::Functions => Module { bodies: vec![vec![0]; n], ..m }.wasm(),
        Limit::Tables => Module { tables: vec![vec![0x70, 0, 0]; n], ..m }.wasm(),
        Limit::TableElements => {
            let tables = (0..n).step_by(1_000_000).map(|begun| (n - begun).min(1_000_000) as u64);
            Module { tables: tables.map(|size| [&[0x70, 0][..], &leb(size)].concat()).collect(), ..m }.wasm()
        }
        Limit::Memories => Module { memories: vec![vec![0, 0]; n], ..m }.wasm(),
        Limit::Tags => Module { tags: vec![vec![0, 0]; n], ..m }.wasm(),
        Limit::Globals => Module { globals: vec![vec![0x7f, 0, 0x41, 0, 0x0b]; n], ..m }.wasm(),
        Limit::Exports => Module { exports: vec![vec![0, 0, 0]; n - 1], ..m }.wasm(),
        Limit::ElementSegments => Module { elements: vec![vec![1, 0, 0]; n], ..m }.wasm(),
        Limit::ElementExpressions => {
            let expressions = times(n, &[0xd0, 0x70, 0x0b]);
            Module { elements: vec![[&[5, 0x70][..], &expressions].concat()], ..m }.wasm()
        }
        Limit::ImagePadding => {
            // 64 KiB for each memory, and the bytes between two bytes of data in the last memory.
            let (memories, rest) = ((n >> 16) as u64, n as u64 & 0xffff);
            let data =
                |memory: u64, at: u64| [&[2][..], &leb(memory), &[0x41], &encode::signed(at), &[0x0b, 1, 1]].concat();
            let inner = |count: u64, rest: u64| {
                let mut datas: Vec<_> = (0..count).map(|memory| data(memory, 0)).collect();
                datas.push(data(count - 1, rest + 1));
                section(1, &Module { memories: vec![vec![0, 2]; count as usize], datas, ..Module::default() }.wasm())
            };
            let begins = (0..memories).step_by(16);
            command(
                &begins
                    .map(|begin| inner((memories - begin).min(16), if begin == 0 { rest } else { 0 }))
                    .collect::<Vec<_>>(),
            )
        }
        Limit::DataSegments => Module { datas: vec![vec![1, 0]; n], ..m }.wasm(),
        Limit::ExpressionSize => {
            let global = [&[0x7f, 0, 0x41, 0][..], &[0x45].repeat(n - 2), &[0x0b]].concat();
            Module { globals: vec![global], ..m }.wasm()
        }
        Limit::FunctionBytes => Module { bodies: body(vec![1; n - 2]), ..m }.wasm(),
        Limit::Locals => Module { bodies: vec![locals(n)], ..m }.wasm(),
        Limit::AllLocals => {
            let sizes = (0..n).step_by(10_000).map(|begun| (n - begun).min(10_000));
            Module { bodies: sizes.map(locals).collect(), ..m }.wasm()
        }
        Limit::BlockDepth => start(&nested_blocks(0x02, n, &[])),
        Limit::Blocks => start(&[0x02, 0x40, 0x0b].repeat(n)),
        Limit::Parts => {
            // Each `memory.fill` is compiled into 18 parts.
            let fills = (0..n / 18).step_by(100).map(|begun| [0xfc, 11, 0].repeat((n / 18 - begun).min(100)));
            let blocks = [0x02, 0x40, 0x0b].repeat(n % 18);
            Module { bodies: fills.chain([blocks]).map(|body| [vec![0], body].concat()).collect(), ..m }.wasm()
        }
        // The types take 4 s. The blocks take the rest, except 0.1 s for their other costs.
        Limit::Work => {
            let types = vec![vec![0x60, 0, 0]; Limit::FunctionTypes.most() as usize - 1];
            let blocks = ((n - 4_100_000_000) / 3).isqrt();
            Module { types, bodies: body([0x02, 0x40, 0x0b].repeat(blocks)), ..m }.wasm()
        }
        Limit::BlockPairs | Limit::LoopPairs => {
            let (kind, most) = if limit == Limit::BlockPairs {
                (0x02, Limit::Blocks.most() as usize)
            } else {
                (0x03, Limit::Loops.most() as usize)
            };
            let left = n - most * most;
            let rest = left.isqrt() + usize::from(left as u64 > limit.most() - (most * most) as u64);
            let body = |blocks: usize| [&[0][..], &[kind, 0x40, 0x0b].repeat(blocks)].concat();
            Module { bodies: vec![body(most), body(rest)], ..m }.wasm()
        }
        Limit::BlockLocals => {
            let body = [locals(1_000), [0x02, 0x40, 0x0b].repeat(n / 1_000)].concat();
            Module { bodies: vec![body], ..m }.wasm()
        }
        Limit::LiveValues => {
            let blocks = [[0x41, 0].repeat(1_000), [0x02, 0x40, 0x0b].repeat(n / 1_000)].concat();
            Module { bodies: body(blocks), ..m }.wasm()
        }
        // A function has two ways more than these branches: the default label, and the end of the block.
        Limit::JoinedValues => Module { bodies: vec![joining(998); n / 1_000], ..m }.wasm(),
        Limit::JoinPairs => Module { bodies: vec![joining(n.isqrt() - 2)], ..m }.wasm(),
        Limit::CallReferences => {
            let references = [&[1][..], &leb(1_000), &[0x70], &[0x10, 0].repeat(n / 1_000)].concat();
            Module { bodies: vec![references], ..m }.wasm()
        }
        Limit::UsedGlobals => {
            let uses = (0..n as u64).flat_map(|global| [&[0x23][..], &leb(global), &[0x1a]].concat()).collect();
            Module { globals: vec![vec![0x7f, 0, 0x41, 0, 0x0b]; n], bodies: body(uses), ..m }.wasm()
        }
        Limit::Loops => start(&[0x03, 0x40, 0x0b].repeat(n)),
        Limit::Calls => start(&[0x10, 0].repeat(n)),
        Limit::WideValues => {
            let ty = |params: usize| [&[0x60][..], &times(params, &[0x7f]), &[0]].concat();
            // The two types have 101 values beyond 8 themselves.
            let n = n - 101;
            let calls = [[0x11, 1, 0].repeat(n / 100), [0x11, 2, 0].repeat(n % 100)].concat();
            Module { types: vec![ty(108), ty(9)], tables: vec![vec![0x70, 0, 0]], bodies: body(calls), ..m }.wasm()
        }
        Limit::Modules => command(&vec![core(); n]),
        Limit::Components => command(&vec![section(4, &component(&[])); n]),
        Limit::ComponentDepth => encode::nested_components(n),
        Limit::ComponentItems => command(&[section(7, &times(n - 1, &[0x7d]))]),
        Limit::CoreInstances => command(&[core(), section(2, &times(n, &[0, 0, 0]))]),
        Limit::MemoryAliases => {
            command(&[core(), section(2, &[1, 0, 0, 0]), section(6, &times(n, &[0, 2, 1, 0, 1, b'm']))])
        }
        Limit::Lowered => {
            // One type has 999 parameters and the other has none. A type is a part itself.
            let params = times(999, &[1, b'p', 0x7d]);
            let types = list([[&[0x40][..], &params, &[1, 0]].concat(), vec![0x40, 0, 1, 0]]);
            let imports = list([[1, 0, 1, b'f', 1, 0], [1, 0, 1, b'g', 1, 1]].map(|import| import[1..].to_vec()));
            let lowered = list([vec![vec![1, 0, 0, 0]; n / 1_000], vec![vec![1, 0, 1, 0]; n % 1_000]].concat());
            command(&[section(7, &types), section(10, &imports), section(8, &lowered)])
        }
        Limit::ComponentInstances => command(&[section(4, &component(&[])), section(5, &times(n, &[0, 0, 0]))]),
        Limit::TypeDepth => encode::nested_types(0x42, n),
        Limit::TypeSize => command(&[section(7, &[&[1, 0x6f][..], &times(n - 1, &[0x7d])].concat())]),
        Limit::AllTypeSizes => {
            let small = [&[0x6f][..], &times(99, &[0x7d])].concat();
            let large = [&[0x6f][..], &times(99, &[0])].concat();
            let count = if n as u64 > limit.most() { 21 } else { 20 };
            command(&[section(7, &list([small].into_iter().chain(vec![large; count])))])
        }
    }
}

/// A function that sets a local, and then has a `br_table` of so many branches, and a default, to where the local is
/// read.
fn joining(branches: usize) -> Vec<u8> {
    let set = [1, 1, 0x7f, 0x02, 0x40, 0x41, 0, 0x21, 0, 0x41, 0, 0x0e];
    [&set[..], &times(branches, &[0]), &[0, 0x0b, 0x20, 0, 0x1a]].concat()
}

fn assert_excess(problem: &str, limit: Limit) {
    assert!(problem.contains(&format!("; the limit `{}` allows ", limit.name())), "{limit:?}: {problem:?}");
}

#[test]
fn a_file_at_a_limit_passes_and_one_beyond_is_refused_by_the_limit_s_name() {
    for limit in Limit::ALL {
        let most = limit.most() as usize;
        assert_eq!(problem(&file(*limit, most)), "", "{limit:?}");
        if limit.more() == (0, 0) {
            assert_excess(&problem(&file(*limit, most + 1)), *limit);
        }
    }
}

/// Only code raises a limit. Data, which cost the compiler nothing, do not.
#[test]
fn a_file_with_much_code_may_have_more_than_one_with_little() {
    for limit in Limit::ALL.iter().filter(|limit| limit.more() != (0, 0)) {
        // Here one function, and for `Work` the types with it, has nearly all that a small file may have.
        let times = match limit {
            Limit::BlockPairs | Limit::Work => 1.5,
            // The file's own code adds three quarters of what the file has to the limit.
            Limit::JoinedValues => 8.0,
            _ => 3.0,
        };
        let wasm = file(*limit, (times * limit.most() as f64) as usize);
        let beyond = problem(&wasm);
        assert_excess(&beyond, *limit);
        assert!(beyond.ends_with(" in a file of its size"), "{beyond}");
        let (more, cube) = limit.more();
        let cubes = (3 * limit.most()).checked_div(cube).unwrap_or_default();
        let kib = (3 * limit.most()).checked_div(more).unwrap_or((cubes as f64).cbrt() as u64) + 1;
        let bytes = (kib as usize) << 10;
        let data = section(0, &[&[0][..], &vec![0; bytes]].concat());
        assert_excess(&problem(&[wasm.clone(), data].concat()), *limit);
        let nops = [&[0][..], &[0x01; 500 << 10]].concat();
        let code = Module { bodies: vec![nops; bytes / (500 << 10) + 1], ..Module::default() }.wasm();
        let both = command(&[section(1, &code), section(1, &wasm)]);
        // Both modules together have one type of functions more than a file may have.
        let expected = if *limit == Limit::Work { "20001 types of functions" } else { "" };
        assert!(problem(&both).contains(expected) && !problem(&both).contains(limit.name()), "{limit:?}");
    }
}

#[test]
fn an_excess_tells_how_many_there_are_and_in_which_function() {
    let message = problem(&file(Limit::Tables, 100));
    assert_eq!(message, "it has 100 tables; the limit `tables` allows 64");
    let loops = [&[0][..], &[0x03, 0x40, 0x0b].repeat(2501)].concat();
    let imports = vec![vec![0, 0, 0, 0]; 3];
    let wasm = Module { imports, bodies: vec![vec![0], loops], ..Module::default() }.wasm();
    let message = problem(&wasm);
    assert!(message.starts_with("its function 4, at byte "), "{message}");
    assert!(message.ends_with(", has 2501 loops; the limit `loops` allows 2500"), "{message}");
    let inner = Module { tables: vec![vec![0x70, 0, 0]; 65], ..Module::default() }.wasm();
    let message = problem(&command(&[section(1, &inner)]));
    assert!(message.starts_with("its core module at byte 11 has 65 tables"), "{message}");
}

/// The types are written inside each other, or refer to each other.
#[test]
fn types_are_refused_however_their_depth_comes_about() {
    for kind in [0x41, 0x42] {
        for depth in [51, 127, 687, 1186, 100_000] {
            let message = problem(&encode::nested_types(kind, depth));
            assert!(message.contains("the limit `type_depth`"), "{kind:#x} {depth}: {message}");
        }
        assert_eq!(problem(&encode::referring_types(kind, 50, 1)), "");
        for depth in [51, 687, 1186] {
            let message = problem(&encode::referring_types(kind, depth, 1));
            assert!(message.contains("the limit `type_depth`"), "{kind:#x} {depth}: {message}");
        }
        // Each type refers to the type before it twice.
        let message = problem(&encode::referring_types(kind, 20, 2));
        assert!(message.contains("the limit `type_size`"), "{kind:#x}: {message}");
    }
    let chain = |count: u64| {
        let instance = |before: u64| [&[1, 1, 0][..], &name("a"), &[5], &leb(before)].concat();
        command(&[section(5, &list([vec![1, 0]].into_iter().chain((0..count - 1).map(instance))))])
    };
    assert_eq!(problem(&chain(49)), "");
    assert!(problem(&chain(900)).contains("the limit `type_depth`"));
}

/// The compiler compiles module by module, but these limits are for the file.
#[test]
fn the_modules_of_a_component_share_the_limits() {
    for limit in [
        Limit::Types,
        Limit::FunctionTypes,
        Limit::Imports,
        Limit::Functions,
        Limit::Tags,
        Limit::Globals,
        Limit::Exports,
        Limit::ElementSegments,
        Limit::TableElements,
        Limit::Parts,
    ] {
        let half = section(1, &file(limit, limit.most() as usize / 2));
        assert_eq!(problem(&command(std::slice::from_ref(&half))), "", "{limit:?}");
        assert_excess(&problem(&command(&vec![half; 3])), limit);
    }
}

#[test]
fn items_are_counted_as_often_as_what_has_them_is_instantiated() {
    let inner = section(4, &component(&[section(7, &times(999, &[0x7d]))]));
    let instances = |count: usize| command(&[inner.clone(), section(5, &times(count, &[0, 0, 0]))]);
    assert_eq!(problem(&instances(18)), "");
    assert_excess(&problem(&instances(20)), Limit::ComponentItems);
    let outer = |count: usize| section(4, &component(&[inner.clone(), section(5, &times(count, &[0, 0, 0]))]));
    assert_excess(&problem(&command(&[outer(9), section(5, &times(2, &[0, 0, 0]))])), Limit::ComponentItems);
}

#[test]
fn instances_are_counted_as_often_as_what_has_them_is_instantiated() {
    assert_eq!(
        problem(&encode::multiplying_components(7, 2)),
        "it does not export `wasi:cli/run`, so it is not a WASI command"
    );
    assert!(problem(&encode::multiplying_components(8, 2)).contains("the limit `core_instances`"));
    assert!(problem(&encode::multiplying_components(12, 9)).contains("the limit `core_instances`"));
}

/// A store refuses more memories or tables. Such a component could otherwise be registered and never be run.
#[test]
fn memories_and_tables_are_counted_as_often_as_what_has_them_is_instantiated() {
    let runs = "it does not export `wasi:cli/run`, so it is not a WASI command";
    let own = |sections: &[Vec<u8>]| section(1, &encode::module(sections));
    let memories = |count: usize| own(&[section(5, &list(vec![vec![0, 1]; count]))]);
    let tables = |count: usize| own(&[section(4, &list(vec![vec![0x70, 0, 0]; count]))]);
    let instances = |count: usize| section(2, &times(count, &[0, 0, 0]));
    let times_two = |inner: Vec<u8>| component(&[section(4, &inner), section(5, &times(2, &[0, 0, 0]))]);
    for (module, most, limit) in [(memories(1), 16, Limit::Memories), (tables(4), 16, Limit::Tables)] {
        assert_eq!(problem(&component(&[module.clone(), instances(most)])), runs);
        assert_excess(&problem(&component(&[module.clone(), instances(most + 1)])), limit);
        let half = |count| component(&[module.clone(), instances(count)]);
        assert_eq!(problem(&times_two(half(most / 2))), runs);
        assert_excess(&problem(&times_two(half(most / 2 + 1))), limit);
    }
}

/// It is not known what the instances of such a module have.
#[test]
fn a_core_module_from_elsewhere_is_not_instantiated() {
    let own = section(1, &encode::module(&[]));
    let instance = section(2, &times(1, &[0, 0, 0]));
    let runs = "it does not export `wasi:cli/run`, so it is not a WASI command";
    assert_eq!(problem(&component(&[own.clone(), instance.clone()])), runs);
    // A module type, and an imported module of that type.
    let ty = section(3, &list([vec![0x50, 0]]));
    let import = section(10, &list([[&[0][..], &encode::name("m"), &[0, 0x11, 0]].concat()]));
    let elsewhere = component(&[ty, import, instance]);
    assert!(problem(&elsewhere).contains("a core module that it imports"), "{}", problem(&elsewhere));
}
