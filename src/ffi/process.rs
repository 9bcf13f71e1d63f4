//! The options of the whole process, and the version of the header.
#![allow(unsafe_code, reason = "the boundary to C")]

use super::boundary::{guard, text};
use crate::config::Options;
use crate::engine;
use crate::protocol::parse_config;
use crate::reply::ok_reply_of;
use std::ffi::c_char;

/// The major version of this header. `arawn_version` returns the version of the library, which may be another one.
pub const ARAWN_VERSION_MAJOR: u32 = 0;
/// The minor version of this header.
pub const ARAWN_VERSION_MINOR: u32 = 1;
/// The patch version of this header.
pub const ARAWN_VERSION_PATCH: u32 = 0;

/// Sets the options of the whole process. A host that calls it must do so before it makes the first executor. Without
/// this call the defaults hold.
///
/// `options_json`, with the defaults; every key may be left out:
///
/// ```json
/// {"pool_slots": 128,               calls that may run at once, 1 to 10000
///  "workers": 4,                    threads that run submitted calls, 1 to 256; started when they are needed
///  "queue": 1024,                   submitted calls and registrations that one executor may have at once: queued,
///                                   running, or ended and not yet polled; 1 to 1000000
///  "module_cache_bytes": 268435456, compiled code that is kept in memory, in bytes
///  "disk_cache_bytes": 1073741824,  compiled code that is kept in each cache directory, in bytes
///  "signal_handlers": true,         false: guests trap without signal handlers, and their code is slower
///  "target": "native"}              "pulley": guests run in an interpreter, see below
/// ```
///
/// - `pool_slots`: each call runs in a slot of a pool, and each pool has `pool_slots` slots. A slot reserves address
///   space, not memory. A pool is made when it is first needed. There are up to three, and as many again for code that
///   counts fuel:
///   - for modules of up to 128 KiB: 4 GiB of address space for each slot;
///   - for large runtimes, which are components and modules of more than 128 KiB: 4 GiB for each slot;
///   - for guests with a heap of objects or with exceptions: 8 GiB for each slot.
/// - A slot of a large runtime stays ready for the runtime that it ran last. If a host calls hundreds of large
///   runtimes in turn, its calls are faster with as many slots for each processor core as there are such runtimes.
/// - `queue`: while an executor has this many, `arawn_submit` replies `overloaded`.
/// - `module_cache_bytes`: each module in memory also takes a file descriptor. The number of modules is at most a
///   quarter of the descriptors that the process may have, or 16 if that is more.
///
/// - `target`: with `pulley`, modules are compiled to the bytecode of an interpreter, for a host that may not make memory
///   executable, such as on consoles, on iOS and on hardened kernels. The library makes none executable then, and
///   installs no signal handlers. Guests compute more slowly: see docs/slim.md. What was compiled for `pulley` runs on
///   every processor of 64 bits with the same order of bytes: an executor's `cache_dir` may be filled on one machine
///   and copied to others, also to those with a library that has no compiler.
///
/// Reply: `{"status":"ok","output":{…the options in force…}}`. Release it with `arawn_free`.
///
/// Errors: `invalid_config`, also if an executor was made before; `unsupported`, if this build has no interpreter; `invalid_argument`, `invalid_json`.
///
/// # Safety
/// `options_json` is NULL or a string that ends with a NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn arawn_configure(options_json: *const c_char) -> *mut c_char {
    // SAFETY: the caller promises what `text` asks for.
    let text = unsafe { text("options_json", options_json) };
    guard(text, |json| {
        let options: Options = parse_config(json)?;
        ok_reply_of(&engine::configure(options)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_has_the_version_of_the_crate() {
        let macros = format!("{ARAWN_VERSION_MAJOR}.{ARAWN_VERSION_MINOR}.{ARAWN_VERSION_PATCH}");
        assert_eq!(macros, env!("CARGO_PKG_VERSION"));
    }
}
