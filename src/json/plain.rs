//! Finds the end of a value byte by byte, and checks the value: for text that is too short for vector instructions to
//! pay. It does not recurse: the open brackets are a stack of bits.

/// The largest depth that the stack has room for; a value that is deeper is declined.
const DEPTH: u32 = u64::BITS;

/// The length of the value that `text` begins with; `None` if it is wrong or nested more than 64 deep, where an empty
/// array or object does not count.
///
/// A number or a literal at the end of `text` gives `None` too: whether it ends there is not known. So `text` may be
/// the beginning of a longer text.
pub(super) fn length(text: &[u8]) -> Option<usize> {
    // The open brackets: 1 for `{`, the innermost one lowest.
    let (mut open, mut depth, mut at) = (0_u64, 0, 0);
    loop {
        at = match *text.get(at)? {
            b'"' => string(text, at + 1)?,
            bracket @ (b'{' | b'[') => {
                let after = white(text, at + 1);
                // In ASCII, the code of a closing bracket is that of its opening bracket plus 2.
                if *text.get(after)? == bracket + 2 {
                    after + 1
                } else if depth == DEPTH {
                    return None;
                } else {
                    let is_object = bracket == b'{';
                    (open, depth) = ((open << 1) | u64::from(is_object), depth + 1);
                    at = if is_object { key(text, after)? } else { after };
                    continue;
                }
            }
            b't' | b'f' | b'n' => literal(text, at)?,
            _ => number(text, at)?,
        };
        loop {
            if depth == 0 {
                return Some(at);
            }
            at = white(text, at);
            let in_object = open & 1 == 1;
            match *text.get(at)? {
                b',' => {
                    at = white(text, at + 1);
                    at = if in_object { key(text, at)? } else { at };
                    break;
                }
                b'}' if in_object => {}
                b']' if !in_object => {}
                _ => return None,
            }
            (open, depth, at) = (open >> 1, depth - 1, at + 1);
        }
    }
}

/// Reads a key and its colon at `at`; returns where the member's value begins.
fn key(text: &[u8], at: usize) -> Option<usize> {
    if *text.get(at)? != b'"' {
        return None;
    }
    let colon = white(text, string(text, at + 1)?);
    (*text.get(colon)? == b':').then(|| white(text, colon + 1))
}

/// The first position from `at` on that is not white space.
pub(super) fn white(text: &[u8], mut at: usize) -> usize {
    while text.get(at).is_some_and(is_white) {
        at += 1;
    }
    at
}

/// The end of a string, after its last quotation mark; `at` is the position after its first one.
pub(super) fn string(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = special(text, at);
        match *text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => match *text.get(at + 1)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                _ => at = unicode_escape(text, at + 1)?,
            },
            _ => return None,
        }
    }
}

/// The position of the first `"`, `\` or control character from `at` on; the length of the text if there is none.
#[inline]
pub(super) fn special(text: &[u8], mut at: usize) -> usize {
    while let Some(eight) = text.get(at..).and_then(<[u8]>::first_chunk) {
        let found = special_of(u64::from_le_bytes(*eight));
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while text.get(at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | ..b' ')) {
        at += 1;
    }
    at
}

/// The high bit of the first of eight bytes that is `"`, `\` or a control character, and perhaps of some bytes after
/// it; 0 if there is none.
///
/// This is the SWAR test for a zero byte ("Bit Twiddling Hacks", `haszero` and `hasless`): the borrow of a byte that is
/// found may reach the bytes after it, and never those before.
fn special_of(eight: u64) -> u64 {
    const EACH: u64 = u64::MAX / 255;
    let less = |word: u64, than: u8| word.wrapping_sub(EACH * u64::from(than)) & !word;
    let is = |byte: u8| less(eight ^ (EACH * u64::from(byte)), 1);
    (is(b'"') | is(b'\\') | less(eight, b' ')) & (EACH << 7)
}

/// The end of an escape whose byte after the backslash is at `at`; `None` unless that is `u` with four hexadecimal
/// digits.
pub(super) fn unicode_escape(text: &[u8], at: usize) -> Option<usize> {
    let is_right = text
        .get(at..at + 5)?
        .split_first()
        .is_some_and(|(letter, digits)| *letter == b'u' && digits.iter().all(u8::is_ascii_hexdigit));
    is_right.then_some(at + 5)
}

/// The end of `true`, `false` or `null` at `at`; `None` if no literal is there, or if the text ends with it.
pub(super) fn literal(text: &[u8], at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    let found = [&b"true"[..], b"false", b"null"].into_iter().find(|literal| rest.starts_with(literal))?;
    (rest.len() > found.len()).then_some(at + found.len())
}

/// The end of the number at `at`; `None` if no number is there, or if the text ends with it.
pub(super) fn number(text: &[u8], mut at: usize) -> Option<usize> {
    if *text.get(at)? == b'-' {
        at += 1;
    }
    at = if *text.get(at)? == b'0' { at + 1 } else { digits(text, at)? };
    if *text.get(at)? == b'.' {
        at = digits(text, at + 1)?;
    }
    if matches!(*text.get(at)?, b'e' | b'E') {
        let is_signed = matches!(*text.get(at + 1)?, b'+' | b'-');
        at = digits(text, at + 1 + usize::from(is_signed))?;
    }
    Some(at)
}

/// The position after one digit or more; `None` if there is no digit, or if the text ends with digits.
pub(super) fn digits(text: &[u8], at: usize) -> Option<usize> {
    let count = text.get(at..)?.iter().position(|byte| !byte.is_ascii_digit())?;
    (count > 0).then_some(at + count)
}

pub(super) fn is_white(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}
