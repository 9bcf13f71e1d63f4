//! What a process of its own shows: its first call, and the size of the library.

use crate::measure::median;
use crate::report::{Table, Target};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

const FIRST_CALL: &str = r#"
#include <arawn.h>
int main(int argc, char **argv)
{
    char *made = arawn_executor_new(argv[argc - 1]);
    char *reply = arawn_execute_runtime("{\"executor\":\"first\",\"runtime\":\"passthrough\"}");
    int failed = reply[11] != 'o';
    arawn_free(made);
    arawn_free(reply);
    if (argc > 2) /* waits for the artifact to be on disk */
        arawn_free(arawn_executor_close("{\"executor\":\"first\"}"));
    return failed;
}
"#;
const EMPTY: &str = "int main(void) { return 0; }\n";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn compile(directory: &Path, name: &str, source: &str, flags: &[&str]) -> PathBuf {
    let (file, program) = (directory.join(format!("{name}.c")), directory.join(name));
    std::fs::write(&file, source).unwrap();
    let mut command = Command::new("cc");
    command.arg("-O2").arg("-I").arg(root().join("include")).arg(&file).arg("-o").arg(&program).args(flags);
    assert!(command.status().unwrap().success(), "{command:?}");
    program
}

/// From a process's start to its end with one call in it, above one with nothing in it. The disk cache is warm, and the library
/// a copy, as an installed one is: with the linker's own file the same bytes take 0.4 ms longer.
pub fn first_call_of_a_process(table: &mut Table) {
    let directory = tempfile::tempdir().unwrap();
    let (built, library) = (root().join("target/release/libarawn.so.0"), directory.path().join("libarawn.so.0"));
    if std::fs::copy(&built, &library).is_err() {
        eprintln!("the first call of a process is not measured: there is no {}", built.display());
        return;
    }
    let rpath = format!("-Wl,-rpath,{}", library.parent().unwrap().display());
    let call = compile(directory.path(), "call", FIRST_CALL, &[library.to_str().unwrap(), &rpath]);
    let empty = compile(directory.path(), "empty", EMPTY, &[]);
    let config = format!(r#"{{"id":"first","cache_dir":"{}"}}"#, directory.path().join("cache").display());
    let run = |program: &Path| {
        let begun = Instant::now();
        assert!(Command::new(program).arg(&config).status().unwrap().success());
        begun.elapsed().as_secs_f64() * 1e3
    };
    assert!(Command::new(&call).arg("close").arg(&config).status().unwrap().success());
    let (mut calls, mut nothing) = (Vec::new(), Vec::new());
    // Some seconds of it: within one, a shared machine may be half as fast as within the next.
    for _ in 0..1000 {
        calls.push(run(&call));
        nothing.push(run(&empty));
    }
    let (calls, nothing) = (median(calls), median(nothing));
    let how = format!("{calls:.2} ms, {nothing:.2} ms");
    table.row("first call of a process, above an empty one", Target::AtMost(3.0), " ms", calls - nothing, how);
}

pub fn library(table: &mut Table) {
    for (path, what, most) in [
        ("target/release/libarawn.so", "libarawn.so, stripped", 19.02),
        ("target/slim/libarawn.so", "the same without compiler, components, HTTP and schemas", 4.25),
    ] {
        match std::fs::metadata(root().join(path)) {
            Ok(file) => {
                let how = format!("{} bytes", file.len());
                table.row(what, Target::AtMost(most), " MiB", file.len() as f64 / f64::from(1 << 20), how);
            }
            Err(_) => eprintln!("{what} is not measured: there is no {path}"),
        }
    }
}
