//! What a file of WebAssembly is, as far as its bytes tell before anything is compiled.
//!
//! [`Surface`] is what a file declares: its kind and its imports. [`Shape`] is the pass before the compiler: one walk over the
//! whole file that counts what the compiler's time, memory and stack depend on, and finds out what would keep a guest from
//! being run. Neither validates: that is the compiler's part, which sees only what the pass has let through.
//!
//! 1. The walk is linear in the file. What is read twice is read a fixed number of times.
//! 2. It recurses for nested component types alone, at most `type_depth` deep.
//! 3. It keeps a few bytes for each type, function and item of a component that it has read; no count that a file claims is
//!    allocated for. The frames of one function are kept up to `block_depth`, and 12 bytes for each of its blocks, branches
//!    and accesses to locals.
//! 4. What it cannot read it refuses, with wasmparser's message: nothing reaches the compiler uncounted.

#[cfg(feature = "compiler")]
mod shape;
mod surface;

#[cfg(feature = "compiler")]
pub(crate) use shape::{COUNTED_BY_STORES, Provided, Shape, Signature};
pub(crate) use surface::Surface;

use crate::error::{Error, Result};

/// The stack of a thread that compiles or loads, in bytes.
///
/// Validator and compiler recurse by the nesting of instance and component types, of which `type_depth` allows 50: 4 KB a
/// level for those that are written inside each other (2 MiB were overflowed by 527 levels of instance types and 993 of
/// component types), less for those that refer to each other, thus 0.2 MiB. What else goes deep in them is bounded by
/// wasmparser: 100 levels of values, 63 supertypes. The rest is room: a stack is address space until it is used.
pub(crate) const COMPILE_STACK: usize = 16 << 20;

/// The two kinds of WebAssembly, told apart by their first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Module,
    Component,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Module => "module",
            Kind::Component => "component",
        }
    }

    /// Which kind it is; an error that says what is wrong with bytes that no compiler need look at.
    pub fn of(name: &str, wasm: &[u8]) -> Result<Self> {
        match wasm {
            [] => Err(module_invalid(name, "the file is empty")),
            [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Ok(Kind::Module),
            [0, b'a', b's', b'm', _, 0, 1, 0, ..] if cfg!(feature = "components") => Ok(Kind::Component),
            [0, b'a', b's', b'm', _, 0, 1, 0, ..] => Err(Error::Unsupported {
                message: format!("the runtime `{name}` is a component; this build runs modules alone"),
            }),
            _ => Err(module_invalid(name, "it is not WebAssembly: the first bytes are not `\\0asm` and version 1")),
        }
    }
}

pub(crate) fn module_invalid(name: &str, message: impl Into<String>) -> Error {
    Error::ModuleInvalid { runtime: name.to_owned(), message: message.into(), import: None }
}
