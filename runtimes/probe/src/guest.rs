//! The calls.

use crate::sys;
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
        name @ ("fd_read" | "fd_readv") => {
            let split = name == "fd_readv";
            return Some(fd_read(number(1)?, number(2).unwrap_or(4096), number(3), split));
        }
        name @ ("fd_write" | "fd_writev") => {
            return Some(fd_write(number(1)?, text(2)?, number(3), name == "fd_writev"));
        }
        "fd_seek" => return Some(fd_seek(number(1)?, call[2].as_i64()?, number(3)?)),
        "fd_tell" => return Some(fd_tell(number(1)?)),
        "fd_fdstat_get" => return Some(fd_fdstat(number(1)?)),
        "fd_filestat_get" => return Some(fd_filestat(number(1)?)),
        "poll_oneoff" => return Some(poll(&call[1], number(2))),
        "fd_readdir" => return Some(fd_readdir(number(1)?, number(2)? as usize)),
        "path_readlink" => return Some(path_readlink(number(1)?, text(2)?)),
        "path_filestat_get" => return Some(path_filestat_get(number(1)?, number(2)?, text(3)?)),
        "fd_prestat_get" => return Some(fd_prestat(number(1)?)),
        "fd_close" => sys::fd_close(number(1)?),
        "fd_renumber" => sys::fd_renumber(number(1)?, number(2)?),
        "fd_filestat_set_size" => sys::fd_filestat_set_size(number(1)?, u64::from(number(2)?)),
        "path_link" => sys::path_link(number(1)?, number(2)?, text(3)?, number(4)?, text(5)?),
        "path_symlink" => sys::path_symlink(text(1)?, number(2)?, text(3)?),
        "path_rename" => sys::path_rename(number(1)?, text(2)?, number(3)?, text(4)?),
        "path_unlink_file" => sys::path_unlink_file(number(1)?, text(2)?),
        "path_create_directory" => sys::path_create_directory(number(1)?, text(2)?),
        "path_remove_directory" => sys::path_remove_directory(number(1)?, text(2)?),
        "path_filestat_set_times" => {
            sys::path_filestat_set_times(number(1)?, number(3).unwrap_or(0), text(2)?, WHEN, SET_MODIFIED)
        }
        "fd_filestat_set_times" => sys::fd_filestat_set_times(number(1)?, WHEN, SET_MODIFIED),
        "fd_fdstat_set_flags" => sys::fd_fdstat_set_flags(number(1)?, number(2)?),
        "fd_sync" => sys::fd_sync(number(1)?),
        "fd_datasync" => sys::fd_datasync(number(1)?),
        "fd_advise" => sys::fd_advise(number(1)?, 0, 0, 0),
        "fd_allocate" => sys::fd_allocate(number(1)?, 0, 1),
        _ => return None,
    };
    Some(json!({"errno": errno}))
}

/// Nanoseconds since 1970 that times are set to: a second, the time of the last change.
const WHEN: u64 = 1_000_000_000;
const SET_MODIFIED: u32 = 4;

/// Options: `create`, `directory`, `exclusive`, `truncate`, `write`, `only_write`, `follow`, and `flags`, a number.
fn path_open(fd: u32, path: &str, options: &Value) -> Value {
    const READ: u64 = 1 << 1 | 1 << 14;
    const WRITE: u64 = 1 << 6 | 1 << 22;
    let is = |name: &str| options[name] == true;
    let bits = ["create", "directory", "exclusive", "truncate"].iter().enumerate();
    let create = bits.map(|(bit, name)| u32::from(is(name)) << bit).sum();
    let rights = match (is("write"), is("only_write")) {
        (_, true) => WRITE,
        (true, _) => READ | WRITE,
        (false, false) => READ,
    };
    let flags = options["flags"].as_u64().unwrap_or(0) as u32;
    let mut opened = 0;
    let errno = sys::path_open(fd, u32::from(is("follow")), path, create, rights, flags, &mut opened);
    json!({"errno": errno, "fd": opened})
}

