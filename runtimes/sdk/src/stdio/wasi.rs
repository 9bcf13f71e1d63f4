//! WASI preview 1, called directly.
#![allow(unsafe_code, reason = "preview 1 takes pointers; these four functions are all of it")]

use std::mem::MaybeUninit;

const STDIN: u32 = 0;
const STDOUT: u32 = 1;
const SUCCESS: i32 = 0;
const EINTR: i32 = 27;

/// Preview 1's `iovec` and `ciovec`, which have one layout.
#[repr(C)]
struct Buffer {
    start: *const u8,
    bytes: usize,
}

/// Preview 1's `filestat`.
#[repr(C)]
struct FileStat {
    dev: u64,
    ino: u64,
    filetype: u8,
    nlink: u64,
    size: u64,
    atim: u64,
    mtim: u64,
    ctim: u64,
}

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn fd_filestat_get(fd: u32, stat: *mut FileStat) -> i32;
    fn fd_read(fd: u32, buffers: *const Buffer, buffer_count: usize, read: *mut usize) -> i32;
    fn fd_write(fd: u32, buffers: *const Buffer, buffer_count: usize, written: *mut usize) -> i32;
    fn proc_exit(code: u32) -> !;
}

/// What the host says stdin's size is; 0 when it does not.
pub(crate) fn input_bytes() -> u64 {
    let mut stat = MaybeUninit::<FileStat>::zeroed();
    // SAFETY: `stat` has preview 1's layout, and all-zero bytes are a valid value of it, also if the call fails.
    unsafe {
        match fd_filestat_get(STDIN, stat.as_mut_ptr()) {
            SUCCESS => stat.assume_init().size,
            _ => 0,
        }
    }
}

/// Appends what one `fd_read` gives, within the capacity that `buffer` has left.
pub(crate) fn read(buffer: &mut Vec<u8>) -> Result<usize, String> {
    let spare = buffer.spare_capacity_mut();
    let spare_bytes = spare.len();
    let target = Buffer { start: spare.as_mut_ptr().cast(), bytes: spare_bytes };
    loop {
        let mut read = 0;
        // SAFETY: `target` is memory that `buffer` owns and nobody else refers to.
        match unsafe { fd_read(STDIN, &target, 1, &mut read) } {
            SUCCESS if read <= spare_bytes => {
                // SAFETY: the host has filled the first `read` bytes after the length, which are within the capacity.
                unsafe { buffer.set_len(buffer.len() + read) };
                return Ok(read);
            }
            SUCCESS => return Err(format!("{read} bytes where {spare_bytes} fit")),
            EINTR => {}
            errno => return Err(format!("errno {errno}")),
        }
    }
}

/// One `fd_write`, and more only for what a short one left. `Err` is the errno, or `SUCCESS` when the host takes nothing.
pub(crate) fn write_output(mut bytes: &[u8]) -> Result<(), i32> {
    while !bytes.is_empty() {
        let source = Buffer { start: bytes.as_ptr(), bytes: bytes.len() };
        let mut written = 0;
        // SAFETY: `source` is memory that is only read, and lives longer than the call.
        match unsafe { fd_write(STDOUT, &source, 1, &mut written) } {
            SUCCESS if written > 0 => bytes = bytes.get(written..).unwrap_or_default(),
            EINTR => {}
            errno => return Err(errno),
        }
    }
    Ok(())
}

pub(crate) fn exit(code: u32) -> ! {
    // SAFETY: takes no pointer and does not return.
    unsafe { proc_exit(code) }
}
