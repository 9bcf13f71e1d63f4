//! Files in the format of a library for Linux, of some hundred bytes, for any processor and C library.
#![allow(dead_code, clippy::unwrap_used, reason = "each test file uses a part, and may fail loudly")]

use crate::common::run;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The number that ELF has for a processor, by Rust's name.
pub fn number(machine: &str) -> u16 {
    match machine {
        "x86_64" => 62,
        "aarch64" => 183,
        other => panic!("no number for {other}"),
    }
}

/// The processor that this is not, of the two.
pub fn other_machine() -> &'static str {
    if std::env::consts::ARCH == "x86_64" { "aarch64" } else { "x86_64" }
}

/// A shared library that needs one other, and has nothing in it.
pub fn library(machine: &str, needed: &str) -> Vec<u8> {
    const DYNAMIC: u64 = 64 + 2 * 56;
    const STRINGS: u64 = DYNAMIC + 5 * 16;
    let size = STRINGS + 1 + needed.len() as u64 + 1;
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    let halves = |file: &mut Vec<u8>, values: &[u16]| values.iter().for_each(|n| file.extend(n.to_le_bytes()));
    let words = |file: &mut Vec<u8>, values: &[u32]| values.iter().for_each(|n| file.extend(n.to_le_bytes()));
    let longs = |file: &mut Vec<u8>, values: &[u64]| values.iter().for_each(|n| file.extend(n.to_le_bytes()));
    halves(&mut file, &[3, number(machine)]);
    words(&mut file, &[1]);
    longs(&mut file, &[0, 64, 0]);
    words(&mut file, &[0]);
    halves(&mut file, &[64, 56, 2, 0, 0, 0]);
    // What is loaded is the whole file, and the table of what it needs is in it.
    words(&mut file, &[1, 6]);
    longs(&mut file, &[0, 0, 0, size, size, 0x1000]);
    words(&mut file, &[2, 6]);
    longs(&mut file, &[DYNAMIC, DYNAMIC, DYNAMIC, 5 * 16, 5 * 16, 8]);
    // NEEDED, STRTAB, STRSZ, SYMTAB, NULL.
    longs(&mut file, &[1, 1, 5, STRINGS, 10, needed.len() as u64 + 2, 6, STRINGS, 0, 0]);
    file.push(0);
    file.extend(needed.as_bytes());
    file.push(0);
    file
}

/// A library that needs a glibc which no system has yet: it is linked to one that has such a version.
pub fn library_for_a_later_glibc(directory: &Path) -> Vec<u8> {
    let write = |name: &str, text: &str| fs::write(directory.join(name), text).unwrap();
    write("later.c", "void later(void) {}\n");
    write("later.map", "GLIBC_2.9 { };\nGLIBC_9.10 { later; };\n");
    write("needs.c", "void later(void);\nvoid needs(void) { later(); }\n");
    let cc = |words: &[&str]| {
        run(Command::new("cc").current_dir(directory).args(["-shared", "-fPIC", "-nostdlib"]).args(words))
    };
    cc(&["-Wl,--version-script=later.map", "-Wl,-soname,libc.so.6", "-o", "libc.so.6", "later.c"]);
    cc(&["-o", "needs.so", "needs.c", "./libc.so.6"]);
    fs::read(directory.join("needs.so")).unwrap()
}
