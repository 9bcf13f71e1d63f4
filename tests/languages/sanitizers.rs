//! The C programs again, each under the sanitizers that can bear it. The library itself is not instrumented: what they
//! see is the host's side, every reply as heap memory, and every lock and thread that goes through libc. Leaks are looked
//! for in the library too, since its allocations go through libc.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]
#![allow(clippy::print_stdout, reason = "a test says what it skips")]
#![allow(unsafe_code, reason = "a program's personality is set between fork and exec")]

#[path = "../common/mod.rs"]
mod common;

use common::leaks::{self, look_for_leaks};
use common::{ANSWER, Catalog, asker, compile_c, library_path, root, run, target_directory, trapping, writer};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

const ADDRESS: &str = "-fsanitize=address,undefined";
const THREAD: &str = "-fsanitize=thread";

/// The library's own locks do not go through libc, so that the thread sanitizer would see races where there are none.
const THREAD_OPTIONS: &str = "ignore_noninstrumented_modules=1";

/// Compiles a program under a sanitizer and proves that it is on: it stops what must not pass.
fn sanitized(name: &str, sanitizer: &str) -> PathBuf {
    let prove = root().join("tests/c/prove.c");
    // guest_of.c must not be linked to the library that it loads.
    let flags = [sanitizer, "-fno-sanitize-recover", "-Wl,--as-needed", prove.to_str().unwrap(), "-ldl"];
    let program = compile_c(&format!("tests/c/{name}.c"), &format!("{name}{sanitizer}"), &flags);
    let faults: &[(&str, &str)] = match sanitizer {
        THREAD => &[("thread", "ThreadSanitizer: data race")],
        _ => &[
            ("address", "AddressSanitizer: heap-use-after-free"),
            ("undefined", "signed integer overflow"),
            ("leak", leaks::REPORT),
        ],
    };
    for (fault, report) in faults {
        if *fault == "leak" && !*leaks::WORK {
            continue;
        }
        let output = command(&program, sanitizer).env("PROVE", fault).output().unwrap();
        let (status, stderr) = (output.status, String::from_utf8_lossy(&output.stderr));
        assert!(!status.success() && stderr.contains(report), "{name} {sanitizer} {fault}: {status} {stderr}");
    }
    program
}

fn command(program: &Path, sanitizer: &str) -> Command {
    let mut command = Command::new(program);
    command.env("LD_LIBRARY_PATH", library_path());
    if sanitizer == THREAD {
        command.env("TSAN_OPTIONS", THREAD_OPTIONS);
        // Older versions refuse to start where the kernel's random addresses have more bits than they know of.
        let fixed_addresses = || {
            // SAFETY: a system call without pointers.
            unsafe { libc::personality(libc::ADDR_NO_RANDOMIZE as libc::c_ulong) };
            Ok(())
        };
        // SAFETY: the closure does nothing between fork and exec but a system call.
        unsafe { std::os::unix::process::CommandExt::pre_exec(&mut command, fixed_addresses) };
    } else {
        look_for_leaks(&mut command);
    }
    command
}

/// Every program of tests/c, each with its runs: the arguments, and how what it prints begins.
type Runs = Vec<(&'static str, Vec<(Vec<String>, &'static str)>)>;

fn programs(catalog: &Catalog, cache: &TempDir) -> Runs {
    let library = target_directory().join("libarawn.so");
    let (directory, cache) = (catalog.path().to_str().unwrap(), cache.path().to_str().unwrap());
    let run = |arguments: &[&str], prints| (arguments.iter().map(|text| (*text).to_owned()).collect(), prints);
    vec![
        (
            "blocked_signals",
            ["calls", "first", "submitted", "callback"].map(|mode| run(&[mode, "all", directory], "done\n")).into(),
        ),
        ("events", vec![run(&[directory], "done\n")]),
        ("fork", vec![run(&[], "done\n")]),
        ("guest_of", vec![run(&[library.to_str().unwrap()], "")]),
        ("hammer", vec![run(&["25"], "done\n")]),
        ("handlers", vec![run(&["true"], "1\n"), run(&["false"], "")]),
        ("host_faults", ["first", "last", "off"].map(|mode| run(&[mode, directory], "done\n")).into()),
        ("host_functions", vec![run(&[directory], "done\n")]),
        ("host_stacks", ["overflow", "small", "coroutine"].map(|mode| run(&[mode, directory], "done\n")).into()),
        ("host_timers", vec![run(&[directory, cache], "handlers run on threads of the library: 0\n")]),
        ("idle", vec![run(&[], "threads before the first executor: ")]),
        ("jobs", vec![run(&[directory, "300"], "done\n")]),
        ("overload", vec![run(&[directory], "{\"status\":\"error\"")]),
    ]
}

fn all_pass(sanitizer: &str) {
    let ask = |function: &[u8]| asker(function, b"[1,2,3]", ANSWER);
    let catalog = trapping().with("loop", &writer(b"", b"", "(loop $forever (br $forever))"));
    let catalog = catalog.with("ask-count", &ask(b"count")).with("ask-frame", &ask(b"frame"));
    let then_traps = asker(b"look", b"[]", "(drop (call $ask)) unreachable");
    let catalog = catalog.with("ask", &ask(b"f"));
    let catalog = catalog.with("ask-look", &ask(b"look")).with("ask-trap", &then_traps);
    let cache = tempfile::tempdir().unwrap();
    for (name, runs) in programs(&catalog, &cache) {
        let program = sanitized(name, sanitizer);
        for (arguments, prints) in runs {
            let printed = run(command(&program, sanitizer).args(&arguments));
            assert!(printed.starts_with(prints), "{name} {arguments:?} {sanitizer}: {printed}");
        }
    }
}

