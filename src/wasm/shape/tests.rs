#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[allow(dead_code, reason = "each of its users needs a part")]
mod encode;
mod heap;
mod limits;
mod refused;

use super::*;
use std::io::Write;

/// Provides every import of a module as a function without parameters and results, and every interface.
struct Everything;

impl Provided for Everything {
    fn function(&self, _: &str, _: &str) -> Option<Signature> {
        Some(Signature::new(&[], &[]))
    }

    fn interface(&self, _: &str) -> bool {
        true
    }
}

/// The message of the error with which the pass refuses a file; empty if the pass lets it through.
fn problem(wasm: &[u8]) -> String {
    Shape::of("it", wasm, &Everything).err().map_or_else(String::new, |error| match error {
        crate::error::Error::ModuleInvalid { message, .. } => message,
        other => format!("{other:?}"),
    })
}

#[test]
fn a_file_is_small_if_it_is_compiled_within_a_second() {
    let is_small = |blocks: usize| {
        let wasm = encode::start(&[0x02, 0x40, 0x0b].repeat(blocks));
        Shape::of("it", &wasm, &Everything).unwrap().is_small
    };
    assert!(is_small(15_000) && !is_small(20_000));
}

#[test]
fn a_file_has_lines_where_a_module_of_it_has_a_section_of_them() {
    let has_lines = |wat: &str| {
        let mut totals = Totals::new(0);
        let _ = walk(&wat::parse_str(wat).unwrap(), &Everything, &mut totals);
        totals.has_lines
    };
    let start = r#"(func (export "_start"))"#;
    assert!(has_lines(&format!(r#"(module {start} (@custom ".debug_line" ""))"#)));
    assert!(has_lines(r#"(component (core module (@custom ".debug_line" "")))"#));
    assert!(!has_lines(&format!(r#"(module {start} (@custom ".debug_lines" "") (@custom "name" "\00\00"))"#)));
}

/// Real files use at most a third of each limit but that of data segments: the builtins, and what `make guests` has
/// built.
///
/// For the files that `ARAWN_GUESTS` names, the test prints how much they use of each limit. The limits were chosen
/// from this.
#[test]
fn real_guests_are_far_from_the_limits() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let directories = [root.join("runtimes/prebuilt"), root.join("target/guests")];
    let files = directories.iter().flat_map(|directory| std::fs::read_dir(directory).into_iter().flatten());
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "wasm"));
    assert!(files.len() >= 7, "{files:?}");
    let named = std::env::var("ARAWN_GUESTS").unwrap_or_default();
    let shown: Vec<_> = named.split_whitespace().map(std::path::PathBuf::from).collect();
    let mut out = std::io::stdout();
    for path in files.iter().chain(&shown) {
        let wasm = std::fs::read(path).unwrap();
        let mut totals = Totals::new(wasm.len());
        let begun = std::time::Instant::now();
        let problem = walk(&wasm, &Everything, &mut totals).err().map(|problem| problem.into_error("it"));
        let speed = wasm.len() as f64 / 1e6 / begun.elapsed().as_secs_f64();
        if shown.contains(path) {
            let heap = totals.needs_gc_heap;
            writeln!(out, "{}: {speed:.0} MB/s, heap {heap}, {problem:?}", path.display()).unwrap();
            for limit in Limit::ALL {
                writeln!(out, "  {} {}", limit.name(), totals.tally.of(*limit)).unwrap();
            }
            continue;
        }
        // `Everything` provides functions of another type than these files import.
        let is_known = problem.as_ref().is_none_or(|problem| problem.to_string().contains("import"));
        assert!(is_known, "{}: {problem:?}", path.display());
        for limit in Limit::ALL {
            let found = totals.tally.of(*limit);
            // The limit of data segments is the web's. Go's linker comes near to it, and never goes beyond.
            let times = if *limit == Limit::DataSegments { 1 } else { 3 };
            assert!(times * found <= limit.most_of(wasm.len()), "{}: {found} {}", path.display(), limit.what());
        }
    }
}
