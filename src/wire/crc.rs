//! The masked CRC-32C of TFRecord, TensorBundle and snapshot files.

const MASK_DELTA: u32 = 0xa282_ead8;

/// CRC-32C (Castagnoli) of `bytes`, rotated and offset as TensorFlow stores it
/// (`tensorflow/core/lib/hash/crc32c.h`, `Mask`).
#[must_use]
#[inline]
pub(crate) fn masked_crc32c(bytes: &[u8]) -> u32 {
    mask(crc32c::crc32c(bytes))
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
    fn known_values() {
        // RFC 3720 B.4: 32 zero bytes.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(masked_crc32c(b"").to_le_bytes(), [0xd8, 0xea, 0x82, 0xa2]);
        assert_eq!(masked_crc32c(&5u64.to_le_bytes()).to_le_bytes(), [0xea, 0xb2, 0x04, 0x3e]);
        assert_eq!(masked_crc32c(b"first").to_le_bytes(), [0x55, 0xff, 0x23, 0xe5]);
    }
}
