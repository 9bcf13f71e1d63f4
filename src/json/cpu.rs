//! What needs a newer processor than the library is built for, and which one this is.
#![allow(unsafe_code, reason = "instructions that are chosen at run time")]

use super::chunk::{CHUNK, Words};
use std::arch::x86_64::*;
use std::sync::LazyLock;

/// The instructions that checking JSON takes. A value of such a type is proof that the processor has them.
pub(super) trait Cpu: Copy {
    /// Takes the eight bits of each byte apart.
    fn split(self, bytes: &[u8; CHUNK], planes: &mut [Words; 8]);

    /// The bits of `word` that `mask` selects, moved together at the low end.
    #[inline(always)]
    fn gather(self, word: u64, mask: u64) -> u64 {
        // SAFETY: `self` is proof of BMI2.
        unsafe { _pext_u64(word, mask) }
    }

    /// The reverse: the low bits of `word`, moved to where `mask` has bits.
    #[inline(always)]
    fn scatter(self, word: u64, mask: u64) -> u64 {
        // SAFETY: as above.
        unsafe { _pdep_u64(word, mask) }
    }
}

/// AVX2 and BMI2.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

/// AVX-512 with bytes, and BMI2.
#[derive(Clone, Copy)]
pub(super) struct Avx512(());

impl Cpu for Avx2 {
    #[inline(always)]
    fn split(self, bytes: &[u8; CHUNK], planes: &mut [Words; 8]) {
        for (block, bytes) in bytes.as_chunks::<64>().0.iter().enumerate() {
            // SAFETY: `self` is proof of AVX2, 64 bytes are two loads of 32, and a word is two halves, the low one first.
            unsafe {
                let mut low = _mm256_loadu_si256(bytes.as_ptr().cast());
                let mut high = _mm256_loadu_si256(bytes[32..].as_ptr().cast());
                for plane in planes.iter_mut().rev() {
                    // One after the other: to put them together first takes longer.
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
    fn split(self, bytes: &[u8; CHUNK], planes: &mut [Words; 8]) {
        for (block, bytes) in bytes.as_chunks::<64>().0.iter().enumerate() {
            // SAFETY: `self` is proof of AVX-512 BW, and 64 bytes are one load.
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

/// What this processor has, the best last.
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
    if has_avx2 && gathers_fast() {
        levels.push(Level::Avx2(Avx2(())));
        if has_avx512 {
            levels.push(Level::Avx512(Avx512(())));
        }
    }
    levels
});

/// Before Zen 3, AMD's processors take PEXT apart into a step for each bit.
fn gathers_fast() -> bool {
    let (vendor, version) = (__cpuid(0), __cpuid(1));
    let is_amd = [*b"Auth", *b"Hygo"].contains(&vendor.ebx.to_le_bytes());
    let family = ((version.eax >> 8) & 0xf) + ((version.eax >> 20) & 0xff);
    !is_amd || family >= 0x19
}
