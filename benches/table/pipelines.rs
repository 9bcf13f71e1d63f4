//! Pipelines: three steps against the three calls that a host would make, and a list against as many submitted calls.

use crate::measure::{interleaved, median};
use crate::report::{Table, Target};
use crate::ways::{Asked, answer, input};
use std::time::Instant;

pub fn calls(table: &mut Table, rounds: usize) {
    for (size, name) in [(42, "42 B"), (1 << 20, "1 MiB")] {
        let pipeline = Asked::new(
            "arawn_execute_pipeline",
            &format!(
                r#"{{"executor":"bench","pipeline":{{"steps":[{}]}},"context":{{"given":{}}}}}"#,
                ["a", "b", "c"].map(|name| format!(r#"{{"name":"{name}","runtime":"passthrough"}}"#)).join(","),
                input(size)
            ),
        );
        // What a host would send, with the outputs of the calls before.
        let (mut calls, mut before) = (Vec::new(), String::new());
        for name in ["a", "b", "c"] {
            let given = format!(r#""given":{}{before}"#, input(size));
            let request = format!(
                r#"{{"executor":"bench","runtime":"passthrough","input":{{"config":{{}},"context":{{{given}}}}}}}"#
            );
            before = format!(r#","{name}":{}"#, answer("arawn_execute_runtime", &request)["output"]);
            calls.push(Asked::new("arawn_execute_runtime", &request));
        }
        let batch = if size < 1000 { 200 } else { 1 };
        let [together, alone] = interleaved(
            rounds,
            batch,
            [&mut || pipeline.ask(), &mut || calls.iter().map(|call| call.ask()).sum::<usize>()],
        );
        let how = format!("{together:.2} µs, {alone:.2} µs");
        if size == 42 {
            let what = "pipeline of three steps, 42 B, above three calls";
            table.row(what, Target::AtMost(5.0), " µs", together - alone, how);
        } else {
            let what = format!("pipeline of three steps, {name}, against three calls");
            table.row(&what, Target::AtMost(1.1), "", together / alone, how);
        }
    }
    items(table, rounds);
}

/// A `for_each` against the same calls, submitted.
fn items(table: &mut Table, rounds: usize) {
    const ITEMS: usize = 10_000;
    /// How many submitted calls are under way at most, below the `queue` of an executor.
    const UNDER_WAY: usize = 900;
    let item = input(42);
    let list = vec![item.as_str(); ITEMS].join(",");
    let pipeline = Asked::new(
        "arawn_execute_pipeline",
        &format!(
            r#"{{"executor":"bench","pipeline":{{"steps":[{{"name":"e","runtime":"passthrough","for_each":"l"}}]}},"context":{{"l":[{list}]}}}}"#
        ),
    );
    let call = Asked::new(
        "arawn_submit",
        &format!(
            r#"{{"executor":"bench","runtime":"passthrough","input":{{"config":{{}},"context":{{"item":{item},"index":1234}}}}}}"#
        ),
    );
    let (mut together, mut submitted) = (Vec::new(), Vec::new());
    for _ in 0..(rounds / 20).max(5) {
        let begun = Instant::now();
        pipeline.ask();
        together.push(begun.elapsed().as_secs_f64() * 1e6);
        let begun = Instant::now();
        let (mut sent, mut ended) = (0, 0);
        while ended < ITEMS {
            while sent < ITEMS && sent - ended < UNDER_WAY {
                call.ask();
                sent += 1;
            }
            ended += answer("arawn_poll", r#"{"executor":"bench","wait_ms":1000}"#)["output"]["finished"]
                .as_array()
                .map_or(0, Vec::len);
        }
        submitted.push(begun.elapsed().as_secs_f64() * 1e6);
    }
    let (together, submitted) = (median(together), median(submitted));
    let how = format!("{:.2} µs, {:.2} µs an item", together / ITEMS as f64, submitted / ITEMS as f64);
    let what = "10,000 items of 42 B, against 10,000 submitted calls";
    table.row(what, Target::AtMost(1.3), "", together / submitted, how);
}
