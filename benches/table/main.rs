//! Measures what libarawn promises about speed and prints it beside its targets: `make bench`.
//!
//! Each ratio is of medians from one interleaved run, since these are figures of a machine that may be shared and only their
//! proportions mean anything. With `--save` the table goes to `docs/bench.md` and the pictures to `docs/latency.svg` and
//! `docs/languages.svg`.
//! ARAWN_BENCH_LIBRARY names the library to be measured (default: what is linked into this program). ARAWN_BENCH_ROUNDS sets the
//! number of rounds (default 300); what takes long, and what is of the library that ships, is left out below 300.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "it is a program that prints a table"
)]
#![allow(unsafe_code, reason = "the benchmarks call the C interface")]

mod calls;
mod catalogs;
mod languages;
mod measure;
mod picture;
mod pipelines;
mod processes;
mod report;
mod scripts;
#[path = "../ways/mod.rs"]
mod ways;

use report::Table;

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let rounds = std::env::var("ARAWN_BENCH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(300);
    let is_whole = rounds >= 300;
    let is_saved = std::env::args().any(|argument| argument == "--save");
    let mut table = Table::new(rounds);

    if is_whole {
        // A process of its own each, so first: before this one has an engine and its threads.
        processes::first_call_of_a_process(&mut table);
    }
    calls::configure();
    calls::warm(&mut table, rounds);
    calls::threads(&mut table, rounds);
    calls::executors(&mut table);
    catalogs::reload(&mut table, rounds);
    scripts::calls(&mut table, rounds);
    pipelines::calls(&mut table, rounds);
    let languages = languages::measure(&mut table, rounds);
    catalogs::large(&mut table, rounds);
    catalogs::compile(&mut table, if is_whole { 100 } else { 10 });
    if is_whole {
        catalogs::many(&mut table);
        calls::growth(&mut table);
        processes::library(&mut table);
    }
    println!("{}", table.markdown());
    if is_saved {
        let curve = calls::curve(rounds);
        let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
        std::fs::create_dir_all(&docs).unwrap();
        std::fs::write(docs.join("bench.md"), table.page()).unwrap();
        std::fs::write(docs.join("latency.svg"), picture::draw(&curve)).unwrap();
        std::fs::write(docs.join("languages.svg"), languages::draw(&languages)).unwrap();
    }
}
