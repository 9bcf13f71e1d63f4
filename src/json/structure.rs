//! The order of `{ } [ ] : ,` and values, on words that have a bit for each structural character instead of each byte.

use super::chunk::{BLOCKS, Chunk};
use super::cpu::Cpu;

/// Sixty-four structural characters, a bit each.
#[derive(Clone, Copy, Default)]
struct Packed {
    /// `{ } [ ]`, not `: ,`
    bracket: u64,
    /// `{ [ :`, not `} ] ,`
    opening: u64,
    /// Of the brackets, `{ }`.
    brace: u64,
    /// Those right after a value.
    ended: u64,
}

pub(super) struct Structure {
    packed: [Packed; BLOCKS + 1],
    count: usize,
    /// The open brackets: a bit each, 1 for `{`, the innermost lowest.
    open: u64,
    depth: u32,
    /// Whether the last structural character was a bracket, and one of `{ [ :`.
    last: (u64, u64),
}

/// Deeper than that is not looked at here.
const DEPTH: u32 = u64::BITS;

/// How checking a chunk ends.
pub(super) enum Progress {
    Continues,
    /// The value ends with the structural character of this number.
    Ends(usize),
    Wrong,
}

impl Structure {
    /// After the opening bracket.
    pub fn new(is_object: bool) -> Self {
        let packed = [Packed::default(); BLOCKS + 1];
        Structure { packed, count: 0, open: u64::from(is_object), depth: 1, last: (1, 1) }
    }

    #[inline(always)]
    pub fn pack(&mut self, cpu: impl Cpu, chunk: &Chunk) {
        let (mut word, mut used) = (0, 0);
        let mut packed = [0; 4];
        for i in 0..BLOCKS {
            let structural = chunk.structural.at(i);
            let [_, b1, _, _, _, b5, b6, _] = chunk.bits(i);
            let mut bits = [b6, b1, b5, chunk.ended.at(i)];
            for (bits, packed) in bits.iter_mut().zip(&mut packed) {
                *bits = cpu.gather(*bits, structural);
                *packed |= *bits << used;
            }
            used += structural.count_ones();
            if used >= 64 {
                self.set(word, packed);
                word += 1;
                used -= 64;
                // The bits that did not fit. Two shifts, since one may be by 64.
                let fitted = structural.count_ones() - used;
                let [a, b, c, d] = bits;
                packed =
                    [a >> (fitted - 1) >> 1, b >> (fitted - 1) >> 1, c >> (fitted - 1) >> 1, d >> (fitted - 1) >> 1];
            }
        }
        self.set(word, packed);
        self.count = word * 64 + used as usize;
    }

    #[inline(always)]
    fn set(&mut self, word: usize, [bracket, opening, brace, ended]: [u64; 4]) {
        self.packed[word] = Packed { bracket, opening, brace, ended };
    }

    /// Checks what was packed. Brackets are followed one by one, since an object is not an array; all else is looked at 64
    /// characters at a time.
    #[inline(always)]
    pub fn check(&mut self, cpu: impl Cpu) -> Progress {
        for word in 0..self.count.div_ceil(64) {
            let count = (self.count - word * 64).min(64);
            let Packed { bracket, opening, brace, ended } = self.packed[word];
            let (opens, closes) = (bracket & opening, bracket & !opening);
            let (colon, comma) = (!bracket & opening, !bracket & !opening);

            let (opens_in_row, braces_in_row) = (cpu.gather(opening, bracket), cpu.gather(brace, bracket));
            let mut live = !0 >> (64 - count);
            let (before, mut after) = (self.open & 1, 0);
            for number in 0..bracket.count_ones() {
                if (opens_in_row >> number) & 1 == 1 {
                    self.open = (self.open << 1) | ((braces_in_row >> number) & 1);
                    self.depth += 1;
                    if self.depth > DEPTH {
                        return Progress::Wrong;
                    }
                } else {
                    self.open >>= 1;
                    self.depth -= 1;
                    if self.depth == 0 {
                        let bit = cpu.scatter(1 << number, bracket);
                        live = bit | (bit - 1);
                        break;
                    }
                }
                after |= (self.open & 1) << number;
            }
            // Adding moves each bit from its bracket over commas and colons to the next bracket.
            let moved = ((cpu.scatter(after, bracket) << 1) | before).wrapping_add(!bracket);
            let in_object = !(bracket ^ moved);

            let after_bracket = (bracket << 1) | self.last.0;
            let after_opening = (opening << 1) | self.last.1;
            self.last = ((bracket >> (count - 1)) & 1, (opening >> (count - 1)) & 1);
            let after_opens = after_bracket & after_opening;
            // After `{`, and in an object after `,`.
            let wants_key = in_object & (after_opens | !(after_bracket | after_opening));
            let key = wants_key & ended & colon;
            let value = !wants_key & ((ended & (comma | closes)) | (!ended & opens));
            let empty = after_opens & !ended & closes;
            let wrong = !(key | value | empty) | (closes & (brace ^ in_object));
            if wrong & live != 0 {
                return Progress::Wrong;
            }
            if self.depth == 0 {
                return Progress::Ends(word * 64 + live.count_ones() as usize - 1);
            }
        }
        Progress::Continues
    }
}
