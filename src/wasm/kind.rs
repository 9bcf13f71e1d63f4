//! The two kinds of WebAssembly.

use crate::error::{Error, Result};

/// The stack of a thread that compiles or loads code, in bytes.
///
/// The validator and the compiler recurse once for each level of nested instance and component types, of which
/// `type_depth` allows 50. A level of types that are written inside each other takes up to 4 KB: 2 MiB were overflowed
/// by 527 levels of instance types and by 993 levels of component types. Types that refer to each other take less. So
/// 50 levels take 0.2 MiB. wasmparser bounds the other recursions: 100 levels of value types, 63 supertypes. The rest
/// of the stack is a margin, which takes address space and no memory until it is used.
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

    /// The kind that the first bytes tell. An error says why the file cannot be either kind, or cannot be run by this
    /// build.
    pub fn of(name: &str, wasm: &[u8]) -> Result<Self> {
        match wasm {
            [] => Err(module_invalid(name, "the file is empty")),
            [0, b'a', b's', b'm', 1, 0, 0, 0, ..] => Ok(Kind::Module),
            [0, b'a', b's', b'm', _, 0, 1, 0, ..] if cfg!(feature = "components") => Ok(Kind::Component),
            [0, b'a', b's', b'm', _, 0, 1, 0, ..] => Err(Error::Unsupported {
                message: format!("the runtime `{name}` is a component, and this build runs only modules"),
            }),
            _ => Err(module_invalid(name, "it is not WebAssembly: the first bytes are not `\\0asm` and version 1")),
        }
    }
}

pub(crate) fn module_invalid(name: &str, message: impl Into<String>) -> Error {
    Error::ModuleInvalid { runtime: name.to_owned(), message: message.into(), import: None }
}
