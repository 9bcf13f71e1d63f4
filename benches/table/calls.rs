//! Warm calls: against the floor and the obvious way, by size, by threads, and what stays in memory.

use crate::measure::{self, allocated, interleaved, median, resident};
use crate::report::{Table, Target};
use crate::ways::{Arawn, Floor, Obvious, Spawn, ask, input};
use rustix::process::{Resource, Rlimit};
use std::time::Instant;

/// Enough modules in memory for [`crate::catalogs::many`], for which this process also needs descriptors.
pub fn configure() {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let enough = limit.maximum.unwrap_or(8192).min(8192).max(limit.current.unwrap_or(8192));
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: Some(enough), ..limit }).unwrap();
    ask("arawn_configure", r#"{"module_cache_bytes":1073741824}"#);
    ask("arawn_executor_new", r#"{"id":"bench","cache_dir":null}"#);
}

pub fn warm(table: &mut Table, rounds: usize) {
    let mut bytes_cost = Vec::new();
    for (size, name, target) in [(42, "42 B", 1.15), (64 << 10, "64 KiB", 1.25), (1 << 20, "1 MiB", 1.35)] {
        let json = input(size);
        let (arawn, mut floor) = (Arawn::new("bench", "passthrough", &json), Floor::new(&json));
        let obvious = Obvious::new(&json);
        // Short calls in turns long enough that what the other ways leave in the caches does not count.
        let batch = if size < 1000 { 500 } else { 1 };
        let [floor, arawn, obvious] =
            interleaved(rounds, batch, [&mut || floor.call(), &mut || arawn.call(), &mut || obvious.call()]);
        let how = format!("{arawn:.2} µs, {floor:.2} µs");
        table.row(
            &format!("warm call, {name}, against the bare floor"),
            Target::AtMost(target),
            "",
            arawn / floor,
            how,
        );
        let least = if size == 42 { Target::AtLeast(18.0) } else { Target::None };
        let how = format!("{obvious:.1} µs, {arawn:.2} µs");
        table.row(&format!("the obvious way, {name}, against it"), least, "", obvious / arawn, how);
        bytes_cost.push(arawn * 1e3 / size as f64);
    }
    let how = format!("{:.2} ns, {:.2} ns", bytes_cost[2], bytes_cost[1]);
    table.row("cost a byte, 1 MiB against 64 KiB", Target::AtMost(1.1), "", bytes_cost[2] / bytes_cost[1], how);
}

/// Calls a second of one thread and of two. Each round times a thread on either core by itself and then both at once: cores of
/// a shared machine are not equally fast. Nor are they always two: rounds in which they are not are left out.
pub fn threads(table: &mut Table, rounds: usize) {
    const CALLS: usize = 5_000;
    let json = input(42);
    let floor = Floor::new(&json);
    let arawn = || {
        let call = Arawn::new("bench", "passthrough", &json);
        move |count: usize| (0..count).for_each(|_| assert!(call.call() > 0))
    };
    let bare = || {
        let mut call = floor.again();
        move |count: usize| (0..count).for_each(|_| assert!(call.call() > 0))
    };
    let (wanted, mut tried) = ((rounds / 5).max(20), 0);
    let (mut alone, mut together, mut ratios, mut floors) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    while ratios.len() < wanted && tried < 5 * wanted {
        tried += 1;
        let [one, two] = measure::alone_and_together(CALLS, &arawn);
        let [floor_one, floor_two] = measure::alone_and_together(CALLS, &bare);
        if measure::has_two_cores() {
            alone.push(one);
            together.push(two);
            ratios.push(two / one);
            floors.push(floor_two / floor_one);
        }
    }
    if ratios.is_empty() {
        eprintln!("two threads against one is not measured: this machine has no two cores for it");
        return;
    }
    let rounds = ratios.len();
    let how = format!("{:.0}, {:.0} calls a second; {rounds} rounds of {tried}", median(together), median(alone));
    table.row("two threads against one", Target::AtLeast(1.85), "", median(ratios), how);
    let line = measure::line_to_another_core();
    let how = format!("a cache line takes {line:.0} ns to the other core");
    table.row("the same of the bare floor", Target::None, "", median(floors), how);
}

/// What one executor costs in time and memory, of a thousand that stay open.
pub fn executors(table: &mut Table) {
    const COUNT: usize = 1000;
    let open = |n: usize| ask("arawn_executor_new", &format!(r#"{{"id":"executor-of-many-{n}"}}"#));
    let close = |n: usize| ask("arawn_executor_close", &format!(r#"{{"executor":"executor-of-many-{n}"}}"#));
    // Once before, so that what is made for the first one is not counted.
    (0..COUNT / 10).for_each(open);
    let before = allocated();
    let mut times = Vec::new();
    for n in COUNT / 10..COUNT + COUNT / 10 {
        let begun = Instant::now();
        open(n);
        times.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    let bytes = allocated().saturating_sub(before) as f64 / COUNT as f64;
    (0..COUNT + COUNT / 10).for_each(close);
    let how = "median of 1,000".to_owned();
    table.row("one executor, time", Target::AtMost(5.0), " µs", median(times), how);
    table.row("one executor, memory", Target::AtMost(4.0), " KiB", bytes / 1024.0, "1,000 open at once".to_owned());
}

/// What a million calls leave behind.
pub fn growth(table: &mut Table) {
    let call = Arawn::new("bench", "passthrough", &input(42));
    let after = |calls: usize| {
        (0..calls).for_each(|_| assert!(call.call() > 0));
        resident() as f64 / f64::from(1 << 20)
    };
    let (few, many) = (after(1000), after(999_000));
    let how = format!("{many:.2} MiB, {few:.2} MiB");
    table.row("resident after 1,000,000 calls, above after 1,000", Target::AtMost(1.0), " MiB", many - few, how);
}

/// Microseconds of the four ways by size.
pub fn curve(rounds: usize) -> Vec<(usize, [f64; 4])> {
    let sizes = [42, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20];
    let of = |size: usize| {
        let json = input(size);
        let (arawn, mut floor) = (Arawn::new("bench", "passthrough", &json), Floor::new(&json));
        let (obvious, spawn) = (Obvious::new(&json), Spawn::new(&json));
        let batch = (20_000 / size).clamp(1, 10);
        let rounds = (rounds / 3).max(10);
        let ways: [&mut dyn FnMut() -> usize; 4] =
            [&mut || floor.call(), &mut || arawn.call(), &mut || obvious.call(), &mut || spawn.call()];
        (size, interleaved(rounds, batch, ways))
    };
    sizes.into_iter().map(of).collect()
}
