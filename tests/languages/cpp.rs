//! `include/arawn.hpp`: it compiles strictly wherever it is included, and does what it says under the sanitizers.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may fail loudly, and says what it skips")]

#[path = "../common/mod.rs"]
mod common;

use common::leaks::look_for_leaks;
use common::{ANSWER, Catalog, asker, library_path, root, run, target_directory, writer};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const STRICT: [&str; 7] =
    ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wsign-conversion", "-Wshadow", "-Werror"];
const ADDRESS: &[&str] = &["-fsanitize=address,undefined", "-fno-sanitize-recover"];
const THREAD: &[&str] = &["-fsanitize=thread"];

/// C++ compilers that there are. One is needed where `CI` says so; a second one is welcome.
fn compilers() -> Vec<&'static str> {
    let there_is = |compiler: &&str| Command::new(compiler).arg("--version").output().is_ok();
    let found: Vec<&str> = ["c++", "clang++"].into_iter().filter(there_is).collect();
    if found.is_empty() {
        assert!(std::env::var_os("CI").is_none(), "a C++ compiler is missing: .ci/tools, or apt install g++");
        println!("skipped: arawn.hpp; apt install g++, or your system's like");
    }
    found
}

fn has_nlohmann(compiler: &str) -> bool {
    let mut probe = Command::new(compiler);
    let probe = probe.args(["-x", "c++", "-fsyntax-only", "-include", "nlohmann/json.hpp", "/dev/null"]);
    let found = probe.output().unwrap().status.success();
    if !found {
        assert!(std::env::var_os("CI").is_none(), "nlohmann/json.hpp is missing: .ci/tools, or nlohmann-json3-dev");
        println!("skipped: nlohmann/json.hpp; apt install nlohmann-json3-dev, or your system's like");
    }
    found
}

fn strict(compiler: &str, standard: &str) -> Command {
    let mut command = Command::new(compiler);
    command.arg(format!("-std={standard}")).args(STRICT).arg("-I").arg(root().join("include"));
    command
}

/// Compiles a program against the header and links it to the shared library.
fn compile(compiler: &str, sources: &[&str], flags: &[&str]) -> PathBuf {
    let name = Path::new(sources[0]).file_stem().unwrap().to_str().unwrap();
    let name = format!("{name}-{compiler}{}-{}", flags.concat(), std::process::id());
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut command = strict(compiler, "c++17");
    command.arg("-g").args(flags).args(sources.iter().map(|source| root().join(source)));
    run(command.arg("-o").arg(&out).arg(target_directory().join("libarawn.so")).arg("-pthread"));
    out
}

/// Older thread sanitizers refuse to start where the kernel's random addresses have more bits than they know of, and do
/// not see the library's own locks.
fn with_library(program: &Path) -> Command {
    let mut command = Command::new("setarch");
    command.arg("--addr-no-randomize").arg(program);
    command.env("LD_LIBRARY_PATH", library_path()).env("TSAN_OPTIONS", "ignore_noninstrumented_modules=1");
    command
}

/// Each compiles alone, twice in one file, in two standards, with and without exceptions.
#[test]
fn the_header_compiles_strictly() {
    let directory = tempfile::tempdir().unwrap();
    let alone = directory.path().join("alone.cpp");
    fs::write(&alone, "#include <arawn.hpp>\n#include <arawn.hpp>\nint main() { return arawn::version().empty(); }\n")
        .unwrap();
    let tests = root().join("tests/cpp");
    let without = [alone, tests.join("no_exceptions.cpp")];
    let with =
        ["api.cpp", "second.cpp", "host_functions.cpp", "json.cpp", "pipelines.cpp"].map(|name| tests.join(name));
    for compiler in compilers() {
        for standard in ["c++17", "c++20"] {
            let example = root().join("examples/cpp/main.cpp");
            run(strict(compiler, standard).arg("-fsyntax-only").args(&without).args(&with).arg(example));
            run(strict(compiler, standard).args(["-fsyntax-only", "-fno-exceptions", "-fno-rtti"]).args(&without));
        }
    }
}

/// A view into a reply that is gone when the statement ends does not compile.
#[test]
fn views_take_a_reply_that_outlives_them() {
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("view.cpp");
    let compiles = |compiler: &str, statement: &str| {
        let program = format!(
            "#include <arawn.hpp>\nvoid use(const arawn::Executor &e);\n\
             void use(const arawn::Executor &e) {{ const auto made = e.execute(\"x\"); {statement}; }}\n"
        );
        fs::write(&source, program).unwrap();
        let output = strict(compiler, "c++17").args(["-fsyntax-only", "-Wno-unused"]).arg(&source).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() || stderr.contains("deleted"), "{statement}: {stderr}");
        output.status.success()
    };
    let views = [
        ("std::string_view view = REPLY.output()", "made", "e.execute(\"x\")"),
        ("std::string_view view = REPLY.details()", "made", "e.wait(\"x\")"),
        ("std::string_view view = REPLY.meta()", "made", "(*e.poll(\"x\"))"),
        ("std::string_view view = REPLY.raw()", "made", "arawn::stats()"),
        ("std::string_view view = REPLY.output()", "made", "static_cast<const arawn::Reply &&>(made)"),
        ("const arawn::Error error(made); const arawn::Reply &view = REPLY.reply()", "error", "arawn::Error(made)"),
        ("const arawn::Json json(\"{}\"); const std::string &view = REPLY.str()", "json", "arawn::Json(\"{}\")"),
        ("auto view = arawn::member(REPLY, \"key\")", "made.output()", "std::string(made.output())"),
        ("auto view = arawn::member(REPLY, \"key\")", "\"{}\"", "made.error()"),
    ];
    // What is no view may be of any reply.
    let values = "{ std::string code = e.execute(\"x\").code() + e.wait(\"x\").error(); }".to_owned();
    let good = views.iter().map(|(form, good, _)| format!("{{ {}; }}", form.replace("REPLY", good)));
    let good: String = good.chain([values]).collect();
    for compiler in compilers() {
        assert!(compiles(compiler, &good), "{compiler}");
        for (form, _, bad) in views {
            assert!(!compiles(compiler, &form.replace("REPLY", bad)), "{compiler}: {form} of {bad}");
        }
    }
}

