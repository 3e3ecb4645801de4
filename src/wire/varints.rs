//! Runs of varints, many at a time.
//!
//! What takes time is not the bits but guessing where the next value begins. Where the processor gathers
//! bits quickly, the ends of 64 bytes are found at once, and each value is then one load and one gathering,
//! without a guess. Elsewhere eight bytes are taken at a time.

use super::proto::{Cursor, STOPS, WireError, gather7};

/// Appends every varint of `packed` to `out` as an `i64` (two's complement).
///
/// # Errors
/// A varint longer than ten bytes, or cut by the end of the slice; `out` is then in no particular
/// state past its former length.
#[cfg_attr(target_arch = "x86_64", allow(unsafe_code))]
pub(crate) fn extend_varints(packed: &[u8], out: &mut Vec<i64>) -> Result<(), WireError> {
    // A value takes at least one byte, so the input bounds what is reserved.
    out.reserve(packed.len().min(1 << 16));
    let mut cursor = Cursor::new(packed);
    #[cfg(target_arch = "x86_64")]
    // Some older processors have the instruction, and take long for it; they lack the other one.
    if packed.len() >= blocks::LEAST && is_x86_feature_detected!("bmi2") && is_x86_feature_detected!("vaes") {
        // SAFETY: the processor has what the function is compiled for.
        unsafe { blocks::extend(&mut cursor, out) }?;
    }
    extend_by_words(&mut cursor, out)
}

fn extend_by_words(cursor: &mut Cursor<'_>, out: &mut Vec<i64>) -> Result<(), WireError> {
    while let Some((word, _)) = cursor.rest().split_first_chunk::<8>() {
        let mut word = u64::from_le_bytes(*word);
        let mut stops = !word & STOPS;
        if stops == STOPS {
            out.extend_from_slice(&word.to_le_bytes().map(i64::from));
            cursor.take(8)?;
            continue;
        }
        if stops == 0 {
            out.push(cursor.varint()?.cast_signed());
            continue;
        }
        let used = 8 - (stops.leading_zeros() >> 3);
        while stops != 0 {
            // The bits up to and with the first stop bit belong to this value.
            let ones = stops ^ (stops - 1);
            out.push(gather7(word & ones).cast_signed());
            let bits = stops.trailing_zeros() + 1;
            word = word.checked_shr(bits).unwrap_or(0);
            stops = stops.checked_shr(bits).unwrap_or(0);
        }
        cursor.take(used as usize)?;
    }
    while !cursor.is_empty() {
        out.push(cursor.varint()?.cast_signed());
    }
    Ok(())
}

#[cfg(target_arch = "x86_64")]
mod blocks {
    use std::arch::x86_64::_pext_u64;

    use crate::wire::proto::{Cursor, STOPS, WireError};

    /// Bytes whose values' ends are found at once. A value that begins in them is loaded with those behind.
    const BLOCK: usize = 64;
    const WORD: usize = 8;
    /// Below so many bytes there is no block.
    pub(super) const LEAST: usize = BLOCK + WORD;

    /// A bit for each byte of the block: whether it ends a value.
    #[inline]
    fn ends(block: &[u8; LEAST]) -> u64 {
        let (words, _) = block.as_chunks::<WORD>();
        words.iter().take(BLOCK / WORD).rev().fold(0, |ends, word| {
            let stops = (!u64::from_le_bytes(*word) & STOPS) >> 7;
            ends << WORD | stops.wrapping_mul(0x0102_0408_1020_4080) >> 56
        })
    }

