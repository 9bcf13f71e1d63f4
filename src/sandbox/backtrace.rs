//! The functions on a guest's stack when it trapped, by the names that its module gives them.

use crate::catalog::RuntimeEntry;
#[cfg(feature = "compiler")]
use crate::debug_info::Place;
use crate::error::{MOST_QUOTED, quoted};
use crate::jobs::Deadline;
use std::sync::Arc;
use wasmtime::{FrameInfo, WasmBacktrace};

/// The guest that a backtrace is of, by which the lines of its source are found.
#[cfg_attr(not(feature = "compiler"), allow(dead_code, reason = "lines are found where there is a compiler"))]
pub(crate) struct Traced {
    pub frames: Vec<Frame>,
    pub entry: Arc<RuntimeEntry>,
    pub deadline: Deadline,
}

/// One function on the stack.
#[cfg_attr(not(feature = "compiler"), allow(dead_code, reason = "lines are found where there is a compiler"))]
pub(crate) struct Frame {
    /// The number, the offset in the file and the module.
    head: String,
    function: String,
    /// In the file that has the function. What wasmtime adds to a component is in no file, and has no names.
    pub offset: Option<u64>,
}

/// Innermost first.
pub(super) fn frames(error: &wasmtime::Error) -> Vec<Frame> {
    let frames = error.downcast_ref::<WasmBacktrace>().map_or(&[][..], WasmBacktrace::frames);
    frames.iter().enumerate().map(|(number, frame)| Frame::new(number, frame)).collect()
}

/// One line a frame: number, offset in the file, `module!function`.
pub(super) fn lines(frames: &[Frame]) -> Vec<String> {
    frames.iter().map(Frame::line).collect()
}

/// The same with the places in the source of each frame as far as they are known. An inlined function has a line before the
/// one of the function that it was inlined into.
#[cfg(feature = "compiler")]
pub(crate) fn lines_with_places(frames: &[Frame], places: &[Vec<Place>]) -> Vec<String> {
    /// What inlined functions may add to all frames.
    const MOST_INLINED: usize = 64;
    let (mut lines, mut inlined) = (Vec::new(), 0);
    for (index, frame) in frames.iter().enumerate() {
        let mut has_own = false;
        for Place { inlined: name, file, line, column } in places.get(index).map_or(&[][..], Vec::as_slice) {
            let function = match name {
                Some(_) if inlined >= MOST_INLINED => continue,
                Some(name) => {
                    inlined += 1;
                    format!("{} (inlined)", quoted(&demangled(name)))
                }
                None => {
                    has_own = true;
                    frame.function.clone()
                }
            };
            let column = if *column == 0 { String::new() } else { format!(":{column}") };
            lines.push(format!("{}{function} at {}:{line}{column}", frame.head, quoted(file)));
        }
        if !has_own {
            lines.push(frame.line());
        }
    }
    lines
}

impl Frame {
    fn new(number: usize, frame: &FrameInfo) -> Self {
        let offset = frame.module_offset().map_or_else(String::new, |offset| format!("{offset:#8x} - "));
        let module = frame.module().name().map_or("<unknown>".into(), quoted);
        let function = match frame.func_name() {
            Some(name) => quoted(&demangled(name)).into_owned(),
            None => format!("<wasm function {}>", frame.func_index()),
        };
        let is_of_file = frame.func_name().is_some();
        Frame {
            head: format!("{number}: {offset}{module}!"),
            function,
            offset: frame.module_offset().filter(|_| is_of_file).map(|offset| offset as u64),
        }
    }

    fn line(&self) -> String {
        format!("{}{}", self.head, self.function)
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "compiler")]
    #[test]
    fn places_are_told_with_what_is_inlined_cut_and_cleaned() {
        let frame = |number: u32| Frame { head: format!("{number}: m!"), function: "f".into(), offset: None };
        let place = |inlined: Option<&str>, file: &str, column| Place {
            inlined: inlined.map(str::to_owned),
            file: file.to_owned(),
            line: 3,
            column,
        };
        let rust = "_ZN4core9panicking5panic17h0123456789abcdefE";
        let places =
            [vec![place(Some(rust), "a\u{202e}\n", 0), place(None, "b.c", 7)], vec![], vec![place(Some("g"), "c", 1)]];
        let lines = lines_with_places(&[frame(0), frame(1), frame(2), frame(3)], &places);
        assert_eq!(
            lines,
            [
                "0: m!core::panicking::panic (inlined) at a\\u{202e}\\n:3",
                "0: m!f at b.c:3:7",
                "1: m!f",
                "2: m!g (inlined) at c:3:1",
                "2: m!f",
                "3: m!f",
            ]
        );
        let many = vec![[vec![place(Some("g"), &"x".repeat(5000), 1); 16], vec![place(None, "b.c", 7)]].concat(); 20];
        let frames: Vec<Frame> = (0..20).map(frame).collect();
        let lines = lines_with_places(&frames, &many);
        assert_eq!(lines.len(), 20 + 64);
        assert!(lines.iter().all(|line| line.len() < 2 * MOST_QUOTED));
    }

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
