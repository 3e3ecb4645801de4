//! TFRecord framing: a push decoder that is fed byte slices and hands out records in place.
//!
//! | offset | size | content |
//! | --- | --- | --- |
//! | 0 | 8 | `length`, little-endian |
//! | 8 | 4 | masked CRC-32C of the 8 length bytes |
//! | 12 | `length` | the record |
//! | 12 + `length` | 4 | masked CRC-32C of the record |
//!
//! The format is defined by `tensorflow/core/lib/io/record_writer.h`.

use std::fmt;

use super::crc::masked_crc32c;
use crate::error::Error;
use crate::options::Phrase;

/// Bytes before a record: its length and the length's CRC.
pub(crate) const HEADER_BYTES: usize = 12;
/// Bytes after a record: its CRC.
pub(crate) const FOOTER_BYTES: usize = 4;

/// What is wrong with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameFault {
    /// The CRC of the length does not hold.
    LengthCrc { expected: u32, found: u32 },
    /// The CRC of the record does not hold.
    DataCrc { expected: u32, found: u32 },
    /// The length is above the cap.
    TooLong { length: u64, cap: u64 },
    /// The input ends inside the frame.
    Truncated { needed: u64, present: u64 },
}

impl FrameFault {
    /// Where in the frame the fault was seen, counted from the frame's first byte.
    pub(crate) fn offset_in_frame(&self) -> u64 {
        match self {
            FrameFault::DataCrc { .. } => HEADER_BYTES as u64,
            _ => 0,
        }
    }

    /// The fault as an error, without its place; `first` says that it is at the very beginning of
    /// its stream.
    pub(crate) fn into_error(self, first: bool) -> Error {
        match self {
            FrameFault::TooLong { .. } => Error::limit(self.to_string())
                .with_hint(Phrase::new("raise {max_record_bytes} if the file is sound")),
            _ if first => Error::corrupt(self.to_string()).with_hint("is this a TFRecord file?"),
            _ => Error::corrupt(self.to_string()),
        }
    }
}

impl fmt::Display for FrameFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameFault::LengthCrc { expected, found } => {
                write!(f, "corrupt record length: expected CRC {expected:#010x}, found {found:#010x}")
            }
            FrameFault::DataCrc { expected, found } => {
                write!(f, "corrupt record: expected CRC {expected:#010x}, found {found:#010x}")
            }
            FrameFault::TooLong { length, cap } => {
                write!(f, "record of {length} bytes: expected at most {cap} bytes")
            }
            FrameFault::Truncated { needed, present } => {
                write!(f, "truncated record: expected {needed} bytes, found {present}")
            }
        }
    }
}

/// Whether `bytes` begin with a frame header whose CRC holds.
pub(crate) fn is_header(bytes: &[u8]) -> bool {
    matches!(frame_bytes(bytes, u64::MAX), Ok(Some(_)) | Err(FrameFault::TooLong { .. }))
}

/// The size in bytes of the whole frame at the beginning of `input`: header, record, footer.
///
/// `None` means that fewer than [`HEADER_BYTES`] bytes are at hand. Only the header is looked at.
///
/// # Errors
/// The CRC of the length does not hold, or the length is above `cap`.
#[inline]
pub(crate) fn frame_bytes(input: &[u8], cap: u64) -> Result<Option<u64>, FrameFault> {
    let Some((length, rest)) = input.split_first_chunk::<8>() else { return Ok(None) };
    let Some((crc, _)) = rest.split_first_chunk::<4>() else { return Ok(None) };
    let (expected, found) = (u32::from_le_bytes(*crc), masked_crc32c(length));
    if expected != found {
        return Err(FrameFault::LengthCrc { expected, found });
    }
    let length = u64::from_le_bytes(*length);
    const OVERHEAD: u64 = (HEADER_BYTES + FOOTER_BYTES) as u64;
    match length.checked_add(OVERHEAD) {
        Some(whole) if length <= cap => Ok(Some(whole)),
        _ => Err(FrameFault::TooLong { length, cap }),
    }
}

/// The first header in `bytes` whose CRC holds and whose record has at most `cap` bytes: where it
/// begins, and the size of its whole frame.
///
/// This is how framing is found again after damage. It costs a comparison for most positions; by
/// chance, one in 2⁶² random positions passes under a cap of 1 GiB.
pub(crate) fn find_header(bytes: &[u8], cap: u64) -> Option<(usize, u64)> {
    bytes.windows(HEADER_BYTES).enumerate().find_map(|(at, window)| {
        let (length, crc) = window.split_first_chunk::<8>()?;
        // Long runs of zeros are what disks leave in place of data.
        if window == [0; HEADER_BYTES] {
            return None;
        }
        if u64::from_le_bytes(*length) > cap || crc != masked_crc32c(length).to_le_bytes() {
            return None;
        }
        Some((at, u64::from_le_bytes(*length).checked_add((HEADER_BYTES + FOOTER_BYTES) as u64)?))
    })
}

