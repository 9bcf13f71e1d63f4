//! `factors`: breaks `context.number` up into primes. Where there is none it reads it from the file `config.file`, takes the
//! variable `NUMBER`, or asks the host function `factors.number`: what there is first.

use serde::{Deserialize, Serialize};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    file: Option<String>,
}

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

fn number(config: Config, context: Context) -> Result<u32, String> {
    let parsed = |text: &str, name: &str| text.trim().parse().map_err(|error| format!("{name}: {error}"));
    match (context.number, config.file, std::env::var("NUMBER")) {
        (Some(number), ..) => Ok(number),
        (None, Some(path), _) => {
            let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
            parsed(&text, &path)
        }
        (None, None, Ok(text)) => parsed(&text, "NUMBER"),
        (None, None, Err(_)) => arawn_sdk::host_call("factors.number", &()),
    }
}

fn factors(config: Config, context: Context) -> Result<Output, String> {
    let calls = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
    let mut number = number(config, context)?;
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
