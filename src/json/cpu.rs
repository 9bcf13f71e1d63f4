//! The instructions that the scanner needs beyond those that the library is built for, and whether this processor has
//! them.
#![allow(unsafe_code, reason = "instructions that are chosen at run time")]

use super::bits::{CHUNK, ChunkBits};
use std::arch::x86_64::*;
use std::sync::LazyLock;

/// An instruction set that the scanner can use. A value of a type that implements this trait is proof that the
/// processor has the instructions: only [`LEVELS`] makes such values.
pub(super) trait Cpu: Copy {
    /// Transposes a chunk into bit planes: plane k gets bit k of each byte.
    fn transpose(self, bytes: &[u8; CHUNK], planes: &mut [ChunkBits; 8]);

    /// PEXT: the bits of `word` that `mask` selects, moved together at the low end.
    #[inline(always)]
    fn pext(self, word: u64, mask: u64) -> u64 {
        // SAFETY: `_pext_u64` needs BMI2, of which `self` is proof.
        unsafe { _pext_u64(word, mask) }
    }

    /// PDEP, the reverse: the low bits of `word`, moved to the positions of the bits of `mask`.
    #[inline(always)]
    fn pdep(self, word: u64, mask: u64) -> u64 {
        // SAFETY: `_pdep_u64` needs BMI2, of which `self` is proof.
        unsafe { _pdep_u64(word, mask) }
    }
}

/// AVX2, BMI1, BMI2, LZCNT and POPCNT.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

/// AVX-512 F, BW and VL, with all that [`Avx2`] has.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

impl Cpu for Avx2 {
    #[inline(always)]
    fn transpose(self, bytes: &[u8; CHUNK], planes: &mut [ChunkBits; 8]) {
        for (block, bytes) in bytes.as_chunks::<64>().0.iter().enumerate() {
            // SAFETY: `self` is proof of AVX2. `bytes` has 64 bytes, which are two loads of 32. `word` points to a
            // `u64` of `plane`, which may be written as two halves; x86 has the low half first.
            unsafe {
                let mut low = _mm256_loadu_si256(bytes.as_ptr().cast());
                let mut high = _mm256_loadu_si256(bytes[32..].as_ptr().cast());
                for plane in planes.iter_mut().rev() {
                    // Writing the two halves is faster than putting them together first.
                    let halves = [_mm256_movemask_epi8(low) as u32, _mm256_movemask_epi8(high) as u32];
                    plane.word(block).cast::<[u32; 2]>().write(halves);
                    low = _mm256_add_epi8(low, low);
                    high = _mm256_add_epi8(high, high);
                }
            }
        }
    }
}

impl Cpu for Avx512 {
    #[inline(always)]
    fn transpose(self, bytes: &[u8; CHUNK], planes: &mut [ChunkBits; 8]) {
        for (block, bytes) in bytes.as_chunks::<64>().0.iter().enumerate() {
            // SAFETY: `self` is proof of AVX-512 BW. `bytes` has 64 bytes, which are one load.
            unsafe {
                let bytes = _mm512_loadu_si512(bytes.as_ptr().cast());
                for (k, plane) in planes.iter_mut().enumerate() {
                    plane.set(block, _mm512_test_epi8_mask(bytes, _mm512_set1_epi8((1u8 << k) as i8)));
                }
            }
        }
    }
}

pub(super) enum Level {
    Avx2(Avx2),
    Avx512(Avx512),
}

/// The instruction sets that this processor has, the fastest last; empty if the scanner cannot be used.
pub(super) static LEVELS: LazyLock<Vec<Level>> = LazyLock::new(|| {
    let has_avx2 = is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("popcnt");
    let has_avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl");
    let mut levels = Vec::new();
    if has_avx2 && has_fast_pext() {
        levels.push(Level::Avx2(Avx2(())));
        if has_avx512 {
            levels.push(Level::Avx512(Avx512(())));
        }
    }
    levels
});

/// Whether PEXT and PDEP are fast: AMD's processors before Zen 3 (family 0x19) take a step for each bit.
fn has_fast_pext() -> bool {
    let (vendor, version) = (__cpuid(0), __cpuid(1));
    let is_amd = [*b"Auth", *b"Hygo"].contains(&vendor.ebx.to_le_bytes());
    let family = ((version.eax >> 8) & 0xf) + ((version.eax >> 20) & 0xff);
    !is_amd || family >= 0x19
}
