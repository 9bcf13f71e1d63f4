//! Signals and stacks of the host: each program recovers from faults of its own before and after guests trap.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

#[path = "../common/mod.rs"]
mod common;

use common::{ANSWER, Catalog, asker, compile_c, library_path, root, run, target_directory, trapping};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output};

fn program(name: &str, mode: &str, catalog: &Catalog) -> Command {
    let compiled = compile_c(&format!("tests/c/{name}.c"), &format!("{name}-{mode}"), &[]);
    let mut command = Command::new(compiled);
    command.arg(mode).arg(catalog.path()).env("LD_LIBRARY_PATH", library_path());
    command
}

#[test]
fn a_hosts_own_faults_still_reach_its_handlers() {
    let catalog = trapping();
    for mode in ["first", "last", "off"] {
        assert_eq!(run(&mut program("host_faults", mode, &catalog)), "done\n", "{mode}");
    }
}

/// What the header asks of a host that installs its handlers late. Without it the guest's fault is taken for the
/// host's, which here ends the process.
#[test]
fn a_late_handler_that_passes_nothing_on_gets_the_guests_faults() {
    let output = program("host_faults", "unchained", &trapping()).output().unwrap();
    assert_eq!((output.status.code(), &*output.stdout), (Some(3), &b""[..]), "{output:?}");
}

#[test]
fn a_host_may_overflow_its_own_stack_beside_guests_that_overflow_theirs() {
    assert_eq!(run(&mut program("host_stacks", "overflow", &trapping())), "done\n");
}

#[test]
fn guests_overflow_their_stacks_on_threads_of_every_size() {
    assert_eq!(run(&mut program("host_stacks", "small", &trapping())), "done\n");
}

/// The first thread's stack is as large as the limit of the process says.
#[test]
fn the_first_thread_may_have_a_stack_of_any_size() {
    let catalog = trapping();
    let program = program("host_stacks", "small", &catalog);
    for kib in ["128", "1024", "1200", "100000", "unlimited"] {
        let script = format!("ulimit -s {kib} 2>/dev/null; exec \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script, "sh"]).arg(program.get_program()).args(program.get_args());
        assert_eq!(run(command.env("LD_LIBRARY_PATH", library_path())), "done\n", "{kib}");
    }
}

#[test]
fn calls_work_and_trap_on_the_stacks_of_coroutines() {
    assert_eq!(run(&mut program("host_stacks", "coroutine", &trapping())), "done\n");
}

#[test]
fn timers_of_the_host_do_no_harm_and_run_on_its_own_threads() {
    let (catalog, cache) = (trapping(), tempfile::tempdir().unwrap());
    let compiled = compile_c("tests/c/host_timers.c", "host_timers", &[]);
    let mut command = Command::new(compiled);
    command.arg(catalog.path()).arg(cache.path()).env("LD_LIBRARY_PATH", library_path());
    assert_eq!(run(&mut command), "handlers run on threads of the library: 0\n");
}

/// Runs `blocked_signals` in a process for each signal.
fn blocked_signals(mode: &str) {
    let ask = |body: &str| asker(b"look", b"[]", body);
    let catalog = trapping().with("ask-look", &ask(ANSWER)).with("ask-trap", &ask("(drop (call $ask)) unreachable"));
    let compiled = compile_c("tests/c/blocked_signals.c", &format!("blocked_signals-{mode}"), &[]);
    for signal in ["SEGV", "ILL", "FPE", "all"] {
        let mut command = Command::new(&compiled);
        command.args([mode, signal]).arg(catalog.path()).env("LD_LIBRARY_PATH", library_path());
        assert_eq!(run(&mut command), "done\n", "{signal}");
    }
}

#[test]
fn guests_trap_on_threads_that_block_signals() {
    blocked_signals("calls");
}

#[test]
fn a_thread_that_blocks_signals_may_be_the_first_to_call() {
    blocked_signals("first");
}

#[test]
fn submitted_calls_trap_on_workers_that_a_thread_starts_that_blocks_signals() {
    blocked_signals("submitted");
}

#[test]
fn host_functions_find_the_mask_that_the_host_has_set() {
    blocked_signals("callback");
}

#[test]
fn threads_of_the_library_have_the_same_mask_whoever_starts_them() {
    blocked_signals("threads");
}

/// Runs `foreign_faults`, which is not linked to the library but loads it.
fn foreign_faults(modes: &[&str], check: impl Fn(&str, Output)) {
    let out =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("foreign_faults-{}-{}", modes[0], std::process::id()));
    let mut compile = Command::new("cc");
    compile.args(["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror"]).arg(root().join("tests/c/foreign_faults.c"));
    run(compile.arg("-o").arg(&out).args(["-ldl", "-pthread"]));
    let (catalog, library) = (trapping(), target_directory().join("libarawn.so"));
    for mode in modes {
        for signal in ["SEGV", "FPE", "ILL"] {
            let mut command = Command::new(&out);
            check(signal, command.args([mode, signal]).arg(&library).arg(catalog.path()).output().unwrap());
        }
    }
}

#[test]
fn a_hosts_own_fault_reaches_its_handler_before_anybody_allocates() {
    foreign_faults(&["siginfo", "plain", "masked", "ignored"], |_, output| {
        assert!(output.status.success() && output.stdout == b"done\n", "{output:?}");
    });
}

#[test]
fn without_a_handler_of_the_hosts_its_fault_ends_it() {
    foreign_faults(&["default", "once", "sent"], |signal, output| {
        let number = match signal {
            "SEGV" => libc::SIGSEGV,
            "FPE" => libc::SIGFPE,
            _ => libc::SIGILL,
        };
        assert_eq!((output.status.signal(), &*output.stderr), (Some(number), &b""[..]), "{output:?}");
    });
}
