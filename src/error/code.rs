//! The codes of errors: a closed list, in the order of the table in `arawn.h`.

use std::fmt;

macro_rules! codes {
    ($($code:ident = $name:literal,)*) => {
        /// A stable code, which a reply carries and a program may act on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        #[allow(missing_docs, reason = "the names are the codes, which the table of arawn.h describes")]
        pub enum Code {
            $($code,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &[Code] = &[$(Code::$code,)*];

            /// The code as a reply has it.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Code::$code => $name,)*
                }
            }
        }
    };
}

codes! {
    InvalidArgument = "invalid_argument",
    InvalidJson = "invalid_json",
    InvalidRequest = "invalid_request",
    InvalidConfig = "invalid_config",
    UnknownExecutor = "unknown_executor",
    ExecutorExists = "executor_exists",
    UnknownRuntime = "unknown_runtime",
    RuntimeUnavailable = "runtime_unavailable",
    CatalogInvalid = "catalog_invalid",
    CatalogUnwritable = "catalog_unwritable",
    RuntimeExists = "runtime_exists",
    BuiltinRuntime = "builtin_runtime",
    HashMismatch = "hash_mismatch",
    ModuleInvalid = "module_invalid",
    ModuleTooLarge = "module_too_large",
    ScriptInvalid = "script_invalid",
    Trap = "trap",
    Exit = "exit",
    RuntimeError = "runtime_error",
    MalformedOutput = "malformed_output",
    OutputTooLarge = "output_too_large",
    Timeout = "timeout",
    MemoryExceeded = "memory_exceeded",
    FuelExhausted = "fuel_exhausted",
    Cancelled = "cancelled",
    Overloaded = "overloaded",
    NoResources = "no_resources",
    UnknownJob = "unknown_job",
    JobExists = "job_exists",
    UnknownCall = "unknown_call",
    HostFunctionFailed = "host_function_failed",
    Forked = "forked",
    Unsupported = "unsupported",
    Internal = "internal",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
