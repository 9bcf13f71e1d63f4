//! `factors`: breaks `context.number` up into primes. Where there is none it takes the variable `NUMBER`, and where that is
//! not set it asks the host function `factors.number`.

use serde::{Deserialize, Serialize};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {}

#[derive(Deserialize)]
struct Context {
    number: Option<u32>,
}

#[derive(Serialize)]
struct Output {
    factors: Vec<u32>,
    /// How many calls this instance has answered.
    calls: u32,
}

/// Made once, before the snapshot: the primes below 65536.
static PRIMES: LazyLock<Vec<u32>> = LazyLock::new(|| sieve(1 << 16));
static CALLS: AtomicU32 = AtomicU32::new(0);

fn sieve(end: usize) -> Vec<u32> {
    let mut composite = vec![false; end];
    let mut primes = Vec::new();
    for n in 2..end {
        if !composite[n] {
            primes.push(n as u32);
            (n * n..end).step_by(n).for_each(|multiple| composite[multiple] = true);
        }
    }
    primes
}

fn factors(_: Config, context: Context) -> Result<Output, String> {
    let calls = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
    let mut number = match context.number {
        Some(number) => number,
        None => match std::env::var("NUMBER") {
            Ok(number) => number.parse().map_err(|error| format!("NUMBER: {error}"))?,
            Err(_) => arawn_sdk::host_call("factors.number", &())?,
        },
    };
    if number < 2 {
        return Err("a number below 2 has no prime factors".to_owned());
    }
    let mut factors = Vec::new();
    for prime in PRIMES.iter() {
        while number.is_multiple_of(*prime) {
            factors.push(*prime);
            number /= prime;
        }
    }
    if number > 1 {
        factors.push(number);
    }
    Ok(Output { factors, calls })
}

arawn_sdk::runtime!(factors, init = LazyLock::force(&PRIMES));
