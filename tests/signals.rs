//! Signals and stacks of the host: each program recovers from faults of its own before and after guests trap.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod common;

use common::{Catalog, compile_c, library_path, run, trapping};
use std::process::Command;

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
