//! The libraries that `make` and `make slim` have built are no larger than docs/bench.md says. `make test` names them.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

#[path = "../common/mod.rs"]
mod common;

use common::root;
use std::fs;

#[test]
fn the_libraries_are_no_larger_than_the_figures_say() {
    let page = fs::read_to_string(root().join("docs/bench.md")).unwrap();
    for (variable, row) in [
        ("ARAWN_RELEASE_LIBRARY", "| libarawn.so, stripped | at most "),
        ("ARAWN_SLIM_LIBRARY", "| the same without compiler, components, HTTP and schemas | at most "),
    ] {
        let (_, rest) = page.split_once(row).unwrap();
        let most: f64 = rest.split_once(" MiB").unwrap().0.parse().unwrap();
        let Some(library) = std::env::var_os(variable) else {
            println!("skipped: `make test` has the library that {variable} names");
            continue;
        };
        let bytes = fs::metadata(root().join(library)).unwrap().len();
        assert!(bytes as f64 <= most * f64::from(1 << 20), "{variable}: {bytes} bytes are more than {most} MiB");
    }
}
