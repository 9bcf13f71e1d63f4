//! A trusted file with compiled code, and how the code is loaded from it.

use super::names::Form;
use super::unsynced::Unsynced;
use crate::directories::HostDirectory;
use crate::error::Error;
use crate::sys;
use crate::wasm::{Kind, LoadedCode};
use std::fs::File;
use std::io;
use std::sync::Arc;
use wasmtime::{Engine, Module, Precompiled};

/// An open artifact that is trusted, see [`DiskCache::open_trusted`](super::DiskCache::open_trusted).
pub(crate) struct Artifact {
    pub(super) file: File,
    pub bytes: u64,
    pub form: Form,
    /// The cache's directory. A write to the file would change the code that is mapped from it, so no guest may be
    /// granted this directory while the code is loaded.
    pub directory: Arc<HostDirectory>,
    /// The same file, to be synced. `None` if the seal notes this version of the file already, or if the file was
    /// changed so recently that another change might not show.
    pub unsynced: Option<Box<Unsynced>>,
}

impl Artifact {
    /// What the artifact was compiled from; `None` if it is nothing that this build runs.
    pub fn kind(&self) -> Option<Kind> {
        let mut header = [0; ELF_HEADER];
        sys::read_exact_at(&self.file, &mut header, 0).ok()?;
        kind_of(header)
    }

    /// Maps the artifact into memory as code. If the system refuses that, the artifact is read instead. The system
    /// refuses
    ///
    /// - where the file system is mounted `noexec` or supports no mappings;
    /// - to map a component where an open file has no path.
    pub fn deserialize(&self, engine: &Engine, kind: Kind) -> wasmtime::Result<LoadedCode> {
        match self.map(engine, kind) {
            Err(error) if is_refused(&error) => deserialize(engine, kind, &self.read()?),
            mapped => mapped,
        }
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        let size = usize::try_from(self.bytes).map_err(io::Error::other)?;
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(size)?;
        bytes.resize(size, 0);
        sys::read_exact_at(&self.file, &mut bytes, 0)?;
        Ok(bytes)
    }

    fn map(&self, engine: &Engine, kind: Kind) -> wasmtime::Result<LoadedCode> {
        match kind {
            Kind::Module => self.map_module(engine),
            #[cfg(feature = "components")]
            Kind::Component => self.map_component(engine),
            #[cfg(not(feature = "components"))]
            Kind::Component => Err(wasmtime::Error::msg("this build runs only modules, not components")),
        }
    }

    #[allow(unsafe_code, reason = "mapping machine code is the point of the disk cache")]
    fn map_module(&self, engine: &Engine) -> wasmtime::Result<LoadedCode> {
        let file = self.file.try_clone()?;
        // SAFETY: `deserialize_open_file` asks for a file with an artifact of wasmtime that nobody changes while it is
        // mapped. `open_trusted` made sure that this process's user wrote the file, that nobody else can change it, and
        // that its bytes are those that were stored, which `precompile_module` made. This library writes to no file
        // once the file has its name.
        unsafe { Module::deserialize_open_file(engine, file) }.map(LoadedCode::Module)
    }

    #[cfg(feature = "components")]
    #[allow(unsafe_code, reason = "mapping machine code is the point of the disk cache")]
    fn map_component(&self, engine: &Engine) -> wasmtime::Result<LoadedCode> {
        let path = sys::path_of_open(&self.file)?;
        // SAFETY: as in `map_module`. wasmtime maps components by path alone, and this path leads to the open descriptor,
        // so to the file that was checked.
        unsafe { wasmtime::component::Component::deserialize_file(engine, path) }.map(LoadedCode::Component)
    }
}

/// The size, in bytes, of the ELF header with which each artifact begins.
const ELF_HEADER: usize = 64;

/// What an artifact with this header was compiled from.
fn kind_of(mut header: [u8; ELF_HEADER]) -> Option<Kind> {
    // Clears the fields that point to tables elsewhere in the file (`e_phoff`, `e_shoff` and the tables' counts), since
    // the header is all that is passed on.
    header[32..48].fill(0);
    header[54..].fill(0);
    match Engine::detect_precompiled(&header) {
        Some(Precompiled::Module) => Some(Kind::Module),
        #[cfg(feature = "components")]
        Some(Precompiled::Component) => Some(Kind::Component),
        _ => None,
    }
}

/// Whether the system, and not wasmtime, has refused to map an artifact. An exhausted resource does not count: reading
/// the artifact takes the same resource.
fn is_refused(error: &wasmtime::Error) -> bool {
    let mut causes = error.chain();
    let is_of_system = causes.any(|cause| cause.is::<io::Error>() || sys::error_of(cause).is_some());
    is_of_system && Error::exhausted_wasmtime("to map an artifact", error).is_none()
}

/// Loads an artifact from memory. The bytes come from the compiler, from code that is loaded in another pool, or from a
/// trusted file.
#[allow(unsafe_code, reason = "wasmtime cannot know where the bytes come from")]
pub(crate) fn deserialize(engine: &Engine, kind: Kind, artifact: &[u8]) -> wasmtime::Result<LoadedCode> {
    // SAFETY: `deserialize` asks for bytes that wasmtime's compiler made. The callers pass what `precompile_module` or
    // `precompile_component` returned, the same bytes as loaded code keeps them, or the content of a file that
    // `open_trusted` vouches for, as `map_module` says.
    unsafe {
        match kind {
            Kind::Module => Module::deserialize(engine, artifact).map(LoadedCode::Module),
            #[cfg(feature = "components")]
            Kind::Component => wasmtime::component::Component::deserialize(engine, artifact).map(LoadedCode::Component),
            #[cfg(not(feature = "components"))]
            Kind::Component => Err(wasmtime::Error::msg("this build runs only modules, not components")),
        }
    }
}
