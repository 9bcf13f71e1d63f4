//! `include/arawn.h` and `docs/reference.md` are what `src/ffi` says. The header is complete, and can be included by
//! anybody.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

#[path = "../common/mod.rs"]
mod common;

use common::{root, run};
use std::fs;
use std::process::Command;

fn header() -> String {
    fs::read_to_string(root().join("include/arawn.h")).unwrap_or_default()
}

/// What cbindgen makes of the source, without the safety contracts: Rust's contract of a pointer is C's everyday one, and
/// the rules say it once. The examples are still between the fences of Markdown.
fn generated() -> String {
    let config = cbindgen::Config::from_file(root().join("cbindgen.toml")).unwrap();
    // The functions stand in the header in this order.
    let files = ["process", "executors", "calls", "pipelines", "jobs", "host_functions", "catalog", "stats", "release"];
    let sources = files.iter().map(|file| root().join(format!("src/ffi/{file}.rs")));
    let builder = sources.fold(cbindgen::Builder::new(), |builder, file| builder.with_src(file));
    let bindings = builder.with_config(config).generate().unwrap();
    let mut made = Vec::new();
    bindings.write(&mut made);
    let mut kept = String::new();
    let mut in_safety = false;
    for line in String::from_utf8(made).unwrap().lines() {
        in_safety = line == "// # Safety" || in_safety && line.starts_with("//");
        if !in_safety {
            kept += line.trim_end();
            kept += "\n";
        }
    }
    kept.trim_start().replace("//\nchar *arawn", "char *arawn").replace("//\nvoid arawn", "void arawn")
}

/// Compares a file with what is generated, or writes it where ARAWN_ACCEPT is set.
fn compare(path: &str, generated: &str) {
    if std::env::var_os("ARAWN_ACCEPT").is_some() {
        fs::write(root().join(path), generated).unwrap();
    }
    let file = fs::read_to_string(root().join(path)).unwrap_or_default();
    assert!(file == generated, "{path} is not what src/ffi makes; accept the change with\nmake header");
}

#[test]
fn the_header_is_generated_from_the_source() {
    let lines = generated();
    let lines = lines.lines().filter(|line| !line.starts_with("// ```"));
    compare("include/arawn.h", &lines.map(|line| line.to_owned() + "\n").collect::<String>());
}

/// The text of a comment's line.
fn comment(line: &str) -> &str {
    line.trim_start_matches("//").strip_prefix(' ').unwrap_or_default()
}

/// The header's text as a page of the book: a heading for each section of its first comment and for each declaration.
#[test]
fn the_reference_is_generated_from_the_source() {
    let made = generated();
    let (manual, declarations) = made.split_once("#ifndef ARAWN_H").unwrap();
    let mut page =
        "# Reference\n\nThe text of [include/arawn.h](../include/arawn.h). `make header` writes this page.\n"
            .to_owned();
    let mut section = Vec::new();
    for line in manual.lines().map(comment).chain(["END"]) {
        let is_heading = line.starts_with(char::is_uppercase) && line.chars().all(|c| c.is_uppercase() || c == ' ');
        if !is_heading {
            section.push(line);
            continue;
        }
        let text = section.join("\n").trim_matches('\n').to_owned();
        section.clear();
        match page.contains("\n## ") {
            true => page += &format!("\n```text\n{text}\n```\n"),
            false => page += &format!("\n{text}\n"),
        }
        if line != "END" {
            page += &format!("\n## {}{}\n", &line[..1], line[1..].to_lowercase());
        }
    }
    let mut text = String::new();
    for declaration in declarations.split_inclusive('\n').collect::<Vec<_>>().chunk_by(|a, _| a.trim() != "") {
        let (comments, code): (Vec<&str>, Vec<&str>) = declaration.iter().partition(|line| line.starts_with("//"));
        text.extend(comments.iter().map(|line| comment(line.trim_end()).to_owned() + "\n"));
        let code = code.concat().trim().to_owned();
        let name = code.split(['(', ')', ' ', '*']).find(|word| word.to_lowercase().starts_with("arawn_"));
        if let (Some(name), false) = (name, text.is_empty()) {
            let text = std::mem::take(&mut text).replace("```json", "```text");
            page += &format!("\n## {name}\n\n```c\n{code}\n```\n\n{}\n", text.trim());
        }
        text.clear();
    }
    compare("docs/reference.md", &page);
}

