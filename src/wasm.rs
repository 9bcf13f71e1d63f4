//! What the bytes of a WebAssembly file tell before anything is compiled.
//!
//! - [`Declarations`] is what a file declares: its kind and its imports.
//! - [`Shape`] is what the pass before the compiler has found. The pass walks once over the whole file, counts what the
//!   compiler's time, memory and stack depend on, and finds what would keep a guest from being run.
//!
//! Neither validates the file. The compiler does, and sees only files that the pass has let through.
//!
//! The pass keeps these bounds:
//!
//! 1. Its time is linear in the size of the file. A part that is read more than once is read a fixed number of times.
//! 2. It recurses into nested component types and nothing else, at most `type_depth` deep.
//! 3. It keeps a few bytes for each type, function and item of a component that it has read, and allocates nothing for
//!    a count that the file only claims. Of one function at a time it keeps the frames, up to `block_depth`, and 12
//!    bytes for each block, branch and access to a local.
//! 4. It refuses a file that it cannot read, with wasmparser's message. So nothing reaches the compiler uncounted.

mod declarations;
mod demangle;
mod kind;
#[cfg(feature = "compiler")]
mod line_section;
mod loaded;
mod separate;
#[cfg(feature = "compiler")]
mod shape;

pub(crate) use declarations::Declarations;
#[cfg(feature = "compiler")]
pub(crate) use demangle::demangled;
pub(crate) use demangle::function_name;
pub(crate) use kind::{COMPILE_STACK, Kind, module_invalid};
#[cfg(feature = "compiler")]
pub(crate) use line_section::is_line_section;
pub(crate) use loaded::LoadedCode;
pub(crate) use separate::component::separate_component;
pub(crate) use separate::{
    COMMAND, INITIALIZE, RUN, Separated, Shifts, is_reactor, is_reactor_module, names, separate, separate_again,
    separate_command,
};
#[cfg(feature = "compiler")]
pub(crate) use shape::{COUNTED_BY_STORES, Provided, Shape, Signature};
