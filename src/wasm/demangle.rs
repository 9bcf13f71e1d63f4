//! Names of functions, as their source has them.

use crate::error::{MOST_QUOTED, quoted};
use wasmtime::FrameInfo;

/// The name of a function of Rust as its source has it. Names of C++ stay as they are: 400 bytes of one can stand for gigabytes.
pub(crate) fn demangled(name: &str) -> String {
    #[cfg(feature = "compiler")]
    if name.starts_with("_ZN")
        && name.len() <= MOST_QUOTED
        && let Ok(rust) = rustc_demangle::try_demangle(name)
    {
        return format!("{rust:#}");
    }
    // More than is quoted, so that it shows that the name is cut.
    name.chars().take(MOST_QUOTED + 1).collect()
}

/// What to call the function of a frame.
pub(crate) fn function_name(frame: &FrameInfo) -> String {
    match frame.func_name() {
        Some(name) => quoted(&demangled(name)).into_owned(),
        None => format!("<wasm function {}>", frame.func_index()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_rust_are_told_as_in_the_source_and_others_as_they_are() {
        let rust = "_ZN4core9panicking5panic17h0123456789abcdefE";
        assert_eq!(demangled(rust), if cfg!(feature = "compiler") { "core::panicking::panic" } else { rust });
        for name in ["_Z1f1AIiiES_I3fooE", "_start", "$d", "_RNvC1a1b"] {
            assert_eq!(demangled(name), name);
        }
        assert_eq!(demangled(&"x".repeat(1 << 20)).len(), MOST_QUOTED + 1);
    }
}