/// Also those that install handlers for faults and overflow their stacks: the sanitizer's own handlers are then the
/// ones that were there before, and it lets the program replace them.
#[test]
fn under_the_address_and_the_undefined_behaviour_sanitizer() {
    all_pass(ADDRESS);
}

#[test]
fn under_the_thread_sanitizer() {
    all_pass(THREAD);
}

/// The calls of a short program. valgrind sees the library's own accesses too, and the compiled guests'. Under valgrind and
/// beside other work, a compile takes more than the 30 s that calls have by default.
const CALLS: &str = r#"arawn_configure {"pool_slots":4}
arawn_executor_new {"id":"v","runtimes_dir":"CATALOG","cache_dir":"CACHE","limits":{"timeout_ms":600000}}
arawn_execute_runtime {"executor":"v","runtime":"passthrough","input":{"context":[1,"Zoë"]},"meta":true}
arawn_execute_runtime {"executor":"v","runtime":"passthrough","input":{"context":[1,"Zoë"]}}
arawn_execute_runtime {"executor":"v","runtime":"transform","input":{"config":{"expression":"none"}}}
arawn_execute_runtime {"executor":"v","runtime":"unreachable"}
arawn_catalog_register {"executor":"v","name":"twice","language":"lua","script":"return function(i) return i.context * 2 end"}
arawn_execute_runtime {"executor":"v","runtime":"twice","input":{"context":21}}
arawn_execute_runtime {"executor":"v","runtime":"lua","input":{"config":{"script":"return function() while true do end end"}},"limits":{"timeout_ms":300}}
arawn_execute_pipeline {"executor":"v","pipeline":{"steps":[{"name":"a","runtime":"passthrough"},{"name":"b","runtime":"passthrough"}]}}
arawn_submit {"executor":"v","runtime":"passthrough","job":"j"}
arawn_poll {"executor":"v","job":"j","wait_ms":60000}
arawn_execute_runtime {
arawn_catalog_remove {"executor":"v","name":"twice"}
arawn_stats {}
arawn_executor_close {"executor":"v"}
"#;

#[test]
fn under_memcheck() {
    if Command::new("valgrind").arg("--version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "valgrind is missing: apt install valgrind");
        println!("skipped: apt install valgrind, or your system's like");
        return;
    }
    let prove = root().join("tests/c/prove.c");
    let program = compile_c("tests/c/driver.c", "driver-memcheck", &[prove.to_str().unwrap()]);
    // valgrind would read the debug information of all dependencies.
    let directory = tempfile::tempdir().unwrap();
    let library = directory.path().join("libarawn.so.0");
    run(Command::new("strip").arg(target_directory().join("libarawn.so")).arg("-o").arg(&library));
    let (catalog, cache) = (trapping(), directory.path().join("cache"));
    let calls = CALLS.replace("CATALOG", catalog.path().to_str().unwrap()).replace("CACHE", cache.to_str().unwrap());
    let memcheck = || {
        let mut command = Command::new("valgrind");
        command.args(["--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite", "--quiet"]);
        command.arg(&program).env("LD_LIBRARY_PATH", directory.path());
        command
    };
    for (fault, report) in [("address", "Invalid read"), ("leak", "definitely lost")] {
        let output = memcheck().env("PROVE", fault).output().unwrap();
        let (status, stderr) = (output.status, String::from_utf8_lossy(&output.stderr));
        assert!(status.code() == Some(9) && stderr.contains(report), "memcheck {fault}: {status} {stderr}");
    }
    let (status, replies, told) = answer(memcheck(), &calls);
    assert_eq!(status, Some(0), "{told}\n{replies}");
    let expected = [
        "ok",
        "ok",
        "ok",
        "ok",
        "runtime_error",
        "trap",
        "ok",
        "ok",
        "timeout",
        "ok",
        "ok",
        "ok",
        "invalid_json",
        "ok",
        "ok",
        "ok",
    ];
    let replies: Vec<Value> = replies.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let codes: Vec<&str> = replies.iter().map(|reply| reply["code"].as_str().unwrap_or("ok")).collect();
    assert_eq!(codes, expected, "{replies:?}");
    assert_eq!(replies[7]["output"], 42);
}

/// How a program ends that reads these lines, and what it prints on stdout and on stderr.
fn answer(mut command: Command, lines: &str) -> (Option<i32>, String, String) {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// driver.c only passes calls on, foreign_faults.c and warm_call.c count allocations, which a sanitizer makes itself, and abi.c
/// is run under the address sanitizer by tests/interface/abi.rs. Those that are preloaded are no programs.
#[test]
fn no_program_is_forgotten() {
    let (catalog, cache) = (Catalog::new(), tempfile::tempdir().unwrap());
    let mut known: Vec<&str> = programs(&catalog, &cache).into_iter().map(|(name, _)| name).collect();
    known.extend(["abi", "driver", "foreign_faults", "prove", "warm_call"]);
    known.extend(["hide_proc", "names_that_change", "reads_that_hang", "refuse_mappings"]);
    for file in std::fs::read_dir(root().join("tests/c")).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(
            path.extension().unwrap() != "c" || known.contains(&name),
            "add {name} to tests/languages/sanitizers.rs"
        );
    }
}
