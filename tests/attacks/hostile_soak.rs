//! The hostile guests over and over in one process, which is no larger afterwards. A file of its own, so that the
//! figures are this test's alone.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../hostile/table.rs"]
mod table;

use serde_json::{Value, json};
use std::time::Duration;
use table::GUESTS;

const ROUNDS: usize = 1000;
/// After these, every pool slot and cache that the guests use has been used.
const WARM_UP: usize = 50;
/// What an endless guest gets, so that a thousand rounds take about a minute and a half.
const TIGHT_MS: u64 = 3;
/// Less than two pages a round.
const SLACK_KIB: u64 = 6 << 10;

#[derive(Debug)]
struct Figures {
    resident_kib: u64,
    descriptors: usize,
    threads: usize,
}

impl Figures {
    fn now() -> Self {
        let count = |path| std::fs::read_dir(path).unwrap().count();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap().trim();
        let resident_kib = resident.strip_suffix(" kB").unwrap().parse().unwrap();
        Figures { resident_kib, descriptors: count("/proc/self/fd"), threads: count("/proc/self/task") }
    }
}

/// The figures once the threads that loaded modules have ended and each slot is free.
fn settled() -> Figures {
    // They end when they have had nothing to do for two seconds.
    let (mut threads, mut looks) = (usize::MAX, 0);
    for _ in 0..400 {
        std::thread::sleep(Duration::from_millis(50));
        let figures = Figures::now();
        let stats: Value = common::ok(arawn::ffi::arawn_stats, &json!({}));
        looks = if figures.threads == threads { looks + 1 } else { 0 };
        if stats["engine"]["slots_in_use"] == 0 && looks > 60 {
            return figures;
        }
        threads = figures.threads;
    }
    panic!("slots stay in use, or threads come and go");
}

#[test]
fn a_thousand_rounds_leave_nothing_behind() {
    let catalog = table::catalog();
    let id = table::executor(&catalog);
    let round = || {
        for guest in GUESTS {
            let (reply, _) = guest.run(&id, if guest.is_endless() { TIGHT_MS } else { 5000 });
            guest.judge(&reply, true);
        }
    };
    (0..WARM_UP).for_each(|_| round());
    let before = settled();
    (WARM_UP..ROUNDS).for_each(|_| round());
    let after = settled();
    assert!(after.resident_kib <= before.resident_kib + SLACK_KIB, "{before:?} became {after:?}");
    assert!(after.descriptors <= before.descriptors, "{before:?} became {after:?}");
    assert!(after.threads <= before.threads, "{before:?} became {after:?}");
    let reply = common::execute(&json!({"executor": id, "runtime": "passthrough"}));
    assert_eq!(reply["status"], "ok", "{reply}");
}
