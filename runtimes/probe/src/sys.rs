//! The calls themselves, with a path as pointer and length.
#![allow(unsafe_code, reason = "the calls of preview 1 take pointers")]

mod raw {
    #[link(wasm_import_module = "wasi_snapshot_preview1")]
    unsafe extern "C" {
        pub fn path_open(a: u32, b: u32, c: *const u8, d: usize, e: u32, f: u64, g: u64, h: u32, i: *mut u32) -> u32;
        pub fn fd_read(a: u32, b: *const u32, c: u32, d: *mut u32) -> u32;
        pub fn fd_write(a: u32, b: *const u32, c: u32, d: *mut u32) -> u32;
        pub fn fd_pread(a: u32, b: *const u32, c: u32, d: u64, e: *mut u32) -> u32;
        pub fn fd_pwrite(a: u32, b: *const u32, c: u32, d: u64, e: *mut u32) -> u32;
        pub fn fd_seek(a: u32, b: i64, c: u32, d: *mut u64) -> u32;
        pub fn fd_tell(a: u32, b: *mut u64) -> u32;
        pub fn fd_fdstat_get(a: u32, b: *mut u64) -> u32;
        pub fn fd_fdstat_set_flags(a: u32, b: u32) -> u32;
        pub fn fd_filestat_get(a: u32, b: *mut u64) -> u32;
        pub fn fd_filestat_set_times(a: u32, b: u64, c: u64, d: u32) -> u32;
        pub fn fd_sync(a: u32) -> u32;
        pub fn fd_datasync(a: u32) -> u32;
        pub fn fd_advise(a: u32, b: u64, c: u64, d: u32) -> u32;
        pub fn fd_allocate(a: u32, b: u64, c: u64) -> u32;
        pub fn poll_oneoff(a: *const u64, b: *mut u64, c: usize, d: *mut u32) -> u32;
        pub fn fd_close(a: u32) -> u32;
        pub fn fd_renumber(a: u32, b: u32) -> u32;
        pub fn fd_filestat_set_size(a: u32, b: u64) -> u32;
        pub fn fd_readdir(a: u32, b: *mut u8, c: usize, d: u64, e: *mut u32) -> u32;
        pub fn fd_prestat_get(a: u32, b: *mut u32) -> u32;
        pub fn fd_prestat_dir_name(a: u32, b: *mut u8, c: usize) -> u32;
        pub fn path_link(a: u32, b: u32, c: *const u8, d: usize, e: u32, f: *const u8, g: usize) -> u32;
        pub fn path_symlink(a: *const u8, b: usize, c: u32, d: *const u8, e: usize) -> u32;
        pub fn path_rename(a: u32, b: *const u8, c: usize, d: u32, e: *const u8, f: usize) -> u32;
        pub fn path_unlink_file(a: u32, b: *const u8, c: usize) -> u32;
        pub fn path_create_directory(a: u32, b: *const u8, c: usize) -> u32;
        pub fn path_remove_directory(a: u32, b: *const u8, c: usize) -> u32;
        pub fn path_readlink(a: u32, b: *const u8, c: usize, d: *mut u8, e: usize, f: *mut u32) -> u32;
        pub fn path_filestat_get(a: u32, b: u32, c: *const u8, d: usize, e: *mut u64) -> u32;
        pub fn path_filestat_set_times(a: u32, b: u32, c: *const u8, d: usize, e: u64, f: u64, g: u32) -> u32;
    }
}