/// Runs a program of tests/cpp under sanitizers, which stop one that does what its source says for `--prove`.
fn passes(sources: &[&str], arguments: &[&Path], sanitizers: &[(&[&str], &str)]) {
    let Some(compiler) = compilers().first().copied() else { return };
    for (sanitizer, report) in sanitizers {
        let program = compile(compiler, sources, sanitizer);
        assert_eq!(run(look_for_leaks(with_library(&program).args(arguments))), "done\n", "{sources:?} {sanitizer:?}");
        let output = with_library(&program).arg("--prove").output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && stderr.contains(report), "{sources:?} {sanitizer:?}: {stderr}");
    }
}

const READ_AFTER_FREE: (&[&str], &str) = (ADDRESS, "AddressSanitizer: heap-use-after-free");
const RACE: (&[&str], &str) = (THREAD, "ThreadSanitizer: data race");

#[test]
fn its_json_is_right() {
    passes(&["tests/cpp/json.cpp"], &[], &[READ_AFTER_FREE]);
}

#[test]
fn replies_executors_and_jobs() {
    let catalog = Catalog::new()
        .with("loop", &writer(b"", b"", "(loop $forever (br $forever))"))
        .with("fails", &writer(br#"{"status":"error","error":"no\n\"luck\""}"#, b"", ""));
    passes(&["tests/cpp/api.cpp", "tests/cpp/second.cpp"], &[catalog.path()], &[READ_AFTER_FREE, RACE]);
}

#[test]
fn host_functions() {
    let catalog = Catalog::new()
        .with("ask", &asker(b"f", br#"{"from":"the guest"}"#, ANSWER))
        .with("writes", &writer(br#"{"status":"ok","output":1}"#, b"first\nlast", ""));
    passes(&["tests/cpp/host_functions.cpp"], &[catalog.path()], &[READ_AFTER_FREE, RACE]);
}

#[test]
fn pipelines() {
    let catalog = Catalog::new()
        .with("ask", &asker(b"f", br#"{"from":"the guest"}"#, ANSWER))
        .with("loop", &writer(b"", b"", "(loop $forever (br $forever))"))
        .with("fails", &writer(br#"{"status":"error","error":"no luck"}"#, b"", ""));
    passes(&["tests/cpp/pipelines.cpp"], &[catalog.path()], &[READ_AFTER_FREE, RACE]);
}

#[test]
fn a_program_without_exceptions() {
    let catalog = Catalog::new().with("ask", &asker(b"f", br#"{"from":"the guest"}"#, ANSWER));
    for compiler in compilers() {
        let program = compile(compiler, &["tests/cpp/no_exceptions.cpp"], &["-fno-exceptions", "-fno-rtti"]);
        assert_eq!(run(with_library(&program).arg(catalog.path())), "done\n");
        let output = with_library(&program).arg("--throw").output().unwrap();
        assert_eq!((output.status.code(), &*output.stderr), (Some(3), &b"terminated\n"[..]));
    }
}

#[test]
fn it_takes_and_gives_the_values_of_a_json_library() {
    let catalog = Catalog::new().with("ask", &asker(b"f", br#"{"from":"the guest"}"#, ANSWER));
    for compiler in compilers().into_iter().filter(|compiler| has_nlohmann(compiler)) {
        let program = compile(compiler, &["tests/cpp/nlohmann.cpp"], &[]);
        assert_eq!(run(with_library(&program).arg(catalog.path())), "done\n");
    }
}

/// The example in the header compiles as it stands and prints what the header says.
#[test]
fn the_example_in_the_header_prints_what_it_says() {
    let Some(compiler) = compilers().first().copied() else { return };
    let header = fs::read_to_string(root().join("include/arawn.hpp")).unwrap();
    let (before, rest) = header.split_once("// prints ").unwrap();
    let lines = before.lines().filter_map(|line| line.strip_prefix("//     "));
    let directory = tempfile::tempdir().unwrap();
    let source = directory.path().join("header-example.cpp");
    fs::write(&source, lines.map(|line| line.to_owned() + "\n").collect::<String>()).unwrap();
    let program = compile(compiler, &[source.to_str().unwrap()], &[]);
    let printed = run(with_library(&program).env("XDG_CACHE_HOME", directory.path()));
    assert_eq!(Some(printed.trim_end()), rest.lines().next());
}
