//! Finds the end of a JSON string, array or object and checks the value on the way, 2048 bytes at a time.
//!
//! The scanner accepts or declines. If it returns an end, the value is valid JSON. It declines text that is wrong, and
//! two kinds of valid text: values nested more than 64 deep, and numbers that fill a whole block of 64 bytes with
//! digits. The caller gives declined text to a slower reader.
//!
//! # Technique
//!
//! The text is read in chunks of 32 blocks of 64 bytes. Each fact about the text ("this byte is a quotation mark") is a
//! bit vector with one bit for each byte of the chunk, in one word of 64 bits for each block
//! ([`ChunkBits`](super::bits::ChunkBits)). A step of the scanner is a few operations on each word.
//!
//! - *Bit planes*: the bytes are transposed into eight vectors, one for each bit of a byte. These are the basis bit
//!   streams of Parabix (Cameron, Herdy and Lin, 2008). AVX2 does it by movemask, AVX-512 by a bit test into a mask
//!   register.
//! - *Character classes*: boolean functions of the planes, as in Parabix.
//! - *Escapes*: one subtraction tells which backslashes of a run escape, as in simdjson's `json_escape_scanner`.
//! - *Strings*: the parity of the quotation marks up to a byte tells whether the byte is inside a string (prefix XOR,
//!   as in simdjson: Langdale and Lemire, 2019). Six shifts compute it here instead of a carry-less multiplication.
//! - *Runs*: an addition moves a bit over a run of ones, through which its carry goes. This is `ScanThru` of Parabix
//!   (Cameron and others, "Parallel Scanning with Bitstream Addition", 2011).
//! - *Structure*: PEXT takes the bits of the structural characters together, PDEP puts bits back to their positions.
//!
//! # One text
//!
//! The words for `{"k": [-1.50, true], "s" : "x\u0041"}`. The scan begins after the first bracket. Byte 0 is on the
//! left, so a shift to the left moves a bit to the right here:
//!
//! ```text
//! text        "k": [-1.50, true], "s" : "x\u0041"}
//! quotes      1.1.................1.1...1.......1.
//! inside      11..................11....11111111..
//! structural  ...1.1.....1.....11.....1..........1
//! white       ....1.......1......1...1.1..........
//! scalar      ......11111..1111...................
//! ends        ..1..............1....1...........11   last bytes of strings, arrays and objects
//! ended       ...1.......1.....11.....1..........1   what follows a key or a value, after white space
//! unchecked   ........................1....1......   to be checked byte by byte: a colon after a space, an escape
//! declined    ....................................
//! ```
//!
//! [`Structure`] keeps the bits of the structural characters alone (`-` stands for a bit that is not used):
//!
//! ```text
//! characters  :[,],:}
//! bracket     .1.1..1
//! opening     11...1.
//! brace       -.-.--1
//! ended       1.11111
//! in_object   11..111   the innermost bracket that is open before the character is `{`
//! wants_key   1....1.   a key and a colon must come here
//! ```
//!
//! # Passes, and what holds after each
//!
//! 1. `Cpu::transpose`: bit i of block b of plane k is bit k of byte 64b + i of the chunk. Bytes after the text are
//!    spaces.
//! 2. `Chunk::strings`: `quotes` has the quotation marks that are not escaped. `inside` has each string from its first
//!    quotation mark to the byte before its last one.
//! 3. `Chunk::tokens`: each byte is in exactly one of five classes: `inside`, the last quotation mark of a string,
//!    `structural`, `white` or `scalar`. `ended` has, for each key and each value that has ended, the first byte after
//!    it that is not white space.
//! 4. `Chunk::values`: a byte in `declined` cannot be accepted. A byte of a string or a scalar that is neither in
//!    `declined` nor in `unchecked` is right where it stands.
//! 5. `Chunk::literals`: a scalar that begins with `t`, `f` or `n` in the first 59 bytes of a block is `true`, `false`
//!    or `null` and no longer in `unchecked`, or it has a byte in `declined`. Other letters stay in `unchecked`.
//! 6. `Structure::pack`: bit n of the packed words belongs to the structural character n of the chunk.
//! 7. `Structure::check`: brackets match, commas and colons stand where they may, and each member of an object has a
//!    key. The first character at which no bracket is open any more is the value's end.
//! 8. [`check`]: no byte up to the value's end is in `declined`, and each one in `unchecked` has been read by the
//!    functions of [`super::plain`] or belongs to what they have read.
//!
//! From chunk to chunk go the last words of some vectors (`ChunkBits::next_chunk`), `Chunk::is_ended`, the open
//! brackets and the last structural character of `Structure`, and the offset up to which [`check`] has read.

