//! Absolute times of the parts of a call, by criterion. `make bench` runs it after the ratios.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    reason = "a benchmark may fail loudly, and criterion makes a function of its own"
)]

mod ways;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use std::sync::atomic::{AtomicU32, Ordering};
use ways::{Arawn, Floor, Obvious, PASSTHROUGH, SIZES, ask, input};

/// One warm call at each size, three ways.
fn warm_call(c: &mut Criterion) {
    ask("arawn_executor_new", r#"{"id":"warm","cache_dir":null}"#);
    let mut group = c.benchmark_group("warm call");
    for size in SIZES {
        let json = input(size);
        group.throughput(Throughput::Bytes(size as u64));
        let (arawn, mut floor, obvious) =
            (Arawn::new("warm", "passthrough", &json), Floor::new(&json), Obvious::new(&json));
        group.bench_function(BenchmarkId::new("floor", size), |b| b.iter(|| floor.call()));
        group.bench_function(BenchmarkId::new("arawn", size), |b| b.iter(|| arawn.call()));
        group.bench_function(BenchmarkId::new("obvious", size), |b| b.iter(|| obvious.call()));
    }
}

/// The first call of a runtime: compiled, from the disk cache, and from memory. Each compile and each load from disk is
/// of a module that this process has not seen, which an empty custom section makes different.
fn first_call(c: &mut Criterion) {
    let directory = tempfile::tempdir().unwrap();
    let (runtimes, cache) = (directory.path().join("runtimes"), directory.path().join("cache"));
    std::fs::create_dir_all(&runtimes).unwrap();
    let next = AtomicU32::new(0);
    let add = || {
        let n = next.fetch_add(1, Ordering::Relaxed);
        let mut wasm = PASSTHROUGH.to_vec();
        wasm.extend_from_slice(&[0, 5, 0]);
        wasm.extend_from_slice(&n.to_le_bytes());
        std::fs::write(runtimes.join(format!("r{n}.wasm")), wasm).unwrap();
        let file = runtimes.join("catalog.toml");
        let mut catalog = std::fs::read_to_string(&file).unwrap_or_default();
        catalog += &format!("[runtimes.r{n}]\npath = \"r{n}.wasm\"\n");
        std::fs::write(file, catalog).unwrap();
        n
    };
    let open = |id: &str, cache: &str| {
        let runtimes = runtimes.display();
        ask("arawn_executor_new", &format!(r#"{{"id":"{id}","runtimes_dir":"{runtimes}","cache_dir":{cache}}}"#));
    };
    open("no-disk", "null");
    open("disk", &format!("\"{}\"", cache.display()));
    let json = input(42);
    let mut group = c.benchmark_group("first call");
    group.sample_size(20);
    group.bench_function("compile", |b| {
        let fresh = || Arawn::new("no-disk", &format!("r{}", add()), &json);
        b.iter_batched(fresh, |call| call.call(), BatchSize::PerIteration);
    });
    group.bench_function("disk", |b| {
        // Evicted from memory by configuration: the bound is one byte, so that each runtime pushes out the other.
        let pair = [add(), add()].map(|n| Arawn::new("disk", &format!("r{n}"), &json));
        pair.iter().for_each(|call| assert!(call.call() > 0));
        ask("arawn_executor_close", r#"{"executor":"disk"}"#);
        open("disk", &format!("\"{}\"", cache.display()));
        let mut turn = 0;
        b.iter(|| {
            turn ^= 1;
            pair[turn].call()
        });
    });
    group.bench_function("memory", |b| {
        let call = Arawn::new("no-disk", &format!("r{}", add()), &json);
        call.call();
        b.iter(|| call.call());
    });
}

fn executor(c: &mut Criterion) {
    c.bench_function("executor new and close", |b| {
        b.iter(|| {
            ask("arawn_executor_new", r#"{"id":"short-lived"}"#);
            ask("arawn_executor_close", r#"{"executor":"short-lived"}"#);
        });
    });
}

fn configure(_: &mut Criterion) {
    // Small enough that two modules of `first call` do not fit, so that a load from disk can be repeated.
    ask("arawn_configure", r#"{"module_cache_bytes":1}"#);
}

criterion_group!(benches, configure, warm_call, first_call, executor);
criterion_main!(benches);
