//! The calls.

use serde_json::{Value, json};

pub fn main() {
    arawn_sdk::run(|config: Value, _context: Value| -> Result<Vec<Value>, String> {
        let calls = config["calls"].as_array().ok_or("config.calls is not a list")?;
        calls.iter().map(|call| make(call).ok_or_else(|| format!("not a call: {call}"))).collect()
    });
}

fn make(call: &Value) -> Option<Value> {
    let number = |index: usize| call[index].as_u64().map(|number| number as u32);
    let text = |index: usize| call[index].as_str();
    let errno = match call[0].as_str()? {
        "path_open" => return Some(path_open(number(1)?, text(2)?, &call[3])),
        "fd_read" => return Some(fd_read(number(1)?)),
        "fd_readdir" => return Some(fd_readdir(number(1)?, number(2)? as usize)),
        "path_readlink" => return Some(path_readlink(number(1)?, text(2)?)),
        "path_filestat_get" => return Some(path_filestat_get(number(1)?, number(2)?, text(3)?)),
        "fd_prestat_get" => return Some(fd_prestat(number(1)?)),
        "fd_write" => {
            let (text, mut written) = (text(2)?, 0u32);
            let iovec = [text.as_ptr() as u32, text.len() as u32];
            sys::fd_write(number(1)?, &iovec, 1, &mut written)
        }
        "fd_close" => sys::fd_close(number(1)?),
        "fd_renumber" => sys::fd_renumber(number(1)?, number(2)?),
        "fd_filestat_set_size" => sys::fd_filestat_set_size(number(1)?, u64::from(number(2)?)),
        "path_link" => sys::path_link(number(1)?, number(2)?, text(3)?, number(4)?, text(5)?),
        "path_symlink" => sys::path_symlink(text(1)?, number(2)?, text(3)?),
        "path_rename" => sys::path_rename(number(1)?, text(2)?, number(3)?, text(4)?),
        "path_unlink_file" => sys::path_unlink_file(number(1)?, text(2)?),
        "path_create_directory" => sys::path_create_directory(number(1)?, text(2)?),
        "path_remove_directory" => sys::path_remove_directory(number(1)?, text(2)?),
        "path_filestat_set_times" => sys::path_filestat_set_times(number(1)?, text(2)?),
        _ => return None,
    };
    Some(json!({"errno": errno}))
}

/// Options: `create`, `directory`, `truncate`, `write`, `follow`.
fn path_open(fd: u32, path: &str, options: &Value) -> Value {
    const READ: u64 = 1 << 1 | 1 << 14;
    const WRITE: u64 = 1 << 6 | 1 << 22;
    let is = |name: &str| options[name] == true;
    let create = u32::from(is("create")) | u32::from(is("directory")) << 1 | u32::from(is("truncate")) << 3;
    let rights = if is("write") { READ | WRITE } else { READ };
    let mut opened = 0;
    let errno = sys::path_open(fd, u32::from(is("follow")), path, create, rights, &mut opened);
    json!({"errno": errno, "fd": opened})
}

fn fd_read(fd: u32) -> Value {
    let mut buffer = [0u8; 4096];
    let mut read = 0;
    let iovec = [buffer.as_mut_ptr() as u32, buffer.len() as u32];
    let errno = sys::fd_read(fd, &iovec, 1, &mut read);
    json!({"errno": errno, "text": String::from_utf8_lossy(&buffer[..read as usize])})
}

/// All names, read through a buffer of `room` bytes.
fn fd_readdir(fd: u32, room: usize) -> Value {
    let (mut buffer, mut cookie) = (vec![0; room], 0);
    let (mut names, mut inodes) = (Vec::new(), 0);
    loop {
        let mut used = 0;
        let errno = sys::fd_readdir(fd, &mut buffer, cookie, &mut used);
        if errno != 0 {
            return json!({"errno": errno});
        }
        let (used, mut at) = (used as usize, 0);
        let word =
            |at: usize| u32::from_le_bytes([buffer[at], buffer[at + 1], buffer[at + 2], buffer[at + 3]]) as usize;
        while at + 24 <= used && at + 24 + word(at + 16) <= used {
            let name = &buffer[at + 24..at + 24 + word(at + 16)];
            cookie = word(at) as u64;
            inodes += word(at + 8);
            names.push(String::from_utf8_lossy(name).into_owned());
            at += 24 + name.len();
        }
        if used < room || at == 0 {
            return json!({"errno": 0, "names": names, "has_inodes": inodes != 0});
        }
    }
}

fn path_readlink(fd: u32, path: &str) -> Value {
    let mut buffer = [0u8; 4096];
    let mut used = 0;
    let errno = sys::path_readlink(fd, path, &mut buffer, &mut used);
    json!({"errno": errno, "text": String::from_utf8_lossy(&buffer[..used as usize])})
}

fn path_filestat_get(fd: u32, follow: u32, path: &str) -> Value {
    let mut stat = [0u64; 8];
    let errno = sys::path_filestat_get(fd, follow, path, &mut stat);
    json!({"errno": errno, "type": stat[2] as u8, "size": stat[4]})
}

fn fd_prestat(fd: u32) -> Value {
    let (mut prestat, mut name) = ([0u32; 2], vec![0; 4096]);
    let errno = sys::fd_prestat_get(fd, &mut prestat);
    name.truncate(prestat[1] as usize);
    if errno == 0 {
        sys::fd_prestat_dir_name(fd, &mut name);
    }
    json!({"errno": errno, "name": String::from_utf8_lossy(&name)})
}

/// The calls themselves, with a path as pointer and length.
#[allow(unsafe_code, reason = "the calls of preview 1 take pointers")]
mod sys {
    mod raw {
        #[link(wasm_import_module = "wasi_snapshot_preview1")]
        unsafe extern "C" {
            pub fn path_open(
                a: u32,
                b: u32,
                c: *const u8,
                d: usize,
                e: u32,
                f: u64,
                g: u64,
                h: u32,
                i: *mut u32,
            ) -> u32;
            pub fn fd_read(a: u32, b: *const u32, c: u32, d: *mut u32) -> u32;
            pub fn fd_write(a: u32, b: *const u32, c: u32, d: *mut u32) -> u32;
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
    pub fn path_open(fd: u32, follow: u32, path: &str, create: u32, rights: u64, opened: &mut u32) -> u32 {
        unsafe { raw::path_open(fd, follow, path.as_ptr(), path.len(), create, rights, rights, 0, opened) }
    }
    pub fn fd_read(fd: u32, iovec: &[u32; 2], count: u32, read: &mut u32) -> u32 {
        unsafe { raw::fd_read(fd, iovec.as_ptr(), count, read) }
    }
    pub fn fd_write(fd: u32, iovec: &[u32; 2], count: u32, written: &mut u32) -> u32 {
        unsafe { raw::fd_write(fd, iovec.as_ptr(), count, written) }
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
    /// Sets the time of the last change to 1970.
    pub fn path_filestat_set_times(fd: u32, path: &str) -> u32 {
        unsafe { raw::path_filestat_set_times(fd, 0, path.as_ptr(), path.len(), 0, 0, 4) }
    }
}
