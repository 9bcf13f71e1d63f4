//! Bit vectors with one bit for each byte of a chunk of text.

/// The blocks of 64 bytes in a chunk.
pub(super) const BLOCKS: usize = 32;
/// The bytes of a chunk.
pub(super) const CHUNK: usize = 64 * BLOCKS;

/// One bit for each byte of a chunk: a word for each block, whose lowest bit is the block's first byte.
///
/// The word before the first block is the last word of the previous chunk. The word after the last block stands for the
/// next chunk and stays 0, since that chunk has not been read.
///
/// ```text
/// index   0 … 6    7                8 … 39          40           41 … 47
///         unused   previous chunk   blocks 0 … 31   next chunk   unused
/// ```
///
/// The unused words align the words of the blocks, eight at a time, to 64 bytes: the size of a vector.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub(super) struct ChunkBits([u64; BLOCKS + 16]);

impl ChunkBits {
    pub const EMPTY: ChunkBits = ChunkBits([0; BLOCKS + 16]);

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
    pub fn before(&self, block: usize) -> u64 {
        self.0[block + 7]
    }

    /// The word of a block with each bit moved to the byte after its own.
    #[inline(always)]
    pub fn moved_up(&self, block: usize) -> u64 {
        (self.at(block) << 1) | (self.before(block) >> 63)
    }

    /// The word of a block with each bit moved to the byte before its own.
    #[inline(always)]
    pub fn moved_down(&self, block: usize) -> u64 {
        (self.at(block) >> 1) | (self.0[block + 9] << 63)
    }

    /// Begins the next chunk: keeps the last word as that of the previous chunk.
    #[inline(always)]
    pub fn next_chunk(&mut self) {
        self.0[7] = self.0[BLOCKS + 7];
    }
}
