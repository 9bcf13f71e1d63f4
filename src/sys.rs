//! What differs between systems: everything that asks the system in a way that not every system has.
//!
//! The library is written for Unix. This file is what the rest of the library sees of a system, and a port is another
//! directory below it. The compiler checks that each of them has all of these names, where the library is checked for its
//! system (`packaging/check-platforms`).
//!
//! | file | system |
//! | --- | --- |
//! | `sys/unix.rs`, `sys/unix/` | every Unix |
//! | `sys/linux.rs`, `sys/linux/` | what Linux and Android do in a way of their own |
//! | `sys/other_unix.rs` | what other Unixes have in place of that |
//! | `sys/windows.rs`, `sys/windows/` | Windows |
//! | `sys/without_images.rs` | systems other than Linux: no images of memories |
//! | `sys/types.rs` | the types that all of them share |
//!
//! What a system cannot do fails with [`Unsupported`](std::io::ErrorKind::Unsupported). What must not be used without it
//! is refused when it is configured: see [`GRANTS`] and [`CACHES`].

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "android"))))]
mod other_unix;
mod types;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) mod without_images;

#[cfg(unix)]
use unix as platform;
#[cfg(windows)]
use windows as platform;

#[cfg(feature = "components")]
pub(crate) use types::Advice;
pub(crate) use types::{FileKind, Id, NewTime, NewTimes, Unwritten};

/// The numbers of [`raw_os_error`](std::io::Error::raw_os_error) that the library tells apart, by the names that POSIX
/// has for them.
pub(crate) use platform::errno;

/// The system's error that is one cause of an error of wasmtime; `None` if the cause is another one, or an
/// [`io::Error`](std::io::Error).
pub(crate) use platform::error_of;

/// The signals of threads, the handlers of faults, and the registry of loaded code that they ask. On a system without
/// signals all of it does nothing. `sys/unix/signals.rs` says more.
pub(crate) use platform::signals;

/// Address ranges, files in memory and written pages: what `images` is made of. On a system that lacks one of them
/// [`IS_AVAILABLE`](memory::IS_AVAILABLE) is false, and wasmtime's pool has the memories of all modules. What each function
/// promises is in `sys/linux/memory.rs`.
pub(crate) use platform::memory;

/// The most of a resource that this process may have; `None` if the system sets no bound.
pub(crate) use platform::{address_space_limit, descriptor_limit, file_size_limit};

/// Whether the process has the rights of the system's administrator, who may write everybody's files.
pub(crate) use platform::is_root;

/// Whether the process may have rights that its caller lacks: by setuid, setgid, or capabilities of its file. Its
/// environment is then the work of somebody who must not decide what the process trusts.
pub(crate) use platform::is_elevated;

/// Calls a function in each child that the process forks from now on, before `fork` returns there. The function may do
/// only what is allowed between `fork` and `exec`. A system without `fork` never calls it.
pub(crate) use platform::on_fork;

/// The processor time that the calling thread has used so far.
pub(crate) use platform::thread_time;

/// The lowest and the highest address of the calling thread's stack; `None` if they are unknown. The stack of a coroutine
/// of the host lies outside of them.
pub(crate) use platform::stack_bounds;

/// A descriptor that an event loop finds readable from `raise` to `lower`.
pub(crate) use platform::Level;

/// What tells one version of a file from another, by one look at an open file or at a path, whose links are followed.
pub(crate) use platform::Status;

/// Lets an open, for reading or writing, not wait for the other end of a FIFO.
pub(crate) use platform::without_waiting;

/// Opens a file for reading, and does not wait for the other end of a FIFO.
pub(crate) use platform::open_without_waiting;

/// Lets a file that is made by an open be readable and writable by this user alone. Where the system has no such mode, the
/// directory decides.
pub(crate) use platform::private_when_made;

/// Gives a file the mode of another one and, where this user may, its owner and group. Where the system has no modes, the
/// directory decides.
pub(crate) use platform::copy_mode_and_owner;

