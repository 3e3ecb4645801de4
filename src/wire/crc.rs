//! The masked CRC-32C of TFRecord, TensorBundle and snapshot files.
//!
//! The processor's own instruction takes eight bytes at a time, but its result only after three
//! cycles. So three runs of equal length are summed side by side and then put together, for records
//! of some hundred bytes too, which make up most files. Elsewhere the crate `crc32c` does it.

const MASK_DELTA: u32 = 0xa282_ead8;

/// CRC-32C (Castagnoli) of `bytes`, rotated and offset as TensorFlow stores it
/// (`tensorflow/core/lib/hash/crc32c.h`, `Mask`).
#[must_use]
#[inline]
pub(crate) fn masked_crc32c(bytes: &[u8]) -> u32 {
    mask(crc32c(bytes))
}

/// CRC-32C (Castagnoli) of `bytes`.
#[must_use]
#[inline]
#[cfg_attr(target_arch = "x86_64", allow(unsafe_code))]
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("sse4.2") && is_x86_feature_detected!("pclmulqdq") {
        // SAFETY: the processor has what the function is compiled for.
        return unsafe { three_way::crc32c(bytes) };
    }
    crc32c::crc32c(bytes)
}

#[cfg(target_arch = "x86_64")]
mod three_way {
    use std::arch::x86_64::{
        _mm_clmulepi64_si128, _mm_crc32_u8, _mm_crc32_u64, _mm_cvtsi64_si128, _mm_cvtsi128_si64,
    };

    /// Words of eight bytes in the longest run.
    const RUN_WORDS: usize = 128;
    /// Words in the shortest run for which three are worth putting together.
    const SHORT_RUN_WORDS: usize = 3;

    /// `SHIFTS[n]` shifts a CRC by `n` words: x^(64 n - 33) modulo the polynomial, of which 32 are
    /// taken off by the reduction and one by the order of bits.
    static SHIFTS: [u32; 2 * RUN_WORDS + 1] = shifts();

    #[allow(clippy::indexing_slicing)] // by the compiler
    const fn shifts() -> [u32; 2 * RUN_WORDS + 1] {
        const POLYNOMIAL: u32 = 0x82f6_3b78;
        let mut table = [0; 2 * RUN_WORDS + 1];
        let mut power: u32 = 1; // x^31, the highest power being the lowest bit
        let mut words = 1;
        while words < table.len() {
            table[words] = power;
            let mut bit = 0;
            while bit < 64 {
                power = (power >> 1) ^ if power & 1 == 1 { POLYNOMIAL } else { 0 };
                bit += 1;
            }
            words += 1;
        }
        table
    }

    /// `crc` as it is with `words` more words of zeros.
    #[inline]
    #[target_feature(enable = "sse4.2,pclmulqdq")]
    fn shift(crc: u64, words: usize) -> u64 {
        let by = SHIFTS.get(words).copied().unwrap_or_default();
        let product =
            _mm_clmulepi64_si128::<0>(_mm_cvtsi64_si128(crc.cast_signed()), _mm_cvtsi64_si128(i64::from(by)));
        _mm_crc32_u64(0, _mm_cvtsi128_si64(product).cast_unsigned())
    }

    #[inline]
    #[target_feature(enable = "sse4.2,pclmulqdq")]
    fn three_runs(crc: u64, words: &[[u8; 8]], run: usize) -> u64 {
        let (first, rest) = words.split_at_checked(run).unwrap_or_default();
        let (second, third) = rest.split_at_checked(run).unwrap_or_default();
        let (mut a, mut b, mut c) = (crc, 0, 0);
        for ((x, y), z) in first.iter().zip(second).zip(third) {
            a = _mm_crc32_u64(a, u64::from_le_bytes(*x));
            b = _mm_crc32_u64(b, u64::from_le_bytes(*y));
            c = _mm_crc32_u64(c, u64::from_le_bytes(*z));
        }
        shift(a, 2 * run) ^ shift(b, run) ^ c
    }

    #[target_feature(enable = "sse4.2,pclmulqdq")]
    pub(super) fn crc32c(bytes: &[u8]) -> u32 {
        let (mut words, tail) = bytes.as_chunks::<8>();
        let mut crc = u64::from(u32::MAX);
        while words.len() >= 3 * SHORT_RUN_WORDS {
            let run = (words.len() / 3).min(RUN_WORDS);
            let (runs, rest) = words.split_at_checked(3 * run).unwrap_or_default();
            crc = three_runs(crc, runs, run);
            words = rest;
        }
        for word in words {
            crc = _mm_crc32_u64(crc, u64::from_le_bytes(*word));
        }
        // The upper half is zero.
        let [a, b, c, d, ..] = crc.to_le_bytes();
        !tail.iter().fold(u32::from_le_bytes([a, b, c, d]), |crc, byte| _mm_crc32_u8(crc, *byte))
    }
}

/// `crc` as TensorFlow stores it.
#[inline]
pub(crate) fn mask(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(MASK_DELTA)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_lengths_and_alignments() {
        let bytes: Vec<u8> = (0..20_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for len in (0..3500).chain([4095, 4096, 6143, 6144, 6145, 9000, 19_990]) {
            let at = len % 9;
            assert_eq!(crc32c(&bytes[at..at + len]), crc32c::crc32c(&bytes[at..at + len]), "{len}");
        }
    }

    #[test]
    fn known_values() {
        // RFC 3720 B.4: 32 zero bytes.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(masked_crc32c(b"").to_le_bytes(), [0xd8, 0xea, 0x82, 0xa2]);
        assert_eq!(masked_crc32c(&5u64.to_le_bytes()).to_le_bytes(), [0xea, 0xb2, 0x04, 0x3e]);
        assert_eq!(masked_crc32c(b"first").to_le_bytes(), [0x55, 0xff, 0x23, 0xe5]);
    }
}
