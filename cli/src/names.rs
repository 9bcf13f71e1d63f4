//! The names of runtimes.

use crate::failed::{Failed, Result};
use arawn::{CacheDir, Code, ExecutorConfig, ModuleSource, Registration, ScriptExecutor};

/// Has the library say whether a runtime may have this name. An executor without a directory registers nothing, and looks
/// at the name first.
pub fn check(name: &str) -> Result<()> {
    let executor = ScriptExecutor::new(ExecutorConfig { cache_dir: CacheDir::Off, ..ExecutorConfig::default() })?;
    let refused = executor.register(Registration::new(name, ModuleSource::Bytes(Vec::new()))).err();
    match refused.map(|error| error.as_code()) {
        Some(Code::InvalidRequest) => Err(refusal(name)),
        Some(Code::BuiltinRuntime) => {
            let text = format!("`{name}` is a runtime that comes with libarawn: choose another name");
            Err(Failed::usage(text).hint(format!("such as `my-{}`", name.replace('_', "-"))))
        }
        _ => Ok(()),
    }
}

/// The failure for a name that no runtime may have.
pub fn refusal(name: &str) -> Failed {
    let rule =
        "a name has a to z, 0 to 9, `.`, `_` and `-`, begins with a letter or a digit, and has at most 64 characters";
    let near = fitting(name).map_or(String::new(), |near| format!(", such as `{near}`"));
    Failed::usage(format!("`{name}` cannot be the name of a runtime")).hint(format!("{rule}{near}"))
}

/// A name that is like this one, if there is one.
fn fitting(name: &str) -> Option<String> {
    let is_plain = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-');
    let plain: String = name.to_lowercase().chars().map(|c| if is_plain(c) { c } else { '-' }).collect();
    let plain = plain.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    Some(plain.chars().take(64).collect()).filter(|near: &String| !near.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_that_the_library_takes() {
        for name in ["greet", "3d", "my.runtime_2-x", "lua", &"a".repeat(64)] {
            assert!(check(name).is_ok(), "{name}");
        }
        let words = |name: &str| check(name).err().map(|failed| failed.words()).unwrap_or_default();
        for (name, near) in [("My Runtime", "`my-runtime`"), ("-x", "`x`"), ("_", "64 characters"), ("../b", "`b`")] {
            let words = words(name);
            assert!(words.starts_with(&format!("`{name}` cannot be the name")) && words.ends_with(near), "{words}");
        }
        assert!(words(&"a".repeat(65)).ends_with(&format!("`{}`", "a".repeat(64))));
        let builtin = words("file_read");
        assert!(builtin.contains("comes with libarawn") && builtin.ends_with("`my-file-read`"), "{builtin}");
    }
}
