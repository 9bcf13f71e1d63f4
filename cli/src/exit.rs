//! The exit status of the program, which tells scripts whose fault a failure is.

use arawn::Code;
use std::process::ExitCode;

/// The statuses, as the help lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Success = 0,
    /// A runtime answered with an error of its own.
    Runtime = 1,
    /// The command line, the document or what goes with it is not as it must be.
    Usage = 2,
    /// A guest trapped or exited.
    Guest = 3,
    /// A limit ended the run.
    Limit = 4,
    /// Everything else: catalog, module, system, defect.
    Host = 5,
    /// Ctrl-C: 128 and the number of SIGINT, as shells have it.
    Interrupted = 130,
    /// Nobody reads stdout any more: 128 and the number of SIGPIPE.
    Unread = 141,
}

pub const HELP: &str = "\
Exit status:
  0    the output is on stdout
  1    a runtime answered with an error
  2    the command line or the document is wrong
  3    a guest trapped or exited
  4    a limit ended the run: time, memory, output, fuel
  5    anything else: catalog, module, system
  130  interrupted by Ctrl-C
  141  nobody reads stdout any more";

impl From<Code> for Exit {
    fn from(code: Code) -> Self {
        match code {
            Code::RuntimeError => Exit::Runtime,
            Code::InvalidArgument | Code::InvalidJson | Code::InvalidRequest | Code::InvalidConfig => Exit::Usage,
            Code::Trap | Code::Exit => Exit::Guest,
            Code::Timeout
            | Code::MemoryExceeded
            | Code::OutputTooLarge
            | Code::FuelExhausted
            | Code::Overloaded
            | Code::Cancelled => Exit::Limit,
            _ => Exit::Host,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_its_status() {
        let with = |exit: Exit| Code::ALL.iter().filter(|code| Exit::from(**code) == exit).count();
        let counts = [Exit::Success, Exit::Runtime, Exit::Usage, Exit::Guest, Exit::Limit].map(with);
        assert_eq!(counts, [0, 1, 4, 2, 6]);
        for (code, exit) in [
            (Code::RuntimeError, Exit::Runtime),
            (Code::InvalidRequest, Exit::Usage),
            (Code::Trap, Exit::Guest),
            (Code::Cancelled, Exit::Limit),
            (Code::UnknownRuntime, Exit::Host),
            (Code::Internal, Exit::Host),
        ] {
            assert_eq!(Exit::from(code), exit, "{code}");
        }
    }

    #[test]
    fn the_help_lists_each_status() {
        let failures = [Exit::Runtime, Exit::Usage, Exit::Guest, Exit::Limit, Exit::Host];
        for exit in [Exit::Success, Exit::Interrupted, Exit::Unread].into_iter().chain(failures) {
            assert!(HELP.contains(&format!("\n  {:<5}", exit as u8)), "{exit:?}");
        }
    }
}
