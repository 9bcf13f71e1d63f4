//! Classifies the bytes of a chunk of text and checks its strings, numbers and literals. [`super::scan`] explains the
//! passes and shows their words for one text.
//!
//! Every pass is a loop that does the same few operations on each word of the chunk, so that the compiler turns it into
//! vector instructions. What goes from one word to the next has a loop of its own, which is not vectorized. Bytes that
//! are too rare to be worth an operation on all words are marked in `unchecked`, and [`super::scan`] reads them one by
//! one.

use super::bits::{BLOCKS, CHUNK, ChunkBits};
use super::cpu::Cpu;

/// The facts about the bytes of one chunk, with what the next chunk needs to know of it.
pub(super) struct Chunk {
    /// The text itself: plane k has bit k of each byte.
    pub planes: [ChunkBits; 8],
    /// Quotation marks that begin or end a string. Until `escapes` has run, the escaped ones too.
    quotes: ChunkBits,
    /// Backslashes that escape the byte after them.
    escaping: ChunkBits,
    /// Escaped bytes other than `"`, `\`, `/` and `bfnrt`: the `u` of an escape, or a byte that may not be escaped.
    escaped: ChunkBits,
    /// Each string from its first quotation mark to the byte before its last one.
    pub inside: ChunkBits,
    /// `{ } [ ] : ,` outside strings.
    pub structural: ChunkBits,
    /// White space outside strings. Until `tokens` has run, all backslashes.
    white: ChunkBits,
    /// All other bytes outside strings: numbers and literals, or what should be one.
    scalar: ChunkBits,
    /// Digits outside strings.
    digit: ChunkBits,
    /// Dots outside strings.
    dot: ChunkBits,
    /// Dots, and the digits after a dot of the same word. Only the highest bit of a word is read: whether the fraction
    /// goes on in the next word.
    fraction: ChunkBits,
    /// The last bytes of strings, arrays and objects.
    ends: ChunkBits,
    /// For each key and each value that has ended, the first byte after it that is not white space.
    pub ended: ChunkBits,
    /// The last key or value has ended, and only white space follows in the chunk.
    is_ended: bool,
    /// Bytes for which the text is declined.
    pub declined: ChunkBits,
    /// Bytes that the passes leave to be read one by one.
    pub unchecked: ChunkBits,
}

/// The backslashes that escape, and the bytes that are escaped. `first` is 1 if the block's first byte is escaped by
/// the block before.
#[inline(always)]
fn escapes(backslash: u64, first: u64) -> (u64, u64) {
    // In a run of backslashes, the first, third, fifth… escape the byte after them. In the subtraction a borrow goes
    // through each run; XOR with the odd bits then leaves these backslashes, and the byte after the run if the last of
    // it escapes.
    const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;
    let begins = backslash & !first;
    let turns = (((begins << 1) | ODD).wrapping_sub(begins)) ^ ODD;
    (turns & backslash, turns ^ (backslash | first))
}

impl Chunk {
    /// The state before the first chunk, which begins after the value's first byte: inside a string, or after a
    /// bracket.
    pub fn new(in_string: bool) -> Self {
        let empty = ChunkBits::EMPTY;
        let mut inside = empty;
        inside.set(BLOCKS - 1, if in_string { !0 } else { 0 });
        Chunk {
            planes: [empty; 8],
            quotes: empty,
            escaping: empty,
            escaped: empty,
            inside,
            structural: empty,
            white: empty,
            scalar: empty,
            digit: empty,
            dot: empty,
            fraction: empty,
            ends: empty,
            ended: empty,
            is_ended: false,
            declined: empty,
            unchecked: empty,
        }
    }

    /// Reads the next chunk: runs all passes. Where the text ends before the chunk does, spaces stand for the rest.
    #[inline(always)]
    pub fn read(&mut self, cpu: impl Cpu, text: &[u8]) {
        let Chunk { escaping, inside, scalar, digit, fraction, ends, .. } = self;
        for words in [escaping, inside, scalar, digit, fraction, ends] {
            words.next_chunk();
        }
        match text.first_chunk() {
            Some(bytes) => cpu.transpose(bytes, &mut self.planes),
            None => {
                let mut bytes = [b' '; CHUNK];
                bytes[..text.len()].copy_from_slice(text);
                cpu.transpose(&bytes, &mut self.planes);
            }
        }
        self.strings();
        let has_letters = self.tokens();
        self.values();
        if has_letters {
            self.literals();
        }
    }

    /// The eight planes at a block. Written out, since a closure might become a call.
    #[inline(always)]
    pub fn bits(&self, block: usize) -> [u64; 8] {
        let [a, b, c, d, e, f, g, h] = &self.planes;
        [a.at(block), b.at(block), c.at(block), d.at(block), e.at(block), f.at(block), g.at(block), h.at(block)]
    }

