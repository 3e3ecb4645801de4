//! The masked CRC-32C of TFRecord, TensorBundle and snapshot files.
//!
//! The processor's own instruction takes eight bytes at a time, but its result only after three
//! cycles. So three runs of equal length are summed side by side and then put together, for records
//! of some hundred bytes too, which make up most files. Where the processor multiplies polynomials
//! 64 bytes at a time, long records are folded that way first. Elsewhere the crate `crc32c` does it.
//! `cargo bench --bench crc` compares them.

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
        if bytes.len() >= folded::LEAST
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("vpclmulqdq")
        {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { folded::crc32c(bytes) };
        }
        // SAFETY: as above.
        return unsafe { three_way::crc32c(u32::MAX, bytes) };
    }
    crc32c::crc32c(bytes)
}

#[cfg(target_arch = "x86_64")]
mod three_way {
    use std::arch::x86_64::{
        _mm_clmulepi64_si128, _mm_crc32_u8, _mm_crc32_u64, _mm_cvtsi64_si128, _mm_cvtsi128_si64,
    };

    /// Words of eight bytes in the longest run. What is not in the processor's cache comes into it in
    /// time only if the runs lie close together.
    const RUN_WORDS: usize = 32;
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
        let (mut first, rest) = words.split_at_checked(run).unwrap_or_default();
        let (mut second, mut third) = rest.split_at_checked(run).unwrap_or_default();
        let (mut a, mut b, mut c) = (crc, 0, 0);
        // Zipped iterators are called for, not inlined, in builds without link-time optimisation.
        while let ([x, after_x @ ..], [y, after_y @ ..], [z, after_z @ ..]) = (first, second, third) {
            a = _mm_crc32_u64(a, u64::from_le_bytes(*x));
            b = _mm_crc32_u64(b, u64::from_le_bytes(*y));
            c = _mm_crc32_u64(c, u64::from_le_bytes(*z));
            (first, second, third) = (after_x, after_y, after_z);
        }
        shift(a, 2 * run) ^ shift(b, run) ^ c
    }

    #[target_feature(enable = "sse4.2,pclmulqdq")]
    pub(super) fn crc32c(crc: u32, bytes: &[u8]) -> u32 {
        let (mut words, tail) = bytes.as_chunks::<8>();
        let mut crc = u64::from(crc);
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

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod folded {
    use std::arch::x86_64::{
        __m128i, __m512i, _mm_clmulepi64_si128, _mm_crc32_u64, _mm_cvtsi128_si64, _mm_extract_epi64,
        _mm_set_epi64x, _mm_xor_si128, _mm512_clmulepi64_epi128, _mm512_extracti32x4_epi32,
        _mm512_loadu_si512, _mm512_set_epi64, _mm512_set4_epi64, _mm512_ternarylogic_epi64, _mm512_xor_si512,
    };

    /// Bytes from which on it is faster.
    pub(super) const LEAST: usize = 1024;
    /// Bytes that are folded at a time, in four registers.
    const STEP: usize = 256;

    /// What the halves of 16 bytes are multiplied by when `bytes` more follow them: x^(8 bytes + 32)
    /// and x^(8 bytes - 32) modulo the polynomial, the highest power being the lowest bit.
    const fn by(bytes: usize) -> (i64, i64) {
        (power(8 * bytes + 32), power(8 * bytes - 32))
    }

    const fn power(mut exponent: usize) -> i64 {
        const POLYNOMIAL: u32 = 0x82f6_3b78;
        let mut power: u32 = 1 << 31;
        while exponent > 0 {
            power = (power >> 1) ^ if power & 1 == 1 { POLYNOMIAL } else { 0 };
            exponent -= 1;
        }
        (power as i64) << 1
    }

    const STEP_ON: (i64, i64) = by(STEP);
    const REGISTERS_ON: [(i64, i64); 3] = [by(192), by(128), by(64)];
    const LANES_ON: [(i64, i64); 3] = [by(48), by(32), by(16)];

    /// `state` with what follows it, `by` that far away.
    #[inline]
    #[target_feature(enable = "avx512f,vpclmulqdq")]
    fn fold(state: __m512i, (low, high): (i64, i64), next: __m512i) -> __m512i {
        let by = _mm512_set4_epi64(high, low, high, low);
        let low = _mm512_clmulepi64_epi128::<0x00>(state, by);
        let high = _mm512_clmulepi64_epi128::<0x11>(state, by);
        _mm512_ternarylogic_epi64::<0x96>(low, high, next)
    }

    #[inline]
    #[target_feature(enable = "pclmulqdq,sse4.2")]
    fn fold_lane(state: __m128i, (low, high): (i64, i64), next: __m128i) -> __m128i {
        let by = _mm_set_epi64x(high, low);
        let low = _mm_clmulepi64_si128::<0x00>(state, by);
        let high = _mm_clmulepi64_si128::<0x11>(state, by);
        _mm_xor_si128(_mm_xor_si128(low, high), next)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(bytes: &[u8; 64]) -> __m512i {
        // SAFETY: there are 64 bytes, which need not be aligned.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    #[target_feature(enable = "avx512f,vpclmulqdq,pclmulqdq,sse4.2")]
    pub(super) fn crc32c(bytes: &[u8]) -> u32 {
        let (steps, tail) = bytes.as_chunks::<STEP>();
        let mut state: Option<[__m512i; 4]> = None;
        for step in steps {
            let ([a, b, c, d], _) = step.as_chunks::<64>() else { break };
            let next = [load(a), load(b), load(c), load(d)];
            state = Some(match state {
                None => {
                    let [a, b, c, d] = next;
                    [_mm512_xor_si512(a, _mm512_set_epi64(0, 0, 0, 0, 0, 0, 0, i64::from(u32::MAX))), b, c, d]
                }
                Some([w, x, y, z]) => {
                    let [a, b, c, d] = next;
                    [fold(w, STEP_ON, a), fold(x, STEP_ON, b), fold(y, STEP_ON, c), fold(z, STEP_ON, d)]
                }
            });
        }
        let Some([w, x, y, z]) = state else { return super::three_way::crc32c(u32::MAX, bytes) };
        let [three, two, one] = REGISTERS_ON;
        let whole = fold(w, three, fold(x, two, fold(y, one, z)));
        let [three, two, one] = LANES_ON;
        let lanes = (
            _mm512_extracti32x4_epi32::<0>(whole),
            _mm512_extracti32x4_epi32::<1>(whole),
            _mm512_extracti32x4_epi32::<2>(whole),
            _mm512_extracti32x4_epi32::<3>(whole),
        );
        let last = fold_lane(lanes.0, three, fold_lane(lanes.1, two, fold_lane(lanes.2, one, lanes.3)));
        // These 16 bytes have the sum of all.
        let crc = _mm_crc32_u64(0, _mm_cvtsi128_si64(last).cast_unsigned());
        let crc = _mm_crc32_u64(crc, _mm_extract_epi64::<1>(last).cast_unsigned());
        let [a, b, c, d, ..] = crc.to_le_bytes();
        super::three_way::crc32c(u32::from_le_bytes([a, b, c, d]), tail)
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