/// The record inside a whole frame (as measured by [`frame_bytes`]).
///
/// # Errors
/// `check_crc` is set and the record's CRC does not hold.
#[inline]
pub(crate) fn record_of(frame: &[u8], check_crc: bool) -> Result<&[u8], FrameFault> {
    let body = frame.get(HEADER_BYTES..).unwrap_or_default();
    let Some((record, crc)) = body.split_last_chunk::<FOOTER_BYTES>() else {
        return Err(FrameFault::Truncated {
            needed: (HEADER_BYTES + FOOTER_BYTES) as u64,
            present: frame.len() as u64,
        });
    };
    if check_crc {
        let (expected, found) = (u32::from_le_bytes(*crc), masked_crc32c(record));
        if expected != found {
            return Err(FrameFault::DataCrc { expected, found });
        }
    }
    Ok(record)
}

/// Whole frames that lie one after the other, each of which was measured by [`frame_bytes`] before: the
/// CRCs of their lengths are not looked at again.
#[derive(Debug, Clone)]
pub(crate) struct Measured<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for Measured<'a> {
    type Item = &'a [u8];

    #[inline]
    fn next(&mut self) -> Option<&'a [u8]> {
        let length = u64::from_le_bytes(*self.0.first_chunk::<8>()?);
        let whole = usize::try_from(length).ok()?.checked_add(HEADER_BYTES + FOOTER_BYTES)?;
        let (frame, rest) = self.0.split_at_checked(whole)?;
        self.0 = rest;
        Some(frame)
    }
}

/// Appends `record` to `out` as a frame.
pub(crate) fn put_frame(out: &mut Vec<u8>, record: &[u8]) {
    let length = (record.len() as u64).to_le_bytes();
    out.extend(length);
    out.extend(masked_crc32c(&length).to_le_bytes());
    out.extend(record);
    out.extend(masked_crc32c(record).to_le_bytes());
}

/// Appends a frame whose record, of exactly `length` bytes, `put` appends.
pub(crate) fn put_frame_with(out: &mut Vec<u8>, length: usize, put: impl FnOnce(&mut Vec<u8>)) {
    let header = (length as u64).to_le_bytes();
    out.reserve(length.saturating_add(HEADER_BYTES + FOOTER_BYTES));
    out.extend(header);
    out.extend(masked_crc32c(&header).to_le_bytes());
    let start = out.len();
    put(out);
    debug_assert_eq!(out.len() - start, length);
    let crc = masked_crc32c(out.get(start..).unwrap_or_default());
    out.extend(crc.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn frames_as_tensorflow_writes_them() {
        // Written by tf.io.TFRecordWriter: the record "first".
        let file = [
            5, 0, 0, 0, 0, 0, 0, 0, 0xea, 0xb2, 0x04, 0x3e, b'f', b'i', b'r', b's', b't', 0x55, 0xff, 0x23,
            0xe5,
        ];
        assert_eq!(frame_bytes(&file, 1024), Ok(Some(file.len() as u64)));
        assert_eq!(record_of(&file, true), Ok(&b"first"[..]));
        let mut frames = Measured(&file);
        assert_eq!(frames.next(), Some(&file[..]));
        assert_eq!(frames.next(), None);
    }

    #[test]
    fn headers_are_found_anywhere() {
        let mut file = vec![0; 37];
        put_frame(&mut file, b"record");
        assert_eq!(find_header(&file, 6), Some((37, 22)));
        assert_eq!(find_header(&file, 5), None);
        assert_eq!(find_header(&file[..48], 6), None);
        assert_eq!(find_header(&[], 6), None);
    }

    #[test]
    fn damage_is_told_apart() {
        let mut file = Vec::new();
        put_frame(&mut file, b"record");
        let mut bad = file.clone();
        bad[0] ^= 1;
        assert!(matches!(frame_bytes(&bad, 100), Err(FrameFault::LengthCrc { .. })));
        let mut bad = file.clone();
        bad[13] ^= 1;
        assert!(matches!(record_of(&bad, true), Err(FrameFault::DataCrc { .. })));
        assert_eq!(record_of(&bad, false).unwrap().len(), 6);
        assert!(matches!(frame_bytes(&file, 5), Err(FrameFault::TooLong { length: 6, cap: 5 })));
        let huge = u64::MAX.to_le_bytes();
        let mut bad = huge.to_vec();
        bad.extend(masked_crc32c(&huge).to_le_bytes());
        assert!(matches!(frame_bytes(&bad, u64::MAX), Err(FrameFault::TooLong { .. })));
    }

    proptest! {
        #[test]
        fn frames_end_where_they_are_cut(
            records in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..8),
            cut in any::<prop::sample::Index>()) {
            let mut file = Vec::new();
            for record in &records { put_frame(&mut file, record); }
            let cut = cut.index(file.len() + 1);
            let mut frames = Measured(&file[..cut]);
            let mut seen: Vec<_> = frames.by_ref().map(|frame| record_of(frame, true).unwrap()).collect();
            let rest = &file[cut - frames.0.len()..];
            seen.extend(Measured(rest).map(|frame| record_of(frame, true).unwrap()));
            prop_assert_eq!(seen, records);
        }
    }
}
