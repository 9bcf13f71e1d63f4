//! The imports of guests: WASI preview 1 for modules, WASI 0.2 for components, and host functions for both.

#[cfg(feature = "components")]
pub(crate) mod component;
pub(crate) mod host_call;
pub(crate) mod preview1;
