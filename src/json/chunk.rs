//! The characters of a chunk of text, all at once: what is a string, what is a value, and what cannot be.
//!
//! Every step is the same few operations on each word of the chunk, which the compiler turns into vector instructions.
//! What is too rare to be worth such a step is marked as `odd`, for [`super::scan`] to look at byte by byte.

use super::cpu::Cpu;

/// The blocks of 64 bytes that are looked at together, and their bytes.
pub(super) const BLOCKS: usize = 32;
pub(super) const CHUNK: usize = 64 * BLOCKS;

/// One bit for each byte of a chunk of text, a word for each block, between the last word of the chunk before and room for
/// the first of the next. Vectors of words are aligned.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct Words([u64; BLOCKS + 16]);

impl Words {
    const EMPTY: Words = Words([0; BLOCKS + 16]);

    #[inline(always)]
    pub fn at(&self, block: usize) -> u64 {
        self.0[block + 8]
    }

    #[inline(always)]
    pub fn set(&mut self, block: usize, word: u64) {
        self.0[block + 8] = word;
    }

    #[inline(always)]
    pub fn word(&mut self, block: usize) -> *mut u64 {
        &raw mut self.0[block + 8]
    }

    #[inline(always)]
    fn before(&self, block: usize) -> u64 {
        self.0[block + 7]
    }

    /// Each bit moved to the byte after.
    #[inline(always)]
    fn moved_up(&self, block: usize) -> u64 {
        (self.at(block) << 1) | (self.before(block) >> 63)
    }

    /// Each bit moved to the byte before.
    #[inline(always)]
    fn moved_down(&self, block: usize) -> u64 {
        (self.at(block) >> 1) | (self.0[block + 9] << 63)
    }

    /// Begins the next chunk.
    #[inline(always)]
    fn turn(&mut self) {
        self.0[7] = self.0[BLOCKS + 7];
    }
}

pub(super) struct Chunk {
    /// The text itself: plane k has bit k of every byte.
    pub planes: [Words; 8],
    /// Quotation marks that begin or end a string.
    quotes: Words,
    /// Backslashes that escape, and of what they escape all that is neither `"`, `\`, `/` nor one of `bfnrt`.
    escaping: Words,
    escaped: Words,
    /// From the quotation mark that begins a string to the byte before the one that ends it.
    pub inside: Words,
    /// `{ } [ ] : ,` outside strings.
    pub structural: Words,
    white: Words,
    /// Everything else outside strings: numbers and literals, or what they ought to be.
    scalar: Words,
    digit: Words,
    dot: Words,
    /// At the top of a word: a fraction goes on in the next.
    fraction: Words,
    /// The last bytes of strings, arrays and objects.
    ends: Words,
    /// What follows the end of a value, white space aside.
    pub ended: Words,
    is_ended: bool,
    pub wrong: Words,
    pub odd: Words,
}

/// The backslashes that escape, and what they escape. `first` is 1 where the block's first byte is escaped.
#[inline(always)]
fn escapes(backslash: u64, first: u64) -> (u64, u64) {
    // Of a run of backslashes each second one escapes. Subtracting makes runs that begin at odd bytes differ from those at
    // even ones.
    const ODD: u64 = 0xaaaa_aaaa_aaaa_aaaa;
    let begins = backslash & !first;
    let turns = (((begins << 1) | ODD).wrapping_sub(begins)) ^ ODD;
    (turns & backslash, turns ^ (backslash | first))
}