use super::bits::{BLOCKS, CHUNK};
use super::chunk::Chunk;
use super::cpu::{Avx2, Avx512, Cpu};
use super::plain::{digits, is_white, literal, number, unicode_escape};
use super::structure::{Progress, Structure};

#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn end_with_avx2(cpu: Avx2, text: &str, start: usize) -> Option<usize> {
    end(cpu, text.as_bytes(), start)
}

#[target_feature(enable = "avx2,avx512f,avx512bw,avx512vl,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn end_with_avx512(cpu: Avx512, text: &str, start: usize) -> Option<usize> {
    end(cpu, text.as_bytes(), start)
}

/// The end of the string, array or object that begins at `start`; `None` if the scanner declines it.
#[inline(always)]
fn end(cpu: impl Cpu, text: &[u8], start: usize) -> Option<usize> {
    let first = *text.get(start)?;
    let is_string = first == b'"';
    let (mut chunk, mut structure) = (Chunk::new(is_string), Structure::new(first == b'{'));
    let (mut at, mut checked) = (start + 1, 0);
    while at < text.len() {
        chunk.read(cpu, &text[at..]);
        let end = if is_string {
            first_bit(|block| chunk.closing(block))
        } else {
            structure.pack(cpu, &chunk);
            match structure.check(cpu) {
                Progress::Continues => None,
                Progress::Ends(number) => position_of(cpu, &chunk, number),
                Progress::Wrong => return None,
            }
        };
        checked = check(&chunk, text, at, end.map_or(CHUNK, |end| end + 1), checked)?;
        if let Some(end) = end {
            return Some(at + end + 1);
        }
        at += CHUNK;
    }
    None
}

/// Checks the first `length` bytes of the chunk that begins at `at`.
///
/// The unchecked bytes before `checked` have been read already. Returns the same for the next chunk: the offset before
/// which all unchecked bytes have been read.
#[inline(always)]
fn check(chunk: &Chunk, text: &[u8], at: usize, length: usize, mut checked: usize) -> Option<usize> {
    for i in 0..length.div_ceil(64) {
        let live = !0 >> (64 - (length - 64 * i).min(64));
        if chunk.declined.at(i) & live != 0 {
            return None;
        }
        let mut unchecked = chunk.unchecked.at(i) & live;
        while unchecked != 0 {
            let bit = unchecked.trailing_zeros();
            unchecked &= unchecked - 1;
            let here = at + 64 * i + bit as usize;
            if here >= checked {
                let is_inside = (chunk.inside.at(i) >> bit) & 1 == 1;
                checked = if is_inside { unicode_escape(text, here)? } else { check_token(text, here)? };
            }
        }
    }
    Some(checked)
}

#[inline(always)]
fn first_bit(word: impl Fn(usize) -> u64) -> Option<usize> {
    (0..BLOCKS).find(|block| word(*block) != 0).map(|block| 64 * block + word(block).trailing_zeros() as usize)
}

/// The position in the chunk of the structural character with this number.
#[inline(always)]
fn position_of(cpu: impl Cpu, chunk: &Chunk, mut number: usize) -> Option<usize> {
    for block in 0..BLOCKS {
        let structural = chunk.structural.at(block);
        let count = structural.count_ones() as usize;
        if number < count {
            return Some(64 * block + cpu.pdep(1 << number, structural).trailing_zeros() as usize);
        }
        number -= count;
    }
    None
}

/// Reads what the unchecked byte at `at`, outside strings, belongs to: a number, a literal, or a colon after a string.
/// Returns its end. The unchecked bytes before `at` have been read already.
fn check_token(text: &[u8], at: usize) -> Option<usize> {
    let (before, rest) = text.split_at_checked(at)?;
    match rest {
        [b':', ..] => {
            let key = before.iter().rfind(|byte| !is_white(byte))?;
            return (*key == b'"').then_some(at + 1);
        }
        // The bytes before the exponent have been found right. If they end with a digit, they are a number by
        // themselves, and the exponent alone is left to be read.
        [b'e' | b'E', exponent @ ..] if before.last()?.is_ascii_digit() => {
            let is_signed = matches!(exponent.first()?, b'+' | b'-');
            let end = digits(text, at + 1 + usize::from(is_signed))?;
            return is_delimiter(text.get(end)?).then_some(end);
        }
        _ => {}
    }
    let start = before.iter().rposition(is_delimiter)? + 1;
    let end = literal(text, start).or_else(|| number(text, start))?;
    is_delimiter(text.get(end)?).then_some(end)
}

fn is_delimiter(byte: &u8) -> bool {
    is_white(byte) || matches!(byte, b'[' | b']' | b'{' | b'}' | b':' | b',' | b'"')
}
