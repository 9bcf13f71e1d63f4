//! Timing in turns.

use std::time::Instant;

/// Microseconds a call of each way: each round times a batch of each, in turn; a tenth of the rounds warms up.
pub fn interleaved<const N: usize>(rounds: usize, batch: usize, mut ways: [&mut dyn FnMut() -> usize; N]) -> [f64; N] {
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
    times.map(median)
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Bytes of this process in memory.
pub fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// Bytes that the allocator has given out and not got back. What is resident says less: it keeps freed memory for later.
pub fn allocated() -> usize {
    // SAFETY: it only reads the allocator's figures.
    let figures = unsafe { libc::mallinfo2() };
    figures.uordblks + figures.hblkhd
}
