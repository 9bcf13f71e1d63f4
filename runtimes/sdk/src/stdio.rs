//! stdin and stdout: preview 1's own functions in a guest, `std::io` elsewhere, where the tests run.
//!
//! `std`'s stdin would buffer, double and copy; the size that the host states allows one read into one exact buffer.

#[cfg(not(target_os = "wasi"))]
#[path = "stdio/host.rs"]
mod system;
#[cfg(target_os = "wasi")]
#[path = "stdio/wasi.rs"]
mod system;

pub(crate) use system::{exit, write_output};

/// How much is read to learn whether a full buffer was the end.
const PROBE_BYTES: usize = 32;

/// The least that a buffer grows by, when the size was unknown or too small.
const GROW_BYTES: usize = 4096;

/// All of stdin.
pub(crate) fn read_input() -> Result<Vec<u8>, String> {
    read_to_end(system::input_bytes(), system::read)
}

/// Reads until `read` gives 0. `size_hint`, in bytes, may be wrong in either direction.
///
/// `read` appends to its argument, at most to its capacity, and says how many bytes.
fn read_to_end(size_hint: u64, mut read: impl FnMut(&mut Vec<u8>) -> Result<usize, String>) -> Result<Vec<u8>, String> {
    let mut input = Vec::new();
    if let Ok(size) = usize::try_from(size_hint) {
        // Only a hint: one that memory cannot hold is a wrong one, not an error.
        let _ = input.try_reserve_exact(size);
    }
    loop {
        if input.len() < input.capacity() {
            if read(&mut input)? == 0 {
                return Ok(input);
            }
        } else {
            let mut probe = Vec::with_capacity(PROBE_BYTES);
            if read(&mut probe)? == 0 {
                return Ok(input);
            }
            input.reserve(input.len().max(GROW_BYTES));
            input.extend_from_slice(&probe);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::read_to_end;

    #[test]
    fn any_size_hint_reads_everything() {
        let bytes: Vec<u8> = (0..100_000u32).map(|i| i as u8).collect();
        for size_hint in [0, 1, 99_999, 100_000, 100_001, 1_000_000, u64::MAX] {
            let mut source = bytes.as_slice();
            let read = |buffer: &mut Vec<u8>| super::system::read_from(source.by_ref(), buffer);
            assert!(read_to_end(size_hint, read).unwrap() == bytes, "size hint {size_hint}");
        }
    }

    #[test]
    fn the_right_size_is_read_once_into_an_exact_buffer() {
        let mut reads = Vec::new();
        let mut source = [7u8; 5000].as_slice();
        let input = read_to_end(5000, |buffer| {
            let read = super::system::read_from(source.by_ref(), buffer);
            reads.push(read.clone());
            read
        });
        assert_eq!(input.unwrap().capacity(), 5000);
        assert_eq!(reads, [Ok(5000), Ok(0)]);
    }

    #[test]
    fn a_failed_read_is_an_error() {
        assert_eq!(read_to_end(10, |_| Err("errno 8".to_owned())), Err("errno 8".to_owned()));
    }
}
