//! Compiled modules, shared by the whole process: a module comes from memory, from disk or from the compiler.
//!
//! 1. `prepared` looks in `memory`. If the module is there, the call goes on at once.
//! 2. Otherwise the call waits for a load. Calls that want the same share one load, see [`loads`].
//! 3. A lookup thread finds the module in memory or on disk, see [`find`]. If another load works on the same content,
//!    this load waits for it and looks again.
//! 4. If the module is in neither, a compiler thread compiles it.
//! 5. The load ends, and its artifact is written to disk, see [`keeping`]. The calls wait for the write as well, for
//!    half of the time that is left to them at most. They do not wait until the artifact is synced.

mod cache;
mod compiled;
mod failures;
mod find;
mod hashes;
mod keeping;
mod key;
mod loads;
mod memory;
mod module_file;
mod outcome;
mod prepared;
#[cfg(feature = "compiler")]
mod provided;
mod request;
mod step;

pub(crate) use cache::cache;
#[cfg(feature = "components")]
pub(crate) use compiled::RunnableComponent;
pub(crate) use compiled::{CompiledRuntime, Reactor, Runnable, RunnableModule, Start, State};
pub(crate) use hashes::Records;
pub(crate) use key::Tier;
pub(crate) use loads::{look_up, write_later};
pub(crate) use outcome::Compiling;
pub(crate) use prepared::Prepared;
#[cfg(feature = "compiler")]
pub(crate) use provided::shape;
pub(crate) use request::{LoadRequest, Supply, Wanted};