#[test]
fn the_header_lists_every_error_code_in_order() {
    let header = header();
    let (_, table) = header.split_once("// ERROR CODES").unwrap();
    let (table, _) = table.split_once("// Control characters").unwrap();
    let codes: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("//     "))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(codes, arawn::Code::ALL.iter().map(|code| code.as_str()).collect::<Vec<_>>());
}

/// Alone, twice, and from C++: nothing but the header is needed.
#[test]
fn the_header_stands_alone() {
    let directory = tempfile::tempdir().unwrap();
    let compilers: [(&str, &str, &[&str]); 2] =
        [("cc", "a.c", &["-std=c99", "-pedantic"]), ("c++", "a.cc", &["-std=c++11", "-pedantic"])];
    for (compiler, name, standard) in compilers {
        let source = directory.path().join(name);
        fs::write(&source, "#include \"arawn.h\"\n#include \"arawn.h\"\nint main(void) { return !arawn_version(); }\n")
            .unwrap();
        if compiler == "c++" && Command::new(compiler).arg("--version").output().is_err() {
            assert!(std::env::var_os("CI").is_none(), "a C++ compiler is missing: apt install g++");
            println!("skipped: the header from C++; apt install g++, or your system's like");
            continue;
        }
        let mut command = Command::new(compiler);
        command.args(standard).args(["-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-I"]);
        run(command.arg(root().join("include")).arg(&source));
    }
}

/// What programs link against: the symbols that the shared library exports, and its name.
#[test]
#[cfg(target_os = "linux")]
fn the_exported_symbols_are_the_functions_of_the_header() {
    let library = common::target_directory().join("libarawn.so");
    let symbols = run(Command::new("nm").args(["-D", "--defined-only", "--format=posix"]).arg(&library));
    let mut exported: Vec<&str> = symbols.lines().filter_map(|line| line.split(' ').next()).collect();
    exported.sort_unstable();
    let header = header();
    let declared = header.lines().filter(|line| line.contains('(') && !line.starts_with("//"));
    let mut declared: Vec<&str> = declared
        .filter_map(|line| line.split('(').next()?.rsplit([' ', '*']).next())
        .filter(|n| n.starts_with("arawn_"))
        .collect();
    declared.sort_unstable();
    assert_eq!(exported, declared);
    let dynamic = run(Command::new("readelf").args(["-d", "-W"]).arg(&library));
    assert!(dynamic.contains("[libarawn.so.0]"), "{dynamic}");
    assert!(dynamic.contains("NODELETE"), "{dynamic}");
    let golden = fs::read_to_string(root().join("tests/golden/symbols.txt")).unwrap_or_default();
    let now = exported.join("\n") + "\n";
    if std::env::var_os("ARAWN_ACCEPT").is_some() {
        fs::create_dir_all(root().join("tests/golden")).unwrap();
        fs::write(root().join("tests/golden/symbols.txt"), &now).unwrap();
    }
    assert!(
        now == golden || std::env::var_os("ARAWN_ACCEPT").is_some(),
        "the exported symbols changed; accept them with\nmake header"
    );
}

/// What a program with the static library is linked to besides: rustc's own list, for all crates of the library.
#[test]
#[cfg(target_os = "linux")]
fn the_system_libraries_are_the_ones_that_are_listed() {
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("link.rs");
    fs::write(&source, "pub use arawn::ffi::*;").unwrap();
    let libraries = common::target_directory();
    let mut command = Command::new(std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned()));
    command.args(["--edition=2024", "--crate-type=staticlib", "--print=native-static-libs"]).arg(&source);
    command.arg("-L").arg(format!("dependency={}", libraries.display())).arg("--out-dir").arg(directory.path());
    command.arg("--extern").arg(format!("arawn={}", libraries.join("libarawn.rlib").display()));
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    let now = stderr.lines().find_map(|line| line.split_once("native-static-libs: ")).map(|(_, list)| list.to_owned());
    let now = now.unwrap_or_else(|| panic!("{command:?}: {stderr}")) + "\n";
    let golden = root().join("tests/golden/link.txt");
    if std::env::var_os("ARAWN_ACCEPT").is_some() {
        fs::write(&golden, &now).unwrap();
    }
    let golden = fs::read_to_string(golden).unwrap_or_default();
    assert!(now == golden, "the list of system libraries changed; accept it with\nmake header");
    let page = fs::read_to_string(root().join("docs/installing.md")).unwrap();
    assert!(page.contains(&format!("libarawn.a {golden}")), "docs/installing.md does not name these: {golden}");
}
