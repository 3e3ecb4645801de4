//! The Snappy stream of `tf.data`: blocks of raw Snappy data, each after its length as four
//! big-endian bytes. There is no magic and no checksum; one block holds at least one write, so
//! that a large record is a large block.
//!
//! The writer is `tensorflow/core/lib/io/snappy/snappy_outputbuffer.h`; the block format is
//! <https://github.com/google/snappy/blob/main/format_description.txt>.

/// A copy of 64 bytes takes at least three: no sound block grows more than this.
const MAX_EXPANSION: u64 = 24;

/// The size of the block that the header announces.
pub(crate) fn block_bytes(header: [u8; 4]) -> u32 {
    u32::from_be_bytes(header)
}

/// Decodes one block into `out`, whose bytes before are lost.
///
/// # Errors
/// The block is damaged, or says that it decodes to more than `cap` bytes or more than it can.
pub(crate) fn decode(block: &[u8], cap: u64, out: &mut Vec<u8>) -> Result<(), String> {
    let bytes = snap::raw::decompress_len(block).map_err(|e| e.to_string())?;
    let most = (block.len() as u64).saturating_mul(MAX_EXPANSION).min(cap);
    if bytes as u64 > most {
        return Err(format!("a block of {} bytes says that it decodes to {bytes}", block.len()));
    }
    out.resize(bytes, 0);
    snap::raw::Decoder::new().decompress(block, out).map_err(|e| e.to_string())?;
    Ok(())
}

/// The first `N` bytes that a stream decodes to, from the stream's first bytes; `None` if they
/// are no Snappy stream, or too few.
pub(crate) fn first_bytes<const N: usize>(stream: &[u8]) -> Option<[u8; N]> {
    let (size, block) = stream.split_first_chunk::<4>()?;
    let block = block.get(..block.len().min(usize::try_from(block_bytes(*size)).ok()?))?;
    let preamble = block.iter().take(5).position(|byte| byte & 0x80 == 0)? + 1;
    let mut input = block.get(preamble..)?;
    let mut out = Vec::with_capacity(N + 64);
    while out.len() < N {
        let (tag, rest) = input.split_first()?;
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0usize, |n, byte| n << 8 | usize::from(*byte));
        let upper = usize::from(tag >> 2);
        let extra = match tag & 3 {
            0 => upper.saturating_sub(59),
            1 => 1,
            2 => 2,
            _ => 4,
        };
        let (operand, rest) = rest.split_at_checked(extra)?;
        input = rest;
        if tag & 3 == 0 {
            let length = if upper < 60 { upper } else { number(operand) }.checked_add(1)?;
            // What lies past the bytes at hand is not asked for.
            let length = length.min(N - out.len());
            let (literal, rest) = input.split_at_checked(length)?;
            out.extend_from_slice(literal);
            input = rest;
            continue;
        }
        let (length, offset) = match tag & 3 {
            1 => ((upper & 7) + 4, (upper >> 3) << 8 | number(operand)),
            _ => (upper + 1, number(operand)),
        };
        let from = out.len().checked_sub(offset).filter(|_| offset > 0)?;
        for i in 0..length.min(N - out.len()) {
            out.push(*out.get(from + i)?);
        }
    }
    out.first_chunk::<N>().copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn first_bytes_are_those_of_the_codec(
            data in prop_oneof![
                proptest::collection::vec(any::<u8>(), 12..300),
                proptest::collection::vec(0u8..3, 12..300),
            ]) {
            let block = snap::raw::Encoder::new().compress_vec(&data).unwrap();
            let mut stream = u32::try_from(block.len()).unwrap().to_be_bytes().to_vec();
            stream.extend(&block);
            let first = first_bytes::<12>(&stream).unwrap();
            prop_assert_eq!(&first[..], &data[..12]);
            let mut out = Vec::new();
            decode(&block, 1 << 20, &mut out).unwrap();
            prop_assert_eq!(&out, &data);
            prop_assert!(decode(&block, 11, &mut out).is_err());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = first_bytes::<12>(&bytes);
            let mut out = Vec::new();
            drop(decode(&bytes, 1 << 20, &mut out));
        }
    }

    #[test]
    fn a_block_cannot_ask_for_much_memory() {
        let mut out = Vec::new();
        // Says 2³²−1 bytes.
        assert!(decode(&[0xff, 0xff, 0xff, 0xff, 0x0f, 0], u64::MAX, &mut out).is_err());
        assert_eq!(out.capacity(), 0);
    }
}