impl Chunk {
    /// Before the first chunk: text that begins inside a string, or outside and after an opening bracket.
    pub fn new(in_string: bool) -> Self {
        let empty = Words::EMPTY;
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
            wrong: empty,
            odd: empty,
        }
    }

    /// Reads the next chunk and finds everything out about it. What is missing at the end of the text is white space.
    #[inline(always)]
    pub fn read(&mut self, cpu: impl Cpu, text: &[u8]) {
        let Chunk { escaping, inside, scalar, digit, fraction, ends, .. } = self;
        for words in [escaping, inside, scalar, digit, fraction, ends] {
            words.turn();
        }
        match text.first_chunk() {
            Some(bytes) => cpu.split(bytes, &mut self.planes),
            None => {
                let mut bytes = [b' '; CHUNK];
                bytes[..text.len()].copy_from_slice(text);
                cpu.split(&bytes, &mut self.planes);
            }
        }
        self.strings();
        let has_letters = self.tokens();
        self.values();
        if has_letters {
            self.literals();
        }
    }

    /// The eight planes at a block, without a closure: that may become a call.
    #[inline(always)]
    pub fn bits(&self, block: usize) -> [u64; 8] {
        let [a, b, c, d, e, f, g, h] = &self.planes;
        [a.at(block), b.at(block), c.at(block), d.at(block), e.at(block), f.at(block), g.at(block), h.at(block)]
    }

    /// Where strings end.
    #[inline(always)]
    pub fn closing(&self, block: usize) -> u64 {
        self.quotes.at(block) & !self.inside.at(block)
    }

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
            // Each bit becomes the parity of the quotation marks up to it.
            let mut inside = self.quotes.at(i);
            for shift in [1, 2, 4, 8, 16, 32] {
                inside ^= inside << shift;
            }
            self.inside.set(i, inside);
        }
        let mut before = self.inside.before(0);
        for i in 0..BLOCKS {
            let inside = self.inside.at(i) ^ ((before as i64) >> 63) as u64;
            self.inside.set(i, inside);
            before = inside;
        }
    }

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

    /// Tells whether there are letters outside strings.
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
            self.wrong.set(i, inside & !(b7 | b6 | b5));
            letters |= scalar & b6;
        }
        for i in 0..BLOCKS {
            let scalar_ended = self.scalar.moved_up(i) & !self.scalar.at(i);
            self.ended.set(i, self.ends.moved_up(i) | scalar_ended);
        }
        // Adding moves a bit over the white space that it is at, to what comes after.
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

    /// Numbers, and that no value follows another.
    #[inline(always)]
    fn values(&mut self) {
        // What comes after the chunk is not known: a sign or a dot at its very end is odd.
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
            let leading_zero = zero & !(after_digit | (dot << 1)) & (before_digit | (1 << 63));
            // A second dot is where adding moves the first one over its digits. It cannot do so over a word of digits.
            let fraction = ((dot << 1) | (self.fraction.before(i) >> 63)).wrapping_add(digit) & !digit;
            let only_digits = if digit == !0 { !0 } else { 0 };
            let wrong = ((starts | opening) & self.ended.at(i)) | (fraction & dot) | only_digits;
            self.wrong.set(i, self.wrong.at(i) | wrong);
            let escaped = self.escaped.at(i) & self.inside.at(i);
            // White space between a key and its colon is odd too.
            let key = colon & !(self.ends.at(i) << 1);
            self.odd.set(i, escaped | key | (scalar & !is_number) | leading_zero);
        }
    }

    /// `true`, `false` and `null` that end in the block they begin in: those are not odd.
    #[inline(always)]
    fn literals(&mut self) {
        for i in 0..BLOCKS {
            let [b0, b1, b2, b3, b4, b5, b6, b7] = self.bits(i);
            let scalar = self.scalar.at(i);
            let starts = scalar & !self.scalar.moved_up(i) & (!0 >> 5);
            let first = starts & !b7 & b6 & b5 & b2 & !b0;
            let (t, f, n) = (first & b4 & !(b3 | b1), first & b1 & !(b4 | b3), first & b3 & b1 & !b4);
            // Where which letter has to follow, and then whether all bits are those of that letter.
            let (r, u, e) = (t << 1, (t << 2) | (n << 1), (t << 3) | (f << 4));
            let (a, l, s) = (f << 1, (f << 2) | (n << 2) | (n << 3), f << 3);
            let follows = r | u | e | a | l | s;
            let is_other = (b4 ^ (r | u | s)) | (b3 ^ l) | (b2 ^ (u | e | l)) | (b1 ^ (r | s)) | (b0 ^ (u | e | a | s));
            let after = ((t | n) << 4) | (f << 5);
            let wrong = (follows & (is_other | b7 | !b6 | !b5)) | (after & scalar);
            self.wrong.set(i, self.wrong.at(i) | wrong);
            self.odd.set(i, self.odd.at(i) & !(first & (t | f | n)) & !follows);
        }
    }
}
