//! Numbers in LEB128, as WebAssembly writes them.

/// The number 0 in LEB128 of so many bytes, which are at least one.
pub(super) fn padded_zero(bytes: usize) -> Vec<u8> {
    let mut zero = vec![0x80; bytes];
    zero.last_mut().into_iter().for_each(|last| *last = 0);
    zero
}

/// A number in LEB128.
pub(super) fn leb(mut number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
