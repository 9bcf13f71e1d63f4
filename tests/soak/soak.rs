//! Every kind of call from all threads, for as long as `make soak` says: what the process takes does not rise with time.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;
mod picture;
mod scene;
#[allow(dead_code, reason = "the guests are run in another process")]
#[path = "../hostile/table.rs"]
mod table;
mod trend;

use scene::{FIGURES, Scene, rising};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// The tests run one after the other: each of them keeps all processors busy.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> impl Drop {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// So many actions between two samples in a short run, whatever else the machine does: the caches fill up in the first half.
const ACTIONS: usize = 100;

/// A leak of each kind is found, and nothing that did not leak. The slower call is found in its time.
#[test]
fn each_leak_is_found() {
    let _alone = alone();
    let samples = Scene::new().run(6.0, 40, ACTIONS, &["memory", "executor", "thread", "slot", "latency"]);
    let found: Vec<_> = rising(&samples).into_iter().map(|(name, _)| name).collect();
    assert_eq!(found, FIGURES.map(|figure| figure.name), "{samples:?}");
}

#[test]
fn nothing_rises_with_time() {
    let _alone = alone();
    let samples = Scene::new().run(6.0, 40, ACTIONS, &[]);
    assert!(samples.last().unwrap().actions >= 40 * ACTIONS as u64, "{samples:?}");
    let rising = rising(&samples);
    assert!(rising.is_empty(), "{rising:?} of {samples:?}");
}

/// Takes `ARAWN_SOAK_SECONDS`, draws `ARAWN_SOAK_PICTURE`, and keeps the samples beside the picture. With `ARAWN_SOAK_LEAK`,
/// such as `descriptor`, it must fail.
#[test]
#[ignore = "takes as long as it is told"]
fn for_a_time() {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let seconds: f64 = variable("ARAWN_SOAK_SECONDS").map_or(60.0, |seconds| seconds.parse().unwrap());
    let leak = variable("ARAWN_SOAK_LEAK");
    let leaks: Vec<&str> = leak.iter().map(String::as_str).collect();
    let path = variable("ARAWN_SOAK_PICTURE").map_or_else(|| "target/soak.svg".into(), PathBuf::from);
    let samples = Scene::new().run(seconds, 240, 0, &leaks);
    let path = common::root().join(path);
    std::fs::write(&path, picture::drawn(&samples)).unwrap();
    let lines: String = samples.iter().map(|sample| format!("{sample}\n")).collect();
    std::fs::write(
        path.with_extension("csv"),
        format!("seconds,memory_mib,descriptors,threads,slots,call_us,actions\n{lines}"),
    )
    .unwrap();
    for line in picture::told(&samples) {
        eprintln!("{line}");
    }
    let rising = rising(&samples);
    assert!(rising.is_empty(), "{rising:?}; see {}", path.display());
}
