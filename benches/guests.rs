//! Times the guests in other languages, where `make guests` has built them: a process's first call, compiled and from the
//! disk cache, and those after it. Each round starts a process for a cache that is empty and one for the same cache filled;
//! in it the clock runs from the call to its reply, the executor being there. The median of all rounds stands in the table.
//! `make bench` runs it; ARAWN_BENCH_STARTS sets the number of rounds (default 5).
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "it is a program that prints a table")]

mod ways;

use std::path::Path;
use std::process::Command;
use std::time::Instant;
use ways::{Arawn, answer, ask};

const GUESTS: [(&str, &str, &str); 4] = [
    ("C", "words", r#"{"context":{"text":"To be, or not to be:\nthat is the question.\n"}}"#),
    ("Go", "csv", r#"{"config":{"delimiter":";"},"context":{"text":"name;born\nAda;1815\n"}}"#),
    ("Python", "statistics", r#"{"context":{"numbers":[3,1,4,1,5,9,2,6]}}"#),
    ("JavaScript", "matches", r#"{"config":{"pattern":"[a-z]+"},"context":{"text":"to be or not to be"}}"#),
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    if let [_, start, runtime, directory] = &arguments[..]
        && start == "start"
    {
        return one_process(runtime, Path::new(directory));
    }
    let rounds = std::env::var("ARAWN_BENCH_STARTS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    println!("| language | bytes | first call, compiled | first call, from disk | a call |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    for (language, runtime, _) in GUESTS {
        let wasm = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("target/guests/{runtime}.wasm"));
        let Ok(wasm) = std::fs::read(&wasm) else {
            println!("| {language} | {} is missing: make guests | | | |", wasm.display());
            continue;
        };
        let (mut compiled, mut disk, mut warm) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let directory = tempfile::tempdir().unwrap();
            std::fs::write(directory.path().join("guest.wasm"), &wasm).unwrap();
            let entry = format!("[runtimes.{runtime}]\npath = \"guest.wasm\"\n");
            std::fs::write(directory.path().join("catalog.toml"), entry).unwrap();
            for (expected, first) in [("compiled", &mut compiled), ("disk", &mut disk)] {
                let mut child = Command::new(std::env::current_exe().unwrap());
                let printed = child.args(["start", runtime]).arg(directory.path()).output().unwrap();
                let printed = String::from_utf8(printed.stdout).unwrap();
                let [cache, first_ms, warm_us] = printed.split_whitespace().collect::<Vec<_>>()[..] else {
                    panic!("{printed}");
                };
                assert_eq!(cache, expected);
                first.push(first_ms.parse().unwrap());
                // Where the files are so new that they could change and look the same, each call reads them again.
                if cache == "disk" {
                    warm.push(warm_us.parse().unwrap());
                }
            }
        }
        let [compiled, disk, warm] = [compiled, disk, warm].map(median);
        println!("| {language} | {} | {compiled:.0} ms | {disk:.2} ms | {warm:.0} µs |", wasm.len());
    }
}

/// Prints where the first call's code came from, its milliseconds, and the median microseconds of a hundred after it.
fn one_process(runtime: &str, directory: &Path) {
    let (runtimes, cache) = (directory.display(), directory.join("cache"));
    let cache = cache.display();
    let limits = r#"{"timeout_ms":300000}"#;
    let config = format!(r#"{{"id":"a","runtimes_dir":"{runtimes}","cache_dir":"{cache}","limits":{limits}}}"#);
    ask("arawn_executor_new", &config);
    let (_, _, input) = GUESTS.iter().find(|(_, name, _)| *name == runtime).unwrap();
    let request = format!(r#"{{"executor":"a","runtime":"{runtime}","input":{input},"meta":true}}"#);
    let begun = Instant::now();
    let reply = answer("arawn_execute_runtime", &request);
    let first = begun.elapsed().as_secs_f64();
    let call = Arawn::new("a", runtime, input);
    let timed = |_| {
        let begun = Instant::now();
        std::hint::black_box(call.call());
        begun.elapsed().as_secs_f64()
    };
    let warm = median((0..100).map(timed).collect());
    // Waits for the cache to be written.
    ask("arawn_executor_close", r#"{"executor":"a"}"#);
    println!("{} {} {}", reply["meta"]["cache"].as_str().unwrap(), first * 1e3, warm * 1e6);
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
