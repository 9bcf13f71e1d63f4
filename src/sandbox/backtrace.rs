//! The functions on a guest's stack when it trapped, by the names that its module gives them.

use crate::error::{MOST_QUOTED, quoted};
use wasmtime::{FrameInfo, WasmBacktrace};

/// One line a frame, innermost first: number, offset in the module, `module!function`.
pub(super) fn lines(error: &wasmtime::Error) -> Vec<String> {
    let frames = error.downcast_ref::<WasmBacktrace>().map_or(&[][..], WasmBacktrace::frames);
    frames.iter().enumerate().map(|(number, frame)| line(number, frame)).collect()
}

fn line(number: usize, frame: &FrameInfo) -> String {
    let offset = frame.module_offset().map_or_else(String::new, |offset| format!("{offset:#8x} - "));
    let module = frame.module().name().map_or("<unknown>".into(), quoted);
    let function = match frame.func_name() {
        Some(name) => quoted(&demangled(name)).into_owned(),
        None => format!("<wasm function {}>", frame.func_index()),
    };
    format!("{number}: {offset}{module}!{function}")
}

/// The name of a function of Rust as its source has it. Names of C++ stay as they are: 400 bytes of one can stand for gigabytes.
fn demangled(name: &str) -> String {
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
