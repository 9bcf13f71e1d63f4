//! What one system has is named in `src/sys` alone, so that a port to another system is a directory below it.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../layers/source.rs"]
#[allow(dead_code, reason = "tests/source/layers.rs uses the rest")]
mod source;

use source::Source;

/// What is there on one system, or asks which system it is. `std::os::raw` would be there on all.
const OF_A_SYSTEM: &[&str] = &[
    "std::os::",
    "libc",
    "rustix",
    "windows_sys",
    "io::unix",
    "signal::unix",
    "cfg(unix)",
    "cfg(windows)",
    "cfg!(unix)",
    "cfg!(windows)",
    "(unix,",
    "(windows,",
    "(not(unix)",
    "(not(windows)",
    ", unix)",
    ", windows)",
    "target_os",
    "target_env",
    "target_family",
    "target_vendor",
];

/// cap-std has these for Unix, and others by the same names for Windows. cap-fs-ext has some of them for both.
const OF_CAP_STD: &[&str] = &["DirExt", "FileTypeExt", "MetadataExt", "OpenOptionsExt"];

/// Whether the code has a name, and not as a part of another one.
fn has(code: &str, name: &str) -> bool {
    let is_of_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + name.len()..]);
        let begins = !name.starts_with(is_of_word) || !before.ends_with(is_of_word);
        begins && (!name.ends_with(is_of_word) || !after.starts_with(is_of_word))
    })
}

/// The names of one system in some code, each with its line.
fn names_of_a_system(code: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    // A tree of imports may take several lines.
    let mut imports_of_cap_std = false;
    for (index, line) in code.lines().enumerate() {
        imports_of_cap_std |= line.contains("cap_std::");
        let of_cap_std = OF_CAP_STD.iter().filter(|_| imports_of_cap_std);
        let names = OF_A_SYSTEM.iter().chain(of_cap_std).filter(|name| has(line, name));
        found.extend(names.map(|name| (index + 1, *name)));
        imports_of_cap_std &= !line.contains(';');
    }
    found
}

#[test]
fn no_file_but_those_of_sys_names_what_one_system_has() {
    let mut wrong = Vec::new();
    for (file, code) in Source::code() {
        if file == "sys.rs" || file.starts_with("sys/") {
            continue;
        }
        let names = names_of_a_system(&code);
        wrong.extend(names.iter().map(|(line, name)| format!("src/{file}:{line}: `{name}`")));
    }
    assert!(wrong.is_empty(), "these belong to src/sys:\n{}", wrong.join("\n"));
}

#[test]
fn names_of_a_system_are_found() {
    let found = |code| names_of_a_system(code).into_iter().map(|(_, name)| name).collect::<Vec<_>>();
    assert_eq!(found("use std::os::fd::AsFd;"), ["std::os::"]);
    assert_eq!(found("fn f() { libc::getpid() }"), ["libc"]);
    assert_eq!(found("use rustix::io;"), ["rustix"]);
    assert_eq!(found("#[cfg(unix)]"), ["cfg(unix)"]);
    assert_eq!(found("#[cfg(all(windows, feature = \"http\"))]"), ["(windows,"]);
    assert_eq!(found("if cfg!(target_os = \"linux\") {}"), ["target_os"]);
    assert_eq!(found("use cap_std::fs::{\n    Dir, MetadataExt,\n};"), ["MetadataExt"]);
    assert_eq!(found("use cap_fs_ext::MetadataExt;"), [""; 0]);
    assert_eq!(found("for pair in words.windows(2) {}"), [""; 0]);
    assert_eq!(found("let of_unix = librustix;"), [""; 0]);
}
