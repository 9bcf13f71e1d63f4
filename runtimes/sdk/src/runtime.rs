//! The macro by which one source is a command and a reactor.

/// Makes a library crate a runtime that may begin from snapshots, of the closure or function that [`run`](crate::run)
/// takes. `init` is an expression that is evaluated before the snapshot is taken; what it makes belongs in a `static`.
///
/// ```
/// use std::sync::LazyLock;
///
/// static SQUARES: LazyLock<Vec<u64>> = LazyLock::new(|| (0..1000).map(|n| n * n).collect());
///
/// fn square(_config: arawn_sdk::Context, context: usize) -> Result<u64, String> {
///     SQUARES.get(context).copied().ok_or_else(|| "context must be below 1000".to_owned())
/// }
///
/// arawn_sdk::runtime!(square, init = LazyLock::force(&SQUARES));
/// ```
///
/// The macro makes two exports of a module, and a function:
///
/// | item | what it does |
/// | --- | --- |
/// | `arawn_init` | evaluates `init`. Missing where there is no `init` |
/// | `arawn_run` | runs the runtime once |
/// | `pub fn main()` | does both, for a command. `src/main.rs` calls it |
///
/// A reactor is the crate type `cdylib`, which cargo makes of any library:
///
/// ```sh
/// cargo rustc --release --target wasm32-wasip1 --lib --crate-type cdylib
/// ```
///
/// `init` must not do what refuses a snapshot. The standard library's `HashMap` takes random bytes when the first one of
/// a thread is made: use a `BTreeMap`, or say `shared_random = true` in the entry.
#[macro_export]
macro_rules! runtime {
    ($run:expr $(,)?) => {
        $crate::runtime!(@items {} $run);
    };
    ($run:expr, init = $init:expr $(,)?) => {
        #[cfg(target_os = "wasi")]
        #[allow(unsafe_code, reason = "the host finds the function by its name")]
        const _: () = {
            #[unsafe(export_name = "arawn_init")]
            extern "C" fn arawn_init() {
                let _ = $init;
            }
        };
        $crate::runtime!(@items { let _ = $init; } $run);
    };
    (@items { $($init:tt)* } $run:expr) => {
        #[cfg(target_os = "wasi")]
        #[allow(unsafe_code, reason = "the host finds the function by its name")]
        const _: () = {
            #[unsafe(export_name = "arawn_run")]
            extern "C" fn arawn_run() {
                $crate::read_variables_anew();
                $crate::run($run);
            }
        };

        /// Runs the runtime as a command.
        pub fn main() {
            $($init)*
            $crate::run($run);
        }
    };
}

/// Lets `std::env` read the variables of this call. The C library keeps those that it has read before a snapshot.
#[cfg(target_os = "wasi")]
#[doc(hidden)]
#[allow(unsafe_code, reason = "a function of the C library")]
pub fn read_variables_anew() {
    // Declared in wasi/libc-environ.h.
    unsafe extern "C" {
        fn __wasilibc_deinitialize_environ();
    }
    // SAFETY: a module without threads has no other reader of the variables, and `std::env` keeps no pointer to them.
    unsafe { __wasilibc_deinitialize_environ() };
}
