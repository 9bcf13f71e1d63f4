//! Backtraces: the functions on a guest's stack when it trapped, with the names from its module.

use crate::catalog::RuntimeEntry;
use crate::deadline::Deadline;
#[cfg(feature = "compiler")]
use crate::debug_info::SourceLocation;
use crate::error::quoted;
#[cfg(feature = "compiler")]
use crate::wasm::demangled;
use crate::wasm::{Shifts, function_name};
use std::sync::Arc;
use wasmtime::{FrameInfo, WasmBacktrace};

/// A backtrace and the guest it is of, for finding the source lines.
#[cfg_attr(not(feature = "compiler"), allow(dead_code, reason = "lines are found where there is a compiler"))]
pub(crate) struct GuestBacktrace {
    pub frames: Vec<Frame>,
    pub entry: Arc<RuntimeEntry>,
    pub deadline: Deadline,
}

/// One function on the stack.
#[cfg_attr(not(feature = "compiler"), allow(dead_code, reason = "lines are found where there is a compiler"))]
pub(crate) struct Frame {
    /// The frame's number, its offset in the file and the module's name, as text.
    head: String,
    function: String,
    /// The offset in the file that contains the function. `None` for code that wasmtime adds to a component: such code
    /// is in no file and has no name.
    pub offset: Option<u64>,
}

/// The most frames of an error. wasmtime captures more where samples are taken.
const MOST_FRAMES: usize = 20;

/// The frames of a trap, innermost first.
pub(super) fn frames(error: &wasmtime::Error, shifts: &Shifts) -> Vec<Frame> {
    let frames = error.downcast_ref::<WasmBacktrace>().map_or(&[][..], WasmBacktrace::frames);
    frames.iter().take(MOST_FRAMES).enumerate().map(|(number, frame)| Frame::new(number, frame, shifts)).collect()
}

/// One line for each frame: its number, its offset in the file, and `module!function`.
pub(super) fn lines(frames: &[Frame]) -> Vec<String> {
    frames.iter().map(Frame::line).collect()
}

/// One line for each frame as [`lines`] gives it, with its place in the source if that is known. A function that was
/// inlined has a line of its own, before the line of the function into which it was inlined.
#[cfg(feature = "compiler")]
pub(crate) fn lines_with_places(frames: &[Frame], places: &[Vec<SourceLocation>]) -> Vec<String> {
    /// The most lines that inlined functions may add to one backtrace.
    const MOST_INLINED: usize = 64;
    let (mut lines, mut inlined) = (Vec::new(), 0);
    for (index, frame) in frames.iter().enumerate() {
        let mut has_own = false;
        for SourceLocation { inlined: name, file, line, column } in places.get(index).map_or(&[][..], Vec::as_slice) {
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
    fn new(number: usize, frame: &FrameInfo, shifts: &Shifts) -> Self {
        let in_file = frame.module_offset().and_then(|offset| shifts.in_file(offset as u64));
        let offset = in_file.map_or_else(String::new, |offset| format!("{offset:#8x} - "));
        let module = frame.module().name().map_or("<unknown>".into(), quoted);
        let is_of_file = frame.func_name().is_some();
        Frame {
            head: format!("{number}: {offset}{module}!"),
            function: function_name(frame),
            offset: in_file.filter(|_| is_of_file),
        }
    }

    fn line(&self) -> String {
        format!("{}{}", self.head, self.function)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::MOST_QUOTED;

    #[cfg(feature = "compiler")]
    #[test]
    fn places_are_told_with_what_is_inlined_cut_and_cleaned() {
        let frame = |number: u32| Frame { head: format!("{number}: m!"), function: "f".into(), offset: None };
        let place = |inlined: Option<&str>, file: &str, column| SourceLocation {
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
}
