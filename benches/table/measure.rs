//! Timing in turns.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
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

/// How often a second a thread does its work on a core by itself, and two do on two cores at once.
pub fn alone_and_together<W: FnMut(usize)>(count: usize, work: &(impl Fn() -> W + Sync)) -> [f64; 2] {
    let run = |cores: &[usize]| -> f64 {
        let barrier = Barrier::new(cores.len());
        let timed = |core: usize| {
            run_on(core);
            let mut work = work();
            work(count / 10);
            barrier.wait();
            let begun = Instant::now();
            work(count);
            count as f64 / begun.elapsed().as_secs_f64()
        };
        let timed = &timed;
        std::thread::scope(|scope| {
            let threads: Vec<_> = cores.iter().map(|core| scope.spawn(move || timed(*core))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        })
    };
    let (one, two) = two_cores();
    [(run(&[one]) + run(&[two])) / 2.0, run(&[one, two])]
}

/// Whether two threads have a core each right now. On a virtual machine they may be two threads of one, which is seen where
/// arithmetic alone, enough of it at once to fill a core, is slower for two.
pub fn has_two_cores() -> bool {
    let arithmetic = || {
        |count: usize| {
            let mut lanes = [1u64, 2, 3, 4, 5, 6, 7, 8];
            for _ in 0..count {
                for lane in &mut lanes {
                    *lane ^= *lane << 13;
                    *lane ^= *lane >> 7;
                    *lane ^= *lane << 17;
                }
            }
            std::hint::black_box(lanes);
        }
    };
    let [one, two] = alone_and_together(500_000, &arithmetic);
    two > 1.9 * one
}

/// How long what one core writes takes to another one, in nanoseconds: what threads that share anything pay for it.
pub fn line_to_another_core() -> f64 {
    const TURNS: u32 = 100_000;
    let (one, two) = two_cores();
    let turn = AtomicU32::new(0);
    let play = |core: usize, mine: u32| {
        run_on(core);
        let begun = Instant::now();
        for n in 0..TURNS {
            while turn.load(Ordering::Acquire) != 2 * n + mine {
                std::hint::spin_loop();
            }
            turn.store(2 * n + mine + 1, Ordering::Release);
        }
        begun.elapsed().as_nanos() as f64 / f64::from(2 * TURNS)
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| play(two, 1));
        scope.spawn(|| play(one, 0)).join().unwrap().max(other.join().unwrap())
    })
}

/// Two cores of which the system knows that they are not two threads of one, if there are such.
fn two_cores() -> (usize, usize) {
    let siblings = "/sys/devices/system/cpu/cpu0/topology/thread_siblings_list";
    let siblings = std::fs::read_to_string(siblings).unwrap_or_default();
    let siblings: Vec<usize> = siblings.trim().split([',', '-']).filter_map(|core| core.parse().ok()).collect();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (0, (1..cores).find(|core| !siblings.contains(core)).unwrap_or(1))
}

/// Keeps this thread on one core.
fn run_on(core: usize) {
    // SAFETY: all zeros are the empty set, and the call only reads it.
    unsafe {
        let mut cores: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut cores);
        assert_eq!(libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &cores), 0, "core {core}");
    }
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
