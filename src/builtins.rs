//! The runtimes that are embedded in the library.

use crate::error::{Error, Result};
use crate::sha256::Sha256;

/// An embedded runtime.
#[derive(Debug)]
pub(crate) struct Builtin {
    pub name: &'static str,
    pub description: &'static str,
    pub wasm: &'static [u8],
    /// Whether an entry of a catalog may have the same name, which it then keeps. Catalogs that were written before a
    /// later version added the runtime go on working.
    pub yields: bool,
}

macro_rules! builtin {
    ($name:literal, $description:literal) => {
        builtin!($name, $description, yields: false)
    };
    ($name:literal, $description:literal, yields: $yields:literal) => {
        Builtin {
            name: $name,
            description: $description,
            wasm: include_bytes!(concat!("../runtimes/prebuilt/", $name, ".wasm")),
            yields: $yields,
        }
    };
}

/// The embedded runtimes. runtimes/README.md says what each one takes and answers.
pub(crate) static BUILTINS: &[Builtin] = &[
    builtin!("passthrough", "Answers its RuntimeInput, verbatim"),
    builtin!("transform", "Picks values from the context, or fills in text from it"),
    builtin!("file_read", "Reads a file in a granted directory"),
    builtin!("file_write", "Writes a file in a granted directory, whole or not at all"),
    #[cfg(feature = "http")]
    builtin!("http", "Makes an HTTP request that capabilities.http allows"),
    #[cfg(feature = "scripts")]
    builtin!("javascript", "Runs a script in JavaScript: the text in the config's `script`", yields: true),
    #[cfg(feature = "scripts")]
    builtin!("lua", "Runs a script in Lua 5.4: the text in the config's `script`", yields: true),
];

/// The sums of the modules, in the format of `sha256sum`. They were computed when the modules were built, so that no
/// process needs to do it.
const SUMS: &str = include_str!("../runtimes/prebuilt/SHA256SUMS");

impl Builtin {
    /// The sum of the runtime's module.
    pub fn sha256(&self) -> Result<Sha256> {
        let file = format!("{}.wasm", self.name);
        let mut lines = SUMS.lines().filter_map(|line| line.split_at_checked(64));
        let line = lines.find(|(_, name)| name.trim_start_matches([' ', '*']) == file);
        let sum = line.and_then(|(sum, _)| sum.parse().ok());
        sum.ok_or_else(|| Error::internal(format!("SHA256SUMS has no sum of {file}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The message of a panic contains the path of its source file. Paths of the machine that built a module would
    /// reveal something about that machine, and would make the module differ from machine to machine.
    #[test]
    fn no_prebuilt_file_has_paths_of_the_machine_that_built_it() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/runtimes/prebuilt");
        let files = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
        let modules: Vec<_> = files.filter(|path| path.extension().is_some_and(|e| e == "wasm")).collect();
        assert!(modules.len() >= BUILTINS.len());
        for path in modules {
            let wasm = std::fs::read(&path).unwrap_or_default();
            for prefix in ["/root/", "/home/", "/usr/", "/tmp/", "/Users/", ".cargo"] {
                let found = wasm.windows(prefix.len()).any(|window| window == prefix.as_bytes());
                assert!(!found && !wasm.is_empty(), "{} contains {prefix}", path.display());
            }
        }
    }

    #[test]
    fn sums_are_those_of_the_files() {
        for builtin in BUILTINS {
            assert_eq!(builtin.sha256().ok(), Some(Sha256::of(builtin.wasm)), "{}", builtin.name);
        }
    }
}