    /// The last quotation marks of strings.
    #[inline(always)]
    pub fn closing(&self, block: usize) -> u64 {
        self.quotes.at(block) & !self.inside.at(block)
    }

    /// Sets `quotes`, `escaping`, `escaped` and `inside`.
    #[inline(always)]
    fn strings(&mut self) {
        let mut any = self.escaping.before(0) >> 63;
        for i in 0..BLOCKS {
            let [b0, b1, b2, b3, b4, b5, b6, b7] = self.bits(i);
            let backslash = !(b7 | b5 | b1 | b0) & b6 & b4 & b3 & b2;
            self.quotes.set(i, !(b7 | b6 | b4 | b3 | b2 | b0) & b5 & b1);
            self.white.set(i, backslash);
            any |= backslash;
        }
        if any != 0 {
            self.escapes();
        } else {
            for i in 0..BLOCKS {
                self.escaping.set(i, 0);
                self.escaped.set(i, 0);
            }
        }
        for i in 0..BLOCKS {
            // Prefix XOR: each bit becomes the parity of the quotation marks of the word up to it.
            let mut inside = self.quotes.at(i);
            for shift in [1, 2, 4, 8, 16, 32] {
                inside ^= inside << shift;
            }
            self.inside.set(i, inside);
        }
        // If the word before ends inside a string, every parity of this word is the other one.
        let mut before = self.inside.before(0);
        for i in 0..BLOCKS {
            let inside = self.inside.at(i) ^ ((before as i64) >> 63) as u64;
            self.inside.set(i, inside);
            before = inside;
        }
    }

    /// Sets `escaping` and `escaped` from the backslashes in `white`, and takes escaped quotation marks out of
    /// `quotes`.
    #[inline(always)]
    fn escapes(&mut self) {
        for i in 0..BLOCKS {
            let (escaping, escaped) = escapes(self.white.at(i), 0);
            self.escaping.set(i, escaping);
            self.escaped.set(i, escaped);
        }
        for i in 0..BLOCKS {
            if self.escaping.before(i) >> 63 != 0 {
                let (escaping, escaped) = escapes(self.white.at(i), 1);
                self.escaping.set(i, escaping);
                self.escaped.set(i, escaped);
            }
        }
        for i in 0..BLOCKS {
            let [b0, b1, b2, b3, b4, b5, b6, b7] = self.bits(i);
            let (quotes, escaped) = (self.quotes.at(i), self.escaped.at(i));
            let letter = b6 & !b0 & ((!b4 & b1 & (!b3 | b2)) | (b4 & !b3 & (b2 ^ b1)));
            let slash = !(b6 | b4) & b3 & b2 & b1 & b0;
            let known = quotes | self.white.at(i) | (!b7 & b5 & (letter | slash));
            self.quotes.set(i, quotes & !escaped);
            self.escaped.set(i, escaped & !known);
        }
    }

    /// Sets the classes of bytes outside strings, `ends` and `ended`, and the control characters of strings in
    /// `declined`. Tells whether scalars may have letters.
    #[inline(always)]
    fn tokens(&mut self) -> bool {
        let mut letters = 0;
        for i in 0..BLOCKS {
            let [b0, b1, b2, b3, b4, b5, b6, b7] = self.bits(i);
            let (quotes, inside) = (self.quotes.at(i), self.inside.at(i));
            let outside = !(quotes | inside);
            let bracket = b6 & b4 & b0 & (b2 ^ b1);
            let comma_or_colon = !b6 & b5 & !b0 & ((!b4 & b2 & !b1) | (b4 & !b2 & b1));
            let structural = outside & !b7 & b3 & (bracket | comma_or_colon);
            let space = b5 & !(b4 | b3 | b2 | b1 | b0);
            let line_or_tab = !(b5 | b4) & b3 & ((!b2 & (b1 ^ b0)) | (b2 & !b1 & b0));
            let white = outside & !(b7 | b6) & (space | line_or_tab);
            let scalar = outside & !(structural | white);
            let digit = scalar & !(b7 | b6) & b5 & b4 & (!b3 | !(b2 | b1));
            let dot = scalar & !(b7 | b6 | b4 | b0) & b5 & b3 & b2 & b1;
            self.structural.set(i, structural);
            self.white.set(i, white);
            self.scalar.set(i, scalar);
            self.digit.set(i, digit);
            self.dot.set(i, dot);
            self.fraction.set(i, dot | (digit & !(dot << 1).wrapping_add(digit)));
            self.ends.set(i, (quotes & !inside) | (structural & b6 & !b1));
            // A string has no control characters.
            self.declined.set(i, inside & !(b7 | b6 | b5));
            letters |= scalar & b6;
        }
        for i in 0..BLOCKS {
            let scalar_ended = self.scalar.moved_up(i) & !self.scalar.at(i);
            self.ended.set(i, self.ends.moved_up(i) | scalar_ended);
        }
        // ScanThru: adding moves a bit that is at white space to the first byte after the white space.
        let mut is_ended = self.is_ended;
        for i in 0..BLOCKS {
            let (sum, over) = self.ended.at(i).overflowing_add(self.white.at(i));
            let (sum, over_too) = sum.overflowing_add(u64::from(is_ended));
            self.ended.set(i, sum & !self.white.at(i));
            is_ended = over | over_too;
        }
        self.is_ended = is_ended;
        letters != 0
    }

