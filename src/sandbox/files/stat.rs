//! The type and the number of a file, as guests see them.

use crate::sys;
use cap_fs_ext::FileTypeExt;
use cap_std::fs::{FileType, Metadata};
use std::hash::{DefaultHasher, Hash, Hasher};
use wasmtime_wasi::p1::types::Filetype;

/// The inode that guests see: a hash of the host's device and inode, which tells files of all devices apart.
pub(crate) fn inode(metadata: &Metadata) -> u64 {
    let mut hasher = DefaultHasher::new();
    sys::file_id(metadata).hash(&mut hasher);
    hasher.finish()
}

/// The type of a file in preview 1, which has no name for a FIFO, nor for a socket of unknown kind.
pub(crate) fn filetype(kind: FileType) -> Filetype {
    match () {
        () if kind.is_file() => Filetype::RegularFile,
        () if kind.is_dir() => Filetype::Directory,
        () if kind.is_symlink() => Filetype::SymbolicLink,
        () if kind.is_char_device() => Filetype::CharacterDevice,
        () if kind.is_block_device() => Filetype::BlockDevice,
        () => Filetype::Unknown,
    }
}
