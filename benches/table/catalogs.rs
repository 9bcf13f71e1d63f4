//! Catalogs that are large, runtimes that are many, and the first call of one.

use crate::measure::{interleaved, median};
use crate::report::{Table, Target};
use crate::ways::{Arawn, Floor, PASSTHROUGH, ask, input};
use std::cell::RefCell;
use std::fmt::Write;
use std::path::Path;
use std::time::Instant;
use tempfile::TempDir;

/// A module of 110 KB.
const TRANSFORM: &[u8] = include_bytes!("../../runtimes/prebuilt/transform.wasm");

/// The `.wasm` with an empty custom section that makes it another module.
fn variant(wasm: &[u8], n: usize) -> Vec<u8> {
    let mut wasm = wasm.to_vec();
    wasm.extend_from_slice(&[0, 5, 0]);
    wasm.extend_from_slice(&(n as u32).to_le_bytes());
    wasm
}

/// A directory with a catalog of `entries` names, of which each stands for one of `modules` files, which are of one kind.
fn catalog(entries: usize, modules: usize, wasm: &[u8]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut text = String::new();
    for n in 0..entries {
        writeln!(text, "[runtimes.r{n}]\npath = \"m{}.wasm\"", n % modules).unwrap();
    }
    for n in 0..modules {
        std::fs::write(directory.path().join(format!("m{n}.wasm")), variant(wasm, n)).unwrap();
    }
    std::fs::write(directory.path().join("catalog.toml"), text).unwrap();
    directory
}

fn executor(id: &str, directory: &Path) {
    reloading(id, directory, r#""always""#);
}

fn reloading(id: &str, directory: &Path, reload: &str) {
    let directory = directory.display();
    let config = format!(r#"{{"id":"{id}","runtimes_dir":"{directory}","cache_dir":null,"reload":{reload}}}"#);
    ask("arawn_executor_new", &config);
}

/// A runtime of a directory against the built-in one of the same module, as `reload` has it.
pub fn reload(table: &mut Table, rounds: usize) {
    let directory = catalog(1, 1, PASSTHROUGH);
    let ways = [
        ("always", r#""always""#, Target::None),
        ("never", r#""never""#, Target::AtMost(1.05)),
        ("within_ms", r#"{"within_ms":20}"#, Target::AtMost(1.05)),
    ];
    let json = input(42);
    let call_of = |(id, reload, _): &(&str, &str, Target)| {
        reloading(id, directory.path(), reload);
        Arawn::new(id, "r0", &json)
    };
    let (builtin, [always, never, within]) = (Arawn::new("bench", "passthrough", &json), ways.each_ref().map(call_of));
    let [builtin, times @ ..] = interleaved(
        rounds,
        500,
        [&mut || builtin.call(), &mut || always.call(), &mut || never.call(), &mut || within.call()],
    );
    for ((name, _, target), time) in ways.into_iter().zip(times) {
        let what = format!("a directory's runtime against a built-in one, reload {name}");
        table.row(&what, target, "", time / builtin, format!("{time:.2} µs, {builtin:.2} µs"));
    }
}

pub fn large(table: &mut Table, rounds: usize) {
    let (small, large) = (catalog(10, 1, PASSTHROUGH), catalog(100_000, 1, PASSTHROUGH));
    executor("small-catalog", small.path());
    executor("large-catalog", large.path());
    let json = input(42);
    let (one, other) = (Arawn::new("small-catalog", "r5", &json), Arawn::new("large-catalog", "r50000", &json));
    let [small, large] = interleaved(rounds, 50, [&mut || one.call(), &mut || other.call()]);
    let how = format!("{large:.2} µs, {small:.2} µs");
    table.row("warm call, catalog of 100,000 against 10", Target::AtMost(1.02), "", large / small, how);
}

/// A hundred and a thousand runtimes in turn, each against one of them as often: of a module each, and of one.
pub fn many(table: &mut Table) {
    const COUNT: usize = 1000;
    let (modules, names) = (catalog(COUNT, COUNT, PASSTHROUGH), catalog(COUNT, 1, PASSTHROUGH));
    executor("modules", modules.path());
    executor("names", names.path());
    let json = input(42);
    let calls_of = |executor| (0..COUNT).map(|n| Arawn::new(executor, &format!("r{n}"), &json)).collect();
    let [calls, named]: [Vec<Arawn>; 2] = ["modules", "names"].map(calls_of);
    // Compiled once, on every core.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for part in calls.chunks(COUNT.div_ceil(cores)) {
            scope.spawn(|| part.iter().for_each(|call| assert!(call.call() > 0)));
        }
    });
    let mut row =
        |name: &str, target, count: usize, one: &mut dyn FnMut() -> usize, at: &mut dyn FnMut(usize) -> usize| {
            let mut turn = (0..count).cycle();
            let mut next = || at(turn.next().unwrap_or_default());
            let [one, many] = interleaved(20_000 / count, count, [one, &mut next]);
            table.row(name, target, "", many / one, format!("{many:.2} µs, {one:.2} µs"));
        };
    let (mut one, mut at) = (|| calls[0].call(), |n: usize| calls[n].call());
    row("100 runtimes in turn against one 100 times", Target::None, 100, &mut one, &mut at);
    row("1,000 runtimes in turn against one 1,000 times", Target::AtMost(1.5), COUNT, &mut one, &mut at);
    let (mut one, mut at) = (|| named[0].call(), |n: usize| named[n].call());
    row("1,000 runtimes of one module in turn, likewise", Target::AtMost(1.5), COUNT, &mut one, &mut at);

    // What of that is the processor's: each of them has code and data of its own, which no cache holds all of.
    let mut floor = Floor::new(&json);
    (0..COUNT).for_each(|n| floor.add(&variant(PASSTHROUGH, n)));
    let floor = RefCell::new(floor);
    let (mut one, mut at) = (|| floor.borrow_mut().call(), |n: usize| floor.borrow_mut().call_other(n));
    row("1,000 modules in turn on the bare floor", Target::None, COUNT, &mut one, &mut at);
}

/// The first call of a module that nobody has compiled, against wasmtime's own compile of one like it right after: the median of
/// the differences, which are small beside what a shared machine is faster or slower from second to second.
pub fn compile(table: &mut Table, rounds: usize) {
    let directory = catalog(rounds, rounds, TRANSFORM);
    executor("compile", directory.path());
    let json = r#"{"config":{"template":""}}"#;
    let floor = Floor::new(json);
    let (mut ours, mut own) = (Vec::new(), Vec::new());
    for n in 0..rounds {
        let call = Arawn::new("compile", &format!("r{n}"), json);
        let begun = Instant::now();
        call.call();
        ours.push(begun.elapsed().as_secs_f64() * 1e3);
        let wasm = variant(TRANSFORM, n);
        let begun = Instant::now();
        floor.compile(&wasm);
        own.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let differences = ours.iter().zip(&own).map(|(ours, own)| ours - own).collect();
    let how = format!("{:.1} ms, {:.1} ms", median(ours), median(own));
    table.row("first call with a compile, above wasmtime's own", Target::AtMost(2.0), " ms", median(differences), how);
}