/// Reads up to `room` bytes, at the position or at `offset`; a split read has two vectors.
fn fd_read(fd: u32, room: u32, offset: Option<u32>, split: bool) -> Value {
    let mut buffer = vec![0u8; room as usize];
    let mut read = 0;
    let iovecs = vectors(buffer.as_mut_ptr() as u32, room, split);
    let errno = match offset {
        None => sys::fd_read(fd, &iovecs, &mut read),
        Some(offset) => sys::fd_pread(fd, &iovecs, u64::from(offset), &mut read),
    };
    json!({"errno": errno, "text": String::from_utf8_lossy(&buffer[..read as usize])})
}

/// Writes, at the position or at `offset`; a split write has two vectors.
fn fd_write(fd: u32, text: &str, offset: Option<u32>, split: bool) -> Value {
    let mut written = 0;
    let iovecs = vectors(text.as_ptr() as u32, text.len() as u32, split);
    let errno = match offset {
        None => sys::fd_write(fd, &iovecs, &mut written),
        Some(offset) => sys::fd_pwrite(fd, &iovecs, u64::from(offset), &mut written),
    };
    json!({"errno": errno, "written": written})
}

fn vectors(at: u32, len: u32, split: bool) -> Vec<[u32; 2]> {
    if split { vec![[at, len / 2], [at + len / 2, len - len / 2]] } else { vec![[at, len]] }
}

fn fd_seek(fd: u32, offset: i64, whence: u32) -> Value {
    let mut at = 0;
    let errno = sys::fd_seek(fd, offset, whence, &mut at);
    json!({"errno": errno, "at": at})
}

fn fd_tell(fd: u32) -> Value {
    let mut at = 0;
    let errno = sys::fd_tell(fd, &mut at);
    json!({"errno": errno, "at": at})
}

fn fd_fdstat(fd: u32) -> Value {
    let mut stat = [0u64; 3];
    let errno = sys::fd_fdstat_get(fd, &mut stat);
    json!({"errno": errno, "type": stat[0] as u8, "flags": stat[0] >> 16, "rights": stat[1]})
}

fn fd_filestat(fd: u32) -> Value {
    let mut stat = [0u64; 8];
    let errno = sys::fd_filestat_get(fd, &mut stat);
    json!({"errno": errno, "type": stat[2] as u8, "inode": stat[1], "size": stat[4], "modified": stat[6]})
}

/// Waits for descriptors, given as `[[fd, "read"], [fd, "write"], …]`, and for `ms` milliseconds if that is given. What
/// happened: the index of each in the list, the clock's being the list's length.
fn poll(descriptors: &Value, ms: Option<u32>) -> Value {
    let mut subscriptions: Vec<[u64; 6]> = Vec::new();
    for (index, descriptor) in descriptors.as_array().into_iter().flatten().enumerate() {
        let kind = if descriptor[1] == "read" { 1 } else { 2 };
        subscriptions.push([index as u64, kind, descriptor[0].as_u64().unwrap_or(0), 0, 0, 0]);
    }
    if let Some(ms) = ms {
        subscriptions.push([subscriptions.len() as u64, 0, 1, u64::from(ms) * 1_000_000, 0, 0]);
    }
    let (mut events, mut count) = (vec![[0u64; 4]; subscriptions.len()], 0);
    let errno = sys::poll_oneoff(&subscriptions, &mut events, &mut count);
    let happened = events[..count as usize].iter().map(|[index, what, bytes, flags]| {
        json!({"index": index, "errno": *what as u16, "bytes": bytes, "hangup": *flags as u16 == 1})
    });
    json!({"errno": errno, "events": happened.collect::<Vec<_>>()})
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
    json!({"errno": errno, "type": stat[2] as u8, "inode": stat[1], "size": stat[4], "modified": stat[6]})
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