    /// Appends all varints, of which there are at least [`LEAST`] bytes.
    #[target_feature(enable = "bmi1,bmi2,lzcnt,popcnt")]
    pub(super) fn extend(cursor: &mut Cursor<'_>, out: &mut Vec<i64>) -> Result<(), WireError> {
        let mut values = [0; BLOCK];
        let mut last = [0; LEAST];
        while !cursor.is_empty() {
            let rest = cursor.rest();
            let (block, begun) = match rest.first_chunk::<LEAST>() {
                Some(block) => (block, u64::MAX),
                None => {
                    let (copied, _) = last.split_at_mut(rest.len());
                    copied.copy_from_slice(rest);
                    (&last, if rest.len() < BLOCK { (1 << rest.len()) - 1 } else { u64::MAX })
                }
            };
            let mut ends = ends(block) & begun;
            if ends == u64::MAX {
                out.extend(cursor.take(BLOCK)?.iter().map(|byte| i64::from(*byte)));
                continue;
            }
            let (mut start, mut count) = (0, 0);
            while ends != 0 {
                let end = ends.trailing_zeros() as usize + 1;
                ends &= ends - 1;
                let bits = 8 * (end - start);
                // All are within bounds anyway, which the compiler cannot know.
                let word = block.get(start % BLOCK..).and_then(|rest| rest.first_chunk::<WORD>());
                if let (Some(word), Some(value)) = (word, values.get_mut(count % BLOCK)) {
                    *value = if bits <= 64 {
                        _pext_u64(u64::from_le_bytes(*word), !STOPS >> (64 - bits)).cast_signed()
                    } else {
                        let mut long = *cursor;
                        long.take(start)?;
                        long.varint()?.cast_signed()
                    };
                }
                start = end;
                count += 1;
            }
            out.extend_from_slice(values.get(..count).unwrap_or_default());
            if start == 0 {
                // It is longer than any value may be, or cut off.
                cursor.varint()?;
            }
            cursor.take(start)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::proto::{Fault, put_varint};
    use proptest::prelude::*;

    fn encode(values: &[i64]) -> Vec<u8> {
        let mut out = Vec::new();
        for &value in values {
            put_varint(&mut out, value.cast_unsigned());
        }
        out
    }

    proptest! {
        #[test]
        fn varints_round_trip(values in proptest::collection::vec(
            prop_oneof![any::<i64>(), -300i64..300, 0i64..128, 0i64..70_000], 0..200)) {
            let bytes = encode(&values);
            let mut out = Vec::new();
            extend_varints(&bytes, &mut out).unwrap();
            prop_assert_eq!(&out, &values);
            let mut out = Vec::new();
            extend_by_words(&mut Cursor::new(&bytes), &mut out).unwrap();
            prop_assert_eq!(&out, &values);
        }

        #[test]
        fn bulk_equals_one_by_one(
            sound in proptest::collection::vec(prop_oneof![any::<i64>(), 0i64..300], 0..60),
            bytes in proptest::collection::vec(any::<u8>(), 0..40),
            more in proptest::collection::vec(0i64..300, 0..60),
        ) {
            let mut all = encode(&sound);
            all.extend_from_slice(&bytes);
            all.extend_from_slice(&encode(&more));
            let mut out = Vec::new();
            let bulk = extend_varints(&all, &mut out);
            let mut cursor = Cursor::new(&all);
            let mut expected = Vec::new();
            let single = loop {
                if cursor.is_empty() {
                    break Ok(());
                }
                match cursor.varint() {
                    Ok(value) => expected.push(value.cast_signed()),
                    Err(error) => break Err(error),
                }
            };
            prop_assert_eq!(bulk, single);
            let mut by_words = Vec::new();
            prop_assert_eq!(extend_by_words(&mut Cursor::new(&all), &mut by_words), single);
            if single.is_ok() {
                prop_assert_eq!(&out, &expected);
                prop_assert_eq!(&by_words, &expected);
            }
        }
    }

    #[test]
    fn what_never_ends_is_no_value() {
        for n in [11, 63, 64, 65, 72, 200] {
            let bytes = vec![0x80; n];
            let error = extend_varints(&bytes, &mut Vec::new()).unwrap_err();
            assert_eq!((error.at, error.fault), (0, Fault::LongVarint), "{n}");
            assert_eq!(extend_by_words(&mut Cursor::new(&bytes), &mut Vec::new()), Err(error), "{n}");
        }
    }
}
