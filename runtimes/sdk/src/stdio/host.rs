//! A runtime built for the host itself: a plain program on `std::io`.

use std::io::{Read, Result, Write, stdin, stdout};

/// Unknown: pipes have none, and speed does not matter here.
pub(crate) fn input_bytes() -> u64 {
    0
}

pub(crate) fn read(buffer: &mut Vec<u8>) -> std::result::Result<usize, String> {
    read_from(stdin().lock(), buffer)
}

pub(crate) fn read_from(source: impl Read, buffer: &mut Vec<u8>) -> std::result::Result<usize, String> {
    let spare = (buffer.capacity() - buffer.len()) as u64;
    source.take(spare).read_to_end(buffer).map_err(|e| e.to_string())
}

pub(crate) fn write_output(bytes: &[u8]) -> Result<()> {
    let mut stdout = stdout().lock();
    stdout.write_all(bytes)?;
    stdout.flush()
}

pub(crate) fn exit(code: u32) -> ! {
    std::process::exit(code as i32)
}
