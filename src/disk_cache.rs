//! The disk cache: compiled modules and components that processes share.
//!
//! ```text
//! <directory>/<compatibility>/<sha256 of the wasm>.cwasm      artifact
//!                             <sha256 of the wasm>.gc.cwasm   artifact whose guests have a garbage-collected heap
//!                             <sha256 of the wasm>.code.cwasm artifact of the module without its data, or `.gc.code`
//!                             <hash of a key>.snapshot        snapshot of an initialised runtime
//!                             <stem>.sha256                   seal of <stem>.cwasm or of the snapshot <stem>: its
//!                                                             SHA-256 and, once it is synced, its identity
//!                             <hash of a path>.wasm-hash      record: the SHA-256 of a catalog's `.wasm` file
//!                             *.tmp                           file that is being written
//! ```
//!
//! An artifact is machine code that will run outside the sandbox. It is trusted only if nobody else can have written
//! it; [`DiskCache::open_trusted`] is the one place that decides this. Anything wrong with an artifact makes the
//! look-up a miss.
//!
//! An artifact is written in two steps, so that no call waits for the disk:
//!
//! 1. [`DiskCache::store`] writes the artifact and a seal with its digest. Every process finds the artifact from then
//!    on. It reads all of it and compares the digest, because a computer that stopped meanwhile may have left a torn
//!    file.
//! 2. [`DiskCache::sync`] waits for the disk, and then adds the identity of the file to the seal: device, inode, size
//!    and times of the last change. A process that finds a file with this identity reads nothing of it to check it. If
//!    a process ends before this step, a later process that has read the artifact does it.
//!
//! ```text
//! absent ──store──> seal: digest ──sync──> seal: digest + identity
//!                   (read in full           (trusted as long as the
//!                    by each process)        file has this identity)
//! ```

mod artifact;
mod cache;
mod contents;
mod counters;
mod eviction;
mod names;
mod records;
mod trusted;
mod unsynced;

pub use contents::{CachedCode, Cleared, CodeCache};

pub(crate) use artifact::deserialize;
pub(crate) use cache::DiskCache;
pub(crate) use counters::COUNTERS;
pub(crate) use names::Form;
pub(crate) use unsynced::Unsynced;
