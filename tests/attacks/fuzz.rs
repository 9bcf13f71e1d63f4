//! The fuzz targets of `fuzz/`, on their corpora, and for as long as `make fuzz` says.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may fail loudly")]

#[path = "../../fuzz/batches.rs"]
mod batches;
#[path = "../../fuzz/src/lib.rs"]
mod fuzz;
#[path = "../../fuzz/misbehaving.rs"]
mod misbehaving;

use batches::Inputs;
use misbehaving::{MISBEHAVING, ONCE};
use std::time::Duration;

#[test]
fn the_corpora_find_nothing() {
    let found: Vec<_> = fuzz::TARGETS.iter().flat_map(batches::replay).collect();
    assert!(found.is_empty(), "{}", batches::listed(&found));
}

/// The targets that break a bound are found, each by its first input alone.
#[test]
fn every_bound_is_watched() {
    for target in &MISBEHAVING {
        let found = batches::findings(target, &Inputs::Seeded { seed: 1, first: 0, count: 2 });
        assert!(found.len() == 1 || target.name == "panics", "{}: {found:?}", target.name);
    }
    let inputs = Inputs::Seeded { seed: 1, first: 0, count: 1000 };
    let found = batches::findings(&MISBEHAVING[0], &inputs);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(std::fs::read(&found[0].input).unwrap().first(), Some(&0));
}

/// No second run that ends well excuses a crash. Too much time is excused: the machine may have been busy.
#[test]
fn a_crash_is_found_though_it_happens_once() {
    let inputs = Inputs::Seeded { seed: 1, first: 0, count: 10 };
    let [ends, sleeps] = [&ONCE[0], &ONCE[1]].map(|target| {
        let mark = misbehaving::mark(target.name, std::process::id());
        let _ = std::fs::remove_file(&mark);
        let found = batches::findings(target, &inputs);
        std::fs::remove_file(mark).unwrap();
        found
    });
    assert!(ends.len() == 1 && ends[0].what.contains("signal: 6"), "{ends:?}");
    assert!(!std::fs::read(&ends[0].input).unwrap().is_empty());
    assert!(sleeps.is_empty(), "{sleeps:?}");
}

/// Takes `ARAWN_FUZZ_SECONDS` for each target of `ARAWN_FUZZ_TARGETS`, or for each.
#[test]
#[ignore = "takes as long as it is told"]
fn for_a_time() {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let seconds = variable("ARAWN_FUZZ_SECONDS").map_or(10, |seconds| seconds.parse().unwrap());
    let names = variable("ARAWN_FUZZ_TARGETS");
    let seed = variable("ARAWN_FUZZ_SEED").map_or_else(now, |seed| seed.parse().unwrap());
    let mut found = Vec::new();
    for target in &fuzz::TARGETS {
        if names.as_ref().is_none_or(|names| names.split_whitespace().any(|name| name == target.name)) {
            let count = batches::run_for(target, Duration::from_secs(seconds), seed, &mut found);
            eprintln!("{}: {count} inputs of seed {seed}, {} findings so far", target.name, found.len());
        }
    }
    assert!(found.is_empty(), "{}", batches::listed(&found));
}

fn now() -> u64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

/// Not a test: what the others start as a process of its own.
#[test]
#[ignore = "is started by the others"]
fn child() {
    batches::child();
}