/// Waits until the entries of a directory below another one are on the disk.
pub(crate) use platform::sync_directory;

/// Sets both times of a file that belongs to this user to now.
pub(crate) use platform::touch;

/// Reads from an offset, and leaves the file's position where it is if the system can.
pub(crate) use platform::{read_at, read_exact_at};

/// A path that leads to an open file, whatever has become of the file's name. Fails where the system has none.
#[cfg(feature = "components")]
pub(crate) use platform::path_of_open;

/// Whether somebody other than root owns what the metadata is of, or may replace what a directory holds. In a sticky
/// directory no other user may replace what belongs to root.
pub(crate) use platform::is_foreign;

/// The number of the user that owns what a path leads to, where 0 is root; `None` where there is nothing, or no number.
#[cfg(feature = "http")]
pub(crate) use platform::owner_of;

/// Whether the system can keep guests inside a directory that they are granted, or why not. Where it is an error, no
/// directory is granted, and the functions of guests' files are never called.
pub(crate) use platform::GRANTS;

/// Whether the system can tell who may write a file, or why not. Where it is an error, there is no disk cache.
pub(crate) use platform::CACHES;

/// A directory, and files in it, that only this process's user can have written. `sys/unix/trusted.rs` has what that takes,
/// and what its functions promise.
pub(crate) use platform::TrustedDirectory;

/// Refuses a cache that belongs to another user if this user is root. Root can write into it nonetheless, and the owner
/// of the cache could make root's writes lead elsewhere.
pub(crate) use platform::check_owner;

/// Something open whose descriptor or handle can be borrowed.
pub(crate) use platform::AsOpen;

/// The identity of an open directory, and those of it and of all directories above it, up to the root.
pub(crate) use platform::{id_of, ids_of};

/// Where an open directory is now; `None` where the system does not tell. The path is the one among mounts, and
/// `in_file_system` gives the one that all mounts of a file system share. An error says that the system has run out of
/// something, and might have told.
pub(crate) use platform::{in_file_system, path_now};

/// Follows a path, and tells which directories it passes through. Names that are missing at its end are no error.
pub(crate) use platform::{Resolved, resolve};

/// The numbers of a file's device and inode, the number of its names, and the times of its last access, change of data and
/// change of status, in seconds and nanoseconds since 1970.
pub(crate) use platform::{file_id, file_times, link_count};

/// Lets a guest's open not make a terminal the process's own, and, if it is told so, open directories alone.
pub(crate) use platform::for_guest;

/// Lets an open give a descriptor for an operation that neither reads nor writes, without waiting and, where the system
/// can, without a right to read.
pub(crate) use platform::unread;

/// Lets an open give a directory's descriptor that can be synced.
pub(crate) use platform::directory_to_sync;

/// How a file was opened.
pub(crate) use platform::access;

/// Sets whether a file appends, and whether reading and writing it do not wait.
pub(crate) use platform::set_flags;

/// Writes at an offset. On Linux, a file that appends does so even here.
pub(crate) use platform::write_at;

/// Writes at the end, wherever the file's position is.
#[cfg(feature = "components")]
pub(crate) use platform::append;

/// Sets the times of something that is open, even as a path alone (`O_PATH`) on Linux.
pub(crate) use platform::set_times;

/// Tells the system how a range of a file will be read. It may do nothing with that.
#[cfg(feature = "components")]
pub(crate) use platform::advise;

/// Makes a symbolic link in a directory.
pub(crate) use platform::symlink;

/// What a FIFO is ready for, and whether its other end is gone.
pub(crate) use platform::Readiness;

/// Asks, or waits for some time, until one of several FIFOs is ready or has lost its other end, and how many bytes one has
/// to read.
pub(crate) use platform::{bytes_to_read, poll};

/// A FIFO whose changes wake a future.
pub(crate) use platform::Watched;
