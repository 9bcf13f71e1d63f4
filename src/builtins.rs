//! The runtimes that are embedded in the library.

use crate::module_cache::Sha;

/// An embedded runtime.
#[derive(Debug)]
pub(crate) struct Builtin {
    pub name: &'static str,
    pub description: &'static str,
    pub wasm: &'static [u8],
}

macro_rules! builtin {
    ($name:literal, $description:literal) => {
        Builtin {
            name: $name,
            description: $description,
            wasm: include_bytes!(concat!("../runtimes/prebuilt/", $name, ".wasm")),
        }
    };
}

/// What each of them takes and answers is in runtimes/README.md.
pub(crate) static BUILTINS: &[Builtin] = &[
    builtin!("passthrough", "Answers its RuntimeInput, verbatim"),
    builtin!("transform", "Picks values from the context, or fills in text from it"),
    builtin!("file_read", "Reads a file in a granted directory"),
    builtin!("file_write", "Writes a file in a granted directory, whole or not at all"),
    #[cfg(feature = "http")]
    builtin!("http", "Makes an HTTP request that capabilities.http allows"),
];

/// `sha256sum`'s format: so no process needs to hash what was hashed when it was built.
const SUMS: &str = include_str!("../runtimes/prebuilt/SHA256SUMS");

impl Builtin {
    pub fn sha256(&self) -> Sha {
        let line = SUMS.lines().find(|line| line[64..].trim_start_matches([' ', '*']) == format!("{}.wasm", self.name));
        line.and_then(|line| parse_sha256(&line[..64])).unwrap_or_default()
    }
}

/// 64 hexadecimal digits.
pub(crate) fn parse_sha256(text: &str) -> Option<Sha> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut sha = [0; 32];
    for (index, byte) in sha.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(sha)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::{Digest, Sha256};

    /// A panic's message carries the path of its source; those of the machine that built a file are nobody's business,
    /// and would make the file another one on every machine.
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
            assert_eq!(builtin.sha256(), <Sha>::from(Sha256::digest(builtin.wasm)), "{}", builtin.name);
        }
    }
}