// SAFETY, of every call below: each pointer comes from a reference that lives through the call, with the length of
// what is behind it.
pub fn path_open(fd: u32, follow: u32, path: &str, create: u32, rights: u64, flags: u32, opened: &mut u32) -> u32 {
    unsafe { raw::path_open(fd, follow, path.as_ptr(), path.len(), create, rights, rights, flags, opened) }
}
pub fn fd_read(fd: u32, iovecs: &[[u32; 2]], read: &mut u32) -> u32 {
    unsafe { raw::fd_read(fd, iovecs.as_ptr().cast(), iovecs.len() as u32, read) }
}
pub fn fd_write(fd: u32, iovecs: &[[u32; 2]], written: &mut u32) -> u32 {
    unsafe { raw::fd_write(fd, iovecs.as_ptr().cast(), iovecs.len() as u32, written) }
}
pub fn fd_pread(fd: u32, iovecs: &[[u32; 2]], offset: u64, read: &mut u32) -> u32 {
    unsafe { raw::fd_pread(fd, iovecs.as_ptr().cast(), iovecs.len() as u32, offset, read) }
}
pub fn fd_pwrite(fd: u32, iovecs: &[[u32; 2]], offset: u64, written: &mut u32) -> u32 {
    unsafe { raw::fd_pwrite(fd, iovecs.as_ptr().cast(), iovecs.len() as u32, offset, written) }
}
pub fn fd_seek(fd: u32, offset: i64, whence: u32, at: &mut u64) -> u32 {
    unsafe { raw::fd_seek(fd, offset, whence, at) }
}
pub fn fd_tell(fd: u32, at: &mut u64) -> u32 {
    unsafe { raw::fd_tell(fd, at) }
}
pub fn fd_fdstat_get(fd: u32, stat: &mut [u64; 3]) -> u32 {
    unsafe { raw::fd_fdstat_get(fd, stat.as_mut_ptr()) }
}
pub fn fd_fdstat_set_flags(fd: u32, flags: u32) -> u32 {
    unsafe { raw::fd_fdstat_set_flags(fd, flags) }
}
pub fn fd_filestat_get(fd: u32, stat: &mut [u64; 8]) -> u32 {
    unsafe { raw::fd_filestat_get(fd, stat.as_mut_ptr()) }
}
pub fn fd_filestat_set_times(fd: u32, modified: u64, flags: u32) -> u32 {
    unsafe { raw::fd_filestat_set_times(fd, 0, modified, flags) }
}
pub fn fd_sync(fd: u32) -> u32 {
    unsafe { raw::fd_sync(fd) }
}
pub fn fd_datasync(fd: u32) -> u32 {
    unsafe { raw::fd_datasync(fd) }
}
pub fn fd_advise(fd: u32, offset: u64, len: u64, advice: u32) -> u32 {
    unsafe { raw::fd_advise(fd, offset, len, advice) }
}
pub fn fd_allocate(fd: u32, offset: u64, len: u64) -> u32 {
    unsafe { raw::fd_allocate(fd, offset, len) }
}
pub fn poll_oneoff(subscriptions: &[[u64; 6]], events: &mut [[u64; 4]], count: &mut u32) -> u32 {
    let (from, to) = (subscriptions.as_ptr().cast(), events.as_mut_ptr().cast());
    unsafe { raw::poll_oneoff(from, to, subscriptions.len(), count) }
}
pub fn fd_close(fd: u32) -> u32 {
    unsafe { raw::fd_close(fd) }
}
pub fn fd_renumber(from: u32, to: u32) -> u32 {
    unsafe { raw::fd_renumber(from, to) }
}
pub fn fd_filestat_set_size(fd: u32, size: u64) -> u32 {
    unsafe { raw::fd_filestat_set_size(fd, size) }
}
pub fn fd_readdir(fd: u32, buffer: &mut [u8], cookie: u64, used: &mut u32) -> u32 {
    unsafe { raw::fd_readdir(fd, buffer.as_mut_ptr(), buffer.len(), cookie, used) }
}
pub fn fd_prestat_get(fd: u32, prestat: &mut [u32; 2]) -> u32 {
    unsafe { raw::fd_prestat_get(fd, prestat.as_mut_ptr()) }
}
pub fn fd_prestat_dir_name(fd: u32, name: &mut [u8]) -> u32 {
    unsafe { raw::fd_prestat_dir_name(fd, name.as_mut_ptr(), name.len()) }
}
pub fn path_link(fd: u32, follow: u32, path: &str, to: u32, name: &str) -> u32 {
    unsafe { raw::path_link(fd, follow, path.as_ptr(), path.len(), to, name.as_ptr(), name.len()) }
}
pub fn path_symlink(target: &str, fd: u32, path: &str) -> u32 {
    unsafe { raw::path_symlink(target.as_ptr(), target.len(), fd, path.as_ptr(), path.len()) }
}
pub fn path_rename(fd: u32, path: &str, to: u32, name: &str) -> u32 {
    unsafe { raw::path_rename(fd, path.as_ptr(), path.len(), to, name.as_ptr(), name.len()) }
}
pub fn path_unlink_file(fd: u32, path: &str) -> u32 {
    unsafe { raw::path_unlink_file(fd, path.as_ptr(), path.len()) }
}
pub fn path_create_directory(fd: u32, path: &str) -> u32 {
    unsafe { raw::path_create_directory(fd, path.as_ptr(), path.len()) }
}
pub fn path_remove_directory(fd: u32, path: &str) -> u32 {
    unsafe { raw::path_remove_directory(fd, path.as_ptr(), path.len()) }
}
pub fn path_readlink(fd: u32, path: &str, buffer: &mut [u8], used: &mut u32) -> u32 {
    unsafe { raw::path_readlink(fd, path.as_ptr(), path.len(), buffer.as_mut_ptr(), buffer.len(), used) }
}
pub fn path_filestat_get(fd: u32, follow: u32, path: &str, stat: &mut [u64; 8]) -> u32 {
    unsafe { raw::path_filestat_get(fd, follow, path.as_ptr(), path.len(), stat.as_mut_ptr()) }
}
pub fn path_filestat_set_times(fd: u32, follow: u32, path: &str, modified: u64, flags: u32) -> u32 {
    unsafe { raw::path_filestat_set_times(fd, follow, path.as_ptr(), path.len(), 0, modified, flags) }
}
