//! Finds the end of a value and checks the value on the way.

use super::chunk::{BLOCKS, CHUNK, Chunk};
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

/// The end of the string, array or object that begins at `start`; none where it is wrong or unusual.
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
                Progress::Ends(number) => place_of(cpu, &chunk, number),
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

/// Whether nothing is wrong in so many bytes of the chunk at `at`. What comes before `checked` has been looked at, as has
/// what comes before the result.
#[inline(always)]
fn check(chunk: &Chunk, text: &[u8], at: usize, length: usize, mut checked: usize) -> Option<usize> {
    for i in 0..length.div_ceil(64) {
        let live = !0 >> (64 - (length - 64 * i).min(64));
        if chunk.wrong.at(i) & live != 0 {
            return None;
        }
        let mut odd = chunk.odd.at(i) & live;
        while odd != 0 {
            let bit = odd.trailing_zeros();
            odd &= odd - 1;
            let here = at + 64 * i + bit as usize;
            if here >= checked {
                let is_inside = (chunk.inside.at(i) >> bit) & 1 == 1;
                checked = if is_inside { unicode_escape(text, here)? } else { outside(text, here)? };
            }
        }
    }
    Some(checked)
}

#[inline(always)]
fn first_bit(word: impl Fn(usize) -> u64) -> Option<usize> {
    (0..BLOCKS).find(|block| word(*block) != 0).map(|block| 64 * block + word(block).trailing_zeros() as usize)
}

/// Where the structural character of this number is.
#[inline(always)]
fn place_of(cpu: impl Cpu, chunk: &Chunk, mut number: usize) -> Option<usize> {
    for block in 0..BLOCKS {
        let structural = chunk.structural.at(block);
        let count = structural.count_ones() as usize;
        if number < count {
            return Some(64 * block + cpu.scatter(1 << number, structural).trailing_zeros() as usize);
        }
        number -= count;
    }
    None
}

/// The end of what the byte at `at` belongs to, if that is a number, a literal or a colon after a key. All bytes before it
/// have been looked at.
fn outside(text: &[u8], at: usize) -> Option<usize> {
    let (before, rest) = text.split_at_checked(at)?;
    match rest {
        [b':', ..] => {
            let key = before.iter().rfind(|byte| !is_white(byte))?;
            return (*key == b'"').then_some(at + 1);
        }
        // What comes before is a number by itself if it ends with a digit.
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
