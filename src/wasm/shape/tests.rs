#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[allow(dead_code, reason = "each of its users needs a part")]
mod encode;
mod heap;
mod limits;
mod refused;

use super::*;
use std::io::Write;

/// Provides every function without parameters and results, and every interface.
struct Everything;

impl Provided for Everything {
    fn function(&self, _: &str, _: &str) -> Option<Signature> {
        Some(Signature::new(&[], &[]))
    }

    fn interface(&self, _: &str) -> bool {
        true
    }
}

/// What is wrong with a file; nothing where the pass lets it through.
fn problem(wasm: &[u8]) -> String {
    Shape::of("it", wasm, &Everything).err().map_or_else(String::new, |error| match error {
        crate::error::Error::ModuleInvalid { message, .. } => message,
        other => format!("{other:?}"),
    })
}

#[test]
#[ignore = "prints what the files named by ARAWN_GUESTS have, for the table of limits"]
fn what_real_guests_have() {
    let mut out = std::io::stdout();
    for path in std::env::var("ARAWN_GUESTS").unwrap_or_default().split_whitespace() {
        let wasm = std::fs::read(path).unwrap();
        let mut findings = Findings::new();
        let begun = std::time::Instant::now();
        let problem = walk(&wasm, &Everything, &mut findings).err().map(|problem| problem.into_error("it"));
        let speed = wasm.len() as f64 / 1e6 / begun.elapsed().as_secs_f64();
        writeln!(out, "{path}: {speed:.0} MB/s, heap {}, {problem:?}", findings.needs_gc_heap).unwrap();
        for limit in Limit::ALL {
            writeln!(out, "  {} {}", limit.name(), findings.tally.of(*limit)).unwrap();
        }
    }
}
