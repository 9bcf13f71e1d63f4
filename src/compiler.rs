//! The compiler, and what a build without one does in its place.

pub(crate) use implementation::{compatibility, compile, configure};

#[cfg(feature = "compiler")]
mod implementation {
    use crate::engine::hex;
    use crate::error::Result;
    use crate::module_cache::{Kind, module_invalid};
    use sha2::{Digest, Sha256};
    use std::hash::{Hash, Hasher};
    use wasmtime::{Config, Engine};

    /// Settings for code that computes the same on every processor.
    pub fn configure(config: &mut Config) {
        config.cranelift_nan_canonicalization(true);
    }

    /// Names the directory of artifacts that an engine of these settings, wasmtime version and processor can load.
    pub fn compatibility(engine: &Engine) -> Option<String> {
        let mut hasher = Sha256Hasher(Sha256::new());
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Some(hex(&hasher.0.finalize()[..16]))
    }

    pub fn compile(name: &str, engine: &Engine, kind: Kind, wasm: &[u8]) -> Result<Vec<u8>> {
        let artifact = match kind {
            Kind::Module => engine.precompile_module(wasm),
            Kind::Component => engine.precompile_component(wasm),
        };
        artifact.map_err(|error| module_invalid(name, format!("{error:#}")))
    }

    struct Sha256Hasher(Sha256);

    impl Hasher for Sha256Hasher {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        fn finish(&self) -> u64 {
            0
        }
    }
}

#[cfg(not(feature = "compiler"))]
mod implementation {
    use crate::error::{Error, Result};
    use crate::module_cache::Kind;
    use wasmtime::{Config, Engine};

    pub fn configure(_config: &mut Config) {}

    /// The name is made from the compiler's settings.
    pub fn compatibility(_engine: &Engine) -> Option<String> {
        None
    }

    pub fn compile(name: &str, _engine: &Engine, _kind: Kind, _wasm: &[u8]) -> Result<Vec<u8>> {
        Err(Error::Unsupported {
            message: format!(
                "this build of libarawn has no compiler: it runs what a full build of the same version has compiled \
                 into the executor's `cache_dir`, and finds nothing there for the runtime `{name}`; run it once in a \
                 full build, on a machine of this kind and under the same options, with that `cache_dir`"
            ),
        })
    }
}
