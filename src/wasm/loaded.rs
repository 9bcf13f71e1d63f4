//! Compiled code that wasmtime has loaded.

/// A module or a component that wasmtime has loaded.
pub(crate) enum LoadedCode {
    Module(wasmtime::Module),
    #[cfg(feature = "components")]
    Component(wasmtime::component::Component),
}