    /// Sets `unchecked`, and adds to `declined`: two dots in a number, and a string or a scalar right after a value.
    #[inline(always)]
    fn values(&mut self) {
        // The byte after the chunk is not known. A sign or a dot at the end of the chunk becomes unchecked.
        self.digit.set(BLOCKS, 0);
        for i in 0..BLOCKS {
            let [b0, b1, b2, b3, b4, b5, b6, b7] = self.bits(i);
            let (scalar, digit, dot) = (self.scalar.at(i), self.digit.at(i), self.dot.at(i));
            let starts = scalar & !self.scalar.moved_up(i);
            let opening = self.quotes.at(i) & self.inside.at(i);
            let colon = self.structural.at(i) & !b6 & b1;
            let minus = scalar & !(b7 | b6 | b4 | b1) & b5 & b3 & b2 & b0;
            let zero = digit & !(b3 | b2 | b1 | b0);
            let (after_digit, before_digit) = (self.digit.moved_up(i), self.digit.moved_down(i));
            let is_number = digit | (dot & after_digit & before_digit) | (minus & starts & before_digit);
            // At the edges of a word, a zero may become unchecked although it is not a leading zero.
            let leading_zero = zero & !(after_digit | (dot << 1)) & (before_digit | (1 << 63));
            // ScanThru: adding moves the bit after a dot over the digits of the fraction, to the byte after them. A
            // second dot must not be there. A word of digits alone is declined, since no carry goes on to the word
            // after it.
            let fraction = ((dot << 1) | (self.fraction.before(i) >> 63)).wrapping_add(digit) & !digit;
            let only_digits = if digit == !0 { !0 } else { 0 };
            let declined = ((starts | opening) & self.ended.at(i)) | (fraction & dot) | only_digits;
            self.declined.set(i, self.declined.at(i) | declined);
            let escaped = self.escaped.at(i) & self.inside.at(i);
            // A colon becomes unchecked if it does not directly follow the last byte of a string, an array or an object
            // of the same block: for instance one after white space.
            let key = colon & !(self.ends.at(i) << 1);
            self.unchecked.set(i, escaped | key | (scalar & !is_number) | leading_zero);
        }
    }

    /// Checks `true`, `false` and `null`, and takes them out of `unchecked`. They must begin in the first 59 bytes of a
    /// block, so that the block has the byte after them too.
    #[inline(always)]
    fn literals(&mut self) {
        for i in 0..BLOCKS {
            let [b0, b1, b2, b3, b4, b5, b6, b7] = self.bits(i);
            let scalar = self.scalar.at(i);
            let starts = scalar & !self.scalar.moved_up(i) & (!0 >> 5);
            let first = starts & !b7 & b6 & b5 & b2 & !b0;
            let (t, f, n) = (first & b4 & !(b3 | b1), first & b1 & !(b4 | b3), first & b3 & b1 & !b4);
            // Where each letter has to follow, and whether another byte is there: one whose planes are not those of the
            // letter.
            let (r, u, e) = (t << 1, (t << 2) | (n << 1), (t << 3) | (f << 4));
            let (a, l, s) = (f << 1, (f << 2) | (n << 2) | (n << 3), f << 3);
            let follows = r | u | e | a | l | s;
            let is_other = (b4 ^ (r | u | s)) | (b3 ^ l) | (b2 ^ (u | e | l)) | (b1 ^ (r | s)) | (b0 ^ (u | e | a | s));
            let after = ((t | n) << 4) | (f << 5);
            let declined = (follows & (is_other | b7 | !b6 | !b5)) | (after & scalar);
            self.declined.set(i, self.declined.at(i) | declined);
            self.unchecked.set(i, self.unchecked.at(i) & !(first & (t | f | n)) & !follows);
        }
    }
}
