//! What a process asks of the system that a system without executable memory refuses, as strace shows it.

use crate::common::{new_process_under, run};
use serde_json::Value;
use std::process::Command;

/// How often each was done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Traced {
    /// Memory was made executable, other than by the loader.
    pub executable: usize,
    /// A handler was installed for one of the signals of faults, by which machine code traps.
    pub handlers: usize,
}

pub fn there_is_strace() -> bool {
    let found = Command::new("strace").arg("-V").output().is_ok();
    if !found {
        assert!(std::env::var_os("CI").is_none(), "strace is missing: apt install strace");
        println!("skipped: which memory is made executable; apt install strace");
    }
    found
}

/// What the calls do in a process of their own, which a wrapper may start.
pub fn of(wrapper: &[&str], calls: &[(&str, Value)]) -> Traced {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("log");
    let out = format!("--output={}", log.display());
    let watched = "trace=mmap,mprotect,pkey_mprotect,mremap,rt_sigaction";
    let strace = ["strace", "-f", "-e", watched, &out];
    let printed = run(&mut new_process_under(&[&strace, wrapper].concat(), calls));
    assert_eq!(printed.lines().count(), calls.len(), "{printed}");
    let log = std::fs::read_to_string(log).unwrap();
    // A library's own code is mapped from its file as the loader does; what is made executable later is not.
    let is_of_loader = |line: &&str| line.contains("mmap(") && line.contains("MAP_DENYWRITE");
    let executable = log.lines().filter(|line| line.contains("PROT_EXEC")).filter(|line| !is_of_loader(line)).count();
    Traced { executable, handlers: log.lines().filter(|line| installs_handler(line)).count() }
}

/// Where a handler is asked for or taken away, the action is none, SIG_DFL or SIG_IGN.
fn installs_handler(line: &str) -> bool {
    let faults = ["SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE", "SIGTRAP"];
    let Some((_, arguments)) = line.split_once("rt_sigaction(") else { return false };
    let Some((signal, action)) = arguments.split_once(", ") else { return false };
    let is_action = action.starts_with("{sa_handler=") || action.starts_with("{sa_sigaction=");
    faults.contains(&signal) && is_action && !action.contains("=SIG_DFL,") && !action.starts_with("{sa_handler=SIG_IGN")
}
