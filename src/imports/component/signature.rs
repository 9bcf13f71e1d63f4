//! The parameter and result types of functions in a component's linker.

use crate::sandbox::Sandbox;
use wasmtime::StoreContextMut;

pub(super) type Store<'a> = StoreContextMut<'a, Sandbox>;

/// The result that the guest gets, in the tuple that wasmtime expects; or the error that ends the guest.
pub(super) type Returned<T, E> = wasmtime::Result<(Result<T, E>,)>;
