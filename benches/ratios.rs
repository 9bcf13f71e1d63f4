//! Compares the ways of making a call in one run, interleaved, by their medians. Ratios are what counts: absolute times
//! belong to the machine. `make bench` runs it; ARAWN_BENCH_ROUNDS sets the number of rounds (default 300).
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "it is a program that prints a table")]

mod ways;

use std::time::Instant;
use ways::{Arawn, Floor, Obvious, SIZES, ask, input};

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let rounds = std::env::var("ARAWN_BENCH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(300);
    ask(arawn::ffi::arawn_executor_new, r#"{"id":"bench","cache_dir":null}"#);
    println!("| RuntimeInput | bare floor | libarawn, C ABI | obvious way | libarawn / floor | obvious / libarawn |");
    println!("| ---: | ---: | ---: | ---: | ---: | ---: |");
    for size in SIZES {
        let json = input(size);
        let (arawn, mut floor, obvious) =
            (Arawn::new("bench", "passthrough", &json), Floor::new(&json), Obvious::new(&json));
        let batch = (20_000 / size).clamp(1, 50);
        let [floor, arawn, obvious] =
            interleaved(rounds, batch, [&mut || floor.call(), &mut || arawn.call(), &mut || obvious.call()]);
        println!(
            "| {size} B | {floor:.2} µs | {arawn:.2} µs | {obvious:.1} µs | {:.2} | {:.1} |",
            arawn / floor,
            obvious / arawn
        );
    }
}

/// Median microseconds a call of each way: each round times a batch of each, in turn.
fn interleaved<const N: usize>(rounds: usize, batch: usize, mut ways: [&mut dyn FnMut() -> usize; N]) -> [f64; N] {
    let mut times = [const { Vec::new() }; N];
    for round in 0..rounds + rounds / 10 {
        for (way, times) in ways.iter_mut().zip(&mut times) {
            let begun = Instant::now();
            for _ in 0..batch {
                std::hint::black_box(way());
            }
            if round >= rounds / 10 {
                times.push(begun.elapsed().as_secs_f64() * 1e6 / batch as f64);
            }
        }
    }
    times.map(|mut times: Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    })
}
