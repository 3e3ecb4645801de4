//! Which compression a stream of TFRecord frames is wrapped in, told from its first bytes.
//!
//! TensorFlow records the compression of a TFRecord file nowhere, and users' extensions lie; the
//! content does not.

use super::{snappy, tfrecord};

/// The compression of a whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compression {
    /// Frames as they are.
    None,
    /// RFC 1952, one or more members.
    Gzip,
    /// RFC 1950.
    Zlib,
    /// Raw Snappy blocks, each after its length, as `tf.data` writes them.
    Snappy,
}

/// How many first bytes [`sniff`] wants to see, where the file has that many.
pub(crate) const SNIFF_BYTES: usize = 128;

/// Tells the compression from the first bytes of a file; `None` when they are the beginning of
/// nothing that is known.
///
/// A sound frame header is tried first: a record length can look like a gzip magic, but then its
/// CRC still holds.
pub(crate) fn sniff(first: &[u8]) -> Option<Compression> {
    if first.is_empty() || tfrecord::is_header(first) {
        return Some(Compression::None);
    }
    match *first {
        [0x1f, 0x8b, ..] => Some(Compression::Gzip),
        [cmf, flg, ..] if cmf & 0x0f == 8 && cmf >> 4 <= 7 && u16::from_be_bytes([cmf, flg]) % 31 == 0 => {
            Some(Compression::Zlib)
        }
        _ => {
            let header = snappy::first_bytes::<{ tfrecord::HEADER_BYTES }>(first)?;
            tfrecord::is_header(&header).then_some(Compression::Snappy)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides() {
        assert_eq!(sniff(b""), Some(Compression::None));
        assert_eq!(sniff(&[0x1f, 0x8b, 8, 0]), Some(Compression::Gzip));
        for zlib in [[0x78, 0x9c], [0x78, 0x01], [0x48, 0xc7], [0x18, 0x95]] {
            assert_eq!(sniff(&zlib), Some(Compression::Zlib));
        }
        assert_eq!(sniff(b"PAR1PAR1PAR1"), None);
        let mut file = Vec::new();
        super::super::tfrecord::put_frame(&mut file, &[0; 100]);
        let block = snap::raw::Encoder::new().compress_vec(&file).unwrap();
        let mut stream = u32::try_from(block.len()).unwrap().to_be_bytes().to_vec();
        stream.extend(block);
        assert_eq!(sniff(&stream), Some(Compression::Snappy));
        assert_eq!(sniff(&stream[..6]), None);
        // A record of 0x8b1f bytes begins like gzip; its CRC says that it is a frame.
        let mut frame = 0x8b1fu64.to_le_bytes().to_vec();
        frame.extend(super::super::crc::masked_crc32c(&frame).to_le_bytes());
        assert_eq!(sniff(&frame), Some(Compression::None));
    }
}
