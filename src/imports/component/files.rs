//! `wasi:filesystem`, over the descriptors that modules have too (`sandbox::files`): paths stay inside their directory,
//! no open blocks, no FIFO or device is opened at all, quotas hold, and system calls wait for their permit in
//! `host_io`.
//!
//! The bindings name wasmtime-wasi's types as the types of the resources. The table of handles holds an [`OpenHandle`]
//! or an [`entry_stream::EntryStream`] in place of such a type, see [`view::here`].

mod convert;
mod descriptor;
mod entry_stream;
mod streams;
mod view;

use crate::directories::Grant;
use crate::sandbox::Sandbox;
use crate::sandbox::files::GuestDescriptor;
use convert::code;
use std::io;
use view::{FilesView, Filesystem, OpenHandle, guest_handle};
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::filesystem;
use wasmtime_wasi::p2::FsError;
use wasmtime_wasi::p2::bindings::filesystem::types::ErrorCode;
use wasmtime_wasi::p2::bindings::filesystem::{preopens, types};

pub(super) fn add_to_linker(linker: &mut Linker<Sandbox>) -> wasmtime::Result<()> {
    types::add_to_linker::<Sandbox, Filesystem>(linker, view::view)?;
    preopens::add_to_linker::<Sandbox, Filesystem>(linker, view::view)
}

impl preopens::Host for FilesView<'_> {
    /// Makes new handles in each call. All of them share the descriptors of the granted directories.
    fn get_directories(&mut self) -> wasmtime::Result<Vec<(Resource<filesystem::Descriptor>, String)>> {
        let FilesView { policy, table, .. } = self;
        let handle = |grant: &Grant| {
            let opened = OpenHandle { descriptor: GuestDescriptor::granted(grant), host: None };
            Ok((guest_handle(table.push(opened)?), grant.guest().to_string()))
        };
        policy.dirs.iter().map(handle).collect()
    }
}

impl types::Host for FilesView<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        error.downcast()
    }

    fn filesystem_error_code(&mut self, error: Resource<wasmtime::Error>) -> wasmtime::Result<Option<ErrorCode>> {
        Ok(self.table.get(&error)?.downcast_ref::<io::Error>().map(code))
    }
}

#[cfg(test)]
mod tests;
