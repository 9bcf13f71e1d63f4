//! The compiler, and its replacement in a build without one.

pub(crate) use implementation::{compatibility, compile, configure};

#[cfg(feature = "compiler")]
mod implementation {
    use crate::error::{Error, Result};
    use crate::panics::silence_panics;
    use crate::sha256::Sha256Hasher;
    use crate::threads;
    use crate::wasm::{COMPILE_STACK, Kind, module_invalid};
    use once_cell::sync::OnceCell;
    use rayon::{ThreadPool, ThreadPoolBuilder};
    use std::hash::Hash;
    use std::io;
    use std::num::NonZero;
    use std::thread;
    use wasmtime::{Config, Engine};

    /// Configures the compiler so that its code computes the same on every processor.
    pub fn configure(config: &mut Config) {
        config.cranelift_nan_canonicalization(true);
    }

    /// The name of the directory of artifacts that this engine can load: a hash of its settings, its wasmtime version
    /// and its processor.
    pub fn compatibility(engine: &Engine) -> Option<String> {
        let mut settings = Sha256Hasher::default();
        engine.precompile_compatibility_hash().hash(&mut settings);
        Some(format!("{:.32}", settings.sum()))
    }

    /// Compiles on threads of the library. Small modules have a thread that no large module uses. A panic of the
    /// compiler continues in the caller.
    pub fn compile(name: &str, engine: &Engine, kind: Kind, wasm: &[u8], is_small: bool) -> Result<Vec<u8>> {
        let pool = if is_small { small_pool()? } else { pool()? };
        let artifact = pool.install(|| match kind {
            Kind::Module => engine.precompile_module(wasm),
            Kind::Component => engine.precompile_component(wasm),
        });
        artifact.map_err(|error| {
            let exhausted = Error::exhausted_wasmtime("to compile", &error);
            exhausted.unwrap_or_else(|| module_invalid(name, format!("{error:#}")))
        })
    }

    /// The pool for modules that are not small: one thread for each processor. rayon's global pool would print the
    /// messages of panics on the host's stderr.
    fn pool() -> Result<&'static ThreadPool> {
        static POOL: OnceCell<ThreadPool> = OnceCell::new();
        // The number is given, so that the host's environment does not change it (RAYON_NUM_THREADS).
        POOL.get_or_try_init(|| pool_of(thread::available_parallelism().map_or(1, NonZero::get)))
    }

    fn small_pool() -> Result<&'static ThreadPool> {
        static POOL: OnceCell<ThreadPool> = OnceCell::new();
        POOL.get_or_try_init(|| pool_of(1))
    }

    fn pool_of(count: usize) -> Result<ThreadPool> {
        let builder = ThreadPoolBuilder::new().num_threads(count).thread_name(|index| format!("arawn-code-{index}"));
        let builder = builder.stack_size(COMPILE_STACK).start_handler(|_| {
            threads::block_signals();
            silence_panics();
        });
        threads::with_signals_blocked(|| builder.build()).map_err(|error| {
            let cause = std::error::Error::source(&error).and_then(|cause| cause.downcast_ref::<io::Error>());
            cause.map_or_else(|| Error::internal(&error), |cause| Error::system("to start compilers", cause))
        })
    }

    #[cfg(test)]
    #[allow(clippy::unwrap_used, reason = "a test may fail loudly")]
    mod tests {
        use super::*;
        use crate::panics::catch;
        use rayon::prelude::*;
        use std::process::Command;

        /// The panic happens in another process, so that nothing else writes to its stderr.
        #[test]
        fn a_panic_of_the_compiler_is_an_error_and_prints_nothing() {
            const CHILD: &str = "ARAWN_TEST_COMPILER_PANICS";
            let panics = || -> usize { pool().unwrap().install(|| (0..100).into_par_iter().map(panic_at).sum()) };
            if std::env::var_os(CHILD).is_some() {
                let error = catch(|| Ok(panics())).unwrap_err();
                assert!(error.to_string().contains("at 50"), "{error}");
                return;
            }
            let name = "compiler::implementation::tests::a_panic_of_the_compiler_is_an_error_and_prints_nothing";
            let mut command = Command::new(std::env::current_exe().unwrap());
            let child = command.args(["--exact", name, "--nocapture"]).env(CHILD, "1").output().unwrap();
            let stdout = String::from_utf8_lossy(&child.stdout);
            assert!(child.status.success() && stdout.contains("1 passed"), "{child:?}");
            assert_eq!(String::from_utf8_lossy(&child.stderr), "");
        }

        fn panic_at(number: usize) -> usize {
            if number == 50 {
                panic!("at {number}");
            }
            number
        }
    }
}

#[cfg(not(feature = "compiler"))]
mod implementation {
    use crate::error::{Error, Result};
    use crate::wasm::Kind;
    use wasmtime::{Config, Engine};

    pub fn configure(_config: &mut Config) {}

    /// There is no name: it is made from the settings of the compiler.
    pub fn compatibility(_engine: &Engine) -> Option<String> {
        None
    }

    pub fn compile(name: &str, _engine: &Engine, _kind: Kind, _wasm: &[u8], _is_small: bool) -> Result<Vec<u8>> {
        Err(Error::Unsupported {
            message: format!(
                "this build of libarawn has no compiler: it runs what a full build of the same version has compiled \
                 into the executor's `cache_dir`, and finds nothing there for the runtime `{name}`; run it once in a \
                 full build, on a machine of this kind and under the same options, with that `cache_dir`"
            ),
        })
    }
}
