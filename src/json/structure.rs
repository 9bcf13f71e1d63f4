//! Checks the order of `{ } [ ] : ,` and values, on words with one bit for each structural character.
//!
//! PEXT takes the bits of the structural characters out of the words of a chunk ([`Structure::pack`]). All rules but
//! one are then checked for 64 characters at once. The exception is which brackets are open: they are followed one by
//! one on a stack of bits, and PDEP puts what the stack knows back to the positions of the brackets
//! ([`Structure::check`]). [`super::scan`] shows the words for one text.

use super::bits::BLOCKS;
use super::chunk::Chunk;
use super::cpu::Cpu;

/// Facts about 64 structural characters, one bit for each. In ASCII, one bit plane tells each of the first three facts.
#[derive(Clone, Copy, Default)]
struct Packed {
    /// `{ } [ ]`, as opposed to `: ,`.
    bracket: u64,
    /// `{ [ :`, as opposed to `} ] ,`.
    opening: u64,
    /// `{ }`, as opposed to `[ ]`; of no use for `: ,`.
    brace: u64,
    /// A key or a value has ended right before the character, white space aside.
    ended: u64,
}

pub(super) struct Structure {
    /// The structural characters of the chunk.
    packed: [Packed; BLOCKS + 1],
    /// How many structural characters the chunk has.
    count: usize,
    /// The open brackets as a stack of bits: 1 for `{`, the innermost one lowest.
    open: u64,
    /// How many brackets are open.
    depth: u32,
    /// The bits of [`Packed::bracket`] and [`Packed::opening`] for the last structural character so far.
    last: (u64, u64),
}

/// The largest depth that `open` has room for; a value that is deeper is declined.
const DEPTH: u32 = u64::BITS;

/// What checking a chunk has found.
pub(super) enum Progress {
    Continues,
    /// The value ends with the structural character that has this number in the chunk.
    Ends(usize),
    /// Brackets, commas or colons are wrong, or the value is too deep.
    Wrong,
}

impl Structure {
    /// The state after the value's first bracket.
    pub fn new(is_object: bool) -> Self {
        let packed = [Packed::default(); BLOCKS + 1];
        Structure { packed, count: 0, open: u64::from(is_object), depth: 1, last: (1, 1) }
    }

    /// Packs the bits of the chunk's structural characters.
    #[inline(always)]
    pub fn pack(&mut self, cpu: impl Cpu, chunk: &Chunk) {
        let (mut word, mut used) = (0, 0);
        let mut packed = [0; 4];
        for i in 0..BLOCKS {
            let structural = chunk.structural.at(i);
            let [_, b1, _, _, _, b5, b6, _] = chunk.bits(i);
            let mut bits = [b6, b1, b5, chunk.ended.at(i)];
            for (bits, packed) in bits.iter_mut().zip(&mut packed) {
                *bits = cpu.pext(*bits, structural);
                *packed |= *bits << used;
            }
            used += structural.count_ones();
            if used >= 64 {
                self.set(word, packed);
                word += 1;
                used -= 64;
                // The next word begins with the bits that did not fit. `fitted` may be 64, by which a shift is not
                // possible, so there are two shifts.
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

    /// Checks the characters of the chunk, up to the end of the value.
    #[inline(always)]
    pub fn check(&mut self, cpu: impl Cpu) -> Progress {
        for word in 0..self.count.div_ceil(64) {
            let count = (self.count - word * 64).min(64);
            let Packed { bracket, opening, brace, ended } = self.packed[word];
            let (opens, closes) = (bracket & opening, bracket & !opening);
            let (colon, comma) = (!bracket & opening, !bracket & !opening);

            let (opens_in_row, braces_in_row) = (cpu.pext(opening, bracket), cpu.pext(brace, bracket));
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
                        let bit = cpu.pdep(1 << number, bracket);
                        live = bit | (bit - 1);
                        break;
                    }
                }
                after |= (self.open & 1) << number;
            }
            // `after` says for each bracket whether an object is the innermost one open after it, and holds for the
            // characters up to the next bracket, that one included. Adding carries the bit over the commas and colons
            // between the two.
            let moved = ((cpu.pdep(after, bracket) << 1) | before).wrapping_add(!bracket);
            let in_object = !(bracket ^ moved);

            let after_bracket = (bracket << 1) | self.last.0;
            let after_opening = (opening << 1) | self.last.1;
            self.last = ((bracket >> (count - 1)) & 1, (opening >> (count - 1)) & 1);
            let after_opens = after_bracket & after_opening;
            // A key comes after `{`, and in an object after `,`.
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
